"""The relay on the real parts: order, two relays at once, a broker that refuses, and a retry of what was parked."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from runtime.db import open_pool
from runtime.fold import Emitted
from runtime.outbox import append_outbox, release_rows
from runtime.relay import Relay
from runtime.retry import discard_first, expire_waiting, retry_case
from tests.conftest import Database, Kafka
from tests.runtime.test_consume import read_all, value
from tests.runtime.toy import (
    DIGEST_KEY,
    TELEMETRY,
    WRITERS,
    Opened,
    Sum,
    added,
    enveloped,
    eventually,
    send,
    started,
    toy_handlers,
)
from workhardening_contracts.envelope import read_kafka

pytestmark = pytest.mark.stack


async def promise(dsn: str, topic: str, cases: list[uuid.UUID], numbers: range) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for number in numbers:
            async with connection.transaction():
                await append_outbox(connection, [Emitted(topic, added(case, str(number), number)) for case in cases])
    finally:
        await connection.close()


async def test_two_relays_at_once_publish_each_case_in_order(kafka: Kafka, dsn: str) -> None:
    topic = await kafka.topic()
    cases = [uuid.uuid4() for _ in range(20)]
    relays = [Relay(dsn, f"relay-{topic}", kafka.bootstrap, TELEMETRY) for _ in range(2)]
    running = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        await promise(dsn, topic, cases, range(50))
        await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
        assert sum(relay.active for relay in relays) == 1
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    got: dict[uuid.UUID, list[str]] = {}
    for record in await read_all(kafka.bootstrap, topic):
        envelope = read_kafka(record.key, record.headers, record.value)
        got.setdefault(envelope.subject, []).append(envelope.id)
    assert got == {case: [str(number) for number in range(50)] for case in cases}


async def test_the_relay_that_stands_by_takes_over_when_the_leader_is_gone(kafka: Kafka, dsn: str) -> None:
    topic = await kafka.topic()
    first, second = (Relay(dsn, f"relay-{topic}", kafka.bootstrap, TELEMETRY) for _ in range(2))
    leading = asyncio.create_task(first.run())

    async def leads(relay: Relay) -> bool:
        return relay.active

    await eventually(lambda: leads(first))
    following = asyncio.create_task(second.run())
    leading.cancel()
    await asyncio.wait([leading])
    try:
        await promise(dsn, topic, [uuid.uuid4()], range(3))
        await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
        assert second.active
    finally:
        following.cancel()
        await asyncio.wait([following])


async def test_a_row_that_the_broker_refuses_holds_its_case_and_no_other(kafka: Kafka, dsn: str) -> None:
    topic = await kafka.topic(1)
    bad, good = uuid.uuid4(), uuid.uuid4()
    await promise(dsn, "no such topic!", [bad], range(1))
    await promise(dsn, topic, [good], range(3))
    relay = Relay(dsn, f"relay-{topic}", kafka.bootstrap, TELEMETRY)
    running = asyncio.create_task(relay.run())
    try:
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM outbox WHERE held IS NOT NULL"))
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM outbox"))
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert len(await read_all(kafka.bootstrap, topic)) == 3
    connection = await asyncpg.connect(dsn)
    try:
        assert await release_rows(connection, bad) == 1
    finally:
        await connection.close()


async def test_a_relay_that_planned_its_reads_while_the_outbox_was_empty_reads_it_by_its_indexes(
    kafka: Kafka, database: Database, dsn: str
) -> None:
    topic = await kafka.topic(1)
    outbox = f"{dsn.split('=')[-1]}.outbox"
    counted = f"FROM pg_stat_user_tables WHERE relid = '{outbox}'::regclass"
    relay = Relay(dsn, f"relay-{topic}", kafka.bootstrap, TELEMETRY)
    turns: set[float] = set()

    async def planned_for_good() -> bool:
        turns.add(relay.last_turn)
        return relay.active and len(turns) > 10  # PostgreSQL plans a statement anew five times

    owner = await asyncpg.connect(database.admin, server_settings={"enable_seqscan": "off"})
    try:
        await owner.execute(f"VACUUM ANALYZE {outbox}")
        before = await owner.fetchval(f"SELECT seq_scan {counted}")
        running = asyncio.create_task(relay.run())
        await eventually(planned_for_good)
        await promise(dsn, topic, [uuid.uuid4() for _ in range(40)], range(50))
        await eventually(lambda: owner.fetchval(f"SELECT count(*) = 0 FROM {outbox}"))
        running.cancel()
        await asyncio.wait([running])
        # What a session has done is counted when it ends.
        await eventually(lambda: owner.fetchval(f"SELECT n_tup_del = 2000 {counted}"))
        assert await owner.fetchval(f"SELECT seq_scan {counted}") == before
    finally:
        await owner.close()


async def test_a_parked_case_is_retried_in_order_after_its_defect_was_mended(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    case = uuid.uuid4()
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    await send(kafka.bootstrap, topic, [added(case, "1", 1), added(case, "2", 13), added(case, "3", 3)])
    async with started(handlers, topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 3 FROM event_log"))
    pool = await open_pool(dsn, "retry")
    try:
        still = await retry_case(pool, case, handlers, WRITERS, bytes.fromhex(DIGEST_KEY))
        assert (still.folded, still.left, still.reason) == (0, 2, "handler.RuntimeError")
        assert await discard_first(pool, case, handlers, "entered twice")
        done = await retry_case(pool, case, handlers, WRITERS, bytes.fromhex(DIGEST_KEY))
        assert (done.folded, done.left, done.reason) == (1, 0, None)
    finally:
        await pool.close()
    assert await value(dsn, "SELECT state->>'total' FROM cases") == "4"
    assert await value(dsn, "SELECT parked FROM cases") == 0
    assert await value(dsn, "SELECT array_agg(result ORDER BY id) FROM event_log") == ["folded", "discarded", "folded"]


async def test_an_event_whose_premise_never_comes_is_given_up_after_fourteen_days(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    case = uuid.uuid4()
    handlers = toy_handlers(topic, out, service=f"toy-{topic}", needs_opening=True)
    await send(kafka.bootstrap, topic, [added(case, "1", 1)])
    async with started(handlers, topic, dsn, kafka.bootstrap) as process:
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM event_log"))
        assert await expire_waiting(process.pool, handlers, WRITERS) == 0
        later = datetime.now(UTC) + timedelta(days=15)
        assert await expire_waiting(process.pool, handlers, WRITERS, later) == 1
        process.relay.wake()
        await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
    (record,) = await read_all(kafka.bootstrap, out)
    assert record.value == b'{"code":"wait_expired"}'


async def test_however_many_cases_wait_in_vain_each_is_given_up_as_a_whole(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    handlers = toy_handlers(topic, out, service=f"toy-{topic}", needs_opening=True)
    cases = [uuid.uuid4() for _ in range(450)]
    await send(kafka.bootstrap, topic, [added(case, number, 1) for case in cases for number in ("1", "2", "3")])
    async with started(handlers, topic, dsn, kafka.bootstrap) as process:
        await eventually(lambda: value(dsn, "SELECT count(*) = 1350 FROM event_log"))
        later = datetime.now(UTC) + timedelta(days=15)
        assert await expire_waiting(process.pool, handlers, WRITERS, later) == 1350
    assert await value(dsn, "SELECT count(*) FROM cases WHERE waiting <> '[]'") == 0
    assert await value(dsn, "SELECT max(times) FROM (SELECT count(*) AS times FROM event_log"
                            " WHERE topic = 'runtime' GROUP BY case_ref) AS t") == 1  # fmt: skip


async def test_the_same_event_delivered_again_after_a_restart_is_absorbed(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    case = uuid.uuid4()
    handlers = toy_handlers(topic, out, service=f"toy-{topic}", needs_opening=True)
    events = [enveloped(case, "0", Opened()), added(case, "1", 1)]
    await send(kafka.bootstrap, topic, events)
    async with started(handlers, topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 2 FROM event_log"))
    await send(kafka.bootstrap, topic, [*events, added(case, "2", 2)])
    async with started(handlers, topic, dsn, kafka.bootstrap) as process:
        await eventually(lambda: value(dsn, "SELECT count(*) = 3 FROM event_log"))
        await eventually(process.counted)
        assert process.consumer.counts.duplicates == 2
    state = await value(dsn, "SELECT state FROM cases")
    assert Sum.model_validate_json(state).total == 3
