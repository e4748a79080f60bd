"""Writes the caseload's rows in the transaction of the batch that decided them, and tells who listens when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.db import Connection, Writer, queries
from services.console.line import LineRow, RemoveLine

SQL = queries("services.console")
CHANGED = "console_changed"
"""The channel of LISTEN and NOTIFY: a case reference, a blank and its clinic."""


async def write_lines(connection: Connection, rows: Sequence[LineRow]) -> None:
    """A batch may change a case many times: its last row is the one that stands."""
    last = list({row.case_ref: row for row in rows}.values())
    await connection.execute(
        SQL["write_lines"],
        [row.case_ref for row in last],
        [row.clinic for row in last],
        [row.worker_ref for row in last],
        [row.job_title for row in last],
        [row.phase for row in last],
        [row.week for row in last],
        [row.total_weeks for row in last],
        [row.verdict for row in last],
        [row.risk for row in last],
        [" ".join(row.risk_reasons) for row in last],
        [row.escalated for row in last],
        [row.readiness for row in last],
        [row.awaits_signature for row in last],
        [row.outcome for row in last],
        [row.last_event_at for row in last],
        [row.rank for row in last],
    )
    asked = [(row, each) for row in last for each in row.follow_ups]
    if asked:
        await connection.execute(
            SQL["write_follow_ups"],
            [row.case_ref for row, _ in asked],
            [row.clinic for row, _ in asked],
            [each.month for _, each in asked],
            [each.due_on for _, each in asked],
            [each.lapses_on for _, each in asked],
            [each.returned for _, each in asked],
            [each.as_of for _, each in asked],
            [each.working for _, each in asked],
            [each.reinjured for _, each in asked],
        )
    await connection.execute(SQL["tell_changed"], CHANGED, [f"{row.case_ref} {row.clinic}" for row in last])


async def remove_lines(connection: Connection, rows: Sequence[RemoveLine]) -> None:
    await connection.execute(SQL["remove_lines"], [row.case_ref for row in rows])
    await connection.execute(SQL["remove_follow_ups"], [row.case_ref for row in rows])
    await connection.execute(SQL["tell_changed"], CHANGED, [f"{row.case_ref} {row.clinic}" for row in rows])


# In this order: an erasure comes after whatever the same batch said of the case.
WRITERS: Mapping[type, Writer] = {LineRow: write_lines, RemoveLine: remove_lines}
