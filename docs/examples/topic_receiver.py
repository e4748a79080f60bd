"""Read work-status updates from an employer's own topic: topic_receiver.py KAFKA TOPIC. A real one goes on for ever."""

import asyncio
import json
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

from workhardening_contracts.envelope import read_kafka
from workhardening_contracts.kafka import client_options


async def receive(address: str, topic: str) -> None:
    consumer: Any = AIOKafkaConsumer(topic, **client_options(address), auto_offset_reset="earliest")
    async with consumer:
        record = await consumer.getone()
        event = read_kafka(record.key, record.headers, record.value)
        update = json.loads(event.data)
        print(event.subject, update["sequence"], update["status"])


asyncio.run(receive(*sys.argv[1:3]))
