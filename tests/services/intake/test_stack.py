"""Intake's tables and its bridge on a real PostgreSQL and a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.record.util import calc_crc32c

from runtime.db import Pool, open_pool
from runtime.fold import Position
from runtime.relay import Publisher
from runtime.running import Running
from runtime.telemetry import set_up_traces
from services.intake import demand_library
from services.intake.admission import admit
from services.intake.bridge import run_bridge
from services.intake.demand_library import BadFile
from services.intake.effects import CaseloadRow, ReceiptRejected, write_caseload, write_rejected_receipts
from services.intake.receipts import PostgresReceipts
from services.intake.screening import ALL_CASES, Claim, close_all
from services.intake.templates import find_templates, import_templates
from tests.conftest import Database, Kafka
from tests.runtime.toy import eventually, send_raw, settings
from tests.services.intake.cases import CASE, NOON, TODAY, assessed
from tests.services.intake.desk import MemoryBroker, desk_of
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import Envelope, event_of, read_kafka, write_kafka, write_structured
from workhardening_contracts.kafka import client_options

pytestmark = pytest.mark.stack

SAMPLE = Path(demand_library.__file__).parent / "data" / "ors_2018_sample.csv"


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.dsn("intake"), "intake-test", size=8)
    yield opened
    await opened.close()


@pytest.fixture
def receipts(pool: Pool) -> PostgresReceipts:
    return PostgresReceipts(pool)


def a_claim(id_: str, digest: bytes = b"one") -> Claim:
    return Claim("/clinics/north", id_, digest, CASE, DayClosed.TYPE)


def rejected(id_: str) -> ReceiptRejected:
    return ReceiptRejected("/clinics/north", id_, "case_exists", "/subject", "there is one", "correct it")


def an_id() -> str:
    return uuid4().hex


# Receipts


async def test_a_claim_is_pending_and_a_second_one_finds_the_first(receipts: PostgresReceipts) -> None:
    key = "/clinics/north", an_id()
    first = await receipts.claim([a_claim(key[1])])
    second = await receipts.claim([a_claim(key[1], b"two")])
    assert (first[key].digest, first[key].status) == (b"one", "pending")
    assert second[key].digest == b"one", "which is how another body is noticed"


async def test_a_hundred_claims_at_once_are_one_receipt(receipts: PostgresReceipts, pool: Pool) -> None:
    id_ = an_id()
    held = await asyncio.gather(*(receipts.claim([a_claim(id_, bytes([n]))]) for n in range(100)))
    assert len({found["/clinics/north", id_].digest for found in held}) == 1
    assert await pool.fetchval("SELECT count(*) FROM receipts WHERE id = $1", id_) == 1


async def test_claims_of_many_that_overlap_do_not_lock_each_other_out(receipts: PostgresReceipts) -> None:
    ids = [an_id() for _ in range(30)]
    forwards, backwards = [a_claim(id_) for id_ in ids], [a_claim(id_) for id_ in reversed(ids)]
    held = await asyncio.gather(*(receipts.claim(each) for each in (forwards, backwards) * 10))
    assert all(len(found) == 30 for found in held)


async def test_an_accepted_receipt_keeps_its_first_place(receipts: PostgresReceipts, pool: Pool) -> None:
    key = "/clinics/north", an_id()
    await receipts.claim([a_claim(key[1])])
    await receipts.accept({key: Position("clinic.events.v1", 3, 70)})
    await receipts.accept({key: Position("clinic.events.v1", 3, 99)})
    found = await receipts.find(*key)
    assert found is not None
    assert (found.status, found.reason) == ("accepted", None)
    row = await pool.fetchrow('SELECT partition, "offset" FROM receipts WHERE id = $1', key[1])
    assert row is not None
    assert tuple(row) == (3, 70)


async def test_a_rejection_stays_whether_it_is_quicker_or_slower_than_the_answer(
    receipts: PostgresReceipts, pool: Pool
) -> None:
    quick, slow = an_id(), an_id()
    await receipts.claim([a_claim(quick), a_claim(slow)])
    await receipts.accept({("/clinics/north", slow): Position("clinic.events.v1", 0, 1)})
    async with pool.acquire() as connection:
        await write_rejected_receipts(connection, [rejected(quick), rejected(slow), rejected(slow), rejected("none")])
    await receipts.accept({("/clinics/north", quick): Position("clinic.events.v1", 0, 2)})
    for id_ in (quick, slow):
        found = await receipts.find("/clinics/north", id_)
        assert found is not None
        assert found.status == "rejected"
        assert found.reason == {
            "code": "case_exists",
            "field": "/subject",
            "detail": "there is one",
            "mend": "correct it",
        }


async def test_another_clinic_finds_nothing(receipts: PostgresReceipts) -> None:
    id_ = an_id()
    await receipts.claim([a_claim(id_)])
    assert await receipts.find("/clinics/south", id_) is None


# The caseload


async def test_the_caseload_holds_open_cases_and_the_last_word_on_each(receipts: PostgresReceipts, pool: Pool) -> None:
    clinic, one, two = f"c{an_id()}", UUID(int=1), UUID(int=2)
    async with pool.acquire() as connection:
        await write_caseload(
            connection, [CaseloadRow(two, clinic, True), CaseloadRow(one, clinic, True), CaseloadRow(two, clinic, True)]
        )
        assert await receipts.open_cases(clinic) == [one, two]
        await write_caseload(connection, [CaseloadRow(one, clinic, True), CaseloadRow(one, clinic, False)])
    assert await receipts.open_cases(clinic) == [two]


async def test_a_day_is_closed_for_what_the_caseload_holds(receipts: PostgresReceipts, pool: Pool) -> None:
    clinic, cases = f"c{an_id()}", sorted(uuid4() for _ in range(250))
    async with pool.acquire() as connection:
        await write_caseload(connection, [CaseloadRow(case, clinic, True) for case in cases])
    broker = MemoryBroker()
    desk = desk_of(cast("Any", receipts), broker)
    closed = await admit(desk, clinic, close_all(clinic, TODAY), NOON)
    again = await admit(desk, clinic, close_all(clinic, TODAY), NOON)
    assert (closed.events, closed.repeated, again.repeated) == (250, 0, 250)
    pending = "SELECT count(*) FROM receipts WHERE source = $1 AND status = 'pending'"
    assert await pool.fetchval(pending, f"/clinics/{clinic}") == 0


# The job demand library


async def test_templates_are_stored_found_and_replaced(pool: Pool) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    async with pool.acquire() as connection:
        report = await import_templates(connection, text)
        assert (report.stored, report.figures, report.without_demand) == (12, 356, ())
        assert (await import_templates(connection, text)).stored == 12
        assert await connection.fetchval("SELECT count(*) FROM demand_templates") == 12
        (nurse,) = await find_templates(connection, "nursing ASS")
        assert nurse.profile is not None
        assert nurse.profile.basis == "template"
        assert [draft.figure.percent for draft in nurse.drafts if draft.demand == "lift/-/seldom"] == [63.7]
        assert [each.soc_code for each in await find_templates(connection, "5370")] == ["53706200", "53706400"]
        assert await find_templates(connection, "%") == []
        assert len(await find_templates(connection, "")) == 12


async def test_a_bad_file_stores_nothing(pool: Pool) -> None:
    text = SAMPLE.read_text(encoding="utf-8").replace("53706200", "53999900") + "half a line\n"
    async with pool.acquire() as connection:
        with pytest.raises(BadFile) as bad:
            await import_templates(connection, text)
        assert bad.value.line == len(text.splitlines())
        assert await find_templates(connection, "53999900") == []


# The bridge


@pytest.fixture
async def own_topic(kafka: Kafka) -> str:
    """A new clinic's topic."""
    name = f"clinic.t{an_id()}.events.v1"
    admin: Any = AIOKafkaAdminClient(**client_options(kafka.bootstrap))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()
    return name


@contextlib.asynccontextmanager
async def bridged(kafka: Kafka, pool: Pool, dsn: str) -> AsyncGenerator[None]:
    """Run the bridge until the block ends."""
    telemetry = set_up_traces("intake", 1.0)
    publisher = Publisher(kafka.bootstrap, "intake-test", telemetry)
    running = SimpleNamespace(
        settings=settings(dsn, kafka.bootstrap), pool=pool, publish=publisher.publish, telemetry=telemetry
    )
    task = asyncio.create_task(run_bridge(cast("Running", running)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await publisher.stop()


async def from_topic(bootstrap: str, topic: str, ids: set[str]) -> list[Envelope]:
    """The events of a topic that concern these, in order, once all of them are there."""
    consumer: Any = AIOKafkaConsumer(topic, **client_options(bootstrap), auto_offset_reset="earliest")
    await consumer.start()
    found: list[Envelope] = []
    try:
        async with asyncio.timeout(40):
            while not ids <= {each.id for each in found}:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    read = [read_kafka(record.key, record.headers, record.value) for record in batch]
                    found += [envelope for envelope in read if envelope.id in ids]
    finally:
        await consumer.stop()
    return found


async def test_a_clinics_topic_is_taken_in_order_and_bad_records_stop_nothing(
    kafka: Kafka, pool: Pool, database: Database, own_topic: str
) -> None:
    clinic = own_topic.split(".")[1]
    case = uuid4()

    def said(id_: str, source: str = f"/clinics/{clinic}", subject: UUID = case) -> Envelope:
        return event_of(assessed(), id=f"{clinic}-{id_}", source=source, subject=subject, time=NOON)

    key, headers, body = write_kafka(said("first"))
    structured = json.dumps(write_structured(said("second"))).encode()
    day = event_of(
        DayClosed(through=TODAY), id=f"{clinic}-day", source=f"/clinics/{clinic}", subject=ALL_CASES, time=NOON
    )
    async with pool.acquire() as connection:
        await write_caseload(connection, [CaseloadRow(case, clinic, True)])
    records = [
        (key, headers, body),
        (key, [*headers, ("ce_id", b"\xff")], body),
        (key, [("ce_id", b"x")], body),
        (b"nobody", None, None),
        write_kafka(said("foreign", "/clinics/another")),
        (key, [*write_kafka(said("bad"))[1]], b'{"assessed_on":"never"}'),
        (key, [*write_kafka(said("first"))[1]], b'{"assessed_on":"2026-03-01"}'),
        (key, [("content-type", b"application/cloudevents+json")], structured),
        write_kafka(day),
        write_kafka(said("last")),
    ]
    async with bridged(kafka, pool, database.dsn("intake")):
        await send_raw(kafka.bootstrap, own_topic, records)
        ids = {f"{clinic}-{name}" for name in ("first", "second", "last")}
        taken = await from_topic(kafka.bootstrap, "clinic.events.v1", ids)
        refusals = await from_topic(kafka.bootstrap, "clinic.rejections.v1", {f"intake.{own_topic}.0.5"})
    assert [envelope.id for envelope in taken] == [f"{clinic}-{name}" for name in ("first", "second", "last")]
    assert len(refusals) == 1
    rows = await pool.fetch('SELECT "offset", reason FROM dead_letter WHERE topic = $1 ORDER BY 1', own_topic)
    assert [tuple(row) for row in rows] == [
        (1, "envelope.header"),
        (2, "envelope.specversion"),
        (3, "envelope.no_data"),
        (4, "foreign_source"),
        (6, "id_reused"),
    ]
    closed = "SELECT count(*) FROM receipts WHERE source = $1 AND type = $2 AND status = 'accepted'"
    assert await pool.fetchval(closed, f"/clinics/{clinic}", DayClosed.TYPE) == 2


async def send_undecodable(bootstrap: str, topic: str, envelope: Envelope) -> None:
    """Produce a record with a header whose name is not UTF-8, which no well-behaved client does: the name is changed in
    the finished batch, and the batch's checksum (CRC-32C of all behind its 21st byte) with it."""
    producer: Any = AIOKafkaProducer(**client_options(bootstrap))
    await producer.start()
    try:
        key, headers, value = write_kafka(envelope)
        batch: Any = producer.create_batch()
        batch.append(key=key, value=value, timestamp=None, headers=[*headers, ("q-q-q", b"")])
        batch.close()
        written = bytearray(batch._build())
        at = written.index(b"q-q-q")
        written[at : at + 5] = b"\xff\xfe\xff\xfe\xff"
        written[17:21] = calc_crc32c(written[21:]).to_bytes(4, "big")
        batch._buffer = written
        await (await producer.send_batch(batch, topic, partition=0))
    finally:
        await producer.stop()


async def test_a_record_that_the_client_cannot_decode_stops_no_topic(
    kafka: Kafka, pool: Pool, database: Database, own_topic: str
) -> None:
    clinic = own_topic.split(".")[1]

    def said(id_: str) -> Envelope:
        return event_of(assessed(), id=f"{clinic}-{id_}", source=f"/clinics/{clinic}", subject=CASE, time=NOON)

    await send_raw(kafka.bootstrap, own_topic, [write_kafka(said("before"))])
    await send_undecodable(kafka.bootstrap, own_topic, said("bad"))
    await send_raw(kafka.bootstrap, own_topic, [write_kafka(said("after"))])
    async with bridged(kafka, pool, database.dsn("intake")):
        taken = await from_topic(kafka.bootstrap, "clinic.events.v1", {f"{clinic}-before", f"{clinic}-after"})
    assert [envelope.id for envelope in taken] == [f"{clinic}-before", f"{clinic}-after"]
    rows = await pool.fetch('SELECT "offset", reason FROM dead_letter WHERE topic = $1', own_topic)
    assert [tuple(row) for row in rows] == [(1, "kafka.undecodable")]


async def test_a_topic_that_is_made_later_is_taken_in_too_and_a_restart_goes_on_behind_what_was_committed(
    kafka: Kafka, pool: Pool, database: Database, own_topic: str
) -> None:
    clinic = own_topic.split(".")[1]

    def said(id_: str) -> Envelope:
        return event_of(assessed(), id=f"{clinic}-{id_}", source=f"/clinics/{clinic}", subject=CASE, time=NOON)

    for id_ in ("one", "two"):
        async with bridged(kafka, pool, database.dsn("intake")):
            await send_raw(kafka.bootstrap, own_topic, [write_kafka(said(id_))])
            receipt = PostgresReceipts(pool)

            async def accepted(receipt: PostgresReceipts = receipt, id_: str = id_) -> bool:
                found = await receipt.find(f"/clinics/{clinic}", f"{clinic}-{id_}")
                return found is not None and found.status == "accepted"

            await eventually(accepted)
            # Until the offset of what was taken in is committed.
            await eventually(lambda: committed(kafka.bootstrap, own_topic))
    taken = await from_topic(kafka.bootstrap, "clinic.events.v1", {f"{clinic}-one", f"{clinic}-two"})
    assert [envelope.id for envelope in taken] == [f"{clinic}-one", f"{clinic}-two"]


async def committed(bootstrap: str, topic: str) -> bool:
    """Whether the bridge's group has committed all that the topic holds."""
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap))
    await admin.start()
    consumer: Any = AIOKafkaConsumer(**client_options(bootstrap))
    await consumer.start()
    try:
        offsets: dict[Any, Any] = await admin.list_consumer_group_offsets("whp.intake-bridge")
        places = [place for place in offsets if place.topic == topic]
        ends: dict[Any, int] = await consumer.end_offsets(places) if places else {}
        return bool(ends) and all(offsets[place].offset == end for place, end in ends.items())
    finally:
        await consumer.stop()
        await admin.close()
