"""Each fault of torture/mutants is seen, by the rung and the invariant that its entry names."""

from __future__ import annotations

import asyncio
import contextlib
import math
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest

from runtime import consume, relay
from runtime.batch import apply
from runtime.cases import SQL, Conflict, add_partitions
from runtime.fold import Emitted, Position
from runtime.outbox import append_outbox, hold_rows, release_rows
from runtime.records import Record, open_record
from runtime.relay import Relay
from tests.conftest import Database, Kafka
from tests.runtime.test_consume import value
from tests.runtime.toy import (
    DIGEST_KEY,
    TELEMETRY,
    WRITERS,
    added,
    eventually,
    make_schema,
    send,
    send_raw,
    started,
    toy_handlers,
)
from torture.mutants import MUTANTS
from torture.simulated.broker import Batch
from torture.simulation import run
from workhardening_contracts.envelope import Envelope, write_kafka

ROOT = Path(__file__).parents[2]
SEEDS = range(200)


def caught_by_simulation(name: str) -> None:
    """Fails when the mutant survives: no seed violates the invariant that its entry names."""
    mutant = MUTANTS[name]
    assert mutant.rung == 1
    for seed in SEEDS:
        with mutant.applied():
            found = run(seed)
        if any(text.startswith(mutant.caught_by) for text in found):
            assert run(seed) == [], "the same schedule is clean without the mutant"
            return
    raise AssertionError(f"{name} survives")


def test_mutant_offsets_before_commit_is_caught() -> None:
    caught_by_simulation("offsets_before_commit")


def test_mutant_at_most_once_is_caught() -> None:
    caught_by_simulation("at_most_once")


def test_mutant_no_dedupe_in_batch_is_caught() -> None:
    caught_by_simulation("no_dedupe_in_batch")


def test_mutant_no_log_lookup_is_caught() -> None:
    caught_by_simulation("no_log_lookup")


def test_mutant_no_partition_lock_is_caught() -> None:
    caught_by_simulation("no_partition_lock")


def test_mutant_no_lock_in_retry_is_caught() -> None:
    caught_by_simulation("no_lock_in_retry")


def test_mutant_sequence_not_counted_is_caught() -> None:
    caught_by_simulation("sequence_not_counted")


def test_mutant_erasure_forgotten_is_caught() -> None:
    caught_by_simulation("erasure_forgotten")


def test_mutant_dead_letter_and_continue_is_caught() -> None:
    caught_by_simulation("dead_letter_and_continue")


def test_mutant_successors_overtake_is_caught() -> None:
    caught_by_simulation("successors_overtake")


def test_mutant_retry_in_the_wrong_order_is_caught() -> None:
    caught_by_simulation("retry_in_the_wrong_order")


def test_mutant_delete_before_publish_is_caught() -> None:
    caught_by_simulation("delete_before_publish")


def test_mutant_successors_of_a_held_row_is_caught() -> None:
    caught_by_simulation("successors_of_a_held_row")


# What follows needs the real database or broker: each fault is in SQL or in FastStream, and a schedule provokes it.

Scenario = Callable[[str], Awaitable[list[str]]]


@pytest.fixture
async def new_schema(database: Database) -> Callable[[], Awaitable[str]]:
    return lambda: make_schema(database.admin, database.dsn("planning"))


async def caught(name: str, scenario: Scenario, new_schema: Callable[[], Awaitable[str]]) -> None:
    """Fails when the mutant survives the scenario, or when the scenario fails without it."""
    mutant = MUTANTS[name]
    with mutant.applied():
        found = await scenario(await new_schema())
    assert any(text.startswith(mutant.caught_by) for text in found), f"{name} survives: {found}"
    assert await scenario(await new_schema()) == []


class Tape:
    """A broker in memory, as a producer: it keeps the ids of what was published, or of their causes, and can hold the
    first batch back."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.holding: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        holding, self.holding = self.holding, None
        if holding is not None:
            self.reached.set()
            await holding.wait()
        for _, _, headers in batch.records:
            named = dict(headers)
            self.ids.append(named.get("ce_causationid", named["ce_id"]).decode().split("#")[-1])
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged

    def inversions(self) -> list[str]:
        """I4: ids are numbers, and their first occurrences must ascend."""
        first = list(dict.fromkeys(self.ids))
        return [] if first == sorted(first) else [f"I4: published in the order {first}"]


class Held:
    """A connection that waits before its first statement that begins with `text`."""

    def __init__(self, connection: Any, text: str) -> None:
        self._connection = connection
        self._text: str | None = text
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, text: str, *args: Any) -> Any:
        await self._wait(text)
        return await self._connection.fetch(text, *args)

    async def execute(self, text: str, *args: Any) -> Any:
        await self._wait(text)
        return await self._connection.execute(text, *args)

    async def _wait(self, text: str) -> None:
        if self._text is not None and text.startswith(self._text):
            self._text = None
            self.reached.set()
            await self.go.wait()


@contextlib.asynccontextmanager
async def connections(dsn: str, count: int) -> AsyncGenerator[list[Any]]:
    opened = [await asyncpg.connect(dsn) for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            await connection.close()


async def promise(connection: Any, case: uuid.UUID, id: str) -> None:
    await append_outbox(connection, [Emitted("out", added(case, id, 1))])


def new_relay(dsn: str) -> Relay:
    return Relay(dsn, dsn.split("=")[-1], "nowhere", TELEMETRY)


async def publish_all(dsn: str, connection: Any, tape: Tape) -> list[str]:
    """Run a relay until it reads nothing more."""
    one = new_relay(dsn)
    while await one._cycle(connection, tape):  # pyright: ignore[reportPrivateUsage]
        pass
    left = await value(dsn, "SELECT count(*) FROM outbox")
    return tape.inversions() + ([f"I9: {left} rows stay in the outbox"] if left else [])


async def a_lower_id_commits_late(dsn: str) -> list[str]:
    tape = Tape()
    async with connections(dsn, 3) as (slow, quick, own):
        open_transaction = slow.transaction()
        await open_transaction.start()
        await promise(slow, uuid.uuid4(), "1")
        await promise(quick, uuid.uuid4(), "0")
        await publish_all(dsn, own, tape)
        await open_transaction.commit()
        tape.ids.clear()  # they are of two cases, so their order is free
        return await publish_all(dsn, own, tape)


async def test_mutant_position_instead_of_deletion_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("position_instead_of_deletion", a_lower_id_commits_late, new_schema)


@contextlib.contextmanager
def one_relay(dsn: str) -> Generator[Relay]:
    """A relay that moves its floor at each cycle, and does not look below it."""
    with patch.object(relay, "LOOK_S", 0.0), patch.object(relay, "LOOK_BELOW_S", math.inf):
        yield new_relay(dsn)


async def some_cycles(one: Relay, connection: Any, tape: Tape) -> None:
    for _ in range(5):
        await one._cycle(connection, tape)  # pyright: ignore[reportPrivateUsage]


async def left(connection: Any) -> list[str]:
    rows = await connection.fetchval("SELECT count(*) FROM outbox")
    return [f"I9: {rows} rows stay in the outbox"] if rows else []


async def the_floor_meets_a_writer(dsn: str) -> list[str]:
    tape = Tape()
    async with connections(dsn, 3) as (slow, quick, own):
        with one_relay(dsn) as one:
            open_transaction = slow.transaction()
            await open_transaction.start()
            await promise(slow, uuid.uuid4(), "1")
            await promise(quick, uuid.uuid4(), "0")
            await some_cycles(one, own, tape)
            await open_transaction.commit()
            await some_cycles(one, own, tape)
        return await left(own)


async def test_mutant_floor_rises_at_once_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("floor_rises_at_once", the_floor_meets_a_writer, new_schema)


async def the_floor_meets_a_held_row(dsn: str) -> list[str]:
    tape = Tape()
    async with connections(dsn, 1) as (own,):
        with one_relay(dsn) as one:
            await promise(own, uuid.uuid4(), "0")
            await promise(own, uuid.uuid4(), "1")
            await hold_rows(own, [1], "refused")
            await some_cycles(one, own, tape)
            await release_rows(own, None)
            await some_cycles(one, own, tape)
        return await left(own)


async def test_mutant_floor_passes_a_held_row_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("floor_passes_a_held_row", the_floor_meets_a_held_row, new_schema)


async def a_transaction_is_numbered_before_it_has_the_lock(dsn: str) -> list[str]:
    case, tape = uuid.uuid4(), Tape()
    async with connections(dsn, 3) as (first, second, own):
        await add_partitions(own, 1)
        open_transaction = second.transaction()
        await open_transaction.start()
        await second.fetchval("SELECT pg_current_xact_id()")
        async with first.transaction():
            await consume.lock_partitions(first, [0])
            await promise(first, case, "1")
        await consume.lock_partitions(second, [0])
        await promise(second, case, "2")
        await open_transaction.commit()
        return await publish_all(dsn, own, tape)


async def test_mutant_snapshot_horizon_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("snapshot_horizon", a_transaction_is_numbered_before_it_has_the_lock, new_schema)


async def two_relays_are_forced(dsn: str) -> list[str]:
    case, tape = uuid.uuid4(), Tape()
    tape.holding = go = asyncio.Event()
    async with connections(dsn, 3) as (slow, quick, own):
        await promise(own, case, "1")
        await promise(own, case, "2")
        with patch.object(relay, "CYCLE_ROWS", 1):
            held = asyncio.create_task(new_relay(dsn)._cycle(slow, tape))  # pyright: ignore[reportPrivateUsage]
            await tape.reached.wait()
            await new_relay(dsn)._cycle(quick, tape)  # pyright: ignore[reportPrivateUsage]
            go.set()
            await held
        return await publish_all(dsn, own, tape)


async def test_mutant_two_relays_skip_locked_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("two_relays_skip_locked", two_relays_are_forced, new_schema)


async def a_second_relay_stands_by(dsn: str) -> list[str]:
    def tape(*_: Any) -> Tape:
        return Tape()

    with patch.object(relay, "new_producer", tape), patch.object(relay, "STANDBY_S", 0.01):
        first, second = new_relay(dsn), new_relay(dsn)
        looks: set[float] = set()

        async def leads() -> bool:
            return first.active

        async def answered() -> bool:
            looks.add(second.last_turn)
            return second.active or len(looks) > 3

        running = [asyncio.create_task(first.run())]
        try:
            await eventually(leads)
            running.append(asyncio.create_task(second.run()))
            await eventually(answered)
            return ["fence: two relays lead"] if first.active and second.active else []
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)


async def test_mutant_lock_of_the_transaction_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("lock_of_the_transaction", a_second_relay_stands_by, new_schema)


HANDLERS = toy_handlers("in", "out")


def record(offset: int, envelope: Envelope) -> Record:
    key, headers, body = write_kafka(envelope)
    return Record(Position("in", 0, offset), envelope.time, key, tuple(headers), body)


async def take(connection: Any, offset: int, envelope: Envelope, *, lock: bool = True) -> None:
    """One consumer's transaction, as consume.py runs it. Raises Conflict."""
    item = open_record(record(offset, envelope), HANDLERS, bytes.fromhex(DIGEST_KEY))
    async with connection.transaction():
        if lock:
            await consume.lock_partitions(connection, [0])
        await apply(connection, [item], HANDLERS, WRITERS, {})


async def the_lock_goes_to_the_later_one(dsn: str) -> list[str]:
    case, tape = uuid.uuid4(), Tape()
    async with connections(dsn, 3) as (slow, quick, own):
        await add_partitions(own, 1)
        held = Held(slow, SQL["lock_partitions"])
        waiting = asyncio.create_task(take(held, 1, added(case, "2", 2)))
        await held.reached.wait()
        await take(quick, 0, added(case, "1", 1))
        held.go.set()
        await waiting
        return await publish_all(dsn, own, tape)


async def test_mutant_id_before_the_lock_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("id_before_the_lock", the_lock_goes_to_the_later_one, new_schema)


async def a_writer_without_the_lock(dsn: str) -> list[str]:
    """The second fence alone: a zombie whose partition lock is gone saves what it read before another committed."""
    case = uuid.uuid4()
    async with connections(dsn, 3) as (zombie, owner, own):
        await add_partitions(own, 1)
        await take(own, 0, added(case, "0", 1))
        held = Held(zombie, "MERGE INTO cases")
        late = asyncio.create_task(take(held, 1, added(case, "1", 10), lock=False))
        await held.reached.wait()
        await take(owner, 2, added(case, "2", 100))
        held.go.set()
        try:
            await late
        except Conflict:
            await take(zombie, 1, added(case, "1", 10))
        version, total = await own.fetchrow("SELECT version, (state->>'total')::int FROM cases")
        rows = await own.fetchval("SELECT count(*) FROM event_log")
    found = [] if version == rows else [f"I2: version {version} of {rows} log rows"]
    return found + ([] if total == 111 else [f"I12: the state's total is {total}"])


async def test_mutant_no_version_fence_is_caught(new_schema: Callable[[], Awaitable[str]]) -> None:
    await caught("no_version_fence", a_writer_without_the_lock, new_schema)


async def test_mutant_parser_raises_on_a_null_header_is_caught(
    kafka: Kafka, new_schema: Callable[[], Awaitable[str]]
) -> None:
    async def a_header_is_null(dsn: str) -> list[str]:
        topic, out = await kafka.topic(1), await kafka.topic(1)
        case = uuid.uuid4()
        key, headers, body = write_kafka(added(case, "1", 1))
        # One produce request, so that one poll brings both.
        await send_raw(kafka.bootstrap, topic, [(key, [("ce_id", None)], body), (key, headers, body)])
        parse: Any = consume._parse  # pyright: ignore[reportPrivateUsage]
        tried = asyncio.Event()

        async def parsing(messages: Any) -> Any:
            try:
                return await parse(messages)
            finally:
                tried.set()

        with patch.object(consume, "_parse", parsing):
            async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap):
                await asyncio.wait_for(tried.wait(), 30)
                await send(kafka.bootstrap, topic, [added(case, "2", 2)])
                await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM event_log WHERE id = '2'"))
        kept = await value(dsn, "SELECT count(*) FROM dead_letter")
        taken = await value(dsn, "SELECT count(*) FROM event_log")
        return [] if (kept, taken) == (1, 2) else [f"I1: {taken} of 2 events taken, {kept} of 1 dead letters"]

    await caught("parser_raises_on_a_null_header", a_header_is_null, new_schema)


def test_each_mutant_has_its_test_and_its_line_in_the_table() -> None:
    table = (ROOT / "docs/reliability/mutants.md").read_text()
    for mutant in MUTANTS.values():
        assert f"| `{mutant.name}` | {mutant.breaks} | {mutant.rung} | {mutant.caught_by} |" in table
    assert {f"test_mutant_{name}_is_caught" for name in MUTANTS} <= set(globals())
