"""When a case that completed the program is asked how it went, and what was answered last. Pure."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.console.state import Followed, FollowedUp

MONTHS = (1, 3, 6, 12)
"""Months after the program closed, as FollowUpRecorded has them."""
LAPSES = {1: 3, 3: 6, 6: 12, 12: 18}
"""The month at which it is too late to ask for an earlier one: what is answered then is the next one's. The last one
may be caught up with for half a year. The program's own convention; a late answer is taken and counted all the same."""
OVERDUE = timedelta(days=30)

RETURNED = ("ready", "ready_with_restrictions")
COMPLETED = (*RETURNED, "not_ready")
"""Outcomes after which is asked. Of those who left nobody promised to say how it goes on; what is recorded of them is
in the case's timeline, and in no figure."""


@dataclass(frozen=True, slots=True)
class FollowUpRow:
    """One month of one case. What nobody has recorded is None."""

    month: int
    due_on: date
    lapses_on: date
    returned: bool
    as_of: date | None
    working: str | None
    reinjured: str | None


def follow_ups(state: Followed) -> tuple[FollowUpRow, ...]:
    """The case's months, with the latest word on each; empty before it has completed the program."""
    if state.closed_on is None or state.outcome not in COMPLETED:
        return ()
    latest = {month: latest_word(state, month) for month in MONTHS}
    return tuple(
        FollowUpRow(
            month=month,
            due_on=months_later(state.closed_on, month),
            lapses_on=months_later(state.closed_on, LAPSES[month]),
            returned=state.outcome in RETURNED,
            as_of=word and word.as_of,
            working=word and word.working,
            reinjured=word and word.reinjured,
        )
        for month, word in latest.items()
    )


def latest_word(state: Followed, month: int) -> FollowedUp | None:
    """What was recorded of a month with the latest date, of several the last; as progress, its judge, holds it."""
    said = [each for each in state.follow_ups if each.month == month and each.id not in state.refused]
    return max(reversed(said), key=lambda each: each.as_of, default=None)


def months_later(on: date, months: int) -> date:
    """The same day so many months later, or that month's last day where it has no such day."""
    year, month = divmod(on.month - 1 + months, 12)
    return date(on.year + year, month + 1, min(on.day, monthrange(on.year + year, month + 1)[1]))


def standing(due_on: date, today: date) -> Literal["due", "overdue"]:
    """How a month stands that has come, has not lapsed and of which nothing was recorded."""
    return "overdue" if today - due_on > OVERDUE else "due"
