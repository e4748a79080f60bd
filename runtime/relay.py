"""The relay: outbox -> Kafka, in the order of the ids, one relay per schema.

The lowest undeleted rows, `ORDER BY id`, are the only correct reading: `id > last` loses rows whose transactions commit
late (701 of 3,999 measured), a snapshot horizon inverts keys, and two relays with SKIP LOCKED invert them too. One
relay is active by a *session* advisory lock on a connection of its own, with no open transaction. If two ever run at
once, rows are only published twice, and the inboxes absorb that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import DefaultPartitioner

from runtime.db import Connection, is_transient, reduce_error
from runtime.fold import Position
from runtime.outbox import OutboxRow, delete_rows, hold_rows, next_rows
from runtime.telemetry import Telemetry
from workhardening_contracts.envelope import Envelope, write_kafka

log = structlog.get_logger("relay")

Producer = Any
"""aiokafka ships no types; its producer and batches are used through this one name."""

# One cycle's rows. At 500 the two statements of a cycle cost less than a tenth of the sends.
CYCLE_ROWS = 500
# Rows of other replicas are found by polling; our own wake the relay after COMMIT.
POLL_S = 0.05
SEND_TIMEOUT_S = 30.0
# How long a freed lock goes unnoticed by a relay that stands by.
STANDBY_S = 1.0

_FOR_GOOD = (MessageSizeTooLargeError, TopicAuthorizationFailedError, InvalidTopicError)


class PublishFailed(Exception):
    """The broker did not acknowledge in time; whether it has the record is not known. Send it again."""


Publish = Callable[[str, Envelope], Awaitable[Position]]


def new_producer(bootstrap: str, client_id: str) -> Producer:
    """An idempotent producer: acks=all, and a retry inside the client never doubles or reorders records."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=20_000,
        metadata_max_age_ms=30_000,
    )


class Publisher:
    """Publishes single events for the doors and workers that may not answer before the broker has them."""

    def __init__(self, bootstrap: str, client_id: str, telemetry: Telemetry) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._telemetry = telemetry
        self._producer: Producer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, topic: str, envelope: Envelope) -> Position:
        """Returns where the record stands once all replicas have it. Raises PublishFailed."""
        try:
            producer = await self._started()
            with self._telemetry.sending(topic, envelope) as sent:
                key, headers, value = write_kafka(sent)
                metadata: Any = await asyncio.wait_for(
                    producer.send_and_wait(topic, value, key=key, headers=headers), SEND_TIMEOUT_S
                )
        except (KafkaError, OSError, TimeoutError) as error:
            await self._discard()
            raise PublishFailed(type(error).__name__) from None
        return Position(topic, metadata.partition, metadata.offset)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 when it does not exist. Raises KafkaError and OSError."""
        producer = await self._started()
        try:
            return len(await asyncio.wait_for(producer.partitions_for(topic), SEND_TIMEOUT_S))
        except (UnknownTopicOrPartitionError, TimeoutError):
            return 0

    async def stop(self) -> None:
        """Send what is buffered and close."""
        await self._discard()

    async def _started(self) -> Producer:
        async with self._starting:
            if self._producer is None:
                producer = new_producer(self._bootstrap, self._client_id)
                try:
                    await asyncio.wait_for(producer.start(), SEND_TIMEOUT_S)
                except BaseException:
                    await _close(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _close(producer)


async def _close(producer: Producer) -> None:
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(producer.stop(), 5)


class Relay:
    """One process's share in publishing a schema's outbox."""

    def __init__(self, dsn: str, schema: str, bootstrap: str, telemetry: Telemetry) -> None:
        self._dsn = dsn
        self._schema = schema
        self._bootstrap = bootstrap
        self._telemetry = telemetry
        self._awake = asyncio.Event()
        self._partition_of: Any = DefaultPartitioner()
        self.last_turn = time.monotonic()
        """When the relay last looked at the outbox or at the lock; liveness reads it."""
        self.active = False

    def wake(self) -> None:
        """Rows were committed: publish now rather than at the next poll."""
        self._awake.set()

    async def run(self) -> None:
        """Publish until cancelled. Any error throws producer and connection away and starts at the lowest row."""
        delay = POLL_S
        while True:
            try:
                await self._lead()
                delay = POLL_S
            except (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, OSError, TimeoutError) as error:
                log.warning("relay starts over", schema=self._schema, error=reduce_error(error))
                self.last_turn = time.monotonic()
                await asyncio.sleep(delay)
                delay = min(delay * 2, 2.0)

    async def _lead(self) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=10,
            command_timeout=20,
            # Half-open connections are noticed in about 10 s, which bounds how long a dead relay holds the lock.
            server_settings={
                "application_name": f"{self._schema}-relay",
                "tcp_keepalives_idle": "5",
                "tcp_keepalives_interval": "2",
                "tcp_keepalives_count": "3",
            },
        )
        producer: Producer = None
        try:
            while not await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtext($1), hashtext('relay'))", self._schema
            ):
                self.last_turn = time.monotonic()
                await asyncio.sleep(STANDBY_S)
            producer = new_producer(self._bootstrap, f"{self._schema}-relay")
            await asyncio.wait_for(producer.start(), SEND_TIMEOUT_S)
            self.active = True
            log.info("relay leads", schema=self._schema)
            while True:
                if not await self._cycle(connection, producer):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._awake.wait(), POLL_S)
        finally:
            self.active = False
            if producer is not None:
                await _close(producer)
            # A connection that does not close in time is dropped, and the lock with it.
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await connection.close(timeout=5)

    async def _cycle(self, connection: Connection, producer: Producer) -> int:
        """Publish and delete one read of rows; returns how many were read."""
        self._awake.clear()
        rows = await next_rows(connection, CYCLE_ROWS)
        self.last_turn = time.monotonic()
        if rows:
            sent = await self._send(connection, producer, rows)
            await delete_rows(connection, sent)
        return len(rows)

    async def _send(self, connection: Connection, producer: Producer, rows: Sequence[OutboxRow]) -> list[int]:
        """Send one batch per partition (more only where one is full). Returns the ids that the broker has."""
        by_partition: dict[tuple[str, int], list[OutboxRow]] = {}
        for topic in sorted({row.topic for row in rows}):
            mine = [row for row in rows if row.topic == topic]
            try:
                known: Any = await asyncio.wait_for(producer.partitions_for(topic), SEND_TIMEOUT_S)
            except (*_FOR_GOOD, UnknownTopicOrPartitionError) as error:
                await self._hold(connection, mine, error)
                continue
            partitions = sorted(known)
            for row in mine:
                number: int = self._partition_of(row.key, partitions, partitions)
                by_partition.setdefault((topic, number), []).append(row)
        results = await asyncio.gather(
            *(self._send_partition(producer, *place, mine) for place, mine in by_partition.items()),
            return_exceptions=True,
        )
        sent: list[int] = []
        failure: BaseException | None = None
        for (topic, _), mine, result in zip(by_partition, by_partition.values(), results, strict=True):
            if isinstance(result, list):
                sent += result
            elif isinstance(result, _FOR_GOOD):
                await self._hold(connection, mine, result)
            else:
                log.warning("send failed", topic=topic, error=type(result).__name__)
                failure = failure or result
        if failure is not None:
            await delete_rows(connection, sent)
            raise failure
        return sent

    async def _send_partition(
        self, producer: Producer, topic: str, partition: int, rows: Sequence[OutboxRow]
    ) -> list[int]:
        acknowledged: list[Any] = []
        batch = producer.create_batch()
        for row in rows:
            with self._telemetry.relaying(topic, row.headers) as headers:
                if not _appended(batch, row, headers):
                    if batch.record_count() > 0:
                        acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
                        batch = producer.create_batch()
                    if not _appended(batch, row, headers):
                        raise MessageSizeTooLargeError(len(row.value))
        acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.wait_for(asyncio.gather(*acknowledged), SEND_TIMEOUT_S)
        return [row.id for row in rows]

    async def _hold(self, connection: Connection, rows: Sequence[OutboxRow], error: BaseException) -> None:
        reason = type(error).__name__
        await hold_rows(connection, [row.id for row in rows], reason)
        log.error("outbox rows held: mend the cause, then `whp outbox release`", rows=len(rows), reason=reason)


def _appended(batch: Any, row: OutboxRow, headers: Sequence[tuple[str, bytes]]) -> bool:
    return batch.append(key=row.key, value=row.value, timestamp=None, headers=headers) is not None


def transient(error: BaseException) -> bool:
    """Whether a worker that met this error should simply try again."""
    return isinstance(error, KafkaError | PublishFailed) or is_transient(error)
