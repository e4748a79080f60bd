"""FastStream as its tutorial has it: a message, a transaction, asyncpg; then what was decided is published.

Less safe than the product: a crash between COMMIT and publish loses what was decided.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any, cast

import asyncpg
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, Topic

from bench.program import handlers_of
from bench.variants.hop import LOAD, SAVE, TAKE, Meter, case_of, decided, given, message, opened, row_of
from bench.variants.writers import WRITERS


async def main() -> None:
    start = given()
    handlers, meter, finished = handlers_of(start.service), Meter(start), asyncio.Event()
    writers = WRITERS.get(start.service, {})
    pool = await asyncpg.create_pool(start.dsn, min_size=1, max_size=4)
    broker = KafkaBroker(start.bootstrap, acks="all", enable_idempotence=True, logger=logging.getLogger("bench"))

    @broker.subscriber(
        *(Topic(name, declare=False) for name in start.topics),
        group_id=f"naive.{start.dsn.rpartition('/')[2]}.{start.service}",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
    )
    async def handle(incoming: KafkaMessage) -> None:
        raw = cast("Any", incoming.raw_message)
        event, emitted = opened(raw, handlers), ()
        if event is not None:
            async with pool.acquire() as connection, connection.transaction():
                if await connection.fetchval(TAKE, event.case, event.source, event.id, event.envelope.data):
                    row = await connection.fetchrow(LOAD, event.case)
                    folded = decided(case_of(row, event.case, raw.partition, handlers), event, raw, handlers)
                    await connection.execute(SAVE, *row_of(folded.case))
                    for effect in folded.effects:
                        await writers[type(effect)](connection, [effect])
                    emitted = folded.emitted
        for entry in emitted:
            topic, key, headers, value = message(entry)
            await broker.publish(value, topic, key=key, headers=headers)
        await incoming.ack()
        if meter.handled(1, len(emitted)):
            finished.set()

    async with broker:
        await broker.start()
        if not start.count:
            await asyncio.to_thread(sys.stdin.read)  # until the driver ends, however it does
            return
        await finished.wait()
        meter.done()


if __name__ == "__main__":
    asyncio.run(main())
