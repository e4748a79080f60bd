"""A day of the plan: its hours, its blocks and its stations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.planning.blocks import MIX, TOPICS, education, minutes_by_block, stations
from services.planning.hours import first_days, first_hours, goal_hours, next_days, next_hours
from services.planning.policy import Policy
from tests.services.planning.cases import LIFT, STAND, demand
from workhardening_contracts.quantity import Quantity

POLICY = Policy()


@pytest.mark.parametrize(
    ("shift", "authorised", "goal"), [(8.0, None, 8.0), (10.0, None, 8.0), (6.0, None, 6.0), (8.0, 4.0, 4.0)]
)
def test_hours_go_to_the_shift_at_most_a_full_one_and_at_most_what_is_authorised(
    shift: float, authorised: float | None, goal: float
) -> None:
    assert goal_hours(shift, authorised, POLICY) == goal


def test_hours_start_at_what_is_tolerated_and_at_least_at_two() -> None:
    assert first_hours(3.5, 8.0, POLICY) == 3.5
    assert first_hours(1.0, 8.0, POLICY) == 2.0
    assert first_hours(6.0, 4.0, POLICY) == 4.0


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 16), st.floats(0.5, 16), st.none() | st.floats(0.5, 12), st.integers(2, 12))
def test_hours_never_fall_never_pass_the_caps_and_end_at_the_goal(
    tolerated: float, shift: float, authorised: float | None, weeks: int
) -> None:
    goal = goal_hours(shift, authorised, POLICY)
    hours = first_hours(tolerated, goal, POLICY)
    for weeks_left in range(weeks - 1, 0, -1):
        assert min(POLICY.min_hours, goal) <= hours <= goal
        assert next_hours(hours, goal, weeks_left) >= hours
        hours = next_hours(hours, goal, weeks_left)
    assert hours == goal <= min(8.0, shift, authorised or 8.0)


def test_days_go_from_three_to_a_working_week() -> None:
    days = [first_days(3, POLICY)]
    for weeks_left in range(7, 0, -1):
        days.append(next_days(days[-1], weeks_left, POLICY))
    assert days == [3, 3, 3, 3, 4, 4, 5, 5]


def test_each_column_of_the_mix_is_a_whole_day() -> None:
    assert sum(first for first, _ in MIX.values()) == pytest.approx(1.0)
    assert sum(last for _, last in MIX.values()) == pytest.approx(1.0)


def test_the_mix_shifts_from_mobility_and_strengthening_to_endurance_and_job_simulation() -> None:
    first, last = minutes_by_block(4.0, 1, 8), minutes_by_block(4.0, 8, 8)
    assert (first.mobility, first.strengthening, first.job_simulation) == (72, 72, 36)
    assert (last.mobility, last.strengthening, last.job_simulation) == (24, 36, 96)
    assert last.endurance > first.endurance


@settings(derandomize=True, deadline=None)
@given(st.floats(0.5, 8), st.integers(1, 14), st.integers(1, 14))
def test_the_blocks_fill_the_day_and_education_is_never_left_out(hours: float, week: int, total: int) -> None:
    minutes = minutes_by_block(hours, min(week, total), total)
    parts = minutes.model_dump().values()
    assert sum(parts) == pytest.approx(hours * 60)
    assert all(part > 0 for part in parts)


def test_the_topics_of_education_take_turns() -> None:
    assert [education(week)[0] for week in range(1, 9)] == [*TOPICS, *TOPICS]


def test_stations_share_the_minutes_by_frequency_and_leave_mental_demands_and_the_shift_out() -> None:
    demands = (LIFT, STAND, demand("pace", 7.0, "score"), demand("shift", 8.0, "h", "constant"))
    targets = [Quantity(amount=1.0, unit=each.amount.unit) for each in demands]
    made = stations(demands, targets, 70.0)
    assert [(station.demand, station.minutes) for station in made] == [
        ("lift/floor_waist/occasional", pytest.approx(20.0)),
        ("stand/-/frequent", pytest.approx(50.0)),
    ]


def test_a_job_of_mental_demands_only_has_no_stations() -> None:
    assert stations((demand("pace", 7.0, "score"),), [Quantity(amount=3.0, unit="score")], 60.0) == ()
