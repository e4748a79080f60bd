"""Write a record that nobody can read, to see what becomes of it: bad_record.py KAFKA TOPIC KEY. Not in production."""

import asyncio
import sys
from typing import Any

from aiokafka import AIOKafkaProducer

from workhardening_contracts.kafka import client_options


async def send(address: str, topic: str, key: str) -> None:
    producer: Any = AIOKafkaProducer(**client_options(address))
    async with producer:
        await producer.send_and_wait(topic, b"no event", key=key.encode())


asyncio.run(send(*sys.argv[1:4]))
