"""Amounts with units. The unit is part of the value; amounts compare only when they measure the same thing."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from workhardening_contracts.contract import Contract

Unit = Literal["kg", "lb", "N", "min", "h", "repetitions", "score"]

KG_PER_LB = 0.45359237
"""Exact by definition (international pound, 1959)."""

_DIMENSION: dict[str, tuple[str, float]] = {
    "kg": ("mass", 1.0),
    "lb": ("mass", KG_PER_LB),
    "N": ("force", 1.0),
    "min": ("time", 1.0),
    "h": ("time", 60.0),
    "repetitions": ("repetitions", 1.0),
    "score": ("score", 1.0),
}

# Converting there and back loses at most a few units in the last place; one part in 10^9 is far below what
# any scale or stop-watch shows, and keeps 20 lb equal to its own value in kg.
_TOLERANCE = 1e-9


# Beyond any job: a hundred thousand of whichever unit.
_MOST = 100_000


class Quantity(Contract):
    """An amount and its unit, e.g. 22.5 kg. Amounts are never negative."""

    amount: Annotated[float, Field(ge=0, le=_MOST)]
    """In `unit`."""
    unit: Unit
    """kg, lb, N, min, h, repetitions or score."""

    def in_unit(self, unit: Unit) -> Quantity:
        """The same amount in another unit; at most the largest amount that a contract can carry.

        It stops there because 90,000 kg, which a clinic may send, are more pounds than that: a decision must not fail
        on it, and no demand is larger. Raises ValueError when the two units measure different things.
        """
        return Quantity(amount=self.amount_in(unit), unit=unit)

    def amount_in(self, unit: Unit) -> float:
        """The plain number of `in_unit`: a verdict compares hundreds, and a model for each took a third of its time."""
        return _converted(self.amount, self.unit, unit)


class Amount(NamedTuple):
    """A quantity whose parts are known to be good, for decisions that look at hundreds: a tenth of a model's cost."""

    amount: float
    unit: Unit

    def in_unit(self, unit: Unit) -> Quantity:
        """As `Quantity.in_unit`."""
        return Quantity(amount=self.amount_in(unit), unit=unit)

    def amount_in(self, unit: Unit) -> float:
        """As `Quantity.amount_in`."""
        return _converted(self.amount, self.unit, unit)


def _converted(amount: float, unit: Unit, to: Unit) -> float:
    if unit == to:
        return amount
    here, there = _DIMENSION[unit], _DIMENSION[to]
    if here[0] != there[0]:
        raise ValueError(f"{unit} cannot be converted to {to}")
    return min(amount * here[1] / there[1], _MOST)


def comparable(left: Quantity | Amount, right: Quantity) -> bool:
    """Whether both measure the same thing (mass, force, time, repetitions, score)."""
    return _DIMENSION[left.unit][0] == _DIMENSION[right.unit][0]


def at_least(measured: Quantity | Amount, required: Quantity) -> bool:
    """Whether `measured` reaches `required`. Raises ValueError when they are not comparable."""
    return measured.amount_in(required.unit) >= required.amount * (1 - _TOLERANCE)


def ratio(measured: Quantity | Amount, required: Quantity) -> float:
    """`measured` as a share of `required`; 1.0 when nothing is required. Raises ValueError when not comparable."""
    if required.amount == 0:
        return 1.0
    return measured.amount_in(required.unit) / required.amount
