from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.planning.policy import Policy
from services.planning.trajectory import aim, ceiling, falls_short, next_amount, path, starting_point
from tests.services.planning.cases import LIFT, capacity, demand
from workhardening_contracts.quantity import Unit

POLICY = Policy()
LOADS: tuple[Unit, ...] = ("kg", "lb", "N")
OTHERS: tuple[Unit, ...] = ("min", "h", "score", "repetitions")

amounts = st.floats(min_value=0, max_value=120).map(lambda x: round(x, 2))
policies = st.builds(
    Policy,
    load_step=st.floats(0.05, 0.3),
    load_stage_kg=st.floats(1.0, 4.5),
)


def test_a_load_grows_by_the_same_share_each_week() -> None:
    weeks = path(20.0, 40.0, 8, "kg", POLICY)
    assert weeks[-1] == 40.0
    assert [b / a for a, b in zip((20.0, *weeks), weeks, strict=False)] == pytest.approx([2 ** (1 / 8)] * 8)


def test_time_grows_by_the_same_minutes_each_week() -> None:
    assert path(40.0, 120.0, 8, "min", POLICY) == pytest.approx([50, 60, 70, 80, 90, 100, 110, 120])


def test_repetitions_are_whole_and_reach_the_target() -> None:
    weeks = path(3.0, 10.0, 4, "repetitions", POLICY)
    assert all(amount == int(amount) for amount in weeks)
    assert weeks[-1] == 10.0


def test_a_small_load_may_grow_by_a_pile_stage_which_is_more_than_the_share() -> None:
    assert ceiling(5.0, "kg", POLICY) == 7.25
    assert ceiling(20.0, "kg", POLICY) == 24.0
    assert ceiling(5.0, "lb", POLICY) == pytest.approx(5 + 2.25 / 0.45359237)
    assert ceiling(50.0, "N", POLICY) == pytest.approx(50 + 2.25 * 9.80665)


def test_a_target_out_of_reach_is_approached_at_the_cap_and_not_reached() -> None:
    weeks = path(20.0, 100.0, 4, "kg", POLICY)
    assert weeks == pytest.approx([24.0, 28.8, 34.56, 41.472])
    assert falls_short(weeks[-1], 100.0)


def test_small_first_steps_are_taken_where_later_ones_could_not_make_up_for_them() -> None:
    # Even growth (x 1.495) would ask for 3.3 kg in the last week, more than a stage; early stages reach 10 kg.
    weeks = path(2.0, 10.0, 4, "kg", POLICY)
    assert weeks[-1] == 10.0


def test_a_worker_above_the_demand_keeps_the_demand() -> None:
    assert path(50.0, 20.0, 3, "kg", POLICY) == (20.0, 20.0, 20.0)


def test_a_load_that_starts_at_nothing_starts_with_a_stage() -> None:
    assert next_amount(0.0, 20.0, 8, "kg", POLICY) == 2.25


def test_an_untested_demand_starts_from_a_share_of_its_target_and_is_named_as_assumed() -> None:
    assert starting_point(LIFT, (), POLICY) == (10.0, True)
    assert starting_point(LIFT, (capacity(LIFT, 8.0),), POLICY) == (8.0, False)


def test_the_margin_goes_on_loads_and_times_but_not_on_scores_or_the_shift() -> None:
    policy = Policy(safety_margin=1.1)
    assert aim(LIFT, policy) == pytest.approx(22.0)
    assert aim(demand("stand", 100.0, "min"), policy) == pytest.approx(110.0)
    assert aim(demand("confidence", 10.0, "score"), policy) == 10.0
    assert aim(demand("shift", 8.0, "h", "constant"), policy) == 8.0


@settings(derandomize=True, deadline=None)
@given(amounts, amounts, st.integers(1, 12), st.sampled_from(LOADS), policies)
def test_no_step_of_a_load_is_over_the_cap(start: float, target: float, weeks: int, unit: Unit, policy: Policy) -> None:
    before = min(start, target)
    for amount in path(before, target, weeks, unit, policy):
        assert amount <= ceiling(before, unit, policy) * (1 + 1e-9)
        before = amount


@settings(derandomize=True, deadline=None)
@given(amounts, amounts, st.integers(1, 12), st.sampled_from(LOADS + OTHERS), policies)
def test_a_path_never_turns_back_and_never_passes_the_target(
    start: float, target: float, weeks: int, unit: Unit, policy: Policy
) -> None:
    before = min(start, target)
    for amount in path(before, target, weeks, unit, policy):
        assert before <= amount * (1 + 1e-9)
        assert amount <= target
        before = amount


@settings(derandomize=True, deadline=None)
@given(amounts, amounts, st.integers(1, 12), st.sampled_from(LOADS), policies)
def test_a_load_falls_short_only_if_even_the_largest_steps_would(
    start: float, target: float, weeks: int, unit: Unit, policy: Policy
) -> None:
    furthest = start
    for _ in range(weeks):
        furthest = ceiling(furthest, unit, policy)
    reached = path(start, target, weeks, unit, policy)[-1]
    if furthest >= target * (1 + 1e-6):
        assert reached == target
    elif furthest <= target * (1 - 1e-6):
        assert falls_short(reached, target)
        assert reached == pytest.approx(furthest)


@settings(derandomize=True, deadline=None)
@given(amounts, amounts, st.integers(1, 12), st.sampled_from(OTHERS))
def test_times_scores_and_repetitions_always_reach_the_target(
    start: float, target: float, weeks: int, unit: Unit
) -> None:
    assert path(start, target, weeks, unit, POLICY)[-1] == target


@settings(derandomize=True, deadline=None)
@given(amounts, amounts, st.integers(2, 12), st.sampled_from(LOADS), policies)
def test_following_the_plan_exactly_and_planning_again_gives_the_same_plan(
    start: float, target: float, weeks: int, unit: Unit, policy: Policy
) -> None:
    first, *rest = path(start, target, weeks, unit, policy)
    assert path(first, target, weeks - 1, unit, policy) == tuple(rest)


def test_a_lift_doubles_in_about_four_weeks_at_the_cap() -> None:
    weeks = path(20.0, 1000.0, 8, "kg", POLICY)
    assert ceil(sum(amount < 40 for amount in weeks)) == 3
