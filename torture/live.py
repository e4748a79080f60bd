"""The evidence of a system that goes on, a partition at a time, so that what is in flight is never taken for lost.

A case lies in one partition of every topic, so one partition number of all topics, with the rows of its cases, can be
judged by itself, and no more than that is held at once. Each part is a cut through the system, read in this order:

1. what the groups have committed: a record before it was finished before anything that follows was read;
2. the topics' ends: a record before them was decided before, too, so that the tables must know of it;
3. all tables, in one snapshot;
4. the topics' ends again, and the records up to them: what the snapshot does not hold in an outbox any more is there.

What a service published after its snapshot is left out: the tables cannot know of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from ops.kafka import partitions, read_to
from ops.target import DECIDING as SERVICES
from ops.target import Target, connected
from torture.checks import account, once, order, rest
from torture.checks.readers import READS, due, is_own, logged
from torture.checks.violation import Violation
from torture.evidence import SESSIONS, Evidence, Record, Tables, rows
from workhardening_contracts.kafka import client_options
from workhardening_contracts.registry import REJECTIONS_TOPIC

__all__ = ["Part", "judge", "parts", "tally"]

BRIDGE = "intake-bridge"
"""The group that reads clinics' own topics."""
LATE_S = 60.0
"""I9: whatever stopped it, everything comes to rest within a minute; what is older than that does not."""

_TABLES = {
    "cases": "SELECT case_ref, partition, version, waiting, sequences, parked, erased FROM cases WHERE partition = $1",
    "log": 'SELECT case_ref, source, id, type, topic, partition, "offset", received_at, case_version, retried_version,'
    " discarded_version, result, sequence FROM event_log WHERE partition = $1 ORDER BY case_ref, case_version",
    "outbox": "SELECT id, topic, case_ref, headers, held, extract(epoch FROM now() - created_at)::float8 AS age"
    " FROM outbox WHERE case_ref IN (SELECT case_ref FROM cases WHERE partition = $1) ORDER BY id",
    "parked": 'SELECT id, case_ref, topic, partition, "offset", source, event_id, reason, resolved_at, resolution'
    " FROM parked WHERE partition = $1 ORDER BY id",
    "dead": 'SELECT topic, partition, "offset" FROM dead_letter WHERE partition = $1',
}
"""What the checks of a part need of a service's tables, without what patients said."""


@dataclass(frozen=True)
class Part:
    """One cut: of a partition number, or of clinics' own topics."""

    evidence: Evidence
    bridge: bool = False
    """Whether this is of clinics' own topics, which intake's bridge reads."""


@dataclass(frozen=True)
class _Clients:
    """What Kafka is asked with."""

    admin: Any
    consumer: Any


async def parts(target: Target) -> AsyncGenerator[Part]:
    """One after the other; let go of each before the next. Raises what Kafka and PostgreSQL raise, and CommandError."""
    known = await partitions(target.kafka)
    read = sorted({topic for topics in READS.values() for topic in topics})
    async with _clients(target.kafka) as clients:
        for number in sorted({place.partition for topic in read for place in known.get(topic, [])}):
            places = [place for topic in read for place in known.get(topic, []) if place.partition == number]
            yield Part(await _partition(target, clients, number, places))
        own = [place for topic, here in known.items() if is_own(topic) for place in here]
        if own:
            answers = known.get(REJECTIONS_TOPIC, [])
            yield Part(await _own_topics(target, clients, own, answers), bridge=True)


def judge(part: Part) -> list[Violation]:
    """I1 to I4 and I9 of a part; each violation once."""
    evidence = part.evidence
    if part.bridge:
        return list(account.bridge(evidence))
    found = [*account.check(evidence), *order.check(evidence), *once.check(evidence)]
    return list(dict.fromkeys([*found, *_late(evidence), *rest.sessions(evidence)]))


def tally(part: Part) -> dict[str, Counter[str]]:
    """Consumer -> how many events it was given, `accepted`, and what became of them."""
    if not part.bridge:
        return account.tally(part.evidence)
    fates = Counter(fate for _, fate in account.bridged(part.evidence))
    return {"bridge": fates + Counter(accepted=fates.total())}


def _late(evidence: Evidence) -> Iterator[Violation]:
    """I9, while others come: nothing is on its way for long."""
    for service, tables in evidence.services.items():
        old = [row for row in tables.outbox if row["age"] > LATE_S]
        if old:
            held = sum(row["held"] is not None for row in old)
            text = f"{service} has not published {len(old)} events for {old[0]['age']:.0f} s, {held} of them held"
            yield Violation("I9", old[0]["case_ref"], text)
    now = time.time()
    oldest: dict[tuple[str, str, int], tuple[int, Record]] = {}
    dead = {
        (name, row["topic"], row["partition"], row["offset"])
        for name, tables in evidence.services.items()
        for row in tables.dead
    }
    for each in due(evidence):
        record = each.record
        place = (each.service, record.topic, record.partition)
        finished = logged(evidence, each) is not None or (*place, record.offset) in dead
        if evidence.in_flight(f"whp.{each.service}", record) and not finished and now - record.timestamp > LATE_S:
            count, first = oldest.get(place, (0, record))
            oldest[place] = (count + 1, first)
    for (service, topic, _), (count, first) in oldest.items():
        text = f"{service} has not taken {count} records of {topic} for {now - first.timestamp:.0f} s"
        yield Violation("I9", first.event and first.event[0], text, (), (first.place,))


async def _partition(target: Target, clients: _Clients, number: int, places: Sequence[TopicPartition]) -> Evidence:
    finished = await _committed(clients.admin, SERVICES, places)
    ends: Mapping[Any, int] = await clients.consumer.end_offsets(places)
    async with connected(target.database, "public") as connection:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            services = {name: await _tables(connection, name, number) for name in SERVICES}
        # One look at who is connected is enough; the snapshot above must not be counted as one that is left open.
        sessions = await rows(connection, SESSIONS) if number == 0 else []
    evidence = Evidence([], services, sessions=sessions, finished=finished)
    evidence.begins = await _begins(clients.consumer, places)
    async for record in _records(clients.consumer, places):
        if record.offset < ends[TopicPartition(record.topic, record.partition)] or not _later(evidence, record):
            evidence.records.append(record)
    return evidence


def _later(evidence: Evidence, record: Record) -> bool:
    """Whether a service published this after its tables were read."""
    envelope = record.envelope
    if envelope is None or envelope.sequence is None or not envelope.source.startswith("/services/"):
        return False
    case = evidence.case_of.get((envelope.source.removeprefix("/services/"), str(envelope.subject)))
    return case is None or envelope.sequence > case["sequences"].get(record.topic, 0)


async def _own_topics(
    target: Target, clients: _Clients, own: Sequence[TopicPartition], answers: Sequence[TopicPartition]
) -> Evidence:
    """Clinics' records, what was admitted of them by its receipt, what was answered, and what was kept."""
    finished = await _committed(clients.admin, [BRIDGE], own)
    topics = sorted({place.topic for place in own})
    records = [record async for record in _records(clients.consumer, own)]
    keys = {record.event[1:] for record in records if record.event is not None}
    async with connected(target.database, "intake") as connection:
        receipts = await rows(
            connection,
            "SELECT r.source, r.id, r.status FROM unnest($1::text[], $2::text[]) AS n (source, id)"
            " JOIN receipts r ON r.source = n.source AND r.id = n.id",
            [source for source, _ in keys],
            [id_ for _, id_ in keys],
        )
        dead = await rows(
            connection, 'SELECT topic, partition, "offset" FROM dead_letter WHERE topic = any($1::text[])', topics
        )
    # Each answer is named for the record's place; of the rest of that topic nothing is kept.
    prefixes = tuple(f"intake.{topic}." for topic in topics)
    async for record in _records(clients.consumer, answers):
        if record.event is not None and record.event[2].startswith(prefixes):
            records.append(record)
    return Evidence(records, {"intake": Tables(dead=dead)}, receipts=receipts, finished=finished)


async def _tables(connection: Any, service: str, number: int) -> Tables:
    await connection.execute("SELECT set_config('search_path', $1, true)", service)
    return Tables(**{name: await rows(connection, query, number) for name, query in _TABLES.items()})


async def _committed(
    admin: Any, groups: Sequence[str], places: Sequence[TopicPartition]
) -> dict[tuple[str, str, int], int]:
    found: dict[tuple[str, str, int], int] = {}
    for group in groups:
        committed = await asyncio.wait_for(admin.list_consumer_group_offsets(f"whp.{group}"), 20)
        for place in places:
            offset = committed[place].offset if place in committed else 0
            found[f"whp.{group}", place.topic, place.partition] = max(offset, 0)
    return found


async def _begins(consumer: Any, places: Sequence[TopicPartition]) -> dict[tuple[str, int], int]:
    begins: Mapping[TopicPartition, int] = await consumer.beginning_offsets(places)
    return {(place.topic, place.partition): begin for place, begin in begins.items()}


async def _records(consumer: Any, places: Sequence[TopicPartition]) -> AsyncGenerator[Record]:
    async for record in read_to(consumer, places):
        yield Record(
            record.topic, record.partition, record.offset, record.timestamp / 1000, record.key,
            tuple(record.headers), record.value,
        )  # fmt: skip


@asynccontextmanager
async def _clients(bootstrap: str) -> AsyncGenerator[_Clients]:
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap))
    consumer: Any = AIOKafkaConsumer(
        **client_options(bootstrap), auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=50
    )
    try:
        await asyncio.wait_for(admin.start(), 20)
        await asyncio.wait_for(consumer.start(), 20)
        yield _Clients(admin, consumer)
    finally:
        await consumer.stop()
        await admin.close()
