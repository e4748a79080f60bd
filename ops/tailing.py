"""The command that follows a case while it happens."""

from __future__ import annotations

import asyncio
import json as json_
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from ops import kafka
from ops.app import Json, answer, app, say
from ops.story import detail_of, short_name
from ops.target import CommandError, target
from workhardening_contracts import registry
from workhardening_contracts.envelope import Unreadable, read_kafka
from workhardening_contracts.kafka import client_options

TOPICS = (
    registry.CLINIC_TOPIC, registry.INTAKE_TOPIC, registry.PLANNING_TOPIC, registry.PROGRESS_TOPIC,
    registry.REJECTIONS_TOPIC,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """One record of a case, with what `whp case` shows of an event and nothing more."""

    published: datetime
    topic: str
    partition: int
    offset: int
    time: datetime | None
    """Business time; None of a record that cannot be read."""
    source: str
    what: str
    detail: str
    id: str


@app.command
def tail(ref: UUID, *, from_start: bool = False, json: Json = False) -> None:
    """Follow a case: each event of it as it is published, by whomever, until Ctrl-C.

    Parameters
    ----------
    ref
        The case reference.
    from_start
        Begin with what the topics still hold of it, 30 days at most.
    """

    async def follow() -> None:
        async for said in following(target().kafka, ref, from_start=from_start):
            answer(json_.dumps(asdict(said), default=str) if json else _line(said))
            sys.stdout.flush()  # into a pipe, too, while it happens

    try:
        asyncio.run(follow())
    except KeyboardInterrupt:
        return  # how it is meant to end


def _line(said: Said) -> str:
    by = said.source.rpartition("/")[2]
    return f"{said.published.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {by:10} {said.what}  {said.detail}".rstrip()


async def following(bootstrap: str, case: UUID, *, from_start: bool) -> AsyncGenerator[Said]:
    """The case's records, without end; those that were there before in the order in which they were published."""
    key, partition_of = str(case).encode(), DefaultPartitioner()
    known = await kafka.partitions(bootstrap)
    if missing := [topic for topic in TOPICS if topic not in known]:
        raise CommandError(f"{', '.join(missing)} does not exist: run `whp topics apply`")
    # A case's records all lie in one partition of a topic.
    numbers = {topic: sorted(place.partition for place in known[topic]) for topic in TOPICS}
    places = [TopicPartition(topic, partition_of(key, all_, all_)) for topic, all_ in numbers.items()]
    consumer: Any = AIOKafkaConsumer(
        **client_options(bootstrap), auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=100
    )
    await asyncio.wait_for(consumer.start(), 20)
    try:
        if from_start:
            before = [record async for record in kafka.read_to(consumer, places) if record.key == key]
            for record in sorted(before, key=lambda record: record.timestamp):
                yield said_of(record)
        else:
            consumer.assign(places)
            for place, end in (await consumer.end_offsets(places)).items():
                consumer.seek(place, end)
        say(f"following {case}; Ctrl-C ends it")
        async for record in consumer:
            if record.key == key:
                yield said_of(record)
    finally:
        await consumer.stop()


def said_of(record: Any) -> Said:
    """What may be shown of a record."""
    place = (datetime.fromtimestamp(record.timestamp / 1000, UTC), record.topic, record.partition, record.offset)
    try:
        envelope = read_kafka(record.key, record.headers, record.value)
    except Unreadable as error:
        return Said(*place, None, "", "unreadable", error.code, "")
    detail = detail_of(envelope.data)
    return Said(*place, envelope.time, envelope.source, short_name(envelope.type), detail, envelope.id)
