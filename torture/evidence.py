"""What happened, as plain data: topics, every service's tables, what employers hold, what was sent, sampled offsets.

`gather` reads it from a running system; the checks only look at the result, so evidence can as well be made by hand.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ops.kafka import EMPLOYER_TOPIC, OWN_TOPIC, partitions, records, topic_names
from ops.target import DECIDING as SERVICES
from ops.target import Target, connected
from workhardening_contracts.envelope import Envelope, Unreadable, read_kafka
from workhardening_contracts.kafka import client_options

__all__ = [
    "EMPLOYER_TOPIC",
    "OWN_TOPIC",
    "SERVICES",
    "SESSIONS",
    "Evidence",
    "Record",
    "Sample",
    "Tables",
    "gather",
    "rows",
]

Row = Mapping[str, Any]
"""A row of a table by column; case references are text, JSON columns are parsed."""
Key = tuple[str, str, str]
"""(case, source, id)."""


SESSIONS = (
    "SELECT pid, usename AS role, state, extract(epoch FROM now() - state_change)::float8 AS seconds,"
    " (SELECT count(*) FROM pg_stat_activity w WHERE a.pid = ANY (pg_blocking_pids(w.pid)))::int AS blocking"
    " FROM pg_stat_activity a WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
"""Whoever is connected to the database, and whom each keeps from a lock."""


@dataclass(frozen=True)
class Record:
    """One record of one topic."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    """Seconds since 1970, set by its producer or the broker."""
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None

    @cached_property
    def envelope(self) -> Envelope | None:
        """None for a record that cannot be read."""
        try:
            return read_kafka(self.key, self.headers, self.value)
        except Unreadable:
            return None

    @cached_property
    def event(self) -> Key | None:
        """What tells the event apart, however often it stands in topics."""
        read = self.envelope
        return None if read is None else (str(read.subject), read.source, read.id)

    @property
    def place(self) -> str:
        """`topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True)
class Sample:
    """What a group had committed at a moment."""

    at: float
    """Seconds since 1970, taken after the broker had answered."""
    service: str
    topic: str
    partition: int
    committed: int


@dataclass
class Tables:
    """One service's tables."""

    cases: list[Row] = field(default_factory=list[Row])
    log: list[Row] = field(default_factory=list[Row])
    outbox: list[Row] = field(default_factory=list[Row])
    parked: list[Row] = field(default_factory=list[Row])
    dead: list[Row] = field(default_factory=list[Row])

    @cached_property
    def by_key(self) -> dict[Key, Row]:
        """The log by (case, source, id)."""
        return {(row["case_ref"], row["source"], row["id"]): row for row in self.log}

    @cached_property
    def log_of(self) -> dict[str, list[Row]]:
        """Each case's log rows, in the order in which they took effect."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(self.log, key=effective):
            found[row["case_ref"]].append(row)
        return found


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def effective(row: Row) -> int:
    """The case version at which a log row took effect: the retry's, where it had been parked."""
    return int(row["retried_version"] or row["case_version"])


@dataclass
class Evidence:
    """All that the checks look at. What was not collected is None, and its checks say nothing."""

    records: list[Record]
    services: dict[str, Tables]
    receipts: list[Row] = field(default_factory=list[Row])
    endpoints: list[Row] = field(default_factory=list[Row])
    deliveries: list[Row] = field(default_factory=list[Row])
    disclosures: list[Row] = field(default_factory=list[Row])
    seals: list[Row] = field(default_factory=list[Row])
    """The chains of the disclosure log."""
    feed: list[Row] = field(default_factory=list[Row])
    messages: list[Row] = field(default_factory=list[Row])
    """Mails to workers and clinicians, sent or not."""
    ledger: list[Row] | None = None
    """The simulator's ledger: each line of it."""
    books: Mapping[str, Row] | None = None
    """Employer -> `updates`, `refused` and `bodies` of its receiver."""
    samples: list[Sample] = field(default_factory=list[Sample])
    behind: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(service, topic) -> records that the group has not committed."""
    sessions: list[Row] = field(default_factory=list[Row])
    """PostgreSQL's sessions: `state`, `seconds` in it, and how many others each is `blocking`."""
    drained_s: float | None = None
    """Seconds from the last fault until everything had come to rest."""
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """Where text may leak to (`intake.log`, `spans`, `metrics`): place -> text."""
    canaries: Mapping[str, str] = field(default_factory=dict[str, str])
    """Field of patients' data -> the text that was planted there."""
    finished: Mapping[tuple[str, str, int], int] | None = None
    """(group's name, topic, partition) -> what was committed before the tables were read, of a system that goes on.
    What lies behind it may be in flight. None: the system is at rest, and all must be finished."""
    begins: Mapping[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    """(topic, partition) -> the first offset that is still held, where retention has deleted what was before it."""

    def in_flight(self, group: str, record: Record) -> bool:
        """Whether a group need not have finished a record yet."""
        if self.finished is None:
            return False
        return record.offset >= self.finished.get((group, record.topic, record.partition), 0)

    def forgotten(self, topic: str) -> bool:
        """Whether a topic's retention has deleted any of the records that are looked at."""
        return any(name == topic and begin > 0 for (name, _), begin in self.begins.items())

    def outlived(self, row: Row) -> bool:
        """Whether the record of a log row is no longer held by its topic."""
        return bool(row["offset"] < self.begins.get((row["topic"], row["partition"]), 0))

    @cached_property
    def on_topic(self) -> dict[str, list[Record]]:
        """Each topic's records, in the order of each partition."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in sorted(self.records, key=lambda each: (each.topic, each.partition, each.offset)):
            found[record.topic].append(record)
        return found

    @cached_property
    def first(self) -> dict[tuple[str, Key], Record]:
        """(topic, event) -> the record in which it first occurred."""
        found: dict[tuple[str, Key], Record] = {}
        for topic, here in self.on_topic.items():
            for record in here:
                if record.event is not None:
                    found.setdefault((topic, record.event), record)
        return found

    @cached_property
    def said(self) -> dict[str, list[Record]]:
        """Service -> its events' first records on topics, by partition and offset."""
        found: dict[str, list[Record]] = defaultdict(list)
        for (topic, _), record in self.first.items():
            envelope = record.envelope
            if envelope is None or EMPLOYER_TOPIC.match(topic) or not _is_json(envelope.data):
                continue  # what says that it is ours and cannot be read was forged: it parks its case
            if envelope.source.startswith("/services/"):
                found[envelope.source.removeprefix("/services/")].append(record)
        return found

    @cached_property
    def feed_of(self) -> dict[str, list[Row]]:
        """Case -> the rows of clinics' feeds."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.feed:
            found[row["case_ref"]].append(row)
        return found

    @cached_property
    def case_of(self) -> dict[tuple[str, str], Row]:
        """(service, case) -> its row."""
        return {(name, row["case_ref"]): row for name, tables in self.services.items() for row in tables.cases}

    def erased(self, service: str, case: str) -> bool:
        """Whether a service holds nothing but the mark that the case was erased."""
        row = self.case_of.get((service, case))
        return row is not None and bool(row["erased"])


def read_ledger(path: Path) -> list[Row]:
    """The ledger's lines; one that was cut off by a kill ends it."""
    lines: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def read_samples(path: Path) -> list[Sample]:
    """The offsets that the torture sampled (`torture/watching.py`)."""
    return [Sample(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def read_texts(paths: Iterable[Path]) -> dict[str, str]:
    """What was written to files, under their names; bytes that are no text are replaced."""
    return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths}


async def gather(target: Target, reads: Mapping[str, Sequence[str]]) -> Evidence:
    """Read everything from a running system. `reads`: service -> the topics of its group."""
    evidence = Evidence(await _topics(target.kafka), {name: await _tables(target, name) for name in SERVICES})
    async with connected(target.database, "intake") as connection:
        evidence.receipts = await rows(connection, "SELECT source, id, case_ref, type, status FROM receipts")
    async with connected(target.database, "notify") as connection:
        # One whose breaker is open is sent nothing but a probe, like one that is disabled.
        evidence.endpoints = await rows(
            connection, "SELECT employer, kind, enabled AND open_until IS NULL AS enabled FROM endpoints"
        )
        evidence.deliveries = await rows(
            connection,
            "SELECT id, employer, case_ref, event_id, sequence, body, scopes, bases, status, reason, attempts,"
            " superseded_by, next_attempt_at <= now() AS due FROM deliveries ORDER BY employer, case_ref, sequence",
        )
        # The seals first: what they seal is there before them.
        evidence.seals = await rows(connection, "SELECT * FROM disclosure_seals")
        evidence.disclosures = await rows(
            connection,
            "SELECT id, employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256, disclosed_at,"
            " extract(epoch FROM now() - disclosed_at)::float8 AS age FROM disclosures",
        )
        evidence.feed = await rows(connection, "SELECT clinic, case_ref, source, event_id, event FROM feed")
        evidence.messages = await rows(connection, "SELECT case_ref, kind, event_id, subject, body FROM messages")
        evidence.sessions = await rows(connection, SESSIONS)
    evidence.behind = await _behind(target.kafka, reads)
    return evidence


async def _topics(bootstrap: str) -> list[Record]:
    return [
        Record(
            record.topic, record.partition, record.offset, record.timestamp / 1000, record.key,
            tuple(record.headers), record.value,
        )
        async for record in records(bootstrap, await topic_names(bootstrap))
    ]  # fmt: skip


async def _tables(target: Target, service: str) -> Tables:
    async with connected(target.database, service) as connection:
        return Tables(
            cases=await rows(
                connection,
                "SELECT case_ref, partition, version, state, waiting, sequences, parked, erased FROM cases",
            ),
            log=await rows(connection, "SELECT * FROM event_log ORDER BY case_ref, case_version"),
            outbox=await rows(connection, "SELECT id, topic, case_ref, headers, value, held FROM outbox ORDER BY id"),
            parked=await rows(connection, "SELECT * FROM parked ORDER BY id"),
            dead=await rows(connection, "SELECT * FROM dead_letter"),
        )


async def rows(connection: Any, query: str, *arguments: Any) -> list[Row]:
    """A query's rows as the checks read them."""
    parsed = ("state", "waiting", "sequences", "event")
    found: list[Row] = []
    for row in await connection.fetch(query, *arguments):
        plain: dict[str, Any] = dict(row)
        if plain.get("case_ref") is not None:
            plain["case_ref"] = str(plain["case_ref"])
        for name in parsed:
            if isinstance(plain.get(name), str) and "pid" not in plain:
                plain[name] = json.loads(plain[name])
        found.append(plain)
    return found


async def _behind(bootstrap: str, reads: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], int]:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.admin import AIOKafkaAdminClient

    known = await partitions(bootstrap)
    admin: Any = AIOKafkaAdminClient(**client_options(bootstrap))
    consumer: Any = AIOKafkaConsumer(**client_options(bootstrap), enable_auto_commit=False)
    found: dict[tuple[str, str], int] = {}
    try:
        await asyncio.wait_for(admin.start(), 20)
        await asyncio.wait_for(consumer.start(), 20)
        for service, topics in reads.items():
            committed = await admin.list_consumer_group_offsets(f"whp.{service}")
            for topic in topics:
                ends: dict[Any, int] = await consumer.end_offsets(known[topic]) if known.get(topic) else {}
                done = {place: max(committed[place].offset, 0) if place in committed else 0 for place in ends}
                found[service, topic] = sum(end - done[place] for place, end in ends.items())
    finally:
        await consumer.stop()
        await admin.close()
    return found


def moment(value: Any) -> float:
    """A timestamp as seconds since 1970."""
    return value.timestamp() if isinstance(value, datetime) else float(value)
