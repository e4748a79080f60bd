# pyright: reportPrivateUsage=false
"""Rung 2: hypothesis chooses what befalls consumers, relays and the operator on a real PostgreSQL.

The records, the toy service and the checker are those of the simulation; the database, its locks and its SQL are real.
Kafka is a list in memory. The machine's own event loop runs until each rule is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest.mock import patch

import asyncpg
import pytest
from aiokafka.errors import KafkaError, RequestTimedOutError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from runtime import consume, relay
from runtime.cases import add_partitions
from runtime.consume import Consumer
from runtime.db import Pool, open_pool
from runtime.fold import Position
from runtime.records import Record, open_record
from runtime.retry import NotNow, discard_first, expire_waiting, retry_case
from tests.conftest import Database
from tests.runtime.toy import DIGEST_KEY, TELEMETRY, make_schema
from tests.runtime.toy import settings as toy_settings
from torture.mutants import by_name
from torture.simulated import toy
from torture.simulated.broker import Batch, Broker, Entry, Place
from torture.simulated.check import Evidence, finished, versions_wrong, violations_of
from torture.simulated.member import TOPICS
from torture.simulated.plan import PARTITIONS, Sent, partition_of, sent_of
from torture.simulation import quiet

pytestmark = pytest.mark.stack

T = TypeVar("T")
KEY = bytes.fromhex(DIGEST_KEY)
CASES = [uuid.UUID(int=number, version=4) for number in (1, 2)]
KINDS = ("open", "open", "add", "add", "check", "fail", "refuse", "unwritable", "unread", "dead", "broken", "foreign")
RARE = ("reused", "erase")
TABLES = ("cases", "event_log", "outbox", "parked", "dead_letter", "noted")
BOUNDED = settings(
    max_examples=60,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
    database=None,
)


class Crash(BaseException):
    """The process dies here; PostgreSQL rolls back."""


class Bench:
    """The event loop, the schema and the processes that all examples share."""

    def __init__(self, database: Database) -> None:
        self._runner = asyncio.Runner()
        self.mended = False
        self.handlers = toy.handlers(lambda: self.mended)
        self.run(self._open(database))

    def run(self, work: Any) -> Any:
        return self._runner.run(work)

    async def _open(self, database: Database) -> None:
        dsn = await make_schema(database.admin, database.dsn("planning"))
        schema = dsn.split("=")[-1]
        admin = await asyncpg.connect(database.admin)
        await admin.execute(
            f"ALTER TABLE {schema}.noted ADD COLUMN id bigserial, ADD COLUMN reference text;"
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO planning"
        )
        await admin.close()
        self.pool: Pool = await open_pool(dsn, "machine")
        self.own = await asyncpg.connect(dsn)
        self.relays = [await asyncpg.connect(dsn) for _ in range(2)]
        await add_partitions(self.own, PARTITIONS)
        self.consumer: Consumer[Any, Any] = Consumer(
            self.handlers, TOPICS, toy.WRITERS, self.pool, toy_settings(dsn, "nowhere"), TELEMETRY, lambda: None
        )

    async def reset(self) -> None:
        """An empty schema."""
        self.mended = False
        for table in TABLES:
            await self.own.execute(f"DELETE FROM {table}")

    async def tables(self) -> dict[str, dict[Any, dict[str, Any]]]:
        """All rows, keyed as the checker wants them."""
        keys: dict[str, tuple[str, ...]] = {
            "cases": ("case_ref",),
            "event_log": ("case_ref", "source", "id"),
            "dead_letter": ("topic", "partition", "offset"),
        }
        found: dict[str, dict[Any, dict[str, Any]]] = {}
        for table in TABLES:
            rows = [dict(row) for row in await self.own.fetch(f"SELECT * FROM {table}")]
            names = keys.get(table, ("id",))
            found[table] = {(row[names[0]] if len(names) == 1 else tuple(row[n] for n in names)): row for row in rows}
        return found

    def close(self) -> None:
        async def end() -> None:
            for connection in (self.own, *self.relays):
                await connection.close()
            await self.pool.close()

        self.run(end())
        self._runner.close()


class Faulty:
    """A producer on the list in memory, which fails before or after the append, or is held up before it."""

    def __init__(self, broker: Broker, fate: str, hold: asyncio.Event | None = None) -> None:
        self._broker = broker
        self._fate = fate
        self._hold = hold
        self.reached = asyncio.Event()

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(PARTITIONS))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.reached.set()
        if self._hold is not None:
            await self._hold.wait()
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._fate != "before":
            for key, value, headers in batch.records:
                self._broker.append(topic, partition, key, headers, value, 0)
        if self._fate in ("before", "after"):
            raise RequestTimedOutError
        acknowledged.set_result(None)
        return acknowledged


class Machine(RuleBasedStateMachine):
    """What may happen to a service, in any order."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.broker = Broker(dict.fromkeys((*TOPICS, toy.OUT), PARTITIONS))
        self.sent: dict[tuple[str, int, int], Sent] = {}
        bench.run(bench.reset())

    # what is sent

    @rule(
        records=st.lists(
            st.tuples(st.sampled_from(CASES), st.sampled_from((*KINDS, *KINDS, *RARE))), min_size=1, max_size=8
        )
    )
    def produce(self, records: list[tuple[uuid.UUID, str]]) -> None:
        for case, what in records:
            opened = any(sent.case == case and sent.reference.endswith("#open") for sent in self.sent.values())
            self._append(sent_of("open" if what == "reused" and not opened else what, case, len(self.sent)))

    @rule(nth=st.integers(0, 99))
    def produce_again(self, nth: int) -> None:
        if self.sent:
            self._append(list(self.sent.values())[nth % len(self.sent)])

    def _append(self, sent: Sent) -> None:
        now = int(datetime.now(UTC).timestamp() * 1000)
        entry = self.broker.append(sent.topic, partition_of(sent.key), sent.key, sent.headers, sent.value, now)
        self.sent[entry.topic, entry.partition, entry.offset] = sent

    # consumers

    @rule(
        size=st.integers(1, 6),
        rewind=st.integers(0, 4),
        order=st.permutations([(topic, number) for topic in TOPICS for number in range(PARTITIONS)]),
        fate=st.sampled_from(("done", "done", "crash before COMMIT", "offsets lost")),
    )
    def deliver(self, size: int, rewind: int, order: Sequence[Place], fate: str) -> None:
        async def crashing(*args: Any) -> Any:
            await apply(*args)
            raise Crash

        apply = consume.apply
        crash = patch.object(consume, "apply", crashing) if fate.startswith("crash") else contextlib.nullcontext()
        with crash, contextlib.suppress(Crash):
            self._run(self._take(self._batch(size, rewind, order), committing=fate == "done"))

    @rule(sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)), rewind=st.integers(0, 4), crash=st.booleans())
    def overlap(self, sizes: tuple[int, int], rewind: int, crash: bool) -> None:
        """A zombie is in its transaction while the new owner takes the same records."""
        order = [(topic, number) for topic in TOPICS for number in range(PARTITIONS)]
        batches = [self._batch(size, rewind, order) for size in sizes]
        if all(batches):
            self._run(self._overlapping(batches, crash))

    async def _overlapping(self, batches: Sequence[Sequence[Entry]], crash: bool) -> None:
        apply = consume.apply
        reached, go = asyncio.Event(), asyncio.Event()

        async def holding(*args: Any) -> Any:
            writes = await apply(*args)
            if not reached.is_set():
                reached.set()
                await go.wait()
                if crash:
                    raise Crash
            return writes

        with patch.object(consume, "apply", holding):
            zombie = asyncio.create_task(self._take(batches[0], committing=False))
            held = asyncio.create_task(reached.wait())
            await asyncio.wait([zombie, held], return_when=asyncio.FIRST_COMPLETED)
            owner = asyncio.create_task(self._take(batches[1], committing=True))
            while not owner.done() and not await self._waits():  # noqa: ASYNC110 - only PostgreSQL knows who waits
                await asyncio.sleep(0.002)
            go.set()
            reached.set()
            await asyncio.wait([zombie, owner, held])
        for task in (zombie, owner):
            if not isinstance(task.exception(), Crash):
                task.result()

    async def _waits(self) -> bool:
        return await self.bench.own.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'machine' AND wait_event_type = 'Lock')"
        )

    def _batch(self, size: int, rewind: int, order: Sequence[Place]) -> list[Entry]:
        batch: list[Entry] = []
        for place in order:
            start = max(0, self.broker.committed.get(place, 0) - rewind)
            batch += self.broker.logs[place][start : start + size]
        return batch

    async def _take(self, batch: Sequence[Entry], *, committing: bool) -> None:
        if not batch:
            return
        records = [
            Record(
                Position(entry.topic, entry.partition, entry.offset),
                datetime.fromtimestamp(entry.timestamp / 1000, UTC),
                entry.key,
                entry.headers,
                entry.value,
            )
            for entry in batch
        ]
        items = [open_record(record, self.bench.handlers, KEY) for record in records]
        await self.bench.consumer._write(items, {entry.partition for entry in batch})
        if committing:
            for entry in batch:
                self.broker.committed[entry.topic, entry.partition] = entry.offset + 1

    # the relay

    @rule(fate=st.sampled_from(("done", "done", "before", "after", "crash before the delete")))
    def relay(self, fate: str) -> None:
        async def dies(*args: Any) -> None:
            raise Crash

        crash = patch.object(relay, "delete_rows", dies) if fate.startswith("crash") else contextlib.nullcontext()
        with crash, contextlib.suppress(Crash, KafkaError):
            self._run(self._cycle(0, Faulty(self.broker, fate)))

    @rule(fate=st.sampled_from(("done", "before", "after")))
    def two_relays(self, fate: str) -> None:
        """The first is held up in its send; the second, which should not run, publishes and deletes meanwhile."""
        self._run(self._split_brain(fate))

    async def _split_brain(self, fate: str) -> None:
        go = asyncio.Event()
        slow = Faulty(self.broker, fate, go)
        first = asyncio.create_task(self._cycle(0, slow))
        held = asyncio.create_task(slow.reached.wait())
        await asyncio.wait([first, held], return_when=asyncio.FIRST_COMPLETED)
        await self._cycle(1, Faulty(self.broker, "done"))
        go.set()
        slow.reached.set()
        await asyncio.wait([first, held])
        if not isinstance(first.exception(), KafkaError):
            first.result()

    async def _cycle(self, number: int, producer: Faulty) -> int:
        one = relay.Relay("", "toy", "", TELEMETRY)
        return await one._cycle(self.bench.relays[number], producer)

    # the operator

    @rule()
    def mend(self) -> None:
        self.bench.mended = True

    @rule()
    def break_again(self) -> None:
        self.bench.mended = False

    @rule(case=st.sampled_from(CASES))
    def retry(self, case: uuid.UUID) -> None:
        self._run(self._retry(case))

    async def _retry(self, case: uuid.UUID) -> bool:
        try:
            done = await retry_case(self.bench.pool, case, self.bench.handlers, toy.WRITERS, KEY)
        except NotNow:
            return False
        return done.reason is None

    @rule(case=st.sampled_from(CASES))
    def discard(self, case: uuid.UUID) -> None:
        self._run(discard_first(self.bench.pool, case, self.bench.handlers, "given up"))

    @rule()
    def expire(self) -> None:
        self._run(self._expire())

    async def _expire(self) -> None:
        later = datetime.now(UTC) + timedelta(days=15)
        await expire_waiting(self.bench.pool, self.bench.handlers, toy.WRITERS, later)

    # what must hold

    @invariant()
    def nothing_unfinished_is_committed_and_versions_and_parked_counts_agree(self) -> None:
        tables = self._run(self.bench.tables())
        for place, offset in self.broker.committed.items():
            for number in range(offset):
                at = (*place, number)
                assert finished(tables, self.sent[at], at), f"I5: {at}"
        assert list(versions_wrong(tables)) == []
        for case, row in tables["cases"].items():
            rows = [parked for parked in tables["parked"].values() if parked["case_ref"] == case]
            assert row["parked"] == sum(parked["resolution"] is None for parked in rows), f"I1: {case}"

    def teardown(self) -> None:
        self._run(self._come_to_rest())
        tables = self._run(self.bench.tables())
        assert violations_of(Evidence(self.sent, tables, self.broker.logs)) == []

    async def _come_to_rest(self) -> None:
        self.bench.mended = True
        order = list(self.broker.logs)
        while batch := self._batch(50, 0, [place for place in order if place[0] != toy.OUT]):
            await self._take(batch, committing=True)
        while True:
            ref = await self.bench.own.fetchval("SELECT case_ref FROM parked WHERE resolved_at IS NULL LIMIT 1")
            if ref is None:
                break
            if not await self._retry(ref):
                await discard_first(self.bench.pool, ref, self.bench.handlers, "given up")
        await self._expire()
        while await self._cycle(0, Faulty(self.broker, "done")):
            pass

    def _run(self, work: Awaitable[T]) -> T:
        with quiet():
            return self.bench.run(work)


@pytest.fixture
def bench(database: Database) -> Generator[Bench]:
    made = Bench(database)
    yield made
    made.close()


def test_no_order_of_faults_loses_doubles_or_inverts_anything(bench: Bench) -> None:
    factory: Any = lambda: Machine(bench)  # noqa: E731 - the annotation asks for a class
    run_state_machine_as_test(factory, settings=BOUNDED)


def test_the_machine_sees_a_retry_in_the_wrong_order(bench: Bench) -> None:
    factory: Any = lambda: Machine(bench)  # noqa: E731 - the annotation asks for a class
    with by_name("retry_in_the_wrong_order").applied(), pytest.raises(AssertionError, match="I4: effects"):
        run_state_machine_as_test(factory, settings=settings(BOUNDED, phases=(Phase.generate,)))
