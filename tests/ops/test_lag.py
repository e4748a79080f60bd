"""How far a consumer group is behind, on a real Kafka."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from ops.kafka import lag, records
from tests.conftest import Kafka
from workhardening_contracts.kafka import client_options

pytestmark = pytest.mark.stack


async def filled(kafka: Kafka, count: int) -> str:
    """A topic of two partitions with so many records in each."""
    topic = await kafka.topic(partitions=2)
    producer: Any = AIOKafkaProducer(**client_options(kafka.bootstrap))
    await producer.start()
    for number in range(count):
        for partition in (0, 1):
            await producer.send_and_wait(topic, str(number).encode(), partition=partition)
    await producer.stop()
    return topic


async def test_a_record_behind_the_committed_offset_counts(kafka: Kafka) -> None:
    topic, group = await filled(kafka, 3), f"group-{uuid.uuid4().hex}"
    consumer: Any = AIOKafkaConsumer(**client_options(kafka.bootstrap), group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
    await consumer.commit({TopicPartition(topic, 0): 3, TopicPartition(topic, 1): 2})
    assert await lag(kafka.bootstrap, group, [topic]) == {topic: (6, 1)}
    await consumer.commit({TopicPartition(topic, 1): 3})
    assert await lag(kafka.bootstrap, group, [topic]) == {topic: (6, 0)}
    await consumer.stop()


async def test_a_group_that_never_committed_is_behind_by_everything(kafka: Kafka) -> None:
    topic = await filled(kafka, 3)
    assert await lag(kafka.bootstrap, f"nobody-{uuid.uuid4().hex}", [topic]) == {topic: (6, 6)}


async def test_every_record_is_read_to_the_end_and_each_partition_in_order(kafka: Kafka) -> None:
    topic, empty = await filled(kafka, 40), await kafka.topic()
    read = [record async for record in records(kafka.bootstrap, [topic, empty, "there.is.none"])]
    for partition in (0, 1):
        assert [int(record.value) for record in read if record.partition == partition] == list(range(40))
