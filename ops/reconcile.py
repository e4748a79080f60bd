"""Does what came in equal what became of it? Computed from topics, databases and receivers, not from counters.

accepted = effects + waiting + rejected + parked + dead-lettered, per consumer and event. An event is expected at a
consumer when it stands in a topic that the consumer reads and is of a type that it handles.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, cast

from ops.kafka import EMPLOYER_TOPIC, OWN_TOPIC, lag, records, topic_names
from ops.registered import handled_types, service_of
from ops.target import SERVICES, Target, connected
from runtime.db import Connection
from runtime.fold import too_far_ahead
from workhardening_contracts.contract import Violation
from workhardening_contracts.envelope import Envelope, Unreadable, read_kafka
from workhardening_contracts.intake import ConsultationBooked, ConsultationCancelled, ConsultationReminderDue
from workhardening_contracts.readiness import EventRejected
from workhardening_contracts.registry import BY_TYPE, CLINIC_TOPIC, open_closed

BRIDGE = "bridge"
UNCAUSED = frozenset({ConsultationBooked.TYPE, ConsultationCancelled.TYPE, ConsultationReminderDue.TYPE})
"""Booked at a door or due by the clock: no event is their cause, and they bear no number of a case's sequence."""
Key = tuple[str, str, str]
"""(case, source, id), or ("", topic, partition/offset) for a record that names none."""


@dataclass
class Figures:
    """One consumer's pairs."""

    accepted: int = 0
    effects: int = 0
    waiting: int = 0
    rejected: int = 0
    parked: int = 0
    dead_lettered: int = 0
    lost: int = 0


@dataclass
class Reconciliation:
    """What was found."""

    consumers: dict[str, Figures]
    duplicate: int = 0
    out_of_order: int = 0
    topics: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    webhooks: dict[str, int] = field(default_factory=dict[str, int])
    findings: list[str] = field(default_factory=list[str])
    """A line for each violation: the case or record and what is wrong with it."""

    def total(self, name: str) -> int:
        """A figure over all consumers."""
        return sum(int(getattr(figures, name)) for figures in self.consumers.values())

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, doubled, out of order or unaccounted for. Nothing at all proves nothing."""
        return not self.findings and self.total("accepted") > 0


@dataclass
class Seen:
    """What the topics hold."""

    expected: dict[str, dict[Key, str]]
    """Consumer -> key -> type."""
    bodies: dict[Key, bytes] = field(default_factory=dict[Key, bytes])
    sequences: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict[tuple[str, str], dict[str, int]])
    """(topic, case) -> id -> sequence, in the order in which the ids first occurred."""
    rejected: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    """(judge, source, id)."""
    rejected_places: set[Key] = field(default_factory=set[Key])
    caused: dict[Key, tuple[str, str]] = field(default_factory=dict[Key, tuple[str, str]])
    """Event of ours -> (service, its cause)."""
    counts: Counter[str] = field(default_factory=Counter[str])
    distinct: dict[str, set[Key]] = field(default_factory=lambda: defaultdict[str, set[Key]](set))
    told: dict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    """Employer with a topic -> ids there."""
    promised: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(topic, case) -> the last sequence that its service has given out: the end of a case is not told by the topic."""


async def reconcile(target: Target, books: Mapping[str, Iterable[Any]] | None = None) -> Reconciliation:
    """Read everything and hold it together. `books` is what employers' receivers hold, by employer."""
    seen = await _read_topics(target)
    found = Reconciliation({name: Figures() for name in (*SERVICES, BRIDGE)})
    causes: set[tuple[str, str]] = set()
    for service in SERVICES:
        causes |= await _reconcile_service(target, service, seen, found)
    await _reconcile_bridge(target, seen, found)
    _check_order(seen, found)
    _check_causes(seen, causes, found)
    await _check_drained(target, seen, found)
    await _check_deliveries(target, seen, books, found)
    return found


async def _read_topics(target: Target) -> Seen:
    readers = {name: service_of(name).topics for name in SERVICES}
    handled = handled_types()
    seen = Seen({name: {} for name in (*SERVICES, BRIDGE)})
    names = await topic_names(target.kafka)
    async for record in records(target.kafka, names):
        seen.counts[record.topic] += 1
        place: Key = ("", record.topic, f"{record.partition}/{record.offset}")
        if OWN_TOPIC.match(record.topic):
            seen.expected[BRIDGE][place] = ""
        try:
            envelope = read_kafka(record.key, record.headers, record.value)
        except Unreadable:
            seen.distinct[record.topic].add(place)
            if record.topic == CLINIC_TOPIC:
                seen.expected["intake"][place] = ""
            continue
        key: Key = (str(envelope.subject), envelope.source, envelope.id)
        seen.distinct[record.topic].add(key)
        if OWN_TOPIC.match(record.topic):
            seen.bodies[place] = envelope.data
            seen.caused[place] = (envelope.source, envelope.id)
            continue
        if employer := EMPLOYER_TOPIC.match(record.topic):
            seen.told[employer["employer"]].add(envelope.id)
            continue
        _note(seen, record, envelope, key, [name for name in SERVICES if record.topic in readers[name]], handled)
    return seen


def _note(
    seen: Seen,
    record: Any,
    envelope: Envelope,
    key: Key,
    readers: Iterable[str],
    handled: Mapping[str, frozenset[str]],
) -> None:
    place: Key = ("", record.topic, f"{record.partition}/{record.offset}")
    judge = BY_TYPE[envelope.type].judge if envelope.type in BY_TYPE else None
    valid = record.topic != CLINIC_TOPIC or _valid(envelope, datetime.fromtimestamp(record.timestamp / 1000, UTC))
    reused = seen.bodies.setdefault(key, envelope.data) != envelope.data
    for reader in readers:
        if envelope.type not in BY_TYPE:
            if reader == "intake" and record.topic == CLINIC_TOPIC:
                seen.expected[reader][place] = envelope.type
        elif envelope.type in handled[reader]:
            if reused:
                # The second body under one id is a finding for whoever answers for the type, not an event.
                if judge in (None, reader):
                    seen.expected[reader][place] = envelope.type
            elif valid or judge == reader:
                seen.expected[reader][key] = envelope.type
    if envelope.type == EventRejected.TYPE:
        data = cast("dict[str, Any]", json.loads(envelope.data))
        seen.rejected.add((data["judge"], data["rejected_source"], data["rejected_id"]))
        seen.rejected_places.add(("", data["topic"], f"{data['partition']}/{data['offset']}"))
    elif envelope.source.startswith("/services/") and envelope.type not in UNCAUSED and not reused:
        ordered = seen.sequences.setdefault((record.topic, str(envelope.subject)), {})
        ordered.setdefault(envelope.id, envelope.sequence or 0)
        seen.caused[key] = (envelope.source.removeprefix("/services/"), envelope.causationid or "")


def _valid(envelope: Envelope, recorded: datetime) -> bool:
    """Whether others than its judge take it: what breaks the contract or lies ahead is answered by the judge alone."""
    try:
        open_closed(envelope)
    except Violation:
        return False
    return not too_far_ahead(envelope.time, recorded)


async def _reconcile_service(target: Target, service: str, seen: Seen, found: Reconciliation) -> set[tuple[str, str]]:
    """Hold a consumer's expected events against its log. Returns (service, cause) of all that it took."""
    figures = found.consumers[service]
    async with connected(target.database, service) as connection:
        log = {
            (str(row["case_ref"]), str(row["source"]), str(row["id"])): str(row["result"])
            for row in await connection.fetch("SELECT case_ref, source, id, result FROM event_log")
        }
        waiting = {
            (str(row["case_ref"]), str(row["source"]), str(row["id"]))
            for row in await connection.fetch(
                "SELECT case_ref, w->'event'->>'source' AS source, w->'event'->>'id' AS id"
                " FROM cases, jsonb_array_elements(waiting) AS w"
            )
        }
        dead = await _dead_letters(connection)
        for row in await connection.fetch(
            "SELECT case_ref, s.key AS topic, s.value::int AS last FROM cases, jsonb_each(sequences) AS s"
        ):
            # What a rejection says is held against the log instead: "rejected and told nobody".
            if row["topic"] == f"{service}.events.v1":
                seen.promised[row["topic"], str(row["case_ref"])] = row["last"]
        for row in await connection.fetch(
            "SELECT case_ref, case_version FROM (SELECT case_ref, case_version FROM event_log UNION ALL"
            " SELECT case_ref, coalesce(retried_version, discarded_version) FROM event_log"
            " WHERE coalesce(retried_version, discarded_version) IS NOT NULL) AS v"
            " GROUP BY 1, 2 HAVING count(*) > 1"
        ):
            found.duplicate += 1
            found.findings.append(f"{service}: case {row['case_ref']} made version {row['case_version']} twice")
        for row in await connection.fetch(
            'SELECT case_ref, topic, count(*) AS times FROM (SELECT case_ref, topic, "offset",'
            ' lag("offset") OVER (PARTITION BY case_ref, topic, partition ORDER BY case_version) AS before'
            " FROM event_log WHERE topic <> 'runtime') AS o WHERE before > \"offset\" GROUP BY 1, 2"
        ):
            found.out_of_order += int(row["times"])
            found.findings.append(f"{service}: case {row['case_ref']} took {row['topic']} out of order")
    for key, type_ in seen.expected[service].items():
        figures.accepted += 1
        if key in waiting:
            figures.waiting += 1
        elif key in dead:
            figures.dead_lettered += 1
        elif key not in log:
            figures.lost += 1
            found.findings.append(f"{service}: lost {type_ or 'a record'} {'/'.join(key)}")
        elif log[key] == "rejected":
            figures.rejected += 1
            if (service, key[1], key[2]) not in seen.rejected:
                found.findings.append(f"{service}: rejected {'/'.join(key)} and told nobody")
        elif log[key] in ("parked", "discarded"):
            figures.parked += 1
        else:
            figures.effects += 1
    return {(service, f"{source}#{id_}") for _, source, id_ in log}


async def _dead_letters(connection: Connection) -> set[Key]:
    rows = await connection.fetch('SELECT topic, partition, "offset" FROM dead_letter')
    return {("", str(row["topic"]), f"{row['partition']}/{row['offset']}") for row in rows}


async def _reconcile_bridge(target: Target, seen: Seen, found: Reconciliation) -> None:
    figures = found.consumers[BRIDGE]
    async with connected(target.database, "intake") as connection:
        dead = await _dead_letters(connection)
        admitted = {
            (str(row["source"]), str(row["id"]))
            for row in await connection.fetch("SELECT source, id FROM receipts WHERE status <> 'pending'")
        }
    for place in seen.expected[BRIDGE]:
        figures.accepted += 1
        if place in dead:
            figures.dead_lettered += 1
        elif place in seen.rejected_places:
            figures.rejected += 1
        elif seen.caused.get(place) in admitted:
            figures.effects += 1
        else:
            figures.lost += 1
            found.findings.append(f"bridge: lost the record at {place[1]} {place[2]}")


def _check_order(seen: Seen, found: Reconciliation) -> None:
    for topic, case in sorted(seen.sequences.keys() | seen.promised.keys()):
        numbers = list(seen.sequences.get((topic, case), {}).values())
        if len(set(numbers)) < len(numbers):
            found.duplicate += len(numbers) - len(set(numbers))
            found.findings.append(f"{topic}: case {case} uses a sequence number for two events")
        inversions = sum(later < earlier for earlier, later in pairwise(numbers))
        if inversions:
            found.out_of_order += inversions
            found.findings.append(f"{topic}: case {case} is out of order")
        last = max(*numbers, seen.promised.get((topic, case), 0), 0)
        missing = set(range(1, last + 1)) - set(numbers)
        if missing:
            owner = topic.split(".")[0]
            found.consumers[owner].lost += len(missing)
            found.findings.append(f"{topic}: case {case} lacks sequence {min(missing)}")


def _check_causes(seen: Seen, causes: set[tuple[str, str]], found: Reconciliation) -> None:
    for key, (service, cause) in seen.caused.items():
        if key[0] and (service, cause) not in causes:
            found.findings.append(f"{service}: {key[2]} has no cause in the log")


async def _check_drained(target: Target, seen: Seen, found: Reconciliation) -> None:
    for topic, count in sorted(seen.counts.items()):
        found.topics[topic] = {"records": count, "events": len(seen.distinct[topic])}
    for service in SERVICES:
        async with connected(target.database, service) as connection:
            left = await connection.fetchval("SELECT count(*) FROM outbox")
        if left:
            found.findings.append(f"{service}: {left} outbox rows are not published")
        for topic, (_, behind) in (await lag(target.kafka, f"whp.{service}", service_of(service).topics)).items():
            if topic in found.topics:
                found.topics[topic][f"behind_{service}"] = behind
            if behind:
                found.findings.append(f"{service}: {behind} records of {topic} are not committed")


async def _check_deliveries(
    target: Target, seen: Seen, books: Mapping[str, Iterable[Any]] | None, found: Reconciliation
) -> None:
    async with connected(target.database, "notify") as connection:
        rows = await connection.fetch(
            "SELECT employer, case_ref::text, event_id, sequence, status, attempts, superseded_by FROM deliveries"
            " ORDER BY employer, case_ref, sequence"
        )
        disclosed = {
            (str(row["employer"]), str(row["event_id"]))
            for row in await connection.fetch(
                # Of an erased case the accounting stays, and the updates do not.
                "SELECT employer, event_id FROM disclosures d WHERE channel <> 'pull'"
                " AND NOT EXISTS (SELECT FROM cases c WHERE c.case_ref = d.case_ref AND c.erased)"
            )
        }
    tally = Counter(str(row["status"]) for row in rows)
    found.webhooks = {name: tally.get(name, 0) for name in ("delivered", "pending", "failed", "withheld", "coalesced")}
    found.webhooks["disclosures"] = len(disclosed)
    places = {(str(row["employer"]), str(row["case_ref"]), str(row["event_id"])): int(row["sequence"]) for row in rows}
    for row in rows:
        taker = (str(row["employer"]), str(row["case_ref"]), str(row["superseded_by"]))
        if row["status"] == "coalesced" and places.get(taker, 0) <= row["sequence"]:
            found.findings.append(f"notify: {taker[0]} was not told {row['event_id']}, and nothing took its place")
    delivered = {(str(row["employer"]), str(row["event_id"])) for row in rows if row["status"] == "delivered"}
    for employer, event in sorted(delivered - disclosed):
        found.findings.append(f"notify: {employer} was told {event} and no disclosure says so")
    tried = {(str(row["employer"]), str(row["event_id"])) for row in rows if row["attempts"] > 0}
    for employer, event in sorted(disclosed - tried):
        found.findings.append(f"notify: {employer} has a disclosure of {event} that was never tried")
    for employer, ids in seen.told.items():
        if ids != {event for name, event in delivered if name == employer}:
            found.findings.append(f"notify: the topic of {employer} differs from what was delivered")
    if books is not None:
        _check_books(books, rows, found)


def _check_books(books: Mapping[str, Iterable[Any]], rows: Iterable[Any], found: Reconciliation) -> None:
    """Each receiver holds what was delivered, in order, each once. It may hold more only where its answer was lost."""
    received = 0
    sent = {(str(row["employer"]), str(row["case_ref"]), str(row["event_id"])): row for row in rows}
    held: set[tuple[str, str, str]] = set()
    last: dict[tuple[str, str], int] = {}
    for employer, updates in books.items():
        for update in updates:
            received += 1
            key = (employer, str(update.case_ref), str(update.event_id))
            case = key[:2]
            if key in held:
                found.duplicate += 1
                found.findings.append(f"employer {employer}: case {case[1]} counted an update twice")
            elif update.sequence <= last.get(case, 0):
                found.out_of_order += 1
                found.findings.append(f"employer {employer}: case {case[1]} came out of order")
            held.add(key)
            last[case] = update.sequence
            row = sent.get(key)
            if row is None or row["attempts"] == 0:
                found.findings.append(f"employer {employer}: case {case[1]} holds an update that nobody sent")
    for key, row in sent.items():
        if row["status"] == "delivered" and key[0] in books and key not in held:
            found.consumers["notify"].lost += 1
            found.findings.append(f"employer {key[0]}: case {key[1]} lacks a delivered update")
    found.webhooks["received"] = received
