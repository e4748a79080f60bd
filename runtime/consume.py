"""Record -> transaction -> offset: the loop of a service on Kafka.

FastStream gives the shell (connection, group, polling); a parser and a decoder of our own hand over the raw records,
since its batch parser loses a whole batch to one null header (200 of 2,400 records arrived). Offsets are committed
explicitly, after COMMIT, through the consumer itself: `ack()` commits without offsets, whatever was polled meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import asyncpg
import structlog
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, Topic
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from opentelemetry.trace import Span

from runtime import drill
from runtime.batch import Writes, apply
from runtime.breaker import Breaker
from runtime.cases import Conflict, lock_partitions
from runtime.db import Connection, Pool, Writer, blames_record, is_transient, origin, reduce_error
from runtime.fold import Handlers, Policy
from runtime.membership import Membership
from runtime.poll import Poll, next_records, record_of
from runtime.records import Ignored, Item, Lost, Opened, Record, open_record
from runtime.settings import Settings
from runtime.stages import STAGES, Histogram, Lap, Stopwatch, untimed
from runtime.telemetry import Telemetry
from runtime.within import within
from workhardening_contracts.envelope import Event

S = TypeVar("S")
P = TypeVar("P", bound=Policy)

log = structlog.get_logger("consume")

# How long a batch is tried again in place before the process gives up and is started afresh: a broker or database
# restart takes seconds; what lasts longer is not cured by this process.
RETRY_S = 60.0


class Halt(Exception):
    """The process cannot go on and must exit, to be started again."""


class _Failed(Exception):
    """An attempt at a batch failed; `passes` says whether trying again may help."""

    def __init__(self, reason: str, *, passes: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passes = passes


@dataclass
class Counts:
    """What one process has done since it started; /metrics shows it."""

    batches: int = 0
    records: int = 0
    folded: int = 0
    duplicates: int = 0
    retries: int = 0
    parked: Counter[str] = field(default_factory=Counter[str])
    """By the class of the reason: what stands before its first dot."""
    dead_lettered: Counter[str] = field(default_factory=Counter[str])
    """Likewise."""
    consumed: Counter[str] = field(default_factory=Counter[str])
    """Records that Kafka handed over, by topic, those of batches that then failed included."""
    durations: Histogram = field(default_factory=Histogram)
    """Seconds from a batch's records to its committed offsets."""
    stages: dict[str, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})


class Consumer(Generic[S, P]):
    """One process's share in consuming a service's topics."""

    def __init__(
        self,
        handlers: Handlers[S, P],
        topics: Sequence[str],
        writers: Mapping[type, Writer],
        pool: Pool,
        settings: Settings,
        telemetry: Telemetry,
        committed: Callable[[], None],
    ) -> None:
        self.handlers = handlers
        self._topics = topics
        self.writers = writers
        self._pool = pool
        self._settings = settings
        self._telemetry = telemetry
        self._committed = committed
        # As the conventions have it: from the general to the special.
        self._namespace = f"{urlsplit(settings.database_url.get_secret_value()).path[1:]}|{handlers.service}"
        self._digest_key = bytes.fromhex(settings.digest_key.get_secret_value())
        self._idle = asyncio.Event()
        self._idle.set()
        self._done: dict[TopicPartition, int] = {}
        self._breakers: dict[int, Breaker] = {}
        self._membership = Membership(
            f"whp.{handlers.service}", settings, lambda: self.consumer, self._idle, self._done, self._halt
        )
        self._subscriber: Any = None
        self._poll: Poll | None = None
        self.halted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with Halt when the process must exit."""
        self.last_progress = time.monotonic()
        self.counts = Counts()

    @property
    def consumer(self) -> Any:
        """aiokafka's consumer under FastStream's subscriber."""
        return self._subscriber.consumer

    def attach(self, broker: KafkaBroker) -> None:
        """Subscribe to all topics in one group, with the range assignor: one member owns a case in every topic."""
        settings = self._settings
        subscriber: Any = broker.subscriber(
            *(Topic(name, declare=False) for name in self._topics),
            group_id=self._membership.group,
            group_instance_id=self._membership.name,
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RangePartitionAssignor,),
            # A backlog is fetched ahead by some batches and no more; by default it is a megabyte of each partition.
            fetch_max_bytes=2 << 20,
            max_partition_fetch_bytes=1 << 18,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 6,
            # Far above the longest retry: a batch that is tried again must not cost the membership.
            max_poll_interval_ms=int(RETRY_S * 1000 * 5),
            listener=self._membership,
            parser=_parse,
            decoder=_decode,
        )
        self._subscriber = subscriber

        async def fetch(consumer: Any) -> tuple[Any, ...]:
            try:
                # FastStream's own sleeps when there was nothing, and then is deaf to what comes.
                return await next_records(consumer, settings.batch_records)
            except KafkaError:
                await self._membership.superseded()
                raise

        subscriber.get_msg = self._poll = Poll(fetch, self._done)
        subscriber(self._handle)

    def _halt(self, reason: str) -> None:
        if not self.halted.done():
            self.halted.set_exception(Halt(reason))

    async def _handle(self, records: Sequence[Any]) -> None:
        """FastStream swallows a handler's exception and polls on, which would skip the batch: so none leaves here."""
        self._idle.clear()
        try:
            await self._process(records)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._halt(str(error) if isinstance(error, Halt) else reduce_error(error))
            with contextlib.suppress(Exception):
                log.critical("batch failed", error=reduce_error(error), where=origin(error))
            await asyncio.Event().wait()  # take no further batch; the process is about to exit
        finally:
            self._idle.set()

    async def _process(self, raw: Sequence[Any]) -> None:
        lap = Stopwatch()
        records = [record_of(entry) for entry in raw]
        for position in (record.position for record in records):
            # What came first since the assignment is the first that is not finished.
            self._done.setdefault(TopicPartition(position.topic, position.partition), position.offset)
            self.counts.consumed[position.topic] += 1
        opened, spans, sampled = self._open(records)
        lap("open")
        topics = sorted({record.position.topic for record in records})
        with self._telemetry.processing_batch(topics, self._membership.group, len(records), sampled):
            try:
                writes: Writes[S] = Writes({})
                # Nine of ten events that clinics send are nothing to intake, and there is nothing to write.
                if not all(isinstance(item, Ignored) for item in opened):
                    writes = await self._write(opened, {record.position.partition for record in records}, lap)
            finally:
                for span in spans:
                    span.end()
            if writes.emitted:
                self._committed()  # the relay need not wait until Kafka knows the offsets
            await self._commit_offsets(records)
        lap("offsets")
        self._count(records, writes, lap)

    def _open(self, records: Sequence[Record]) -> tuple[list[Item], list[Span], list[str]]:
        """The records' items; of those that are sampled, the spans and the contexts that they bore."""
        items: list[Item] = []
        spans: list[Span] = []
        sampled: list[str] = []
        for record in records:
            item = open_record(record, self.handlers, self._digest_key)
            if isinstance(item, Opened):
                bore = item.event.envelope.traceparent
                span, envelope = self._telemetry.processing(
                    item.event.envelope, record.position, self._membership.group
                )
                if span is not None and bore is not None:
                    spans.append(span)
                    sampled.append(bore)
                    item = replace(item, event=Event(envelope, item.event.data))
            items.append(item)
        return items, spans, sampled

    async def _write(self, items: Sequence[Item], partitions: set[int], lap: Lap = untimed) -> Writes[S]:
        """The batch's transaction, tried again while the error passes by itself. Raises Halt when it does not."""
        started, delay = time.monotonic(), 0.05
        one_by_one = False
        while True:
            try:
                return await self._attempt(items, partitions, one_by_one, lap)
            except _Failed as failure:
                if not failure.passes:
                    if one_by_one:
                        raise Halt(failure.reason) from failure
                    log.error("batch cannot be written; finding its record", error=failure.reason)
                    one_by_one = True
                    continue
                reason = failure.reason
            if time.monotonic() - started > RETRY_S:
                raise Halt(f"still failing after {RETRY_S:.0f} s: {reason}")
            self.counts.retries += 1
            log.warning("batch is tried again", reason=reason)
            await asyncio.sleep(delay * (0.5 + random.random()))  # noqa: S311 - jitter
            lap("retry")
            delay = min(delay * 2, 2.0)

    async def _attempt(self, items: Sequence[Item], partitions: set[int], one_by_one: bool, lap: Lap) -> Writes[S]:
        connection: Connection | None = None
        try:
            async with self._pool.acquire(timeout=10) as connection:
                try:
                    with self._telemetry.transaction(self._namespace):
                        async with connection.transaction():
                            await lock_partitions(connection, partitions)
                            lap("lock")
                            drill.point("claimed")
                            if one_by_one:
                                writes = await self._isolate(connection, items, lap)
                            else:
                                writes = await apply(connection, items, self.handlers, self.writers, {}, lap)
                            drill.point("before_commit")
                        lap("commit")
                    drill.point("after_commit")
                    return writes
                except Conflict:
                    raise _Failed("conflict", passes=True) from None
                except Exception as error:
                    # Decided while the connection is still ours: a closed one explains any error.
                    raise _Failed(reduce_error(error), passes=is_transient(error, connection)) from error
        except _Failed:
            raise
        except Exception as error:
            raise _Failed(reduce_error(error), passes=is_transient(error)) from error

    async def _isolate(self, connection: Connection, items: Sequence[Item], lap: Lap) -> Writes[S]:
        """Write a batch by halves, behind savepoints, down to the record that cannot be written: its case is parked."""
        try:
            async with connection.transaction():
                return await apply(connection, items, self.handlers, self.writers, {}, lap)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            if is_transient(error, connection) or not blames_record(error):
                raise
            blamed = f"write.{reduce_error(error)}"
        if len(items) > 1:
            half = len(items) // 2
            first = await self._isolate(connection, items[:half], lap)
            return first.joined(await self._isolate(connection, items[half:], lap))
        (item,) = items
        if isinstance(item, Ignored | Lost):
            raise Halt(blamed)
        async with connection.transaction():
            condemned = {item.record.position: blamed}
            return await apply(connection, items, self.handlers, self.writers, condemned, lap)

    async def _commit_offsets(self, records: Sequence[Record]) -> None:
        offsets: dict[TopicPartition, int] = {}
        for record in records:
            position = record.position
            place = TopicPartition(position.topic, position.partition)
            offsets[place] = max(offsets.get(place, 0), position.offset + 1)
        self._done.update(offsets)
        try:
            await within(10, self.consumer.commit(offsets))
        except (CommitFailedError, IllegalStateError, KafkaError, TimeoutError) as error:
            # The partition went to another member, or the broker is away: the records come again and are absorbed.
            log.warning("offsets not committed", error=type(error).__name__)
        drill.point("offsets_committed")

    def _count(self, records: Sequence[Record], writes: Writes[S], lap: Stopwatch) -> None:
        now = time.monotonic()
        self.last_progress = now
        counts = self.counts
        counts.batches += 1
        counts.durations.add(sum(lap.took.values()))
        for stage, seconds in lap.took.items():
            counts.stages[stage].add(seconds)
        counts.records += len(records)
        counts.duplicates += writes.duplicates
        counts.parked.update(row.reason.partition(".")[0] for row in writes.parked)
        counts.dead_lettered.update(reason.partition(".")[0] for _, reason in writes.dead)
        counts.folded += len(writes.log) - len(writes.parked)
        for partition in {case.partition for case in writes.cases.values()}:
            mine = [ref for ref, case in writes.cases.items() if case.partition == partition]
            breaker = self._breakers.setdefault(partition, Breaker())
            tripped = breaker.trips(mine, [ref for ref in mine if ref in writes.defects], now)
            if tripped and partition not in self._membership.stopped:
                self._membership.stop(partition)
                log.critical(
                    "partition stopped: case after case fails; mend the service and restart it", partition=partition
                )

    async def lag(self) -> dict[TopicPartition, int]:
        """How many records of each partition that is ours are not finished, by the end that the last fetch told.

        Nothing is asked of the broker. What has not been fetched from since it was assigned is left out.
        """
        if self._poll is None or self.consumer is None:
            return {}
        ends = {place: self.consumer.highwater(place) for place in self.consumer.assignment()}
        found: dict[TopicPartition, int] = {}
        for place, end in ends.items():
            if end is None:
                continue
            done = self._done.get(place)
            if done is None:
                with contextlib.suppress(IllegalStateError, TimeoutError):
                    done = await within(1, self.consumer.position(place))  # known, since it was fetched from
            if done is not None:
                found[place] = max(end - done, 0)
        return found

    @property
    def stopped_partitions(self) -> list[int]:
        """The partition numbers of ours that the breaker has stopped, until the process is started again."""
        if self._poll is None or self.consumer is None:
            return []
        return sorted({place.partition for place in self.consumer.paused()})

    def stalled_s(self) -> float:
        """Seconds since the last batch was finished, while there is one to finish; otherwise 0."""
        if self._poll is None or self.consumer is None or not self._behind():
            return 0.0
        return time.monotonic() - self.last_progress

    async def watch(self) -> None:
        """Halt the process when there are records and none is committed for the watchdog's time."""
        while True:
            await asyncio.sleep(min(5.0, self._settings.watchdog_s / 4))
            if self._poll is None or self.consumer is None:
                continue
            if self._idle.is_set() and time.monotonic() - self._poll.last > self._settings.watchdog_s:
                raise Halt("nothing is polled")
            if not self._behind():
                self.last_progress = time.monotonic()
            elif time.monotonic() - self.last_progress > self._settings.watchdog_s:
                raise Halt("records wait and none is committed")

    def _behind(self) -> bool:
        paused = set(self.consumer.paused())
        for place in self.consumer.assignment():
            end = self.consumer.highwater(place)
            if place not in paused and end is not None and self._done.get(place, end) < end:
                return True
        return not self._idle.is_set()


async def _parse(message: Any) -> Any:
    """Hand over the raw records: headers may be null or not UTF-8, and only `open_record` decides on them."""
    return KafkaMessage(body=message, raw_message=message, consumer=FAKE_CONSUMER)


async def _decode(message: Any) -> Any:
    return message.raw_message
