"""The outbox: what was decided and is not published yet, on the caller's connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from runtime.cases import SQL
from runtime.db import Connection
from runtime.fold import Emitted
from workhardening_contracts.envelope import write_kafka


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One event on its way to Kafka."""

    id: int
    topic: str
    case: UUID
    headers: list[tuple[str, bytes]]
    value: bytes

    @property
    def key(self) -> bytes:
        return str(self.case).encode()


async def append_outbox(connection: Connection, emitted: Sequence[Emitted]) -> None:
    """Promise these events, in this order."""
    records = [write_kafka(entry.envelope) for entry in emitted]
    await connection.execute(
        SQL["append_outbox"],
        [entry.topic for entry in emitted],
        [entry.envelope.subject for entry in emitted],
        [json.dumps({name: text.decode() for name, text in headers}) for _, headers, _ in records],
        [value for _, _, value in records],
    )


async def next_rows(connection: Connection, limit: int, floor: int) -> list[OutboxRow]:
    """The lowest rows that nothing holds, from the id `floor` on."""
    return [
        OutboxRow(row["id"], row["topic"], row["case_ref"], _headers(row["headers"]), row["value"])
        for row in await connection.fetch(SQL["next_outbox"], limit, floor)
    ]


async def look(connection: Connection, start: int) -> tuple[int | None, frozenset[str]]:
    """The lowest row from the id `start` on, held ones included, and the transactions that are writing rows."""
    (row,) = await connection.fetch(SQL["look_at_outbox"], start)
    return row["lowest"], frozenset(row["writers"])


async def delete_rows(connection: Connection, ids: Sequence[int]) -> None:
    """Forget what the broker has acknowledged."""
    await connection.execute(SQL["delete_outbox"], ids)


async def hold_rows(connection: Connection, ids: Sequence[int], reason: str) -> None:
    """Hold rows that the broker refuses for good, and with them their (topic, case)."""
    await connection.execute(SQL["hold_outbox"], ids, reason)


async def release_rows(connection: Connection, case: UUID | None) -> int:
    """Let the relay try held rows again; of one case, or of all. Returns how many."""
    return len(await connection.fetch(SQL["release_outbox"], case))


def _headers(text: str) -> list[tuple[str, bytes]]:
    stored = cast("dict[str, str]", json.loads(text))
    return [(name, value.encode()) for name, value in stored.items()]
