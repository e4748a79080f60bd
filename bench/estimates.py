"""Medians of ratios with their intervals, and whether a sample was disturbed. Pure but for the clock of the loop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

RESAMPLES = 2000
TOLERATED = 1.3
"""By how much the fixed loop may differ before and after a sample."""
_LOOP = 400_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median over the rounds, and the bootstrap's 90 % interval."""

    median: float
    low: float
    high: float
    rounds: int


def estimate(values: Sequence[float]) -> Estimate:
    """Raises ValueError where there is none."""
    if not values:
        raise ValueError("nothing was measured")
    draw = Random(1)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Estimate(median(values), medians[RESAMPLES // 20], medians[-RESAMPLES // 20 - 1], len(values))


def quantile(share: float, values: Sequence[float]) -> float:
    """The value below which that share of them lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def loop_s() -> float:
    """How long the same integers take now: slower means that somebody else has the machine, or its clock went down."""
    began = time.perf_counter()
    total = 0
    for number in range(_LOOP):
        total = (total * 31 + number) & 0xFFFFFFFF
    assert total
    return time.perf_counter() - began


def disturbed(before: float, after: float) -> bool:
    """Whether what lies between these two loops must be measured again."""
    return max(before, after) / min(before, after) > TOLERATED
