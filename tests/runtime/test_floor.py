"""The floor of the outbox: below it no row is and none will be, whatever overtakes what."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.cases import SQL
from runtime.floor import Floor, looked
from runtime.fold import Emitted
from runtime.outbox import append_outbox, delete_rows, hold_rows, look, next_rows, release_rows
from tests.runtime.toy import added


class Table:
    """Ids are drawn in order; their rows are seen when their transaction ends, and in no order."""

    def __init__(self) -> None:
        self.drawn = 0
        self.open: dict[int, list[int]] = {}
        self.rows: set[int] = set()
        self.seen = 0
        self.floor = Floor()
        self.snapshot: int | None = None

    def step(self, what: str, nth: int) -> None:
        getattr(self, what)(nth)
        decided = [*self.rows, *(id for ids in self.open.values() for id in ids)]
        assert all(id >= self.floor.at for id in decided), "a row stands, or will, below the floor"

    def write(self, nth: int) -> None:
        """Another id for one of five writers."""
        self.drawn += 1
        self.open.setdefault(nth % 5, []).append(self.drawn)

    def commit(self, nth: int) -> None:
        if self.open:
            self.rows.update(self.open.pop(sorted(self.open)[nth % len(self.open)]))

    def roll_back(self, nth: int) -> None:
        if self.open:
            del self.open[sorted(self.open)[nth % len(self.open)]]

    def publish(self, nth: int) -> None:
        """Read some rows from the floor on, and delete all or some: a row may be held, or its batch fail."""
        read = sorted(id for id in self.rows if id >= self.floor.at)[: 1 + nth % 4]
        self.seen = max([self.seen, *read])
        self.rows -= set(read[nth % 2 :])

    def look(self, nth: int) -> None:
        """The snapshot, then what the others do meanwhile, then the locks."""
        lowest = min((id for id in self.rows if id >= self.floor.at), default=None)
        for at in range(nth % 3):
            (self.commit, self.write)[(nth + at) % 2](nth)
        # A writer's number is used again, its transaction's is not; ids never are.
        writers = frozenset(f"{writer}/{ids[0]}" for writer, ids in self.open.items())
        self.floor = looked(self.floor, lowest, writers, self.seen)


STEPS = st.tuples(
    st.sampled_from(["write", "write", "commit", "roll_back", "publish", "publish", "look", "look"]), st.integers(0, 30)
)


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(st.lists(STEPS, max_size=60))
def test_no_row_stands_or_appears_below_the_floor(steps: list[tuple[str, int]]) -> None:
    table = Table()
    for what, nth in steps:
        table.step(what, nth)


@settings(derandomize=True, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_once_all_is_published_three_looks_bring_the_floor_to_the_end(steps: list[tuple[str, int]]) -> None:
    table = Table()
    for what, nth in steps:
        table.step(what, nth)
    while table.open:
        table.commit(0)
    while table.rows:
        table.publish(0)
    for _ in range(3):
        table.look(0)
    assert table.floor.at == table.seen + 1


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 100), st.integers(0, 200), st.sets(st.sampled_from("abc")), st.integers(0, 200), st.data())
def test_a_row_that_was_put_below_the_floor_takes_it_down(
    at: int, candidate: int, writers: set[str], seen: int, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, at - 1))
    assert looked(Floor(at, candidate, writers), row, writers, seen).at == row


# What follows asks the real database whether it is as the floor takes it to be.


@pytest.fixture
async def sessions(dsn: str) -> AsyncIterator[list[Any]]:
    async with AsyncExitStack() as stack:
        opened = [await asyncpg.connect(dsn) for _ in range(3)]
        for connection in opened:
            stack.push_async_callback(connection.close)
        yield opened


async def promise(connection: Any, count: int = 1, case: uuid.UUID | None = None) -> None:
    case = case or uuid.uuid4()
    await append_outbox(connection, [Emitted("out", added(case, str(n), n)) for n in range(count)])


async def ids(connection: Any, floor: int) -> list[int]:
    return [row.id for row in await next_rows(connection, 100, floor)]


async def risen(connection: Any, floor: Floor, seen: int) -> Floor:
    for _ in range(4):
        floor = looked(floor, *await look(connection, floor.at), seen)
    return floor


@pytest.mark.stack
async def test_the_floor_waits_for_a_transaction_that_drew_a_lower_id(sessions: list[Any]) -> None:
    slow, quick, relay = sessions
    transaction = slow.transaction()
    await transaction.start()
    await promise(slow)
    await promise(quick)
    assert await ids(relay, 0) == [2]
    await delete_rows(relay, [2])
    floor = await risen(relay, Floor(), seen=2)
    assert floor.at <= 1
    await transaction.commit()
    floor = await risen(relay, floor, seen=2)
    assert await ids(relay, floor.at) == [1]
    await delete_rows(relay, [1])
    assert (await risen(relay, floor, seen=2)).at == 3


@pytest.mark.stack
async def test_a_transaction_that_only_reads_or_writes_elsewhere_does_not_keep_the_floor(sessions: list[Any]) -> None:
    reader, quick, relay = sessions
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("SELECT count(*) FROM outbox")
        await reader.execute("INSERT INTO noted (case_ref, amount) VALUES ($1, 1)", uuid.uuid4())
        await promise(quick, 5)
        await delete_rows(relay, await ids(relay, 0))
        assert (await risen(relay, Floor(), seen=5)).at == 6


@pytest.mark.stack
async def test_the_floor_stays_below_a_held_row_so_that_its_release_keeps_the_order(sessions: list[Any]) -> None:
    _, writer, relay = sessions
    case = uuid.uuid4()
    await promise(writer, 2, case)
    await promise(writer, 3)
    await hold_rows(relay, [1], "refused")
    assert await ids(relay, 0) == [3, 4, 5]
    await delete_rows(relay, [3, 4, 5])
    floor = await risen(relay, Floor(), seen=5)
    assert floor.at == 1
    await release_rows(writer, case)
    assert await ids(relay, floor.at) == [1, 2]


@pytest.mark.stack
async def test_a_look_from_the_bottom_finds_a_row_that_a_person_put_back(sessions: list[Any]) -> None:
    _, writer, relay = sessions
    await promise(writer, 5)
    await delete_rows(relay, await ids(relay, 0))
    floor = await risen(relay, Floor(), seen=5)
    await writer.execute(
        "INSERT INTO outbox (id, topic, case_ref, headers, value)"
        " OVERRIDING SYSTEM VALUE VALUES (2, 'out', gen_random_uuid(), '{}', '')"
    )
    assert await ids(relay, floor.at) == []
    floor = looked(floor, *await look(relay, 0), seen=5)
    assert await ids(relay, floor.at) == [2]


@pytest.mark.stack
async def test_under_a_held_snapshot_a_read_does_not_walk_over_the_deleted_rows(sessions: list[Any]) -> None:
    holder, writer, relay = sessions
    async with holder.transaction(isolation="repeatable_read"):
        await holder.fetchval("SELECT count(*) FROM outbox")
        await promise(writer, 5000)
        await writer.execute("DELETE FROM outbox")
        await promise(writer, 10)
        floor = await risen(relay, Floor(), seen=5000)
        assert floor.at == 5001
        assert await buffers(relay, 0) > 5 * await buffers(relay, floor.at)


async def buffers(connection: Any, floor: int) -> int:
    """Pages that one read of the relay touches."""
    text = SQL["next_outbox"].replace("$1", "500").replace("$2", str(floor))
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) {text}")
    line = next(row[0] for row in rows if "Buffers: shared" in row[0])
    return sum(int(part.split("=")[1]) for part in line.split() if part.startswith(("hit=", "read=")))
