"""Reading topics to their end, for reconciliation and counts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from workhardening_contracts.kafka import client_options

OWN_TOPIC = re.compile(r"^clinic\.(?!events\.|rejections\.)(?P<clinic>.+)\.events\.v1$")
EMPLOYER_TOPIC = re.compile(r"^employer\.(?P<employer>.+)\.readiness\.v1$")


async def records(bootstrap: str, topics: Sequence[str]) -> AsyncGenerator[Any]:
    """Every record of these topics from the beginning to the end as it is now, each partition in order."""
    known = await partitions(bootstrap)
    consumer: Any = AIOKafkaConsumer(
        **client_options(bootstrap), auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=50
    )
    await asyncio.wait_for(consumer.start(), 20)
    try:
        async for record in read_to(consumer, [place for topic in topics for place in known.get(topic, [])]):
            yield record
    finally:
        await consumer.stop()


async def read_to(consumer: Any, places: Sequence[TopicPartition]) -> AsyncGenerator[Any]:
    """What a started consumer of no group finds in these partitions, from the beginning to the end as it is now."""
    if not places:
        return
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    begins = await consumer.beginning_offsets(places)
    for place in places:
        consumer.seek(place, begins[place])
    open_places = {place for place in places if ends[place] > begins[place]}
    while open_places:
        for batch in (await consumer.getmany(timeout_ms=200, max_records=5000)).values():
            for record in batch:
                if record.offset < ends[TopicPartition(record.topic, record.partition)]:
                    yield record
        open_places = {place for place in open_places if await consumer.position(place) < ends[place]}


async def topic_names(bootstrap: str) -> list[str]:
    """All topics but Kafka's own."""
    return sorted(await partitions(bootstrap))


async def partitions(bootstrap: str) -> dict[str, list[TopicPartition]]:
    """The partitions of all topics but Kafka's own."""
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap))
    await asyncio.wait_for(admin.start(), 20)
    try:
        names = [name for name in await admin.list_topics() if not name.startswith("_")]
        return {
            topic["topic"]: [TopicPartition(topic["topic"], entry["partition"]) for entry in topic["partitions"]]
            for topic in await admin.describe_topics(names)
        }
    finally:
        await admin.close()


async def lag(bootstrap: str, group: str, topics: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Topic -> (records written, records that the group has not committed)."""
    known = await partitions(bootstrap)
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap))
    consumer: Any = AIOKafkaConsumer(**client_options(bootstrap), enable_auto_commit=False)
    try:
        await asyncio.wait_for(admin.start(), 20)
        await asyncio.wait_for(consumer.start(), 20)
        committed = await admin.list_consumer_group_offsets(group)
        found: dict[str, tuple[int, int]] = {}
        for topic in topics:
            places = known.get(topic, [])
            ends: dict[Any, int] = await consumer.end_offsets(places) if places else {}
            done = [max(committed[place].offset, 0) if place in committed else 0 for place in places]
            found[topic] = (sum(ends.values()), sum(ends.values()) - sum(done))
        return found
    finally:
        await consumer.stop()
        await admin.close()
