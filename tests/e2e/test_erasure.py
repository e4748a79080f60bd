"""`whp erase` on the running program: nothing of what was said is left in any table, and no replay brings it back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.topics import read_specs
from ops.demo import drained
from ops.kafka import records, topic_names
from ops.target import SERVICES
from tests.e2e.events import MONDAY, document, lines, opening, session
from tests.e2e.place import Place, await_that
from tests.ops.in_process import Command, assert_one_sentence
from tests.services.intake.cases import referral
from workhardening_contracts.clinic import ReferralReceived
from workhardening_contracts.kafka import client_options

pytestmark = pytest.mark.stack

TOPICS = Path(__file__).parents[2] / "contracts" / "topics"
DAY_MS = 24 * 60 * 60 * 1000
CANARY = "canary-4411"
CANARIES = (CANARY, CANARY.encode().hex())
"""As text, and as a table's bytes are shown."""


def with_canaries(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events with a canary in each field that holds a person's words or name."""
    for event in events:
        parts: dict[str, Any] = event["data"]
        for part in (parts[name] for name in ("referral", "session") if name in parts):
            for name in ("worker_ref", "employee_key", "note"):
                if name in part:
                    part[name] = f"{CANARY}-{name}"
            if "injury" in part:
                part["injury"]["body_part"] = f"{CANARY} back"
            if "job" in part:
                part["job"]["title"] = f"{CANARY} picker"
    return events


def noted(case: UUID, day: date) -> dict[str, Any]:
    event = session(case, day)
    event["data"]["session"]["note"] = "x"
    return event


def publish(command: Command, events: list[dict[str, Any]]) -> None:
    ran = command("publish", "-", given=lines(events))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def tables(place: Place, *, of: UUID | None = None) -> dict[str, list[str]]:
    """Every row of every table that holds a canary, or those of one case; as text, by table."""
    return asyncio.run(_tables(place.stack().database, of))


async def _tables(url: str, case: UUID | None) -> dict[str, list[str]]:
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        assert len(names) > 30, "five services have their tables"
        wanted = [str(case)] if case else list(CANARIES)
        found: dict[str, list[str]] = {}
        for (name,) in names:
            where = "EXISTS (SELECT 1 FROM unnest($1::text[]) AS w WHERE position(w IN t::text) > 0)"
            rows = await connection.fetch(f"SELECT t::text FROM {name} t WHERE {where} ORDER BY 1", wanted)
            if rows:
                found[name] = [row[0] for row in rows]
        return found
    finally:
        await connection.close()


async def every_record(place: Place) -> AsyncIterator[Any]:
    bootstrap = place.stack().kafka
    async for record in records(bootstrap, await topic_names(bootstrap)):
        yield record


async def topics_with_canaries(place: Place) -> set[str]:
    return {
        record.topic
        async for record in every_record(place)
        if any(canary.encode() in (record.value or b"") for canary in CANARIES)
    }


async def settings_of(bootstrap: str, topics: set[str]) -> dict[str, dict[str, str]]:
    """What the broker really does with these topics."""
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap))
    await admin.start()
    try:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        answers = await admin.describe_configs(asked)
        return {
            resource[3]: {entry[0]: entry[1] for entry in resource[4]}
            for answer in answers
            for resource in answer.resources
        }
    finally:
        await admin.close()


async def replay(place: Place, case: UUID) -> int:
    """Every record of the case once more, on its own topic, as after a restore or a rewound offset."""
    old = [record async for record in every_record(place) if record.key == str(case).encode()]
    producer: Any = AIOKafkaProducer(**client_options(place.stack().kafka))
    await producer.start()
    try:
        for record in old:
            await producer.send_and_wait(
                record.topic, record.value, key=record.key, headers=list(record.headers), partition=record.partition
            )
    finally:
        await producer.stop()
    return len(old)


def erased(command: Command, case: UUID) -> dict[str, Any]:
    ran = command("erase", case, "--reason", "worker_request", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    assert said["erased"]
    return said


def test_after_an_erasure_nothing_that_was_said_is_left_and_a_replay_changes_nothing(
    steady: Place, command: Command
) -> None:
    case = uuid4()
    sent = with_canaries([*opening(case, "acme-logistics"), *(noted(case, date(2026, 3, day)) for day in (10, 11))])
    publish(command, sent)
    asyncio.run(drained(steady.target()))
    await_that(lambda: steady.count("notify", f"deliveries WHERE case_ref = '{case}'"), "something to tell")
    before = tables(steady)
    assert {"intake.cases", "intake.event_log", "planning.cases", "progress.cases", "notify.feed"} <= before.keys()

    said = erased(command, case)
    assert [(each["service"], each["erased"]) for each in said["services"]] == [(name, True) for name in SERVICES]
    assert said["event"].startswith("operations.erasure.worker_request.")
    asyncio.run(drained(steady.target()))
    assert tables(steady) == {}

    # A topic cannot forget one record. It forgets all of them: in 30 days, and the day that a segment takes.
    retained = asyncio.run(topics_with_canaries(steady))
    assert retained >= {"clinic.events.v1", "intake.events.v1", "planning.events.v1"}
    declared = {spec.name: spec for spec in read_specs(TOPICS)}
    for topic, real in asyncio.run(settings_of(steady.stack().kafka, retained)).items():
        spec = declared[topic]
        assert spec.retention_days is not None
        assert spec.retention_days <= 30
        assert int(real["retention.ms"]) == spec.retention_days * DAY_MS
        assert int(real["segment.ms"]) <= DAY_MS
        assert real["cleanup.policy"] == "delete"

    # It is receipted and logged like any other event of the clinic, with who did it and why in its id.
    receipt = steady.query("intake", "SELECT source, case_ref, type FROM receipts WHERE id = $1", said["event"])[0]
    assert (receipt["source"], receipt["case_ref"]) == ("/clinics/north", case)
    for service in SERVICES:
        assert steady.count(service, f"event_log WHERE id = '{said['event']}' AND result = 'folded'") == 1

    held = tables(steady, of=case)
    assert asyncio.run(replay(steady, case)) > 8
    asyncio.run(drained(steady.target()))
    assert tables(steady, of=case) == held
    assert tables(steady) == {}
    publish(command, sent)  # the clinic's own system sends all of it again
    asyncio.run(drained(steady.target()))
    assert tables(steady) == {}
    assert {name: len(rows) for name, rows in tables(steady, of=case).items()} == {
        name: len(rows) for name, rows in held.items()
    }


def test_a_case_that_only_some_services_know_is_erased_with_what_waits_for_it_elsewhere(
    steady: Place, command: Command
) -> None:
    """A referral that lacks something, and sessions that were reported all the same: progress has no case for them."""
    case = uuid4()
    unclear = document(ReferralReceived(referral=referral(medical_clearance="unknown")), case)
    publish(command, with_canaries([unclear, noted(case, MONDAY)]))
    asyncio.run(drained(steady.target()))
    assert (
        steady.query("progress", "SELECT jsonb_array_length(waiting) FROM cases WHERE case_ref = $1", case)[0][0] == 1
    )
    said = erased(command, case)
    assert {each["service"]: (each["erased"], each["waiting"]) for each in said["services"]} == {
        "intake": (True, 0),
        "planning": (False, 0),
        "progress": (False, 0),
        "notify": (True, 0),
        "console": (True, 0),
    }
    asyncio.run(drained(steady.target()))
    assert tables(steady) == {}
    held = tables(steady, of=case)
    asyncio.run(replay(steady, case))
    asyncio.run(drained(steady.target()))
    assert tables(steady, of=case) == held
    again = command("erase", case, "--reason", "worker_request")
    assert_one_sentence(again, "is erased already")


def test_an_erasure_that_cannot_be_is_refused(command: Command) -> None:
    case = uuid4()
    assert_one_sentence(command("erase", case, "--reason", "worker_request"), "no service knows case")
    assert_one_sentence(command("erase", case, "--reason", "because"), "one of worker_request, opened_in_error")
    assert command("erase", case).returncode == 2
    assert command("erase", "no-case", "--reason", "worker_request").returncode == 2
