"""The relay: outbox -> Kafka, in the order of the ids, one relay per schema.

The lowest undeleted rows, `ORDER BY id`, are the only correct reading: `id > last` loses rows whose transactions commit
late (701 of 3,999 measured), a snapshot horizon inverts keys, and two relays with SKIP LOCKED invert them too. One
relay is active by a *session* advisory lock on a connection of its own, with no open transaction. If two ever run at
once, rows are only published twice, and the inboxes absorb that. A floor (floor.py) spares the reads the rows that were
deleted; it is no position: below it no row is or will be.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
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

from runtime import drill
from runtime.db import Connection, is_transient, reduce_error
from runtime.floor import Floor, looked
from runtime.fold import Position
from runtime.outbox import OutboxRow, delete_rows, hold_rows, look, next_rows
from runtime.telemetry import Telemetry
from runtime.within import within
from workhardening_contracts.envelope import Envelope, write_kafka
from workhardening_contracts.kafka import client_options

log = structlog.get_logger("relay")

Producer = Any
"""aiokafka ships no types; its producer and batches are used through this one name."""

# One cycle's rows. At 500 the two statements of a cycle cost less than a tenth of the sends.
CYCLE_ROWS = 500
# Rows of other replicas are found by polling; our own wake the relay after COMMIT.
POLL_S = 0.05
# How often the floor is moved: what was deleted since is all that a read has to walk over.
LOOK_S = 1.0
# How often one looks below the floor all the same, for rows that a person has put there.
LOOK_BELOW_S = 60.0
SEND_TIMEOUT_S = 30.0
# How long a freed lock goes unnoticed by a relay that stands by.
STANDBY_S = 1.0

# The outbox is nearly empty whenever its rows are counted for the planner, which then reads all of a backlog, and once
# more for each of its rows: with four replicas of planning PostgreSQL took eight times the CPU.
_BY_INDEX = {"enable_seqscan": "off", "enable_sort": "off"}

_FOR_GOOD = (MessageSizeTooLargeError, TopicAuthorizationFailedError, InvalidTopicError)


class PublishFailed(Exception):
    """The broker did not acknowledge in time; whether it has the record is not known. Send it again."""


Publish = Callable[[str, Envelope], Awaitable[Position]]


def new_producer(bootstrap: str, client_id: str) -> Producer:
    """An idempotent producer: acks=all, and a retry inside the client never doubles or reorders records."""
    return AIOKafkaProducer(
        **client_options(bootstrap),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=20_000,
        metadata_max_age_ms=30_000,
        max_batch_size=900_000,
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
        producer: Producer = None
        try:
            producer = await self._started()
            with self._telemetry.sending(topic, envelope) as sent:
                key, headers, value = write_kafka(sent)
                sending = producer.send_and_wait(topic, value, key=key, headers=headers)
                metadata: Any = await within(SEND_TIMEOUT_S, sending)
        except (KafkaError, OSError, TimeoutError) as error:
            if not isinstance(error, (*_FOR_GOOD, UnknownTopicOrPartitionError)):  # those are no fault of the producer
                await self._discard(producer)
            raise PublishFailed(type(error).__name__) from None
        self._telemetry.sent[topic] += 1
        return Position(topic, metadata.partition, metadata.offset)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; 0 when it does not exist. Raises KafkaError and OSError."""
        producer = await self._started()
        try:
            return len(await within(SEND_TIMEOUT_S, producer.partitions_for(topic)))
        except (UnknownTopicOrPartitionError, TimeoutError):
            return 0

    async def stop(self) -> None:
        """Send what is buffered and close."""
        await self._discard(self._producer)

    async def _started(self) -> Producer:
        async with self._starting:
            if self._producer is None:
                producer = new_producer(self._bootstrap, self._client_id)
                try:
                    await within(SEND_TIMEOUT_S, producer.start())
                except BaseException:
                    await _close(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self, producer: Producer | None) -> None:
        """Throw away the producer that failed; another may have taken its place meanwhile."""
        if producer is not None and self._producer is producer:
            self._producer = None
            await _close(producer)


async def _close(producer: Producer) -> None:
    try:
        await within(5, producer.stop())
    except (KafkaError, OSError, TimeoutError):
        # What `stop` was waiting for would be tried for ever, by a producer that nobody holds any more.
        sender = producer._sender and producer._sender.sender_task
        if sender is not None:
            sender.cancel()
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await within(5, producer.client.close())


@dataclass
class _Sent:
    """What became of one partition's rows."""

    sent: list[int] = field(default_factory=list[int])
    refused: list[tuple[OutboxRow, BaseException]] = field(default_factory=list["tuple[OutboxRow, BaseException]"])


class Relay:
    """One process's share in publishing a schema's outbox."""

    def __init__(self, dsn: str, schema: str, bootstrap: str, telemetry: Telemetry) -> None:
        self._dsn = dsn
        self._schema = schema
        self._bootstrap = bootstrap
        self._telemetry = telemetry
        self._awake = asyncio.Event()
        self._partition_of: Any = DefaultPartitioner()
        self._floor = Floor()
        self._seen = 0
        self._look_at = self._look_below_at = 0.0
        self.last_turn = time.monotonic()
        """When the relay last looked at the outbox or at the lock; liveness reads it."""
        self.active = False

    @property
    def floor(self) -> int:
        """Below this id the outbox has no row; 0 where this process does not lead and so does not know."""
        return self._floor.at if self.active else 0

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
            except (
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                KafkaError,
                OSError,
                TimeoutError,
            ) as error:
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
                # Keepalives are not sent while an answer of ours is unacknowledged; this bounds that too.
                "tcp_user_timeout": "10000",
            }
            | _BY_INDEX,
        )
        producer: Producer = None
        try:
            while not await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtext($1), hashtext('relay'))", self._schema
            ):
                self.last_turn = time.monotonic()
                await asyncio.sleep(STANDBY_S)
            producer = new_producer(self._bootstrap, f"{self._schema}-relay")
            await within(SEND_TIMEOUT_S, producer.start())
            # Another database may have taken the first one's place, and its ids may begin lower.
            self._floor, self._seen = Floor(), 0
            self.active = True
            log.info("relay leads", schema=self._schema)
            while True:
                # Only a full read can have left rows behind; what is committed meanwhile wakes.
                if await self._cycle(connection, producer) < CYCLE_ROWS:
                    with contextlib.suppress(TimeoutError):
                        await within(POLL_S, self._awake.wait())
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
        await self._look(connection)
        rows = await next_rows(connection, CYCLE_ROWS, self._floor.at)
        self.last_turn = time.monotonic()
        if rows:
            self._seen = max(self._seen, rows[-1].id)
            sent = await self._send(connection, producer, rows)
            drill.point("relay_published")
            await delete_rows(connection, sent)
            drill.point("relay_deleted")
        return len(rows)

    async def _look(self, connection: Connection) -> None:
        """Now and then, move the floor."""
        now = asyncio.get_running_loop().time()
        if now < self._look_at:
            return
        below = now >= self._look_below_at
        lowest, writers = await look(connection, 0 if below else self._floor.at)
        moved = looked(self._floor, lowest, writers, self._seen)
        if moved.at < self._floor.at:
            log.error("a row stood below the floor: who wrote it?", schema=self._schema, row=lowest)
        self._floor, self._look_at = moved, now + LOOK_S
        if below:
            self._look_below_at = now + LOOK_BELOW_S

    async def _send(self, connection: Connection, producer: Producer, rows: Sequence[OutboxRow]) -> list[int]:
        """Send one batch per partition (more only where one is full). Returns the ids that the broker has."""
        by_partition: dict[tuple[str, int], list[OutboxRow]] = {}
        for topic in sorted({row.topic for row in rows}):
            mine = [row for row in rows if row.topic == topic]
            try:
                known: Any = await within(SEND_TIMEOUT_S, producer.partitions_for(topic))
            except UnknownTopicOrPartitionError as error:
                # Said of a topic that is missing, and of one that was not heard of before the broker went away.
                cluster: Any = await within(SEND_TIMEOUT_S, producer.client.fetch_all_metadata())
                if topic in cluster.topics():
                    raise
                await self._hold(connection, mine, error)
                continue
            except _FOR_GOOD as error:
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
        for (topic, _), result in zip(by_partition, results, strict=True):
            if isinstance(result, BaseException):
                log.warning("send failed", topic=topic, error=type(result).__name__)
                failure = failure or result
                continue
            sent += result.sent
            for refused, error in result.refused:
                await self._hold(connection, [refused], error)
        if failure is not None:
            await delete_rows(connection, sent)
            raise failure
        return sent

    async def _send_partition(self, producer: Producer, topic: str, partition: int, rows: Sequence[OutboxRow]) -> _Sent:
        """Batch by batch, each acknowledged before the next: a refused row must not be overtaken by its successor."""
        done = _Sent()
        todo: list[OutboxRow] = list(rows)
        size = len(todo)
        while todo:
            batch = producer.create_batch()
            took: list[OutboxRow] = []
            sampled: list[str] = []
            held = {row.case for row, _ in done.refused}
            for row in todo:
                if row.case in held:
                    continue
                if len(took) == size:
                    break
                headers, context = self._telemetry.creating(topic, row.headers)
                if not _appended(batch, row, headers):
                    break
                took.append(row)
                if context is not None:
                    sampled.append(context)
            if not took:
                break  # the rest waits behind what was refused
            try:
                with self._telemetry.sending_batch(topic, partition, sampled, len(took)):
                    await within(SEND_TIMEOUT_S, await producer.send_batch(batch, topic, partition=partition))
                done.sent += [row.id for row in took]
                self._telemetry.sent[topic] += len(took)
            except _FOR_GOOD as error:
                if len(took) > 1:
                    size = 1  # which of them it is shows when they are sent one by one
                    continue
                done.refused.append((took[0], error))
            gone = {row.id for row in took}
            todo = [row for row in todo if row.id not in gone]
        return done

    async def _hold(self, connection: Connection, rows: Sequence[OutboxRow], error: BaseException) -> None:
        reason = type(error).__name__
        await hold_rows(connection, [row.id for row in rows], reason)
        log.error("outbox rows held: mend the cause, then `whp outbox release`", rows=len(rows), reason=reason)


def _appended(batch: Any, row: OutboxRow, headers: Sequence[tuple[str, bytes]]) -> bool:
    return batch.append(key=row.key, value=row.value, timestamp=None, headers=headers) is not None


def transient(error: BaseException) -> bool:
    """Whether a worker that met this error should simply try again."""
    return isinstance(error, KafkaError | PublishFailed) or is_transient(error)
