"""Aerobic demand and the 6-minute walk reference."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.aerobic import Work, mean_met, required_vo2max, six_minute_walk_reference, sustainable_fraction


@pytest.mark.parametrize(
    ("hours", "fraction"), [(0.1, 0.50), (1, 0.50), (1.01, 0.40), (2, 0.40), (2.01, 0.33), (8, 0.33)]
)
def test_the_sustainable_fraction_falls_at_one_and_two_hours(hours: float, fraction: float) -> None:
    assert sustainable_fraction(hours) == fraction


@pytest.mark.parametrize("hours", [0, -1, 8.1])
def test_no_fraction_is_known_outside_a_shift_of_8_hours(hours: float) -> None:
    with pytest.raises(ValueError, match="hours"):
        sustainable_fraction(hours)


def test_the_demand_is_that_of_the_shifts_mean_and_not_of_its_peak() -> None:
    shift = [Work(met=8.0, hours=1), Work(met=2.0, hours=7)]
    assert mean_met(shift) == pytest.approx(2.75)
    assert required_vo2max(shift) == pytest.approx(3.5 * 2.75 / 0.33)


def test_an_hour_at_4_met_asks_for_28() -> None:
    assert required_vo2max([Work(met=4.0, hours=1)]) == pytest.approx(28.0)


@pytest.mark.parametrize("shift", [[], [Work(3, 0)], [Work(-1, 2)], [Work(3, -1), Work(3, 2)]])
def test_a_shift_without_time_or_with_negative_values_is_refused(shift: list[Work]) -> None:
    with pytest.raises(ValueError, match="shift"):
        mean_met(shift)


@pytest.mark.parametrize(
    ("sex", "height", "weight", "age", "metres"),
    [
        # Enright & Sherrill 1998, worked by hand.
        ("male", 175, 80, 50, 623.95),
        ("male", 180, 90, 60, 594.0),
        ("female", 160, 60, 50, 578.2),
        ("female", 165, 70, 70, 450.25),
    ],
)
def test_the_reference_distance(
    sex: Literal["male", "female"], height: float, weight: float, age: float, metres: float
) -> None:
    found = six_minute_walk_reference(sex, height_cm=height, weight_kg=weight, age_years=age)
    assert found.metres == pytest.approx(metres)


@pytest.mark.parametrize(("age", "outside"), [(39, True), (40, False), (80, False), (81, True)])
def test_ages_outside_40_to_80_are_flagged(age: float, outside: bool) -> None:
    found = six_minute_walk_reference("male", height_cm=175, weight_kg=80, age_years=age)
    assert found.outside_ages == outside


def test_a_distance_is_never_negative_and_measures_are_never_zero() -> None:
    assert six_minute_walk_reference("male", height_cm=50, weight_kg=200, age_years=90).metres == 0
    with pytest.raises(ValueError, match="above 0"):
        six_minute_walk_reference("female", height_cm=0, weight_kg=60, age_years=50)


work = st.builds(Work, met=st.floats(1, 15), hours=st.floats(0.05, 1.6))


@given(st.lists(work, min_size=1, max_size=5))
@settings(derandomize=True, deadline=None)
def test_the_mean_lies_between_the_lightest_and_the_heaviest_work(shift: list[Work]) -> None:
    intensities = [each.met for each in shift]
    assert min(intensities) - 1e-9 <= mean_met(shift) <= max(intensities) + 1e-9


@given(st.lists(work, min_size=1, max_size=5), st.floats(0, 5))
@settings(derandomize=True, deadline=None)
def test_heavier_work_asks_for_more_capacity(shift: list[Work], more: float) -> None:
    heavier = [Work(shift[0].met + more, shift[0].hours), *shift[1:]]
    assert required_vo2max(heavier) >= required_vo2max(shift) - 1e-9


@given(st.floats(140, 200), st.floats(45, 130), st.floats(40, 79))
@settings(derandomize=True, deadline=None)
def test_older_or_heavier_people_are_not_expected_to_walk_farther(height: float, weight: float, age: float) -> None:
    sexes: tuple[Literal["male", "female"], ...] = ("male", "female")
    for sex in sexes:
        base = six_minute_walk_reference(sex, height_cm=height, weight_kg=weight, age_years=age).metres
        assert six_minute_walk_reference(sex, height_cm=height, weight_kg=weight + 5, age_years=age).metres <= base
        assert six_minute_walk_reference(sex, height_cm=height, weight_kg=weight, age_years=age + 1).metres <= base
        assert six_minute_walk_reference(sex, height_cm=height + 5, weight_kg=weight, age_years=age).metres >= base
