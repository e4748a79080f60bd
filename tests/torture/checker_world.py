"""A whole program in memory, as the checker sees one: the services' own decisions over topics, logs and receivers.

A cohort with hostile input is lived through once; what it leaves is clean evidence, and each test spoils a copy of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from datetime import time as clock
from functools import cache
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

from runtime.batch import Writes, decide
from runtime.event_log import Key
from runtime.fold import Case, Handlers, Position, waiting_to_json
from runtime.parking import headers_to_json
from runtime.records import Record, open_record
from services.notify.audit import Row as Disclosure
from services.notify.audit import chained
from services.notify.coalescing import successor
from services.notify.rows import DeliveryRow, FeedRow, MessageRow, RemoveCase, Withhold
from simulator import admission, casework
from simulator.canaries import CANARIES
from simulator.casework import Case as ClinicCase
from simulator.clinic import opened
from simulator.cohort import CohortConfig, make_cases, prologue
from simulator.employer import EmployerConfig, Update
from simulator.ledger import Ledger, RawRecord, Sending
from tests.simulator.program import services
from torture import evidence as seen
from torture.checks.readers import READS
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseErased,
    CaseWithdrawn,
    ConsentRecorded,
    ConsentRevoked,
    DayClosed,
    FollowUpRecorded,
    Override,
    ReadinessSigned,
    ReadinessWithdrawn,
    ReferralCorrected,
    Restriction,
    Session,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.envelope import Envelope, clinic_source, event_of, read_structured, write_kafka
from workhardening_contracts.registry import CLINIC_TOPIC

PARTITIONS = 3
DIGEST_KEY = b"k" * 16
NOW = datetime(2027, 1, 4, tzinfo=UTC)
"""When the simulated calendar has passed; each record comes a millisecond after the one before."""


class World:
    """Topics, the services' tables and the receivers."""

    def __init__(self, seed: int, handlers: Mapping[str, Handlers[Any, Any]] | None = None) -> None:
        self.random = Random(seed)
        self.handlers = handlers or services()
        self.topics: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.read: dict[tuple[str, str, int], int] = {}
        self.cases: dict[str, dict[UUID, Case[Any]]] = {name: {} for name in self.handlers}
        self.digests: dict[str, dict[Key, bytes]] = {name: {} for name in self.handlers}
        self.tables = {name: seen.Tables() for name in self.handlers}
        self.feed: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        self.deliveries: list[dict[str, Any]] = []
        self.messages: list[seen.Row] = []
        self.replaceable: set[str] = set()
        self.disclosures: list[seen.Row] = []
        self.books: dict[str, dict[str, list[Any]]] = defaultdict(lambda: {"updates": [], "refused": [], "bodies": []})
        self.samples: list[seen.Sample] = []
        self.ledger = Ledger()
        self.clock = NOW

    def tick(self) -> datetime:
        self.clock += timedelta(milliseconds=1)
        return self.clock

    def write(
        self, topic: str, key: bytes | None, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
    ) -> None:
        """Append a record."""
        own = topic.startswith("clinic.") and topic not in (CLINIC_TOPIC, "clinic.rejections.v1")
        partition = 0 if own else int(hashlib.sha256(key or b"").hexdigest(), 16) % PARTITIONS
        here = self.topics[topic, partition]
        here.append(Record(Position(topic, partition, len(here)), self.tick(), key, tuple(headers), value))

    def publish(self, topic: str, envelope: Envelope) -> None:
        """Append an event; now and then twice, as a relay does that was killed before it deleted."""
        for _ in range(1 + (self.random.random() < 0.05)):
            self.write(topic, *write_kafka(envelope))

    def send(self, sending: Sending | RawRecord, clinic: str) -> None:
        """What a clinic sends by HTTP, or where it is no event, to its own topic, where the bridge finds it."""
        if isinstance(sending, RawRecord):
            topic = f"clinic.{clinic}.events.v1"
            self.write(topic, sending.key, sending.headers, sending.value)
            self.bury("intake", self.topics[topic, 0][-1], "unreadable")
            self.ledger.sent(sending, clinic, "kafka", None, 1)
            return
        self.ledger.sent(sending, clinic, "http", sending.status, 1)
        if sending.status == 202:
            self.publish(CLINIC_TOPIC, sending.envelope)

    def bury(self, service: str, record: Record, reason: str) -> None:
        at = record.position
        self.tables[service].dead.append(
            {
                "topic": at.topic, "partition": at.partition, "offset": at.offset, "reason": reason,
                "received_at": self.tick(),
            }
        )  # fmt: skip

    def settle(self) -> None:
        """Let every service read in random turns and batches, and now and then send to employers, to the end."""
        while open_ := [(name, part) for name in READS for part in range(PARTITIONS) if self._new(name, part)]:
            name, partition = self.random.choice(open_)
            self._batch(name, self._new(name, partition)[: self.random.choice((1, 3, 20))])
            if self.random.random() < 0.3:
                self.deliver()

    def _new(self, service: str, partition: int) -> list[Record]:
        """Unread records of one partition number: each topic in its order, topics mixed."""
        queues = [
            self.topics[topic, partition][self.read.get((service, topic, partition), 0) :] for topic in READS[service]
        ]
        mixed: list[Record] = []
        while queues := [queue for queue in queues if queue]:
            mixed.append(self.random.choice(queues).pop(0))
        return mixed

    def _batch(self, service: str, records: list[Record]) -> None:
        handlers, began = self.handlers[service], self.tick()
        items = [open_record(record, handlers, DIGEST_KEY) for record in records]
        writes = decide(items, self.digests[service], self.cases[service], handlers, {})
        self._store(service, writes, began)
        for record in records:
            at = record.position
            self.read[service, at.topic, at.partition] = at.offset + 1
            committed = seen.Sample(self.tick().timestamp(), service, at.topic, at.partition, at.offset + 1)
            self.samples.append(committed)

    def _store(self, service: str, writes: Writes[Any], began: datetime) -> None:
        tables = self.tables[service]
        for row in writes.log:
            case, source, id_ = row.key
            self.digests[service][row.key] = row.digest
            at = row.position
            tables.log.append(
                {
                    "case_ref": str(case), "source": source, "id": id_, "type": row.type, "topic": at.topic,
                    "partition": at.partition, "offset": at.offset, "time": row.time.astimezone(UTC),
                    "received_at": began, "case_version": row.case_version, "retried_version": None,
                    "discarded_version": None, "utc_offset": int((row.time.utcoffset() or timedelta()).total_seconds()),
                    "result": row.result, "policy_version": row.policy_version, "sequence": row.sequence,
                    "causation": row.causation, "body": row.body,
                }
            )  # fmt: skip
        self.cases[service] = dict(writes.cases)
        for parked in writes.parked:
            at = parked.record.position
            tables.parked.append(
                {
                    "id": len(tables.parked) + 1, "case_ref": str(parked.key[0]), "topic": at.topic,
                    "partition": at.partition, "offset": at.offset, "headers": headers_to_json(parked.record.headers),
                    "source": parked.key[1], "event_id": parked.key[2], "reason": parked.reason, "resolved_at": None,
                    "resolution": None, "resolution_reason": None,
                }
            )  # fmt: skip
        settled = {(str(each.event.case), each.event.source, each.event.id): each.result for each in writes.settled}
        gone = {str(case) for case in writes.erased}
        if settled or gone:
            tables.log = [_in_the_end(row, settled, gone) for row in tables.log]
        tables.parked = [row for row in tables.parked if row["case_ref"] not in gone]
        for record, reason in writes.dead:
            self.bury(service, record, reason)
        for effect in writes.effects:
            self._effect(effect)
        for emitted in writes.emitted:
            self.publish(emitted.topic, emitted.envelope)

    def _effect(self, effect: object) -> None:
        if isinstance(effect, FeedRow):
            self.feed[effect.case_ref].append(
                {
                    "clinic": effect.clinic, "case_ref": str(effect.case_ref), "source": effect.source,
                    "event_id": effect.event_id, "event": dict(effect.event),
                }
            )  # fmt: skip
        elif isinstance(effect, DeliveryRow):
            for row in self.deliveries:
                of = (row["employer"], row["case_ref"]) == (effect.employer, str(effect.case_ref))
                if of and row["status"] == "pending" and row["event_id"] in self.replaceable:
                    taker = successor(row["sequence"], row["scopes"], [effect])
                    row |= {"status": "coalesced" if taker else "pending", "superseded_by": taker}
            if effect.replaceable:
                self.replaceable.add(effect.event_id)
            self.deliveries.append(
                {
                    "employer": effect.employer, "case_ref": str(effect.case_ref), "event_id": effect.event_id,
                    "sequence": effect.sequence, "body": effect.body, "scopes": list(effect.scopes),
                    "bases": list(effect.bases), "status": "pending", "reason": None, "superseded_by": None,
                    "attempts": 0, "due": True,
                }
            )  # fmt: skip
        elif isinstance(effect, MessageRow):
            self.messages.append(
                {
                    "case_ref": str(effect.case_ref), "kind": effect.kind, "event_id": effect.event_id,
                    "subject": effect.subject, "body": effect.body,
                }
            )  # fmt: skip
        elif isinstance(effect, Withhold):
            for row in self.deliveries:
                of = (row["employer"], row["case_ref"]) == (effect.employer, str(effect.case_ref))
                if of and row["sequence"] <= effect.through_sequence and row["status"] == "pending":
                    row |= {"status": "withheld", "reason": "not_permitted"}
        elif isinstance(effect, RemoveCase):
            self.feed.pop(effect.case_ref, None)
            self.deliveries = [row for row in self.deliveries if row["case_ref"] != str(effect.case_ref)]

    def deliver(self) -> None:
        """Send what is due to the employers."""
        for row in self.deliveries:
            if row["status"] != "pending":
                continue
            row |= {"status": "delivered", "attempts": 1}
            named = {name: row[name] for name in ("employer", "case_ref", "event_id", "sequence", "scopes", "bases")}
            digest = hashlib.sha256(row["body"]).digest()
            told = {"channel": "webhook", "body_sha256": digest, "disclosed_at": self.tick(), "age": 600.0}
            self.disclosures.append({"id": len(self.disclosures) + 1} | named | told)
            data = json.loads(row["body"])["data"]
            update = Update(
                row["employer"], row["case_ref"], row["sequence"], data["previous_sequence"], row["event_id"],
                data["status"], data["outcome"], True,
            )  # fmt: skip
            self.books[row["employer"]]["updates"].append(asdict(update))
            self.books[row["employer"]]["bodies"].append(row["body"].decode())

    def evidence(self) -> seen.Evidence:
        """All that happened, as `gather` would read it."""
        services = {
            name: seen.Tables(self._case_rows(name), list(tables.log), [], list(tables.parked), list(tables.dead))
            for name, tables in self.tables.items()
        }
        return seen.Evidence(
            records=[
                seen.Record(
                    r.position.topic, r.position.partition, r.position.offset, r.recorded.timestamp(), r.key, r.headers,
                    r.value,
                )
                for here in self.topics.values()
                for r in here
            ],
            services=services,
            endpoints=[{"employer": name, "kind": "webhook", "enabled": True} for name in self.books],
            deliveries=list(self.deliveries),
            disclosures=list(self.disclosures),
            seals=sealed(self.disclosures),
            feed=[row for rows in self.feed.values() for row in rows],
            messages=list(self.messages),
            ledger=[{"what": "sent", **asdict(entry)} for entry in self.ledger.entries],
            books=dict(self.books),
            samples=self.samples,
            behind={(name, topic): 0 for name in READS for topic in READS[name]},
            sessions=[{"pid": 1, "role": "intake", "state": "idle", "seconds": 1.0, "blocking": 0}],
            drained_s=3.0,
            canaries=CANARIES,
        )  # fmt: skip

    def _case_rows(self, service: str) -> list[seen.Row]:
        adapter = self.handlers[service].adapter
        return [
            {
                "case_ref": str(case.ref), "partition": case.partition, "version": case.version,
                "state": None if case.state is None else json.loads(adapter.dump_json(case.state)),
                "waiting": json.loads(waiting_to_json(case.waiting)), "sequences": dict(case.sequences),
                "parked": case.parked, "erased": case.erased,
            }
            for case in self.cases[service].values()
        ]  # fmt: skip


def sealed(disclosures: Sequence[seen.Row]) -> list[seen.Row]:
    """The seals of a log, as notify's sealer makes them."""
    told = [
        Disclosure(
            row["id"], row["employer"], row["case_ref"], row["event_id"], row["sequence"], row["channel"],
            tuple(row["scopes"]), tuple(row["bases"]), row["body_sha256"], row["disclosed_at"],
        )
        for row in disclosures
    ]  # fmt: skip
    return [asdict(seal) for seal in chained(told, {}, NOW + timedelta(days=1))]


def _in_the_end(row: seen.Row, settled: Mapping[tuple[str, str, str], str], erased: set[str]) -> seen.Row:
    """A log row after a batch that settled or erased it."""
    result = settled.get((row["case_ref"], row["source"], row["id"]), row["result"])
    if row["case_ref"] not in erased:
        return {**row, "result": result}
    return {**row, "body": None, "result": "discarded" if result in ("waiting", "parked") else result}


def steps(world: World, case: ClinicCase) -> Generator[list[Sending]]:
    """What one case's clinic sends, a list at a time; the world is settled between two of them."""
    heard = 0
    while not case.ended:
        while (through := case.next_close) is not None:
            yield case.work()
            if case.next_close == through:
                yield [case.day_closed(through)] if case.begun else []
                yield case.closed(through)
        news = world.feed[case.ref][heard:]
        heard += len(news)
        for row in news:
            event = opened(read_structured(json.dumps(row["event"]).encode()))
            if event is not None:
                yield case.hear(event)
        if not news:
            yield []


def live(world: World, cases: Sequence[ClinicCase], unruly: float = 0.0) -> None:
    """Take all cases through the program side by side, until none has anything left to say."""
    going = [(case, steps(world, case)) for case in cases]
    silent = 0
    while silent < 5:
        sent = [(case.clinic, sending) for case, each in going for sending in next(each, ())]
        sent += [
            (case.clinic, _unruly(case, world, len(world.ledger.entries)))
            for case, _ in going
            if sent and case.begun and world.random.random() < unruly
        ]
        for clinic, sending in sent:
            world.send(sending, clinic)
        world.settle()
        silent = 0 if sent else silent + 1


def erase(world: World, case: ClinicCase) -> None:
    """The worker asks for it."""
    world.settle()
    said = event_of(
        CaseErased(reason_code="worker_request"),
        id=f"{case.ref}.erased",
        source=clinic_source(case.clinic),
        subject=case.ref,
        time=datetime(2026, 12, 1, tzinfo=UTC),
    )
    world.send(Sending(said), case.clinic)
    world.settle()


@cache
def cohort(seed: int = 7, cases: int = 40, hostile: float = 0.06, unruly: float = 0.0) -> World:
    """The cohort of `lived`, once for all tests."""
    return lived(World(seed), seed, cases, hostile, unruly)


def lived(world: World, seed: int, cases: int, hostile: float, unruly: float = 0.0) -> World:
    """A cohort with hostile input that has come to rest; one case of it is erased.

    `unruly`: how often, per step of a case, its clinic says something that no orderly clinic would say then.
    """
    employer = EmployerConfig(secret="whsec_" + "a" * 40)
    config = CohortConfig(
        cases=cases, seed=seed, employers={"acme": employer, "beta": employer}, hostile_rate=hostile, canaries=True
    )  # fmt: skip
    made = make_cases(config, ["harbour", "north"])
    for nth, case in enumerate(made):
        if nth % 3 == 0:  # more stops and flares than a real cohort has, so that each path is walked
            case.worker = replace(case.worker, stop_hazard=0.03, flare_hazard=0.1)
    for clinic, victim in (("harbour", "north"), ("north", "harbour")):
        for sending in prologue(config, clinic, victim, by_kafka=clinic == "north"):
            world.send(sending, clinic)
    with patch.object(casework, "REVOKES_CONSENT", 0.3), patch.object(casework, "FORGETS_TO_SIGN", 0.1):
        live(world, made, unruly)
    assert unruly or all(case.ended for case in made), [case.stage for case in made if not case.ended]
    erase(world, made[0])
    world.deliver()
    return world


def _unruly(case: ClinicCase, world: World, nth: int) -> Sending:
    """Something valid at the wrong time: a re-assessment with an alert, a day closed in the middle of a week, a
    signature by nobody who may, a consent given and taken."""
    random = world.random
    known = world.cases["progress"].get(case.ref)
    state = None if known is None else known.state
    on = getattr(state, "closed_through", None) or case.starts_on
    on = on + timedelta(days=random.randrange(-9, 9))
    readiness = getattr(state, "readiness", None)
    logged = getattr(state, "log", ())
    alert = random.choice((0, 0, 0, 1))
    session = Session(
        held_on=on, attendance=random.choice(("attended", "partial", "excused", "absent")),
        hours=random.choice((2.0, 8.0)), pain_before=2.0, pain_after=random.choice((None, 3.0, 9.0)),
        pain_next_day=random.choice((None, 2.0, 9.0)), confidence=random.choice((None, 5.0, 8.0)),
        safety_stop=random.random() < 0.1,
    )  # fmt: skip
    whole = admission.assess(case.worker, on, random)
    decision = random.choice(("ready", "ready_with_restrictions", "not_ready"))
    limits = (Restriction(activity=random.choice(("lift", "gossip", "work_hours"))),) if "with" in decision else ()
    scopes = tuple(random.sample(("work_status", "program_week", "attendance", "expected_date", "demands_met"), 2))
    employer = random.choice(("acme", "beta"))
    said = random.choice(
        (
            whole.model_copy(update={"phq9_item9": alert}),
            whole.model_copy(update={"red_flags": ("chest_pain",) * alert, "baseline_pain": 4.0}),
            AssessmentRecorded(assessed_on=on, supersedes=f"{case.ref}.assessment", baseline_pain=3.0),
            DayClosed(through=on),
            DayClosed(through=on),
            SessionRecorded(session=session),
            SessionRecorded(session=session),
            SessionCorrected(supersedes=random.choice(logged).id if logged else "none", session=session),
            ConsentRecorded(
                employer=employer, scopes=scopes, basis="worker_consent", valid_from=on,
                valid_through=random.choice((None, on + timedelta(days=30))),
            ),
            ConsentRevoked(employer=employer, scopes=scopes),
            ReadinessSigned(
                readiness_event=readiness.id if readiness else "none", role=random.choice(("physician", "barber")),
                decision=decision, restrictions=limits, effective_from=on,
                effective_through=on + timedelta(days=20) if limits else None,
                reason_code=random.choice((None, "clinical_judgement")),
            ),
            ReadinessWithdrawn(role=random.choice(("physician", "barber")), reason_code="worse", withdrawn_on=on),
            FollowUpRecorded(month=random.choice((1, 3)), as_of=on, reinjured="no", working="usual_job"),
            ReferralCorrected(
                supersedes=f"{case.ref}.referral",
                referral=case._draft.complete.model_copy(  # pyright: ignore[reportPrivateUsage]
                    update={
                        "medical_clearance": random.choice(("yes", "unknown", "no")),
                        "employer": employer,
                        "overrides": (
                            Override(
                                criterion="medical_clearance", role=random.choice(("physician", "barber")),
                                reason_code="told_so",
                            ),
                        ),
                    }
                ),
            ),
        )
        + ((CaseWithdrawn(withdrawn_on=on, reason_code="moved"),) if random.random() < 0.2 else ())
    )  # fmt: skip
    hour = random.randrange(24)
    zone = timezone(timedelta(hours=random.choice((-8, 0, 9))))
    when = datetime.combine(on, clock(hour), zone)
    id_ = f"{case.ref}.unruly.{nth}.{random.randrange(10**6)}"
    return Sending(event_of(said, id=id_, source=clinic_source(case.clinic), subject=case.ref, time=when), "wait")
