"""Amounts with units, and what a measured capacity says of a demand."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

# What a unit measures, and how many of its base unit one is. A pound is 0.45359237 kg by definition (1959).
UNITS = {
    "kg": ("mass", 1.0),
    "lb": ("mass", 0.45359237),
    "N": ("force", 1.0),
    "min": ("time", 1.0),
    "h": ("time", 60.0),
    "repetitions": ("repetitions", 1.0),
    "score": ("score", 1.0),
}
FREQUENCIES = ["seldom", "occasional", "frequent", "constant"]
LARGEST = 100_000
"""The largest amount that a contract can carry."""


def key(demand: Json) -> str:
    """`kind/zone/frequency`, as events name a demand."""
    return f"{demand['kind']}/{demand.get('zone') or '-'}/{demand['frequency']}"


def converted(amount: Json, unit: str) -> float | None:
    """The amount in another unit; None when the units measure different things."""
    here, there = UNITS[amount["unit"]], UNITS[unit]
    return min(amount["amount"] * here[1] / there[1], LARGEST) if here[0] == there[0] else None


def best(shown: list[Json], demand: Json) -> float | None:
    """The most that was shown for a demand's kind and zone at its frequency or a higher one, in the demand's unit."""
    fitting = [
        amount
        for each in shown
        if each["kind"] == demand["kind"]
        and each.get("zone") == demand.get("zone")
        and FREQUENCIES.index(each["frequency"]) >= FREQUENCIES.index(demand["frequency"])
        and (amount := converted(each["amount"], demand["amount"]["unit"])) is not None
    ]
    return max(fitting, default=None)


def below(amount: float, least: float) -> bool:
    """Whether an amount misses a figure by more than rounding: one part in 10^9 keeps 20 lb equal to itself in kg."""
    return amount < least - 1e-9


def deciding(demands: list[Json]) -> list[Json]:
    """The critical ones decide, or all where none is."""
    return [demand for demand in demands if demand["critical"]] or demands


def share(amount: float, required: Json) -> float:
    """An amount as a share of what is required, in its unit; 1 when nothing is required."""
    return 1.0 if required["amount"] == 0 else amount / required["amount"]
