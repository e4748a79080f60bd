"""What an attacker sends to the running program, and how to see what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID, uuid4

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from ops.target import SERVICES
from runtime.fold import Position
from tests.e2e.events import MONDAY
from tests.e2e.place import Place, await_that
from tests.services.intake.cases import referral
from workhardening_contracts.clinic import Authorisation, ReferralReceived, Session, SessionRecorded
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, clinic_source, event_of, write_kafka, write_structured
from workhardening_contracts.kafka import client_options

CLINIC = "abuse"
OWN_TOPIC = f"clinic.{CLINIC}.events.v1"
PARTITIONS = 12
"""Of every topic that is keyed by the case (contracts/topics)."""
CANARY = "canary-7731"

Headers = Sequence[tuple[str, bytes | None]]
Raw = tuple[bytes | None, Headers, bytes | None]
"""Key, headers and value."""


def said(data: EventData, case: UUID, clinic: str = CLINIC, at: datetime | None = None) -> Envelope:
    """An event of the clinic."""
    when = at or datetime.combine(MONDAY, time(18), UTC)
    return event_of(data, id=uuid4().hex, source=clinic_source(clinic), subject=case, time=when)


def referred(case: UUID, clinic: str = CLINIC) -> Envelope:
    """The event that opens a case."""
    return said(ReferralReceived(referral=referral(authorisation=Authorisation(required=False))), case, clinic)


def session(case: UUID, note: str | None = None) -> Envelope:
    """A session."""
    return said(SessionRecorded(session=Session(held_on=MONDAY, attendance="attended", hours=2.0, note=note)), case)


def document(envelope: Envelope, **changes: Any) -> bytes:
    """The event as a structured body, with these attributes changed."""
    return json.dumps({**write_structured(envelope), **changes}).encode()


def with_session(envelope: Envelope, member: str) -> bytes:
    """The event's data with this text added as a member of the session: what no library would write."""
    assert envelope.data.endswith(b"}}")
    return envelope.data[:-2] + b"," + member.encode() + b"}}"


def case_on(partition: int) -> UUID:
    """A new case whose events lie on this partition."""
    partitioner, every = DefaultPartitioner(), list(range(PARTITIONS))
    while True:
        case = uuid4()
        if partitioner(str(case).encode(), every, every) == partition:
            return case


def send(place: Place, topic: str, raw: Raw, partition: int | None = None) -> Position:
    """Write a record past every check."""
    return asyncio.run(_send(place.stack().kafka, topic, raw, partition))


async def _send(bootstrap: str, topic: str, raw: Raw, partition: int | None) -> Position:
    producer: Any = AIOKafkaProducer(**client_options(bootstrap), max_request_size=2_000_000)
    await producer.start()
    try:
        key, headers, value = raw
        at = await producer.send_and_wait(topic, value, key=key, headers=list(headers), partition=partition)
    finally:
        await producer.stop()
    return Position(topic, at.partition, at.offset)


def the_next_is_taken(place: Place, at: Position) -> None:
    """A good record of another case behind this one is folded: the offset has moved on."""
    case = uuid4() if at.topic == OWN_TOPIC else case_on(at.partition)
    good = referred(case)
    behind = send(place, at.topic, write_kafka(good), at.partition)
    assert behind.partition == at.partition
    assert behind.offset > at.offset
    await_that(lambda: logged(place, "intake", good.id) == "folded", f"the record behind {at}")


def logged(place: Place, service: str, id_: str) -> str | None:
    """What a service's event log says of an event."""
    rows = place.query(service, "SELECT result FROM event_log WHERE id = $1", id_)
    assert len(rows) <= 1
    return rows[0]["result"] if rows else None


def dead_letter(place: Place, at: Position) -> str | None:
    """Why a record was kept as a dead letter, if it was: by one service, and only once."""
    found = [
        row["reason"]
        for service in SERVICES
        for row in place.query(
            service,
            'SELECT reason FROM dead_letter WHERE topic = $1 AND partition = $2 AND "offset" = $3',
            *(at.topic, at.partition, at.offset),
        )
    ]
    assert len(found) <= 1, found
    return found[0] if found else None


def refusals(place: Place, case: UUID) -> list[str]:
    """The codes of the rejections that the clinic reads in its feed."""
    rows = place.query(
        "notify",
        "SELECT event -> 'data' ->> 'code' AS code FROM feed"
        " WHERE case_ref = $1 AND event ->> 'type' LIKE '%.event.rejected.v1' ORDER BY id",
        case,
    )
    return [row["code"] for row in rows]


def assert_no_effect(place: Place, case: UUID) -> None:
    """No service has folded anything of the case but a rejection, keeps anything waiting, or tells anyone."""
    for service in SERVICES:
        taken = "result IN ('folded', 'waiting') AND type NOT LIKE '%.event.rejected.v1'"
        assert place.count(service, f"event_log WHERE case_ref = '{case}' AND {taken}") == 0, service
        assert place.count(service, f"cases WHERE case_ref = '{case}' AND parked > 0") == 0, service
    assert place.count("notify", f"deliveries WHERE case_ref = '{case}'") == 0
    assert place.count("notify", f"messages WHERE case_ref = '{case}'") == 0


def counter(place: Place, service: str, name: str) -> float:
    """A figure of a service's /metrics, over all its labels."""
    port = place.stack().services[service].port
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60, trust_env=False)
    figures = [line for line in answer.text.splitlines() if line.startswith(f"{name}{{")]
    assert figures, answer.text
    return sum(float(line.rsplit(maxsplit=1)[1]) for line in figures)


class Log:
    """What a service writes into its log from now on."""

    def __init__(self, place: Place, service: str) -> None:
        self._file = place.folder / "logs" / f"{service}.log"
        self._begin = self._file.stat().st_size

    def lines(self) -> list[dict[str, Any]]:
        """Every line is a JSON object: nothing that was sent has broken one."""
        with self._file.open("rb") as file:
            file.seek(self._begin)
            return [json.loads(line) for line in file.read().decode().splitlines()]

    def saying(self, message: str, **fields: str) -> list[dict[str, Any]]:
        """The lines with this message and these fields."""
        return list(self._saying(message, fields))

    def _saying(self, message: str, fields: dict[str, str]) -> Iterator[dict[str, Any]]:
        for line in self.lines():
            if line["message"] == message and fields.items() <= line.items():
                yield line
