"""The physical demand level of a job: a label for people. Decisions match demand by demand and never read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Literal

from workhardening_contracts.contract import Contract
from workhardening_contracts.demand import Capacity, Demand, Frequency
from workhardening_contracts.quantity import Quantity, comparable

Level = Literal["sedentary", "light", "medium", "heavy", "very_heavy"]

DefinitionSet = Literal["dot", "ors"]
"""`dot`: Dictionary of Occupational Titles, 4th ed. 1991, appendix C. `ors`: Occupational Requirements Survey, BLS."""

LEVELS: tuple[Level, ...] = ("sedentary", "light", "medium", "heavy", "very_heavy")

# Pounds up to and including which an amount is sedentary, light, medium, heavy; above the last it is very heavy.
# Zero: the level allows only a negligible load at that frequency, so that any load belongs to a higher one.
_Bounds = tuple[float, float, float, float]
_BOUNDS: Mapping[DefinitionSet, Mapping[Frequency, _Bounds]] = {
    # DOT knows no `seldom`; its `occasionally` is up to a third of the time, which includes it.
    "dot": {
        "seldom": (10, 20, 50, 100),
        "occasional": (10, 20, 50, 100),
        "frequent": (0, 10, 25, 50),
        "constant": (0, 0, 10, 20),
    },
    # ORS strength levels, table 1: seldom as occasional.
    "ors": {
        "seldom": (10, 25, 50, 100),
        "occasional": (10, 25, 50, 100),
        "frequent": (0, 10, 25, 50),
        "constant": (0, 0, 10, 25),
    },
}

# DOT counts force exerted to lift, carry, push, pull or otherwise move objects; ORS lifting and carrying only.
_KINDS: Mapping[DefinitionSet, frozenset[str]] = {
    "dot": frozenset({"lift", "carry", "push", "pull"}),
    "ors": frozenset({"lift", "carry"}),
}

# ORS: "negligible weight" is less than one pound; DOT leaves the word open, and is read in the same way.
_NEGLIGIBLE_LB = 1.0

_N_PER_LBF = 4.4482216152605
"""Exact: 0.45359237 kg times standard gravity, 9.80665 m/s2."""

# A weight that was converted from kg may miss its bound by a few units in the last place.
_TOLERANCE = 1e-9

_POUND = Quantity(amount=1.0, unit="lb")


class DemandLevel(Contract):
    """A level, which means something only together with the set of definitions that it was read from."""

    level: Level
    definition_set: DefinitionSet


def demand_level(demands: Iterable[Demand | Capacity], definition_set: DefinitionSet) -> DemandLevel:
    """The highest level that any of these loads reaches at its frequency; sedentary where there is none.

    Upper bounds are inclusive: exactly 50 lb, occasionally, is medium. Amounts in kg, lb or N count; others do not
    bear a load.
    """
    loads = (found for found in demands if found.kind in _KINDS[definition_set])
    ranks = (
        _rank(pounds, _BOUNDS[definition_set][load.frequency])
        for load in loads
        if (pounds := _pounds(load.amount)) >= _NEGLIGIBLE_LB
    )
    return DemandLevel(level=LEVELS[max(ranks, default=0)], definition_set=definition_set)


def _pounds(load: Quantity) -> float:
    if load.unit == "N":
        return load.amount / _N_PER_LBF
    return load.amount_in("lb") if comparable(load, _POUND) else 0.0


def _rank(pounds: float, bounds: _Bounds) -> int:
    return next(rank for rank, bound in enumerate((*bounds, inf)) if pounds <= bound * (1 + _TOLERANCE))
