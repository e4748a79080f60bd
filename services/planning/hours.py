"""Hours a day and days a week: from what is tolerated today to the shift, inside what is authorised."""

from __future__ import annotations

from services.planning.policy import Policy


def goal_hours(shift_hours: float, authorised: float | None, policy: Policy) -> float:
    """Hours a day that the last week reaches, h: the shift, at most a full one, and at most what is authorised."""
    return min(shift_hours, policy.max_hours, policy.max_hours if authorised is None else authorised)


def first_hours(tolerated: float, goal: float, policy: Policy) -> float:
    """Hours a day of the first week, h: what is tolerated, at least the program's minimum, never past the goal."""
    return min(max(tolerated, policy.min_hours), goal)


def next_hours(hours: float, goal: float, weeks_left: int) -> float:
    """Hours a day of the next week, h, linear to the goal, in quarter hours as clinics book them."""
    if weeks_left == 1 or hours >= goal:
        return goal
    linear = hours + (goal - hours) / weeks_left
    return max(hours, int(linear * 4 + 1e-9) / 4)


def first_days(tolerated: int, policy: Policy) -> int:
    """Days of the first week."""
    return min(max(tolerated, policy.min_days), policy.max_days)


def next_days(days: int, weeks_left: int, policy: Policy) -> int:
    """Days of the next week, linear to a working week, rounded to whole days."""
    return min(policy.max_days, int(days + (policy.max_days - days) / weeks_left + 0.5))
