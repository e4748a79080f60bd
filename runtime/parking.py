"""Parked cases and dead letters: what failed stays visible, in order, until a person deals with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from runtime.cases import SQL
from runtime.db import Connection, Pool
from runtime.event_log import Key
from runtime.fold import Position
from runtime.records import Record

DEAD_LETTERS_KEPT = timedelta(days=31)
"""A dead letter may hold patient data of a case that cannot be told, so no erasure finds it. It is kept as long as its
topic may show the record, since `whp reconcile` would miss it before: the 30 days of contracts/topics, and the day that
a segment takes."""
_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A record that queues behind a failure of its case, or is that failure."""

    key: Key
    record: Record
    reason: str


def headers_to_json(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Headers as they arrived, null and non-UTF-8 values included: a list of [name, hex or null]."""
    return json.dumps([[name, None if value is None else value.hex()] for name, value in headers])


def headers_from_json(text: str) -> tuple[tuple[str, bytes | None], ...]:
    """The inverse of `headers_to_json`."""
    stored = cast("list[tuple[str, str | None]]", json.loads(text))
    return tuple((name, None if value is None else bytes.fromhex(value)) for name, value in stored)


async def append_parked(connection: Connection, rows: Sequence[ParkedRow]) -> None:
    """Queue records behind their cases, in this order."""
    await connection.execute(
        SQL["append_parked"],
        [row.key[0] for row in rows],
        [row.record.position.topic for row in rows],
        [row.record.position.partition for row in rows],
        [row.record.position.offset for row in rows],
        [row.record.recorded for row in rows],
        [row.record.key for row in rows],
        [row.record.value for row in rows],
        [headers_to_json(row.record.headers) for row in rows],
        [row.key[1] for row in rows],
        [row.key[2] for row in rows],
        [row.reason for row in rows],
    )


async def append_dead_letters(connection: Connection, rows: Sequence[tuple[Record, str]]) -> None:
    """Keep records that name no readable case, each once."""
    await connection.execute(
        SQL["append_dead_letters"],
        [record.position.topic for record, _ in rows],
        [record.position.partition for record, _ in rows],
        [record.position.offset for record, _ in rows],
        [record.key for record, _ in rows],
        [record.value for record, _ in rows],
        [headers_to_json(record.headers) for record, _ in rows],
        [reason for _, reason in rows],
    )


async def write_dead_letter(
    connection: Connection,
    position: Position,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]],
    reason: str,
) -> None:
    """Keep one record, for a consumer that does not work in batches."""
    await connection.execute(
        SQL["append_dead_letters"],
        [position.topic],
        [position.partition],
        [position.offset],
        [key],
        [value],
        [headers_to_json(headers)],
        [reason],
    )


async def expire_dead_letters(pool: Pool, now: datetime | None = None) -> int:
    """Delete dead letters that are as old as their topics' records get. Returns how many there were."""
    before = (now or datetime.now(UTC)) - DEAD_LETTERS_KEPT
    gone = 0
    while True:
        async with pool.acquire(timeout=10) as connection:
            deleted = int((await connection.execute(SQL["expire_dead_letters"], before, _AT_ONCE)).split()[-1])
        gone += deleted
        if deleted < _AT_ONCE:
            return gone
