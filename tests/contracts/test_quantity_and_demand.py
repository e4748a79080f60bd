"""Amounts, units, frequencies and the physical demand level at exactly the figures where they turn."""

from datetime import date
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from workhardening_contracts.demand import (
    FREQUENCY_ORDER,
    Capacity,
    Demand,
    Frequency,
    best_capacity,
    frequency_covers,
    satisfies,
)
from workhardening_contracts.demand_level import LEVELS, DefinitionSet, Level, demand_level
from workhardening_contracts.quantity import Quantity, Unit, at_least, comparable, ratio

FAST = settings(derandomize=True, deadline=None, max_examples=100)

POUNDS = [10.0, 20.0, 25.0, 50.0, 100.0]
KILOGRAMS = [4.5359237, 9.0718474, 11.33980925, 22.6796185, 45.359237]
UNITS: list[Unit] = ["kg", "lb", "N", "min", "h", "repetitions", "score"]


def demand(
    amount: Quantity, frequency: Frequency = "occasional", kind: str = "lift", zone: str | None = None
) -> Demand:
    return Demand(kind=kind, zone=zone, frequency=frequency, amount=amount, critical=True)


def capacity(
    amount: Quantity, frequency: Frequency = "occasional", kind: str = "lift", zone: str | None = None
) -> Capacity:
    return Capacity(kind=kind, zone=zone, frequency=frequency, amount=amount, measured_on=date(2026, 3, 5))


@pytest.mark.parametrize(("pounds", "kilograms"), list(zip(POUNDS, KILOGRAMS, strict=True)))
def test_the_bands_of_the_levels_convert_exactly(pounds: float, kilograms: float) -> None:
    assert Quantity(amount=pounds, unit="lb").in_unit("kg").amount == pytest.approx(kilograms, rel=1e-15)
    assert Quantity(amount=kilograms, unit="kg").in_unit("lb").amount == pytest.approx(pounds, rel=1e-15)


@pytest.mark.parametrize(("pounds", "kilograms"), list(zip(POUNDS, KILOGRAMS, strict=True)))
def test_a_band_reaches_itself_in_either_unit(pounds: float, kilograms: float) -> None:
    in_pounds, in_kilograms = Quantity(amount=pounds, unit="lb"), Quantity(amount=kilograms, unit="kg")
    assert at_least(in_pounds, in_kilograms)
    assert at_least(in_kilograms, in_pounds)
    assert not at_least(Quantity(amount=kilograms - 0.001, unit="kg"), in_pounds)


@FAST
@given(st.floats(0, 100_000, allow_subnormal=False))
def test_there_and_back_is_the_same_amount(amount: float) -> None:
    there = Quantity(amount=amount, unit="lb").in_unit("kg")
    assert there.in_unit("lb").amount == pytest.approx(amount, rel=1e-12)


@FAST
@given(st.floats(0, 100_000), st.floats(0, 100_000), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_any_two_amounts_that_measure_the_same_compare(left: float, right: float, one: Unit, other: Unit) -> None:
    measured, required = Quantity(amount=left, unit=one), Quantity(amount=right, unit=other)
    if not comparable(measured, required):
        with pytest.raises(ValueError, match="cannot be converted"):
            at_least(measured, required)
        return
    assert at_least(measured, required) or ratio(measured, required) < 1
    assert at_least(required, measured) or at_least(measured, required)


def test_an_amount_beyond_the_bound_stops_there_instead_of_failing() -> None:
    assert Quantity(amount=90_000.0, unit="kg").in_unit("lb").amount == 100_000


def test_nothing_required_is_reached_by_anything() -> None:
    assert ratio(Quantity(amount=0.0, unit="kg"), Quantity(amount=0.0, unit="lb")) == 1.0


@pytest.mark.parametrize("amount", [-0.001, float("nan"), float("inf"), 100_000.001])
def test_an_amount_that_cannot_be_is_refused(amount: float) -> None:
    with pytest.raises(ValidationError):
        Quantity(amount=amount, unit="kg")


@pytest.mark.parametrize(("shown", "required"), list(product(FREQUENCY_ORDER, FREQUENCY_ORDER)))
def test_a_higher_frequency_covers_a_lower_one_never_the_reverse(shown: Frequency, required: Frequency) -> None:
    order = ["seldom", "occasional", "frequent", "constant"]
    expected = order.index(shown) >= order.index(required)
    amount = Quantity(amount=20.0, unit="kg")
    assert frequency_covers(shown, required) is expected
    assert satisfies(capacity(amount, shown), demand(amount, required)) is expected


def test_less_than_the_amount_does_not_satisfy() -> None:
    required = demand(Quantity(amount=50.0, unit="lb"))
    assert satisfies(capacity(Quantity(amount=22.6796185, unit="kg")), required)
    assert not satisfies(capacity(Quantity(amount=22.6, unit="kg"), "constant"), required)


@pytest.mark.parametrize(
    "other",
    [
        capacity(Quantity(amount=90.0, unit="kg"), kind="carry", zone="floor_waist"),
        capacity(Quantity(amount=90.0, unit="kg"), zone="overhead"),
        capacity(Quantity(amount=90.0, unit="kg")),
        capacity(Quantity(amount=90.0, unit="min"), zone="floor_waist"),
    ],
    ids=["another kind", "another zone", "no zone", "another dimension"],
)
def test_a_capacity_of_something_else_does_not_satisfy(other: Capacity) -> None:
    required = demand(Quantity(amount=20.0, unit="kg"), zone="floor_waist")
    assert not satisfies(other, required)
    assert best_capacity([other], required) is None


def test_the_best_capacity_is_the_largest_at_the_frequency_or_above() -> None:
    required = demand(Quantity(amount=20.0, unit="kg"), "frequent")
    seldom = capacity(Quantity(amount=40.0, unit="kg"), "seldom")
    frequent = capacity(Quantity(amount=15.0, unit="kg"), "frequent")
    constant = capacity(Quantity(amount=34.0, unit="lb"), "constant")  # 15.4 kg
    assert best_capacity([seldom, frequent, constant], required) == constant


def test_the_key_tells_demands_apart_and_is_valid_where_it_is_named() -> None:
    assert demand(Quantity(amount=1.0, unit="kg"), zone="floor_waist").key == "lift/floor_waist/occasional"
    assert demand(Quantity(amount=1.0, unit="h"), "constant", "stand").key == "stand/-/constant"


# Dictionary of Occupational Titles, appendix C: at exactly the bound the lower level, just above it the next.
DOT: list[tuple[Frequency, list[Level]]] = [
    ("seldom", ["sedentary", "light", "medium", "medium", "heavy"]),
    ("occasional", ["sedentary", "light", "medium", "medium", "heavy"]),
    ("frequent", ["light", "medium", "medium", "heavy", "very_heavy"]),
    ("constant", ["medium", "heavy", "very_heavy", "very_heavy", "very_heavy"]),
]
# Occupational Requirements Survey, strength levels, table 1.
ORS: list[tuple[Frequency, list[Level]]] = [
    ("seldom", ["sedentary", "light", "light", "medium", "heavy"]),
    ("occasional", ["sedentary", "light", "light", "medium", "heavy"]),
    ("frequent", ["light", "medium", "medium", "heavy", "very_heavy"]),
    ("constant", ["medium", "heavy", "heavy", "very_heavy", "very_heavy"]),
]
LABELS: dict[DefinitionSet, list[tuple[Frequency, list[Level]]]] = {"dot": DOT, "ors": ORS}
TABLE = [
    (definition_set, frequency, pounds, level)
    for definition_set, rows in LABELS.items()
    for frequency, levels in rows
    for pounds, level in zip(POUNDS, levels, strict=True)
]


@pytest.mark.parametrize(("definition_set", "frequency", "pounds", "level"), TABLE)
def test_the_level_at_exactly_each_bound(
    definition_set: DefinitionSet, frequency: Frequency, pounds: float, level: Level
) -> None:
    for amount in (Quantity(amount=pounds, unit="lb"), Quantity(amount=pounds * 0.45359237, unit="kg")):
        found = demand_level([demand(amount, frequency)], definition_set)
        assert (found.level, found.definition_set) == (level, definition_set)


@pytest.mark.parametrize(
    ("definition_set", "pounds", "level"),
    [
        ("dot", 10.1, "light"),
        ("dot", 20.1, "medium"),
        ("dot", 50.1, "heavy"),
        ("dot", 100.1, "very_heavy"),
        ("ors", 10.1, "light"),
        ("ors", 25.1, "medium"),
        ("ors", 50.1, "heavy"),
        ("ors", 100.1, "very_heavy"),
    ],
)
def test_just_above_a_bound_is_the_next_level(definition_set: DefinitionSet, pounds: float, level: Level) -> None:
    assert demand_level([demand(Quantity(amount=pounds, unit="lb"))], definition_set).level == level


def test_the_level_is_the_highest_that_any_load_reaches() -> None:
    light, heavy = Quantity(amount=10.0, unit="lb"), Quantity(amount=30.0, unit="lb")
    assert demand_level([demand(light), demand(heavy, "frequent"), demand(light)], "ors").level == "heavy"


def test_a_job_without_loads_is_sedentary() -> None:
    standing = demand(Quantity(amount=8.0, unit="h"), "constant", "stand")
    assert demand_level([standing], "dot").level == "sedentary"
    assert demand_level([], "ors").level == "sedentary"


def test_a_negligible_load_raises_no_level() -> None:
    assert demand_level([demand(Quantity(amount=0.9, unit="lb"), "constant")], "ors").level == "sedentary"


def test_pushing_counts_where_force_counts() -> None:
    # 222.4 N are 50.0 pounds of force: medium work in DOT; ORS levels rest on lifting and carrying alone.
    push = demand(Quantity(amount=222.4, unit="N"), kind="push")
    assert demand_level([push], "dot").level == "medium"
    assert demand_level([push], "ors").level == "sedentary"


@FAST
@given(st.floats(0, 200), st.floats(0, 200), st.sampled_from(FREQUENCY_ORDER), st.sampled_from(["dot", "ors"]))
def test_more_weight_is_never_a_lower_level(
    one: float, other: float, frequency: Frequency, definition_set: DefinitionSet
) -> None:
    lighter, heavier = sorted((one, other))
    ranks = [
        LEVELS.index(demand_level([demand(Quantity(amount=pounds, unit="lb"), frequency)], definition_set).level)
        for pounds in (lighter, heavier)
    ]
    assert ranks == sorted(ranks)
