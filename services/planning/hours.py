"""Hours a day and days a week: from what is tolerated today to the shift, inside what is authorised."""

from __future__ import annotations

from services.planning.policy import Policy

QUARTER = 0.25
"""h; days are booked in quarter hours, so that nobody is planned for less."""


def goal_hours(shift_hours: float, authorised: float | None, policy: Policy) -> float:
    """Hours a day that the last week should reach, h: the shift, at most a full one, and at most what is authorised."""
    return min(shift_hours, policy.max_hours, policy.max_hours if authorised is None else authorised)


def first_hours(tolerated: float, goal: float) -> float:
    """Hours a day of the first week, h: what is tolerated, never past the goal.

    Whether that is enough for work hardening is intake's decision; who was let in with less does not start with more.
    """
    return min(max(tolerated, QUARTER), goal)


def next_hours(hours: float, goal: float, weeks_left: int, policy: Policy) -> float:
    """Hours a day of the next week, h: linear to the goal in quarter hours, the rise at most the policy's."""
    if hours >= goal:
        return goal
    linear = hours + (goal - hours) / weeks_left
    even = goal if weeks_left == 1 else max(hours, int(linear / QUARTER + 1e-9) * QUARTER)
    return min(even, hours + policy.hours_step)


def first_days(tolerated: int, policy: Policy) -> int:
    """Days of the first week: what is tolerated, and at least one."""
    return min(max(tolerated, 1), policy.max_days)


def next_days(days: int, weeks_left: int, policy: Policy) -> int:
    """Days of the next week, linear to a working week, rounded to whole days."""
    return min(policy.max_days, int(days + (policy.max_days - days) / weeks_left + 0.5))
