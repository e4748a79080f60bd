"""Faults that once cost more than their own case: each is provoked again on the real parts."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from runtime.consume import Halt
from runtime.fold import Emitted, Outcome
from runtime.outbox import append_outbox
from runtime.relay import Relay
from tests.conftest import Database, Kafka
from tests.runtime.test_consume import read_all, value
from tests.runtime.toy import (
    TELEMETRY,
    Opened,
    Policy,
    Sum,
    added,
    enveloped,
    eventually,
    send,
    started,
    toy_handlers,
)
from tests.services.intake.test_stack import send_undecodable

pytestmark = pytest.mark.stack


async def as_owner(database: Database, dsn: str, statement: str) -> None:
    schema = dsn.rpartition("search_path=")[2]
    connection = await asyncpg.connect(database.admin)
    try:
        await connection.execute(f"SET search_path = {schema}; {statement}")
    finally:
        await connection.close()


async def test_a_header_name_that_the_client_cannot_decode_costs_only_its_record(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(2), await kafka.topic(1)
    cases = [uuid.uuid4() for _ in range(6)]
    await send(kafka.bootstrap, topic, [added(case, "1", 1) for case in cases])
    await send_undecodable(kafka.bootstrap, topic, added(cases[0], "2", 2))
    await send(kafka.bootstrap, topic, [added(case, "3", 3) for case in cases])
    async with started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 12 FROM event_log"))
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM dead_letter"))
    assert await value(dsn, "SELECT array_agg(DISTINCT state->>'total') FROM cases") == ["4"]


async def test_what_an_erased_case_said_is_kept_nowhere_also_in_the_batch_of_its_erasure(
    kafka: Kafka, dsn: str
) -> None:
    def on_erase(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        return Outcome(state, erase=True)

    topic, out = await kafka.topic(1), await kafka.topic(1)
    plain = toy_handlers(topic, out, service=f"toy-{topic}")
    handlers = replace(plain, on={**plain.on, Opened: on_erase})
    case = uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(case, "1", 1), enveloped(case, "2", Opened()), added(case, "3", 3)])
    async with started(handlers, topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 3 FROM event_log"))
        await eventually(lambda: value(dsn, "SELECT count(*) = 0 FROM outbox"))
    assert await value(dsn, "SELECT count(*) FROM event_log WHERE body IS NOT NULL") == 0
    assert await value(dsn, "SELECT erased AND state IS NULL FROM cases")
    assert [record.value for record in await read_all(kafka.bootstrap, out)] == [b'{"code":"case_erased"}']


async def test_a_state_that_cannot_be_read_parks_its_case_and_is_kept_as_it_is(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    sick, well = uuid.uuid4(), uuid.uuid4()
    await send(kafka.bootstrap, topic, [added(sick, "1", 1), added(well, "1", 1)])
    async with started(handlers, topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 2 FROM event_log"))
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("""UPDATE cases SET state = '{"total": "many"}' WHERE case_ref = $1""", sick)
    finally:
        await connection.close()
    await send(kafka.bootstrap, topic, [added(sick, "2", 2), added(well, "2", 2)])
    async with started(handlers, topic, dsn, kafka.bootstrap):
        await eventually(lambda: value(dsn, "SELECT count(*) = 4 FROM event_log"))
    assert await value(dsn, "SELECT array_agg(reason) FROM parked") == ["state_unreadable"]
    assert await value(dsn, "SELECT state->>'total' FROM cases WHERE case_ref = $1", sick) == "many"
    assert await value(dsn, "SELECT state->>'total' FROM cases WHERE case_ref = $1", well) == "3"


async def test_a_missing_right_on_a_table_halts_the_process_and_parks_nobody(
    kafka: Kafka, dsn: str, database: Database
) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    await as_owner(database, dsn, "REVOKE ALL ON noted FROM planning")
    await send(kafka.bootstrap, topic, [added(uuid.uuid4(), "1", 1)])
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    async with started(handlers, topic, dsn, kafka.bootstrap, halts=True) as process:
        with pytest.raises(Halt, match=r"sql\.42501"):
            await asyncio.wait_for(asyncio.shield(process.consumer.halted), 30)
    assert await value(dsn, "SELECT count(*) FROM parked") == 0


async def test_a_refused_row_is_overtaken_by_no_successor_of_its_case(kafka: Kafka, dsn: str) -> None:
    topic = await kafka.topic(1)
    bad, good = uuid.uuid4(), uuid.uuid4()
    big = replace(added(bad, "1", 1), data=b'{"amount": 1, "padding": "' + b"x" * 999_000 + b'"}')
    headers = [("ce_" + "n" * 60, b"v" * 60_000)]
    connection = await asyncpg.connect(dsn)
    try:
        await append_outbox(connection, [Emitted(topic, big), Emitted(topic, added(bad, "2", 2))])
        await append_outbox(connection, [Emitted(topic, added(good, "1", 1)), Emitted(topic, added(good, "2", 2))])
        # Headers that carry the first row over the broker's limit.
        await connection.execute(
            "UPDATE outbox SET headers = (headers::jsonb || jsonb_build_object($1::text, $2::text))::text"
            " WHERE id = (SELECT min(id) FROM outbox)",
            headers[0][0],
            headers[0][1].decode(),
        )
    finally:
        await connection.close()
    relay = Relay(dsn, f"relay-{topic}", kafka.bootstrap, TELEMETRY)
    running = asyncio.create_task(relay.run())
    try:
        await eventually(lambda: value(dsn, "SELECT count(*) = 2 FROM outbox"))
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM outbox WHERE held IS NOT NULL"))
    finally:
        running.cancel()
        await asyncio.wait([running])
    published = await read_all(kafka.bootstrap, topic)
    assert [record.key for record in published] == [str(good).encode()] * 2
