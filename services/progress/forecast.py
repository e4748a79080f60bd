"""When the critical demands are expected to be met: a robust line through each one's weeks, or no answer.

How often the interval holds is measured on simulated cohorts: docs/forecast.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil, sqrt
from statistics import median

from workhardening_contracts.progress import Forecast, TrendWarning

FURTHEST_WEEK = 200.0
"""Beyond this a date is no forecast; it is also the contract's bound."""
_ROUNDING = 1e-9  # a line that reaches 1 in a week but for the last place reaches it in that week
_Z_80 = 1.2815515655446004  # two-sided 80 % of the normal distribution

Points = Sequence[tuple[int, float]]
"""(week, best of the week as a share of what the job requires)."""


def slopes(points: Points) -> list[float]:
    """All pairwise slopes, a week's worth each, in order (Theil 1950). Empty for fewer than two different weeks."""
    return sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(sorted(points), 2) if x1 != x2)


def slope_interval(points: Points, fewest: int) -> tuple[float, float, float] | None:
    """The median slope and the ends of its 80 % interval; None for fewer than `fewest` weeks.

    The interval is the one of Sen (1968, J. Am. Stat. Assoc. 63:1379): with N slopes of n points and
    C = z * sqrt(n (n-1) (2n+5) / 18), the ends have the ranks (N-C)/2 and (N+C)/2 + 1; between two ranks it is
    interpolated (Gilbert 1987, Statistical Methods for Environmental Pollution Monitoring, 16.5).
    """
    found = slopes(points)
    n = len({week for week, _ in points})
    if n < fewest:
        return None
    reach = _Z_80 * sqrt(n * (n - 1) * (2 * n + 5) / 18)
    rank = max(1.0, (len(found) - reach) / 2)
    return _ranked(found, rank), median(found), _ranked(found, len(found) + 1 - rank)


def _ranked(ordered: Sequence[float], rank: float) -> float:
    """What has this rank, from 1; between two ranks, in proportion."""
    below = min(int(rank), len(ordered) - 1)
    return ordered[below - 1] + (rank - below) * (ordered[below] - ordered[below - 1])


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
    """The week at whose close the last of the unmet deciding demands is met, after the present `week`.

    `unmet`: demand key -> its weeks so far; empty when none is unmet. `barred`: something else stands in the way, such
    as the hours or a flare. Of that there is no trend, so nothing can be said. Weeks are whole: what a demand is shown
    to be is known once a week, so a finer answer would be more certain than the data.
    """
    if not unmet:
        return Forecast(status="insufficient_data") if barred else Forecast(status="reached", week=float(week))
    crossings = [crossing(points, fewest) for points in unmet.values()]
    known = [each for each in crossings if each is not None]
    if len(known) < len(crossings):
        return Forecast(status="insufficient_data")
    expected, earliest, latest = (
        float(max(week + 1, *(ceil(each[nth] - _ROUNDING) for each in known))) for nth in range(3)
    )
    if latest > FURTHEST_WEEK:
        return Forecast(status="insufficient_data")
    return Forecast(status="expected", week=expected, earliest=earliest, latest=latest)


def warnings(unmet: Mapping[str, Points], last_week: int, fewest: int, gain: float) -> tuple[TrendWarning, ...]:
    """What a clinician should look at among the unmet deciding demands, each with the weeks and slopes that say so.

    `plateau`: over its last `fewest` weeks a demand grew by less than `gain` of what is required a week. `late`: its
    line reaches the requirement only after the program's `last_week`. Nothing is said of fewer weeks.
    """
    found: list[TrendWarning] = []
    for demand, points in unmet.items():
        recent = sorted(points)[-fewest:]
        growth = slope_interval(recent, fewest)
        if growth is None:
            continue
        if growth[1] < gain:
            found.append(_warning("plateau", demand, recent, growth))
        reached, whole = crossing(points, fewest), slope_interval(points, fewest)
        if reached is not None and whole is not None and ceil(reached[0] - _ROUNDING) > last_week:
            found.append(_warning("late", demand, points, whole))
    return tuple(found)


def _warning(code: str, demand: str, points: Points, growth: tuple[float, float, float]) -> TrendWarning:
    weeks = [week for week, _ in points]
    slow, middle, fast = growth
    return TrendWarning(
        code=code,
        demand=demand,
        from_week=min(weeks),
        through_week=max(weeks),
        slope=middle,
        slope_low=slow,
        slope_high=fast,
    )
