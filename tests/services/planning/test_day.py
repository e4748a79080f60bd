"""A day of the plan: its hours, its blocks and its stations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.planning.blocks import TOPICS, education, minutes_by_block, stations
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


def test_hours_and_days_start_at_what_is_tolerated_and_never_above() -> None:
    assert first_hours(3.5, 8.0) == 3.5
    assert first_hours(1.0, 8.0) == 1.0
    assert first_hours(6.0, 4.0) == 4.0
    assert first_hours(0.0, 8.0) == 0.25
    assert [first_days(days, POLICY) for days in (0, 1, 4, 7)] == [1, 1, 4, 5]


def test_hours_never_rise_faster_than_the_policy_and_the_goal_is_then_missed() -> None:
    hours = [2.0]
    for weeks_left in (3, 2, 1):
        hours.append(next_hours(hours[-1], 8.0, weeks_left, POLICY))
    assert hours == [2.0, 3.5, 5.0, 6.5]
    assert next_hours(2.0, 8.0, 1, Policy(hours_step=3)) == 5.0


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 16), st.floats(0.5, 16), st.none() | st.floats(0.5, 12), st.integers(2, 12))
def test_hours_never_fall_never_pass_the_caps_and_end_at_the_goal_if_the_steps_reach_it(
    tolerated: float, shift: float, authorised: float | None, weeks: int
) -> None:
    goal = goal_hours(shift, authorised, POLICY)
    hours = first = first_hours(tolerated, goal)
    for weeks_left in range(weeks - 1, 0, -1):
        following = next_hours(hours, goal, weeks_left, POLICY)
        assert hours <= following <= min(goal, hours + POLICY.hours_step)
        hours = following
    if first + (weeks - 1) * POLICY.hours_step >= goal + 0.25 * weeks:
        assert hours == goal <= min(8.0, shift, authorised or 8.0)


def test_days_go_from_three_to_a_working_week() -> None:
    days = [first_days(3, POLICY)]
    for weeks_left in range(7, 0, -1):
        days.append(next_days(days[-1], weeks_left, POLICY))
    assert days == [3, 3, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(
    "own",
    [
        {"mix": {**POLICY.mix, "education": (0.1, 0.05)}},
        {"mix": {**POLICY.mix, "education": (0.0, 0.0), "mobility": (0.35, 0.15)}},
        {"mix": {"education": (1.0, 1.0)}},
        {"station_share": {"seldom": 0.02}},
    ],
)
def test_a_clinics_mix_must_be_whole_days_with_education_in_each(own: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(own)
    assert Policy.model_validate_json(POLICY.model_dump_json()) == POLICY


def test_the_mix_shifts_from_mobility_and_strengthening_to_endurance_and_job_simulation() -> None:
    first, last = minutes_by_block(4.0, 1, 8, POLICY), minutes_by_block(4.0, 8, 8, POLICY)
    assert (first.mobility, first.strengthening, first.job_simulation) == (72, 72, 36)
    assert (last.mobility, last.strengthening, last.job_simulation) == (24, 36, 96)
    assert last.endurance > first.endurance


@settings(derandomize=True, deadline=None)
@given(st.floats(0.5, 8), st.integers(1, 14), st.integers(1, 14))
def test_the_blocks_fill_the_day_and_education_is_never_left_out(hours: float, week: int, total: int) -> None:
    minutes = minutes_by_block(hours, min(week, total), total, POLICY)
    parts = minutes.model_dump().values()
    assert sum(parts) == pytest.approx(hours * 60)
    assert all(part > 0 for part in parts)


def test_the_topics_of_education_take_turns() -> None:
    assert [education(week)[0] for week in range(1, 9)] == [*TOPICS, *TOPICS]


def test_stations_share_the_minutes_by_frequency_and_leave_mental_demands_and_times_out() -> None:
    grip = demand("grip", 60.0, "repetitions", "frequent")
    demands = (LIFT, STAND, grip, demand("pace", 7.0, "score"), demand("shift", 8.0, "h", "constant"))
    targets = [Quantity(amount=1.0, unit=each.amount.unit) for each in demands]
    made = stations(demands, targets, 70.0, POLICY)
    assert [(station.demand, station.minutes) for station in made] == [
        ("lift/floor_waist/occasional", pytest.approx(20.0)),
        ("grip/-/frequent", pytest.approx(50.0)),
    ]


def test_a_job_of_mental_demands_only_has_no_stations() -> None:
    assert stations((demand("pace", 7.0, "score"),), [Quantity(amount=3.0, unit="score")], 60.0, POLICY) == ()
