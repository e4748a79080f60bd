"""What the services read of some cases' whole lives, and a consumer whose statements are noted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import chain, count, zip_longest
from typing import Any

from bench.partitions import PARTITIONS, partition_of
from bench.program import Hop, handlers_of
from bench.stories import SERVICES, Story, followed
from runtime.batch import Writes
from runtime.cases import add_partitions
from runtime.consume import Consumer
from runtime.db import Pool, open_pool
from runtime.fold import Position
from runtime.records import Ignored, Item, Record, open_record
from runtime.service import Service
from tests.runtime.toy import DIGEST_KEY, TELEMETRY, settings
from workhardening_contracts.envelope import Envelope, read_kafka, write_kafka

AROUND = ("BEGIN;", "COMMIT;")
ONCE = ("typeinfo_tree", "'jit'")
"""What the driver asks when a connection meets a type for the first time."""


def service_of(name: str) -> Service:
    """A service as it is run."""
    service: Service = import_module(f"services.{name}.__main__").SERVICE
    return service


def reading(stories: Sequence[Story]) -> Mapping[str, list[tuple[str, Envelope]]]:
    """Topic and event of all that each service reads: the cases side by side, so that neighbours are strangers."""
    hops, offsets = {name: Hop(name) for name in SERVICES}, count()
    topics = {name: service_of(name).topics for name in SERVICES}
    found: dict[str, list[tuple[str, Envelope]]] = {name: [] for name in SERVICES}
    lives = [chain.from_iterable(step.records for step in story.steps) for story in stories]
    for record in chain.from_iterable(zip_longest(*lives)):
        if record is None:
            continue  # its case has ended
        for topic, envelope in followed(hops, read_kafka(record.key, record.headers, record.value), offsets):
            for name in SERVICES:
                if topic in topics[name]:
                    found[name].append((topic, envelope))
    return found


def items_of(service: str, read: Sequence[tuple[str, Envelope]]) -> list[Item]:
    """The records of a service, opened."""
    return [
        open_record(_record(topic, envelope, offset), handlers_of(service), bytes.fromhex(DIGEST_KEY))
        for offset, (topic, envelope) in enumerate(read)
    ]


def _record(topic: str, envelope: Envelope, offset: int) -> Record:
    key, headers, value = write_kafka(envelope)
    return Record(Position(topic, partition_of(key), offset), envelope.time, key, tuple(headers), value)


@asynccontextmanager
async def noting(dsn: str, statements: list[str]) -> AsyncGenerator[Pool]:
    """A pool of one connection that notes each statement as it was sent, those of pool and driver left out."""
    pool = await open_pool(dsn, "gates", size=1)
    try:
        async with pool.acquire() as connection:
            await add_partitions(connection, PARTITIONS)
            reset = connection.get_reset_query()

            def note(sent: Any) -> None:
                if sent.query != reset and not any(mark in sent.query for mark in ONCE):
                    statements.append(sent.query)

            connection.add_query_logger(note)
        yield pool
        # What the session read is told now, not some time after its end.
        await pool.execute("SELECT pg_stat_force_next_flush()")
    finally:
        await pool.close()


def consumer_of(service: str, pool: Pool, dsn: str) -> Consumer[Any, Any]:
    """A service's consumer as far as its transactions go: it is handed its records, not Kafka's."""
    return Consumer(
        handlers_of(service),
        service_of(service).topics,
        service_of(service).writers,
        pool,
        settings(dsn, "127.0.0.1:1"),
        TELEMETRY,
        lambda: None,
    )


def batches_of(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Whole batches and what is left."""
    return (items[start : start + size] for start in range(0, len(items), size))


async def written_by(consumer: Consumer[Any, Any], items: Sequence[Item]) -> Writes[Any]:
    """What one batch's transaction wrote."""
    partitions = {item.record.position.partition for item in items if not isinstance(item, Ignored)}
    return await consumer._write(items, partitions)  # pyright: ignore[reportPrivateUsage]
