"""A cohort's outcomes beside what real programmes published, and what came after. Pure; whoever shows it decides how.

Benchmark: Work Programs Special Interest Section, National Work-Hardening Outcome Study, 36 programmes, American
Journal of Occupational Therapy 1994;48(4):327-336. It reported nothing of the months after discharge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.console.follow_up import MONTHS
from services.console.views.outcomes import MonthAfter, Share

Z95 = 1.959964  # two-sided 95 % of the normal distribution
LEAST = 5
"""Fewest cases of which a percentage is told. That of 4 is one case up or down by 25 points, with an interval over most
of the scale, and reads as if it were known; and who the one case is would be plain to whoever knows the clinic. The
program's own convention: published rules for small cells begin at 5 and go up to 30."""

ENDS = ("declined", "ready", "ready_with_restrictions", "not_ready", "discontinued", "withdrawn")
"""How a case can end: declined by intake, or an outcome of CaseClosed."""
IN_PROGRAM = "in_program"
"""Accepted and not ended: counted among the decided referrals, and in no other share."""
WORKING = ("usual_job", "modified_work")


@dataclass(frozen=True, slots=True)
class Told:
    """So many cases whose month has come and of which the same was recorded."""

    month: int
    returned: bool
    """They had been signed ready, in full or with restrictions."""
    working: str | None
    """As FollowUpRecorded has it; None where nobody has asked yet."""
    reinjured: str | None
    cases: int


def table(counted: Mapping[str | None, int]) -> tuple[Share, ...]:
    """The table of a cohort, from how many cases ended how; those without an outcome (None) are in no share.

    Not accepted is a share of the decided referrals, not completed a share of the accepted that have ended, the
    discharge lines a share of those who completed. Raises ValueError for an outcome that does not exist.
    """
    if unknown := {outcome for outcome in counted if outcome is not None} - {*ENDS, IN_PROGRAM}:
        raise ValueError(f"not an outcome: {', '.join(sorted(unknown))}")
    ended = {outcome: counted.get(outcome, 0) for outcome in ENDS}
    accepted = sum(ended.values()) - ended["declined"]
    decided = ended["declined"] + accepted + counted.get(IN_PROGRAM, 0)
    left = ended["withdrawn"] + ended["discontinued"]
    completed = accepted - left
    return (
        share("not accepted", ended["declined"], decided, 11.5),
        share("did not complete", left, accepted, 24.6),
        share("  withdrew", ended["withdrawn"], accepted),
        share("  discontinued", ended["discontinued"], accepted),
        share("ready: usual job", ended["ready"], completed, 48.2),
        share("ready with restrictions: modified work", ended["ready_with_restrictions"], completed, 30.5),
        share("not ready", ended["not_ready"], completed),
    )


def months_after(told: Iterable[Told]) -> tuple[MonthAfter, ...]:
    """What came after, month by month. A share is of those of whom it is known, never of those nobody asked."""
    all_told = tuple(told)
    return tuple(_month(month, [each for each in all_told if each.month == month]) for month in MONTHS)


def _month(month: int, told: list[Told]) -> MonthAfter:
    asked = [each for each in told if each.working is not None]
    known = [each for each in asked if each.working != "unknown"]
    returned = [each for each in known if each.returned]
    answered = [each for each in asked if each.reinjured in ("yes", "no")]
    return MonthAfter(
        month=month,
        due=_cases(told),
        asked=_cases(asked),
        working=share("working", _cases(_at_work(known)), _cases(known)),
        retained=share("retained", _cases(_at_work(returned)), _cases(returned)),
        reinjured=share("re-injured", _cases(e for e in answered if e.reinjured == "yes"), _cases(answered)),
        work_unknown=_cases(asked) - _cases(known),
        injury_unknown=_cases(asked) - _cases(answered),
    )


def _at_work(told: Iterable[Told]) -> list[Told]:
    return [each for each in told if each.working in WORKING]


def _cases(told: Iterable[Told]) -> int:
    return sum(each.cases for each in told)


def by_name(rows: Iterable[Share]) -> Mapping[str, Share]:
    """The rows by their name, without indentation."""
    return {row.name.strip(): row for row in rows}


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, 0 to 1 (Wilson 1927). Raises ValueError when `of` is 0 or less than `count`.

    Wilson's and not the plain normal interval, which is none at 0 of n and too short for tens of cases (Brown, Cai and
    DasGupta 2001 recommend it below 40).
    """
    if of <= 0 or not 0 <= count <= of:
        raise ValueError("a share needs 0 <= count <= of and something to count")
    part = count / of
    spread = Z95**2 / of
    middle = (part + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(part * (1 - part) / of + spread / (4 * of))
    # At the ends the interval touches the share itself, which rounding must not put outside.
    return min(part, max(0.0, middle - half)), max(part, min(1.0, middle + half))


def share(name: str, count: int, of: int, published: float | None = None) -> Share:
    """So many of so many. Below `LEAST` without a percentage."""
    if of < LEAST:
        return Share(name, count, of, None, None, None, published)
    low, high = wilson(count, of)
    return Share(name, count, of, 100 * count / of, 100 * low, 100 * high, published)
