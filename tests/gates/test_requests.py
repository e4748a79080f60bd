"""What goes to the broker, counted and not timed: commits of offsets for a batch, produce requests for a cycle."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from aiokafka.client import AIOKafkaClient

from bench.partitions import PARTITIONS
from runtime import relay
from runtime.fold import Emitted
from runtime.outbox import append_outbox
from tests.conftest import Database, Kafka
from tests.runtime.toy import TELEMETRY, added, eventually, make_schema, send, started, toy_handlers

pytestmark = pytest.mark.stack


@pytest.fixture
async def dsn(database: Database) -> str:
    """A toy schema of the test's own."""
    return await make_schema(database.admin, database.dsn("planning"))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of request that this process sends to the broker."""
    seen: list[str] = []
    client: Any = AIOKafkaClient
    send_request = client.send

    async def noted(client: Any, node: Any, request: Any, *more: Any, **named: Any) -> Any:
        seen.append(type(request).__name__.partition("_")[0])
        return await send_request(client, node, request, *more, **named)

    monkeypatch.setattr(client, "send", noted)
    return seen


@pytest.mark.parametrize("size", [1, 50, 500])
async def test_a_batch_commits_its_offsets_once_however_large_it_is(
    kafka: Kafka, dsn: str, requests: list[str], size: int
) -> None:
    topic, out = await kafka.topic(), await kafka.topic()
    await send(kafka.bootstrap, topic, [added(uuid.uuid4(), str(nth), 1) for nth in range(size)])
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    async with started(handlers, topic, dsn, kafka.bootstrap) as process:

        async def taken() -> bool:
            return process.consumer.counts.records == size

        await eventually(taken)
        # Counted behind the commit, so that none is on its way.
        assert sum(name.startswith("OffsetCommit") for name in requests) == process.consumer.counts.batches


@pytest.mark.parametrize("rows", [1, 50, 500, 1200])
async def test_a_cycle_of_the_relay_is_two_statements_and_at_most_a_request_for_each_partition(
    kafka: Kafka, dsn: str, requests: list[str], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    topic = await kafka.topic(PARTITIONS)
    connection = await asyncpg.connect(dsn)
    try:
        await append_outbox(connection, [Emitted(topic, added(uuid.uuid4(), str(nth), 1)) for nth in range(rows)])
        cycles: list[int] = []
        deleted: list[int] = []
        next_rows, delete_rows = relay.next_rows, relay.delete_rows

        async def read(connection: Any, limit: int, floor: int) -> Any:
            found = await next_rows(connection, limit, floor)
            cycles.extend([len(found)] if found else [])
            return found

        async def delete(connection: Any, ids: Sequence[int]) -> None:
            await delete_rows(connection, ids)
            deleted.append(len(ids))

        monkeypatch.setattr(relay, "next_rows", read)
        monkeypatch.setattr(relay, "delete_rows", delete)
        running = asyncio.create_task(relay.Relay(dsn, f"relay-{topic}", kafka.bootstrap, TELEMETRY).run())

        async def published() -> bool:
            return sum(deleted) == rows

        try:
            await eventually(published)
        finally:
            running.cancel()
            await asyncio.wait([running])
    finally:
        await connection.close()
    assert deleted == cycles
    assert len(cycles) == -(-rows // relay.CYCLE_ROWS)
    assert 0 < requests.count("ProduceRequest") <= len(cycles) * PARTITIONS
