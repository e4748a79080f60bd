"""The clinics' Kafka door: records of `clinic.<id>.events.v1` come in by the same code as HTTP requests, in order.

A record that is refused is answered (EventRejected) or kept (dead letter); one that the broker or the database cannot
take now is tried until they can. Either way the next record follows, so no record stops a topic.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from runtime.db import Pool, reduce_error
from runtime.fold import Position, Refusal, rejection_of
from runtime.parking import write_dead_letter
from runtime.policy import Policies
from runtime.poll import Poll, Undecodable, next_records
from runtime.relay import transient
from runtime.running import Running
from runtime.within import within
from services.intake.admission import Desk, admit
from services.intake.handlers import handlers
from services.intake.policy import Policy
from services.intake.receipts import PostgresReceipts
from services.intake.screening import ALL_CASES, EARLIEST, FINDINGS, Refused
from workhardening_contracts.envelope import Envelope, Unreadable, read_kafka
from workhardening_contracts.kafka import client_options

log = structlog.get_logger("bridge")

OWN_TOPICS = re.compile(r"^clinic\.([a-z0-9][a-z0-9_.-]*)\.events\.v1$")
GROUP = "whp.intake-bridge"

# A clinic's new topic is read this soon after it is made.
METADATA_MS = 3000
BATCH = 200
SLOWEST_RETRY_S = 5.0

_FOR_ALL = str(ALL_CASES).encode()
_KEPT = FINDINGS
"""Refusals that are not answered but kept as dead letters: an answer bears the source and id of the record, and these
may be those of an event that someone else, or the clinic itself, sent well."""


class Consumed(Protocol):
    """One record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


Bury = Callable[[Position, Consumed | None, str], Awaitable[None]]
"""Keep a record as a dead letter, with a reason; without a record its bytes could not be had."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """What taking in records needs."""

    desk: Desk
    bury: Bury
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


async def run_bridge(running: Running) -> None:
    """The worker. Ends only by an error, and is then started again."""
    bridge = Bridge(
        Desk(
            PostgresReceipts(running.pool),
            running.publish,
            bytes.fromhex(running.settings.digest_key.get_secret_value()),
            running.telemetry.receiving,
        ),
        _burier(running.pool),
    )
    instance = running.settings.instance
    consumer: Any = AIOKafkaConsumer(
        **client_options(running.settings.kafka_bootstrap.get_secret_value()),
        client_id="intake-bridge",
        group_id=GROUP,
        group_instance_id=instance and f"{GROUP}.{instance}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        metadata_max_age_ms=METADATA_MS,
        session_timeout_ms=running.settings.session_timeout_ms,
        heartbeat_interval_ms=running.settings.session_timeout_ms // 6,
        # A broker or database that is away is waited for in place.
        max_poll_interval_ms=600_000,
    )
    consumer.subscribe(pattern=OWN_TOPICS.pattern)
    # A partition that went to another member and came back is searched for a bad record from where it stood here: what
    # is taken in again is absorbed.
    done: dict[TopicPartition, int] = {}
    poll = Poll(lambda consumer: next_records(consumer, BATCH), done)
    try:
        await consumer.start()
        while True:
            await take_turn(bridge, consumer, poll, done)
    finally:
        await within(10, consumer.stop())


async def take_turn(bridge: Bridge, consumer: Any, poll: Poll, done: dict[TopicPartition, int]) -> None:
    """Take in what has come next, and tell the broker that it is finished."""
    finished: dict[TopicPartition, int] = {}
    records = await poll(consumer)
    for abreast in side_by_side(records):
        # All are awaited before one failure is raised: a record left behind could come after a later one of its case.
        ended = await asyncio.gather(*(_take_in_order(bridge, line) for line in abreast), return_exceptions=True)
        for failure in ended:
            if failure is not None:
                raise failure
    for record in records:
        place = TopicPartition(record.topic, record.partition)
        done[place] = finished[place] = max(finished.get(place, 0), record.offset + 1)
    if finished:
        await _commit(consumer, finished)


def side_by_side(records: Iterable[Consumed]) -> list[list[list[Consumed]]]:
    """Records as they may be taken in: step by step, in each step the lines of different cases side by side.

    One by one a topic went no faster than the round trips of one record. What is for all cases of a clinic comes by
    itself: it must not overtake a session, nor be overtaken.
    """
    steps: list[dict[bytes | None, list[Consumed]]] = [{}]
    for record in records:
        if record.key == _FOR_ALL:
            steps += [{record.key: [record]}, {}]
        else:
            steps[-1].setdefault(record.key, []).append(record)
    return [list(step.values()) for step in steps if step]


async def _take_in_order(bridge: Bridge, line: Iterable[Consumed]) -> None:
    for record in line:
        await take_in(bridge, record)


async def take_in(bridge: Bridge, record: Consumed) -> None:
    """Take in one record, for as long as it takes; afterwards it is produced, answered or kept."""
    delay = 0.2
    while True:
        try:
            return await _take_in(bridge, record)
        except Exception as error:
            if not transient(error):
                # A defect of ours in one record is no reason to hold back the clinic's other records.
                log.error("record kept", topic=record.topic, offset=record.offset, error=reduce_error(error))
                return await bridge.bury(_position(record), record, f"defect.{type(error).__name__}")
            log.warning("record tried again", topic=record.topic, offset=record.offset, error=reduce_error(error))
        await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        delay = min(delay * 2, SLOWEST_RETRY_S)


async def _take_in(bridge: Bridge, record: Consumed) -> None:
    if isinstance(record, Undecodable):
        return await bridge.bury(_position(record), None, "kafka.undecodable")
    named = OWN_TOPICS.match(record.topic)
    if named is None:
        return await bridge.bury(_position(record), record, "topic_unknown")
    try:
        envelope = read_kafka(record.key, record.headers, record.value)
    except Unreadable as error:
        return await bridge.bury(_position(record), record, error.code)
    try:
        await admit(bridge.desk, named[1], envelope, bridge.now())
    except Refused as refused:
        if refused.code in _KEPT:
            log.warning("security", finding=refused.code, topic=record.topic, offset=record.offset)
            return await bridge.bury(_position(record), record, refused.code)
        await _answer(bridge, envelope, _position(record), refused)
    return None


async def _answer(bridge: Bridge, envelope: Envelope, position: Position, refused: Refused) -> None:
    """Say no. The id comes from the record's place, so that saying it again is no second answer."""
    refusal = Refusal(refused.code, refused.detail, refused.mend, refused.field)
    # An answer bears the time of what it answers; a time that was refused would be refused in the answer too.
    now = bridge.now()
    heard = envelope if EARLIEST <= envelope.time <= now else replace(envelope, time=now)
    rejected = rejection_of(heard, position, refusal, _HANDLERS)
    await bridge.desk.publish(rejected.topic, rejected.envelope)


async def _commit(consumer: Any, offsets: dict[TopicPartition, int]) -> None:
    try:
        await consumer.commit(offsets)
    except (CommitFailedError, IllegalStateError):
        # A partition has a new owner, who takes its records in again; the receipts and the event log absorb that.
        log.info("commit passed to the new owner", partitions=len(offsets))
    except KafkaError as error:
        log.warning("commit failed; the next one covers it", error=type(error).__name__)


def _position(record: Consumed) -> Position:
    return Position(record.topic, record.partition, record.offset)


def _burier(pool: Pool) -> Bury:
    async def bury(position: Position, record: Consumed | None, reason: str) -> None:
        async with pool.acquire(timeout=10) as connection:
            if record is None:
                await write_dead_letter(connection, position, None, None, (), reason)
            else:
                await write_dead_letter(connection, position, record.key, record.value, record.headers, reason)

    return bury


# Only for the form of a rejection, which depends on no policy.
_HANDLERS = handlers(Policies(Policy()))
