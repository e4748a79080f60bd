"""The event log: inbox, audit log and source of replays in one table, on the caller's connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.cases import SQL
from runtime.db import Connection
from runtime.fold import Position, Settled

Key = tuple[UUID, str, str]
"""(case, source, id): what makes two deliveries the same event."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One accepted event and the case version that it made."""

    key: Key
    type: str
    position: Position
    time: datetime
    """Business time; its offset is kept too, since handlers decide by the sender's own date."""
    digest: bytes
    case_version: int
    result: str
    policy_version: str
    sequence: int | None
    causation: str | None
    traceparent: str | None
    body: bytes | None


async def find_logged(connection: Connection, keys: Sequence[Key]) -> dict[Key, bytes]:
    """Those of `keys` that were taken before, with the digest of their body."""
    rows = await connection.fetch(
        SQL["find_logged"], [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
    )
    return {(row["case_ref"], row["source"], row["id"]): row["digest"] for row in rows}


async def append_log(connection: Connection, rows: Sequence[LogRow]) -> None:
    """Append a batch's rows in one statement. Raises asyncpg.UniqueViolationError for a key that is there already."""
    await connection.execute(
        SQL["append_log"],
        [row.key[0] for row in rows],
        [row.key[1] for row in rows],
        [row.key[2] for row in rows],
        [row.type for row in rows],
        [row.position.topic for row in rows],
        [row.position.partition for row in rows],
        [row.position.offset for row in rows],
        [row.time for row in rows],
        [row.digest for row in rows],
        [row.case_version for row in rows],
        [row.result for row in rows],
        [row.policy_version for row in rows],
        [row.sequence for row in rows],
        [row.causation for row in rows],
        [row.traceparent for row in rows],
        [row.body for row in rows],
        [_utc_offset(row.time) for row in rows],
    )


def _utc_offset(time: datetime) -> int:
    """Seconds east of UTC by the sender's clock, which PostgreSQL's timestamps do not keep."""
    offset = time.utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


async def mark_settled(connection: Connection, rows: Sequence[Settled]) -> None:
    """Say of events that had waited what became of them, in one statement."""
    await connection.execute(
        SQL["mark_settled"],
        [row.event.case for row in rows],
        [row.event.source for row in rows],
        [row.event.id for row in rows],
        [row.result for row in rows],
        [row.policy_version for row in rows],
    )
