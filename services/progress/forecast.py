"""When the critical demands are expected to be met: a robust line through each one's weeks, or no answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import sqrt
from statistics import median

from workhardening_contracts.progress import Forecast

FURTHEST_WEEK = 200.0
"""Beyond this a date is no forecast; it is also the contract's bound."""
_Z_80 = 1.2815515655446004  # two-sided 80 % of the normal distribution

Points = Sequence[tuple[int, float]]
"""(week, best of the week as a share of what the job requires)."""


def slopes(points: Points) -> list[float]:
    """All pairwise slopes, a week's worth each, in order (Theil 1950). Empty for fewer than two different weeks."""
    return sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(sorted(points), 2) if x1 != x2)


def slope_interval(points: Points, fewest: int) -> tuple[float, float, float] | None:
    """The median slope and the ends of its 80 % interval; None for fewer than `fewest` weeks.

    The interval is the one of Sen (1968, J. Am. Stat. Assoc. 63:1379): with N slopes of n points and
    C = z * sqrt(n (n-1) (2n+5) / 18), the ends have the ranks (N-C)/2 and (N+C)/2 + 1.
    """
    found = slopes(points)
    n = len({week for week, _ in points})
    if n < fewest:
        return None
    reach = _Z_80 * sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, int((len(found) - reach) / 2) - 1)
    return found[low], median(found), found[len(found) - 1 - low]


def crossing(points: Points, fewest: int) -> tuple[float, float, float] | None:
    """Week at which the line reaches 1, with the ends of an 80 % interval; None if that cannot be said.

    It cannot be said with fewer than `fewest` weeks, or while the interval includes no growth at all.
    """
    growth = slope_interval(points, fewest)
    if growth is None or growth[0] <= 0:
        return None
    slow, middle, fast = growth
    week = median(float(x) for x, _ in points)
    # The line goes through the median week and the median of what the points say about that week.
    level = median(y - middle * (x - week) for x, y in points)
    expected = week + (1 - level) / middle
    ends = sorted(week + (1 - level) / slope for slope in (slow, fast))
    return expected, ends[0], ends[1]


def forecast(unmet: Mapping[str, Points], week: int, fewest: int, *, barred: bool) -> Forecast:
    """The week in which the last of the unmet deciding demands is met, never before the present `week`.

    `unmet`: demand key -> its weeks so far; empty when none is unmet. `barred`: something else stands in the way, such
    as the hours or a flare. Of that there is no trend, so nothing can be said.
    """
    if not unmet:
        return Forecast(status="insufficient_data") if barred else Forecast(status="reached", week=float(week))
    crossings = [crossing(points, fewest) for points in unmet.values()]
    known = [each for each in crossings if each is not None]
    if len(known) < len(crossings):
        return Forecast(status="insufficient_data")
    expected, earliest, latest = (max(float(week), *(each[nth] for each in known)) for nth in range(3))
    if latest > FURTHEST_WEEK:
        return Forecast(status="insufficient_data")
    return Forecast(status="expected", week=expected, earliest=earliest, latest=latest)
