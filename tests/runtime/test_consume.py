"""The runtime on a real Kafka and a real PostgreSQL, with a toy service."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.cases import add_partitions, lock_partitions
from tests.conftest import Database, Kafka
from tests.runtime.toy import (
    Opened,
    added,
    enveloped,
    eventually,
    send,
    send_raw,
    started,
    toy_handlers,
)
from workhardening_contracts.envelope import read_kafka, write_kafka
from workhardening_contracts.kafka import client_options

pytestmark = pytest.mark.stack


async def value(dsn: str, query: str, *args: Any) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query, *args)
    finally:
        await connection.close()


async def read_all(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic, partition by partition, to the end as it is now."""
    consumer: Any = AIOKafkaConsumer(
        **client_options(bootstrap), auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in await _partitions(consumer, topic)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        records: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


async def _partitions(consumer: Any, topic: str) -> list[int]:
    metadata = await consumer._client.fetch_all_metadata()  # pyright: ignore[reportPrivateUsage]
    return sorted(metadata.partitions_for_topic(topic))


async def test_every_event_has_its_effect_once_and_in_order_of_its_case(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(), await kafka.topic()
    cases = [uuid.uuid4() for _ in range(5)]
    envelopes = [added(case, f"{case}-{nth}", nth) for nth in range(20, 60) for case in cases]
    await send(kafka.bootstrap, topic, envelopes + envelopes[:50])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 200 FROM event_log"))
        await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
    assert await value(dsn, "SELECT count(*) FROM noted") == 200
    by_case: dict[uuid.UUID, list[int]] = {}
    for record in await read_all(kafka.bootstrap, out):
        envelope = read_kafka(record.key, record.headers, record.value)
        assert envelope.sequence is not None
        by_case.setdefault(envelope.subject, []).append(envelope.sequence)
    assert by_case == {case: list(range(1, 41)) for case in cases}


async def test_a_service_that_starts_again_resumes_from_its_committed_offsets(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(), await kafka.topic()
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    case = uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(case, "1", 1)])
    async with started(handlers, topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM event_log"))
    await send(kafka.bootstrap, topic, [added(case, "2", 2)])
    async with started(handlers, topic, dsn, kafka.bootstrap) as process:
        await eventually(lambda: value(dsn, "SELECT count(*) = 2 FROM event_log"))
        await eventually(process.counted)
        assert process.consumer.counts.records == 1
        assert process.consumer.counts.duplicates == 0


async def test_records_that_are_nothing_to_a_service_are_passed_over_without_a_transaction(
    kafka: Kafka, dsn: str
) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    await send(kafka.bootstrap, topic, [enveloped(uuid.uuid4(), "1", Opened())])
    async with holding_partitions(dsn):
        async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process:
            await eventually(process.counted)
        assert process.consumer.counts.records == 1


@asynccontextmanager
async def holding_partitions(dsn: str) -> AsyncGenerator[None]:
    """Meanwhile no batch can be written."""
    connection = await asyncpg.connect(dsn)
    try:
        await add_partitions(connection, 4)
        async with connection.transaction():
            await lock_partitions(connection, range(4))
            yield
    finally:
        await connection.close()


async def test_a_failing_handler_parks_its_case_and_nobody_elses_and_shows_no_text(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    sick, well = uuid.uuid4(), uuid.uuid4()
    await send(
        kafka.bootstrap,
        topic,
        [added(sick, "1", 1), added(sick, "2", 13), added(well, "1", 5), added(sick, "3", 2), added(well, "2", 6)],
    )
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 5 FROM event_log"))
    assert await value(dsn, "SELECT array_agg(reason ORDER BY id) FROM parked") == [
        "handler.RuntimeError",
        "behind_parked",
    ]
    assert await value(dsn, "SELECT parked FROM cases WHERE case_ref = $1", sick) == 2
    assert await value(dsn, "SELECT state->>'total' FROM cases WHERE case_ref = $1", well) == "11"


async def test_an_effect_that_cannot_be_written_parks_only_its_own_case(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    sick, well = uuid.uuid4(), uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(well, "1", 1), added(sick, "1", 99), added(well, "2", 2)])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 3 FROM event_log"))
    assert await value(dsn, "SELECT array_agg(reason) FROM parked") == ["write.sql.23514.noted_amount_check"]
    assert await value(dsn, "SELECT state->>'total' FROM cases WHERE case_ref = $1", well) == "3"


async def test_records_that_cannot_be_read_are_kept_and_stop_nothing(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    case = uuid.uuid4()
    key, headers, body = write_kafka(added(case, "1", 1))
    await send_raw(
        kafka.bootstrap,
        topic,
        [
            (key, [("ce_id", None)], body),
            (key, [("ce_id", b"\xff\xfe")], body),
            (b"nobody", [], None),
            (key, headers, b'{"amount": NaN}'),
            (key, headers, b'{"amount": "one"}'),
            (key, [*headers[:-1], ("content-type", b"text/plain")], body),
        ],
    )
    await send(kafka.bootstrap, topic, [added(case, "9", 9)])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM event_log WHERE result = 'folded'"))
    assert await value(dsn, 'SELECT array_agg(reason ORDER BY "offset") FROM dead_letter') == [
        "envelope.header",
        "envelope.header",
        "envelope.no_data",
        "id_reused",
        "envelope.content_type",
    ]
    assert await value(dsn, "SELECT count(*) FROM event_log WHERE result = 'rejected'") == 1


async def test_a_refusal_becomes_a_rejection_whose_id_is_its_place(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    service = f"toy-{topic}"
    await send(kafka.bootstrap, topic, [added(uuid.uuid4(), "1", 7)])
    async with started(toy_handlers(topic, out, service=service), topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM event_log WHERE result = 'rejected'"))
        await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
    (record,) = await read_all(kafka.bootstrap, out)
    envelope = read_kafka(record.key, record.headers, record.value)
    assert (envelope.id, envelope.sequence, envelope.data) == (f"{service}.{topic}.0.0", None, b'{"code":"unlucky"}')


async def test_an_event_waits_for_its_premise_and_is_folded_when_it_comes(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    case = uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(case, "1", 1), added(case, "2", 2), enveloped(case, "0", Opened())])
    handlers = toy_handlers(topic, out, service=f"toy-{topic}", needs_opening=True)
    async with started(handlers, topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 3 FROM event_log"))
    assert await value(dsn, "SELECT state->>'total' FROM cases") == "3"
    assert await value(dsn, "SELECT waiting::text FROM cases") == "[]"


async def test_members_that_come_and_go_lose_and_repeat_nothing(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(), await kafka.topic()
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    cases = [uuid.uuid4() for _ in range(8)]
    numbers = [number for number in range(20, 60) if number not in (13, 7, 99)]

    async def send_round(start: int, end: int) -> None:
        await send(
            kafka.bootstrap,
            topic,
            [added(case, str(number), number) for number in numbers[start:end] for case in cases],
        )

    async with started(handlers, topic, dsn, kafka.bootstrap, batch_records=20):
        await send_round(0, 10)
        async with started(handlers, topic, dsn, kafka.bootstrap, batch_records=20) as second:
            await send_round(10, 20)
            await eventually(lambda: value(dsn, "SELECT count(*) = 160 FROM event_log"))
            assert second.consumer.consumer.assignment()
        await send_round(20, 40)
        await eventually(lambda: value(dsn, "SELECT count(*) = 320 FROM event_log"))
        await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
    assert await value(dsn, "SELECT count(*) FROM noted") == 320
    totals: dict[uuid.UUID, list[bytes]] = {}
    for record in await read_all(kafka.bootstrap, out):
        envelope = read_kafka(record.key, record.headers, record.value)
        totals.setdefault(envelope.subject, []).append(envelope.data)
    expected: list[bytes] = []
    total = 0
    for number in numbers:
        total += number
        expected.append(b'{"total":%d}' % total)
    assert totals == dict.fromkeys(cases, expected)


async def test_backends_killed_in_the_middle_cost_nothing(kafka: Kafka, dsn: str, database: Database) -> None:
    topic, out = await kafka.topic(), await kafka.topic()
    cases = [uuid.uuid4() for _ in range(10)]
    admin = await asyncpg.connect(database.admin)
    try:
        async with started(
            toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap, batch_records=10
        ) as process:
            for number in range(20, 40):
                await send(kafka.bootstrap, topic, [added(case, str(number), number) for case in cases])
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'toy'"
                )
            await eventually(lambda: value(dsn, "SELECT count(*) = 200 FROM event_log"))
            await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
            assert not process.consumer.halted.done()
    finally:
        await admin.close()
    assert await value(dsn, "SELECT count(*) FROM noted") == 200
    assert await value(dsn, "SELECT count(DISTINCT state->>'total') FROM cases") == 1
