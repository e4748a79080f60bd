"""What no relay can go below: rows read by their ids, sent a batch per partition, and left where they are."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from bench.partitions import partition_of
from bench.variants.hop import Meter, given
from bench.variants.raw_limit import sent
from runtime.outbox import next_rows


async def main() -> None:
    start = given()
    meter, floor = Meter(start), 0
    connection = await asyncpg.connect(start.dsn)
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=start.bootstrap, acks="all", enable_idempotence=True, max_batch_size=900_000
    )
    await producer.start()
    finished = False
    while not finished:
        rows = await next_rows(connection, 500, floor)
        floor = rows[-1].id + 1
        await sent(producer, [(row.topic, partition_of(row.key), row.key, row.headers, row.value) for row in rows])
        finished = meter.handled(len(rows), len(rows))
    meter.done()
    await producer.stop()


if __name__ == "__main__":
    asyncio.run(main())
