"""Where a batch's time goes: a stopwatch for its stages, and a histogram for what it tells."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

Lap = Callable[[str], None]
"""Says that a stage has just ended."""

STAGES = ("open", "lock", "load", "decide", "write", "commit", "offsets", "retry")
"""In their order; `retry` is what attempts that failed have cost, the waits between them included."""

# The messaging conventions' own boundaries for durations, in seconds, and two below: most stages take less than 5 ms.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


def untimed(stage: str) -> None:
    """Nobody looks at the clock."""


class Stopwatch:
    """Seconds by stage of one batch, a stage that is passed again added up."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}
        self._since = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.took[stage] = self.took.get(stage, 0.0) + now - self._since
        self._since = now


@dataclass
class Histogram:
    """How many values lay between BOUNDS, the upper one included; the last count is what lay above them all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0
    least: float = inf
    greatest: float = -inf

    def add(self, value: float) -> None:
        """Count one more value."""
        self.counts[bisect_left(BOUNDS, value)] += 1
        self.sum += value
        self.least, self.greatest = min(self.least, value), max(self.greatest, value)
