"""Cohorts as the read model holds them: outcomes by clinic and over all, and whom to ask how it went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from runtime.db import Connection
from services.console.effects import SQL
from services.console.follow_up import standing
from services.console.outcomes import Told, months_after, table
from services.console.views import PAGE, FollowUpDue, Outcomes, OutcomesPage


async def read_outcomes(connection: Connection, clinics: Sequence[str] | None, today: date) -> tuple[Outcomes, ...]:
    """What became of these clinics' cases, or of every clinic's (None): each clinic, before them all where there are
    several."""
    ended: dict[str, dict[str | None, int]] = defaultdict(dict)
    for row in await connection.fetch(SQL["count_outcomes"], clinics):
        ended[row["clinic"]][row["ended"]] = row["cases"]
    told: dict[str, list[Told]] = defaultdict(list)
    for row in await connection.fetch(SQL["count_follow_ups"], clinics, today):
        alike = Told(row["month"], row["returned"], row["working"], row["reinjured"], row["cases"])
        told[row["clinic"]].append(alike)
    each = [
        Outcomes(clinic, table(ended[clinic]), months_after(told[clinic]))
        for clinic in sorted({*ended, *told, *(clinics or ())})
    ]
    if len(each) == 1:
        return tuple(each)
    together: dict[str | None, int] = defaultdict(int)
    for counted in ended.values():
        for outcome, cases in counted.items():
            together[outcome] += cases
    everywhere = Outcomes(None, table(together), months_after(one for several in told.values() for one in several))
    return (everywhere, *each)


async def read_outcomes_page(connection: Connection, clinics: Sequence[str] | None, today: date) -> OutcomesPage:
    """The page for a clinician of these clinics; for operations (None) without a case."""
    groups = await read_outcomes(connection, clinics, today)
    rows = [] if clinics is None else await connection.fetch(SQL["due_follow_ups"], clinics, today, PAGE + 1)
    due = tuple(
        FollowUpDue(row["case_ref"], row["clinic"], row["month"], row["due_on"], standing(row["due_on"], today))
        for row in rows[:PAGE]
    )
    return OutcomesPage(groups, due, more=len(rows) > PAGE)
