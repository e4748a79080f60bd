"""faststream-outbox as a relay only: rows of its own table, eight workers, each publishing what its handler returns.

At least once, as the product. It promises no order within a case: rows are claimed in the order of their ids, but the
workers publish them beside each other, and a row that is tried again comes behind its successors.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.kafka.response import KafkaResponse
from faststream_outbox import OutboxBroker, OutboxMessage, make_outbox_table
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.variants.hop import Meter, given

WORKERS = 8
BATCH = 500
"""Rows of a claim, as the product's relay reads."""
COPY = """
INSERT INTO relayed (queue, payload, headers)
SELECT topic, value, headers::jsonb || jsonb_build_object('key', case_ref::text) FROM outbox ORDER BY id
"""
"""The same rows. There is no column for a key: it travels among the headers."""


async def main() -> None:
    start = given()
    meter, finished = Meter(start), asyncio.Event()
    metadata, log = MetaData(), logging.getLogger("bench")
    table = make_outbox_table(metadata, "relayed")
    engine = create_async_engine(start.dsn.replace("postgresql://", "postgresql+asyncpg://"), pool_size=WORKERS + 1)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(text(COPY))
        await connection.execute(text("ANALYZE relayed"))

    def counted(event: str, tags: Mapping[str, Any]) -> None:
        # Told when the row was deleted.
        if event == "acked" and meter.handled(1, 1):
            finished.set()

    kafka = KafkaBroker(start.bootstrap, acks="all", enable_idempotence=True, logger=log)
    outbox = OutboxBroker(engine, outbox_table=table, metrics_recorder=counted, apply_types=False, logger=log)

    # The message itself, for its key: decoded to a body it would be parsed as JSON besides.
    @kafka.publisher(start.topics[0])
    @outbox.subscriber(
        start.topics[0],
        max_workers=WORKERS,
        fetch_batch_size=BATCH,
        terminal_flush_batch_size=BATCH // WORKERS,
        decoder=lambda message: message,
    )
    async def relay(message: OutboxMessage) -> KafkaResponse:
        headers = dict(message.headers)
        return KafkaResponse(message.body, key=headers.pop("key").encode(), headers=headers)

    async with kafka:
        await kafka.start()
        async with outbox:
            await finished.wait()
            meter.done()


if __name__ == "__main__":
    asyncio.run(main())
