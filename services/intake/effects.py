"""Rows that intake's handlers write beside the case, and one set-based writer for each type."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from runtime.db import Connection, Writer, queries


@dataclass(frozen=True, slots=True)
class CaseloadRow:
    """Whether a clinic's case is open: closing a day for all cases is expanded from these."""

    case_ref: UUID
    clinic: str
    open: bool


@dataclass(frozen=True, slots=True)
class ReceiptRejected:
    """A judge refused this event, and why."""

    source: str
    id: str
    code: str
    field: str | None
    detail: str
    mend: str


@dataclass(frozen=True, slots=True)
class RemoveBooking:
    """The case was erased; the consultation that it may have begun as goes, too."""

    case_ref: UUID


async def write_caseload(connection: Connection, rows: Sequence[CaseloadRow]) -> None:
    """The last row of a case wins: one statement cannot update a row twice."""
    latest = list({row.case_ref: row for row in rows}.values())
    await connection.execute(
        queries("services.intake")["write_caseload"],
        [row.case_ref for row in latest],
        [row.clinic for row in latest],
        [row.open for row in latest],
    )


async def write_rejected_receipts(connection: Connection, rows: Sequence[ReceiptRejected]) -> None:
    """Mark receipts as rejected; an event without a receipt is passed over."""
    latest = list({(row.source, row.id): row for row in rows}.values())
    reasons = [
        json.dumps({"code": row.code, "field": row.field, "detail": row.detail, "mend": row.mend}) for row in latest
    ]
    await connection.execute(
        queries("services.intake")["reject_receipts"],
        [row.source for row in latest],
        [row.id for row in latest],
        reasons,
    )


async def remove_bookings(connection: Connection, rows: Sequence[RemoveBooking]) -> None:
    await connection.execute(queries("services.intake")["delete_bookings"], [row.case_ref for row in rows])


WRITERS: Mapping[type, Writer] = {
    CaseloadRow: write_caseload,
    ReceiptRejected: write_rejected_receipts,
    RemoveBooking: remove_bookings,
}
