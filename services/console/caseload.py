"""Pages of the caseload: escalated first, then by risk, then what happened last. No page counts or skips rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from runtime.db import Connection
from runtime.http import Problem
from services.console.effects import SQL
from services.console.views import PAGE, CaseLine, CaseloadFilter, CaseloadPage

# Fixed texts, of which a page takes those that it is filtered by; the values are parameters.
FILTERS = ("week", "verdict", "risk", "phase")
_POSITION = re.compile(r"([0-4])_(-?[0-9]{1,18})_([0-9a-f-]{36})")
_FIRST = (-1, 0, UUID(int=0))


async def read_page(connection: Connection, clinics: Sequence[str], wanted: CaseloadFilter) -> CaseloadPage:
    """A page of these clinics' cases. Raises Problem 422 for an `after` that was never given."""
    chosen = [clinic for clinic in clinics if wanted.clinic in (None, clinic)]
    query, values = page_query(wanted)
    rows = await connection.fetch(query, chosen, *position(wanted.after), PAGE + 1, *values)
    lines = tuple(case_line(row) for row in rows[:PAGE])
    following = _place(rows[PAGE - 1]) if len(rows) > PAGE else None
    return CaseloadPage(wanted, lines, following, tuple(clinics))


def page_query(wanted: CaseloadFilter) -> tuple[str, list[Any]]:
    """The statement for what is asked for, and the values of its filters."""
    asked = [name for name in FILTERS if getattr(wanted, name) is not None]
    clauses = " ".join(f"AND {name} = ${number}" for number, name in enumerate(asked, 6))
    return SQL["caseload_page"].replace("{filter}", clauses), [getattr(wanted, name) for name in asked]


def position(after: str | None) -> tuple[int, int, UUID]:
    """The place behind which a page begins. Raises Problem 422 for one that we never gave."""
    if after is None:
        return _FIRST
    found = _POSITION.fullmatch(after)
    try:
        if found is not None:
            return int(found[1]), int(found[2]), UUID(found[3])
    except ValueError:
        pass
    raise Problem(422, "position.invalid", "give the `next` of an earlier page", field="/query/after")


def _place(row: asyncpg.Record) -> str:
    return f"{row['rank']}_{row['age']}_{row['case_ref']}"


def case_line(row: asyncpg.Record) -> CaseLine:
    """A row of the table as a page shows it."""
    return CaseLine(
        ref=row["case_ref"],
        clinic=row["clinic"],
        worker_ref=row["worker_ref"],
        job_title=row["job_title"],
        phase=row["phase"],
        week=row["week"],
        total_weeks=row["total_weeks"],
        verdict=row["verdict"],
        risk=row["risk"],
        risk_reasons=tuple(row["risk_reasons"]),
        escalated=row["escalated"],
        readiness=row["readiness"],
        awaits_signature=row["awaits_signature"],
        outcome=row["outcome"],
        last_event_at=row["last_event_at"],
    )
