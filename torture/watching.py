"""How far each group is, sampled while the fire burns: for I5, for the picture, and to send no faster than is taken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ops.kafka import partitions
from ops.target import DECIDING as SERVICES
from ops.target import CommandError, Target, connected
from torture.evidence import Sample

EVERY_S = 2.0
LOST = (
    OSError,
    TimeoutError,
    KafkaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    CommandError,
)


@dataclass
class Watch:
    """What was seen last, and all that was seen."""

    samples: Path
    """Committed offsets, a line of JSON each."""
    lag: list[tuple[float, str, int]] = field(default_factory=list[tuple[float, str, int]])
    """(seconds since 1970, service, records not committed and outbox rows not published)."""
    behind: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def most(self) -> int:
        """How far the last of all is behind; nothing known counts as nothing."""
        return max(self.behind.values(), default=0)


async def watch(target: Target, reads: Mapping[str, Sequence[str]], seen: Watch) -> None:
    """Look every two seconds until cancelled. A broker or database that is away is passed over."""
    with seen.samples.open("a", encoding="utf-8") as file:
        while True:
            with contextlib.suppress(*LOST):
                await _look(target, reads, seen, file)
            await asyncio.sleep(EVERY_S)


async def _look(target: Target, reads: Mapping[str, Sequence[str]], seen: Watch, file: Any) -> None:
    places = await partitions(target.kafka)
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=target.kafka)
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=target.kafka, enable_auto_commit=False)
    try:
        await asyncio.wait_for(admin.start(), 10)
        await asyncio.wait_for(consumer.start(), 10)
        while True:
            for service, topics in reads.items():
                committed = await asyncio.wait_for(admin.list_consumer_group_offsets(f"whp.{service}"), 10)
                at = time.time()
                mine = [place for topic in topics for place in places[topic]]
                ends: dict[TopicPartition, int] = await asyncio.wait_for(consumer.end_offsets(mine), 10)
                done = {place: max(committed[place].offset, 0) if place in committed else 0 for place in mine}
                for place, offset in done.items():
                    if offset:
                        line = Sample(at, service, place.topic, place.partition, offset)
                        file.write(json.dumps(line.__dict__) + "\n")
                rows = await _outbox(target, service) if service in SERVICES else 0
                seen.behind[service] = sum(ends.values()) - sum(done.values()) + rows
                seen.lag.append((at, service, seen.behind[service]))
            file.flush()
            await asyncio.sleep(EVERY_S)
    finally:
        for closing in (consumer.stop(), admin.close()):
            with contextlib.suppress(*LOST):
                await asyncio.wait_for(closing, 5)


async def _outbox(target: Target, service: str) -> int:
    async with connected(target.database, service) as connection:
        return await connection.fetchval("SELECT count(*) FROM outbox WHERE held IS NULL")


_OPEN = """
SELECT EXISTS (SELECT FROM deliveries WHERE status = 'pending') OR EXISTS (
    SELECT FROM disclosures d WHERE NOT EXISTS (SELECT FROM disclosure_seals s WHERE s.disclosure_id = d.id)
)
"""


async def at_rest(target: Target, reads: Mapping[str, Sequence[str]], seen: Watch) -> None:
    """Wait until every group has committed all, no outbox has a row, no delivery is due and all is sealed, twice."""
    quiet = 0
    while quiet < 2:
        before = len(seen.lag)
        while len(seen.lag) < before + len(reads):  # noqa: ASYNC110 - of one look
            await asyncio.sleep(0.1)
        try:
            async with connected(target.database, "notify") as connection:
                due = await connection.fetchval(_OPEN)
        except LOST:
            due = True
        quiet = quiet + 1 if not due and not seen.most else 0
