"""A cohort's outcomes beside what real programmes published. Plain data; whoever prints it decides how.

Benchmark: Work Programs Special Interest Section, National Work-Hardening Outcome Study, 36 programmes, American
Journal of Occupational Therapy 1994;48(4):327-336.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Z95 = 1.959964  # two-sided 95 % of the normal distribution

ENDS = ("declined", "ready", "ready_with_restrictions", "not_ready", "discontinued", "withdrawn")
"""How a case can end: declined by intake, or an outcome of CaseClosed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the outcome table."""

    name: str
    count: int
    of: int
    percent: float | None
    """None where there is nothing to take a share of."""
    low: float | None
    high: float | None
    """The 95 % interval (Wilson), in per cent."""
    published: float | None
    """What the 36 programmes reported, in per cent; None where they reported nothing comparable."""


def table(outcomes: Iterable[str | None]) -> tuple[Row, ...]:
    """The table of a cohort; a case without an outcome (None) counts as referred only.

    Not accepted is a share of the decided referrals, not completed a share of the accepted, the discharge lines a
    share of those who completed. Raises ValueError for an outcome that does not exist.
    """
    counted = Counter(outcome for outcome in outcomes if outcome is not None)
    if unknown := set(counted) - set(ENDS):
        raise ValueError(f"not an outcome: {', '.join(sorted(unknown))}")
    decided = counted.total()
    accepted = decided - counted["declined"]
    left = counted["withdrawn"] + counted["discontinued"]
    completed = accepted - left
    return (
        _row("not accepted", counted["declined"], decided, 11.5),
        _row("did not complete", left, accepted, 24.6),
        _row("  withdrew", counted["withdrawn"], accepted, None),
        _row("  discontinued", counted["discontinued"], accepted, None),
        _row("ready: usual job", counted["ready"], completed, 48.2),
        _row("ready with restrictions: modified work", counted["ready_with_restrictions"], completed, 30.5),
        _row("not ready", counted["not_ready"], completed, None),
    )


def by_name(rows: Iterable[Row]) -> Mapping[str, Row]:
    """The rows by their name, without indentation."""
    return {row.name.strip(): row for row in rows}


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0 to 1 (Wilson 1927). Raises ValueError when `of` is 0 or less than `count`."""
    if of <= 0 or not 0 <= count <= of:
        raise ValueError("a share needs 0 <= count <= of and something to count")
    share = count / of
    spread = Z95**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _row(name: str, count: int, of: int, published: float | None) -> Row:
    if of == 0:
        return Row(name, count, of, None, None, None, published)
    low, high = wilson(count, of)
    return Row(name, count, of, 100 * count / of, 100 * low, 100 * high, published)
