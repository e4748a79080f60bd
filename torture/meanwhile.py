"""What goes on the whole time: records that come again, poison, a fault that heals later, and an operator who mends."""

from __future__ import annotations

import asyncio
import contextlib
import random as chance
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from deploy.local.layout import Layout
from deploy.local.provision import DECIDING as SERVICES
from deploy.local.state import Stack
from ops.kafka import partitions
from ops.registered import handlers_of, service_of
from ops.target import in_schema
from runtime.cases import SQL, Conflict
from runtime.db import open_pool
from runtime.retry import NotNow, discard_first, retry_case
from torture.ground import Ground
from workhardening_contracts.planning import PlanIssued
from workhardening_contracts.registry import INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC

COPIES, SHARES = (0, 1, 2), (6, 3, 1)
"""Each record comes once, twice or three times, the copies behind whatever came in between."""
COPY = ("torture-copy", b"1")
"""A header that no reader looks at: copies are not copied."""
FORGED_EVERY_S = 4.0
"""Records of ours that nobody can read: with the clinics' own about 1 % of the cases meet one."""
LOOK_EVERY_S = 5.0
SICK = "get_byte(uuid_send(case_ref), 15) = 7 AND get_byte(uuid_send(case_ref), 14) < 64"
"""One case in 1,024: planning cannot write what it decides about them, until somebody mends it."""
_LOST = (
    OSError,
    TimeoutError,
    KafkaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    Conflict,
    NotNow,
)


@dataclass
class Tally:
    """What was done meanwhile."""

    counts: Counter[str] = field(default_factory=Counter[str])
    """`again`, `forged`, `discarded`, `retried`."""


async def deliver_again(ground: Ground, topics: Sequence[str], tally: Tally) -> None:
    """Produce records a second and a third time, as a relay does that died before it could forget them."""
    while True:
        with contextlib.suppress(*_LOST):
            await _echo(ground, topics, tally)
        await asyncio.sleep(1)


async def _echo(ground: Ground, topics: Sequence[str], tally: Tally) -> None:
    bootstrap = ground.stack.kafka
    known = await partitions(bootstrap)
    async with _started(AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)) as consumer:
        consumer.assign([place for topic in topics for place in known[topic]])
        await consumer.seek_to_end()
        async with _started(AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")) as producer:
            while True:
                found = await consumer.getmany(timeout_ms=500, max_records=500)
                originals = [record for records in found.values() for record in records if COPY not in record.headers]
                sent = [
                    await producer.send(
                        record.topic,
                        record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=[*record.headers, COPY],
                    )
                    for record, copies in zip(originals, chance.choices(COPIES, SHARES, k=len(originals)), strict=True)
                    for _ in range(copies)
                ]
                await asyncio.gather(*sent)
                tally.counts["again"] += len(sent)


async def forge(ground: Ground, cases: Sequence[UUID], tally: Tally) -> None:
    """Now and then a record that looks like one of ours and cannot be read: it parks its case at every reader."""
    while True:
        with contextlib.suppress(*_LOST):
            async with _started(AIOKafkaProducer(bootstrap_servers=ground.stack.kafka, acks="all")) as producer:
                while True:
                    await asyncio.sleep(FORGED_EVERY_S * chance.uniform(0.5, 1.5))
                    if cases:
                        await _forged(producer, chance.choice(cases))
                        tally.counts["forged"] += 1
        await asyncio.sleep(1)


async def _forged(producer: Any, case: UUID) -> None:
    topic = chance.choice((INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC))
    service = topic.partition(".")[0]
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"forged-{uuid4()}",
        "ce_source": f"/services/{service}",
        "ce_type": PlanIssued.TYPE,
        "ce_subject": str(case),
        "ce_time": "2025-03-03T08:00:00Z",
        "content-type": "application/json",
    }
    await producer.send_and_wait(
        topic,
        b'{"weeks": [',
        key=str(case).encode(),
        headers=[(name, value.encode()) for name, value in headers.items()],
    )


async def fall_ill(ground: Ground) -> None:
    """From now on planning cannot write what it decides about one case in a thousand."""
    await _execute(
        ground, f"ALTER TABLE outbox DROP CONSTRAINT IF EXISTS ill, ADD CONSTRAINT ill CHECK (NOT ({SICK})) NOT VALID"
    )


async def heal(ground: Ground) -> None:
    """The cause is mended; the parked cases wait for the operator."""
    await _execute(ground, "ALTER TABLE outbox DROP CONSTRAINT IF EXISTS ill")


async def _execute(ground: Ground, statement: str) -> None:
    while True:
        with contextlib.suppress(*_LOST):
            connection = await asyncpg.connect(in_schema(ground.stack.database, "planning"), timeout=10)
            try:
                await connection.execute("SET lock_timeout = '5s'")
                await connection.execute(statement)
                return
            finally:
                await connection.close(timeout=5)
        await asyncio.sleep(1)


async def operate(ground: Ground, tally: Tally) -> None:
    """An operator who looks at the parked cases every few seconds, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await mend_parked(ground.layout, ground.stack, tally)


async def mend_parked(layout: Layout, stack: Stack, tally: Tally) -> int:
    """Discard what was forged, retry the rest; gives how many cases are still parked, or 1 where that is not known."""
    key = bytes.fromhex((layout.secrets / "digest-key").read_text(encoding="utf-8").strip())
    left = 0
    for service in SERVICES:
        try:
            pool = await open_pool(stack.services[service].database, "torture-operator", size=1)
        except _LOST:
            left += 1
            continue
        try:
            left += await _mend(pool, service, key, tally.counts)
        except _LOST:
            left += 1
        finally:
            with contextlib.suppress(*_LOST):
                await asyncio.wait_for(pool.close(), 5)
    return left


async def _mend(pool: Any, service: str, key: bytes, counts: Counter[str]) -> int:
    handlers, writers = handlers_of(service), service_of(service).writers
    left = 0
    rows: list[Mapping[str, Any]] = await pool.fetch(SQL["list_parked"], 1000)
    for row in rows:
        if str(row["reason"]).startswith("write."):
            counts["waited for a mend"] += 1
        else:
            counts["discarded"] += await discard_first(pool, row["case_ref"], handlers, "forged by the torture")
        result = await retry_case(pool, row["case_ref"], handlers, writers, key)
        counts["retried"] += result.folded
        left += result.left > 0
    return left


@asynccontextmanager
async def _started(client: Any) -> AsyncGenerator[Any]:
    try:
        await asyncio.wait_for(client.start(), 15)
        yield client
    finally:
        with contextlib.suppress(*_LOST):
            await asyncio.wait_for(client.stop(), 5)
