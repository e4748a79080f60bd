"""Faults between the outbox and Kafka: the wrong relays that are widely recommended."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

import asyncpg

from runtime import batch, consume, relay
from runtime.cases import SQL
from runtime.floor import Floor
from torture.mutants.registry import mutant
from torture.simulated.store import MODELS, Row, Session


@mutant("rows are deleted before they are published", rung=1, caught_by="I4")
def delete_before_publish() -> Generator[None]:
    """A crash between the two loses them."""

    async def cycle(self: Any, connection: Any, producer: Any) -> int:
        self._awake.clear()
        rows = await relay.next_rows(connection, relay.CYCLE_ROWS, 0)
        if rows:
            await relay.delete_rows(connection, [row.id for row in rows])
            await self._send(connection, producer, rows)
        return len(rows)

    with patch.object(relay.Relay, "_cycle", cycle):
        yield


@mutant("a row that the broker refused holds itself only, not its case", rung=1, caught_by="I4")
def successors_of_a_held_row() -> Generator[None]:
    """What its case said later is published first; the held row follows when a person lets it go."""
    text = "SELECT id, topic, case_ref, headers, value FROM outbox WHERE id >= $2 AND held IS NULL ORDER BY id LIMIT $1"

    async def not_held(s: Session, limit: int, floor: int) -> list[Row]:
        return [row for id, row in sorted(s.rows("outbox")) if id >= floor and row["held"] is None][:limit]

    with patch.dict(SQL, {"next_outbox": text}), patch.dict(MODELS, {text: not_held}):  # pyright: ignore[reportArgumentType]
        yield


@mutant("the floor rises to what was read, whoever is still writing", rung=3, caught_by="I9")
def floor_rises_at_once() -> Generator[None]:
    """A transaction that drew a lower id and commits later is not read before the next look below the floor."""

    def at_once(floor: Floor, lowest: int | None, writers: Any, seen: int) -> Floor:
        return Floor(seen + 1 if lowest is None else min(seen + 1, lowest))

    with patch.object(relay, "looked", at_once):
        yield


@mutant("the floor rises past a row that the broker refused", rung=3, caught_by="I9")
def floor_passes_a_held_row() -> Generator[None]:
    """When a person lets it go, what its case said later is read first."""

    def past(floor: Floor, lowest: int | None, writers: Any, seen: int) -> Floor:
        return looked(floor, None, writers, seen)

    looked = relay.looked
    with patch.object(relay, "looked", past):
        yield


@mutant("the relay reads `id > last position`", rung=3, caught_by="I9")
def position_instead_of_deletion() -> Generator[None]:
    """A transaction that drew a lower id and commits later is skipped."""
    text = SQL["next_outbox"].replace("id >= $2", "id > $2")
    assert text != SQL["next_outbox"]
    last = 0

    async def next_rows(connection: Any, limit: int, floor: int) -> list[relay.OutboxRow]:
        nonlocal last
        rows = _rows(await connection.fetch(text, limit, last))
        last = max([last, *(row.id for row in rows)])
        return rows

    with patch.object(relay, "next_rows", next_rows):
        yield


@mutant("the relay reads in the order of transactions, up to the snapshot's xmin", rung=3, caught_by="I4")
def snapshot_horizon() -> Generator[None]:
    """A transaction that got its number before it got the lock is published before the one it waited for."""
    horizon = "AND xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    text = SQL["next_outbox"].replace("ORDER BY id", f"{horizon} ORDER BY xmin::text::bigint, id")
    assert text != SQL["next_outbox"]
    with patch.dict(SQL, {"next_outbox": text}):  # pyright: ignore[reportArgumentType]
        yield


@mutant("two relays share the outbox by FOR UPDATE SKIP LOCKED", rung=3, caught_by="I4")
def two_relays_skip_locked() -> Generator[None]:
    """Each publishes what the other has not locked, the successors of a locked row included."""
    text = SQL["next_outbox"].replace("LIMIT $1", "LIMIT $1 FOR UPDATE OF o SKIP LOCKED")

    async def cycle(self: Any, connection: Any, producer: Any) -> int:
        async with connection.transaction():
            rows = _rows(await connection.fetch(text, relay.CYCLE_ROWS, 0))
            if rows:
                await relay.delete_rows(connection, await self._send(connection, producer, rows))
        return len(rows)

    with patch.object(relay.Relay, "_cycle", cycle):
        yield


@mutant("the relay's advisory lock is of the transaction", rung=3, caught_by="fence")
def lock_of_the_transaction() -> Generator[None]:
    """Without a transaction around it, the lock is gone before the first row is read."""

    connection: Any = asyncpg.Connection

    class Careless(connection):
        async def fetchval(self: Any, query: str, *args: Any, **options: Any) -> Any:
            return await connection.fetchval(
                self, query.replace("advisory_lock", "advisory_xact_lock"), *args, **options
            )

    connect: Any = asyncpg.connect

    def connected(*args: Any, **options: Any) -> Any:
        return connect(*args, **(options | {"connection_class": Careless}))

    with patch.object(relay.asyncpg, "connect", connected):
        yield


@mutant("outbox ids are drawn before the partition is locked", rung=3, caught_by="I4")
def id_before_the_lock() -> Generator[None]:
    """The ids say who came first, not who decided first."""
    drawn: WeakKeyDictionary[Any, list[int]] = WeakKeyDictionary()
    lock, append = consume.lock_partitions, batch.append_outbox

    async def drawing(connection: Any, numbers: Any) -> None:
        rows = await connection.fetch(
            "SELECT nextval(pg_get_serial_sequence('outbox', 'id')) AS id FROM generate_series(1, 10)"
        )
        drawn[_raw(connection)] = [row["id"] for row in rows]
        await lock(connection, numbers)

    async def given(connection: Any, emitted: Sequence[Any]) -> None:
        before = await connection.fetchval("SELECT coalesce(max(id), 0) FROM outbox")
        await append(connection, emitted)
        rows = await connection.fetch("SELECT id FROM outbox WHERE id > $1 ORDER BY id", before)
        for row in rows:
            await connection.execute(
                "WITH moved AS (DELETE FROM outbox WHERE id = $1 RETURNING topic, case_ref, headers, value)"
                " INSERT INTO outbox (id, topic, case_ref, headers, value)"
                " OVERRIDING SYSTEM VALUE SELECT $2, * FROM moved",
                row["id"],
                drawn[_raw(connection)].pop(0),
            )

    with (
        patch.object(consume, "lock_partitions", drawing),
        patch.object(batch, "append_outbox", given),
    ):
        yield


def _raw(connection: Any) -> Any:
    """The connection under a pool's proxy."""
    return getattr(connection, "_con", connection)


def _rows(rows: Sequence[Any]) -> list[relay.OutboxRow]:
    from runtime.outbox import _headers  # pyright: ignore[reportPrivateUsage]

    return [
        relay.OutboxRow(row["id"], row["topic"], row["case_ref"], _headers(row["headers"]), row["value"])
        for row in rows
    ]
