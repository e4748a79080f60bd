"""The same facts in another order: the four services over topics in memory, read and told in any order allowed.

    python -m tests.services.any_order --cases 10000 --seed 1

A case is lived once, everybody listening at once; its clinic corrects sessions, assessment, referral and consent, and
enters late and twice. Then its facts are told again in another order, to services that read in another order, and some
of it twice. Both must end in the same states and the same net truth. docs/any-order.md says which orders those are and
what is compared; `lanes` and `Fact.at_rest` below are that text as code.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date
from random import Random
from typing import Any
from uuid import UUID

from runtime.fold import Case, Handlers, Position, Received, fold, validate
from runtime.policy import Policies
from services.intake import handlers as intake
from services.intake.policy import Policy as IntakePolicy
from services.notify import handlers as notify
from services.notify.disclosure import disclosure
from services.notify.policy import Policy as NotifyPolicy
from services.notify.rows import FeedRow
from services.notify.state import Known
from services.planning import handlers as planning
from services.planning.policy import Policy as PlanningPolicy
from services.progress import handlers as progress
from services.progress.policy import Policy as ProgressPolicy
from simulator.casework import Case as ClinicCase
from simulator.clinic import opened
from simulator.cohort import CohortConfig, make_cases
from simulator.employer import EmployerConfig
from simulator.ledger import Sending
from workhardening_contracts import registry
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseWithdrawn,
    ConsentRecorded,
    ConsentRevoked,
    DayClosed,
    ReadinessSigned,
    ReferralCorrected,
    ReferralReceived,
    Session,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, Event, clinic_source, event_of, read_structured
from workhardening_contracts.progress import ReadinessAssessed

READS: Mapping[str, tuple[str, ...]] = {
    "intake": (registry.CLINIC_TOPIC, registry.PROGRESS_TOPIC, registry.REJECTIONS_TOPIC),
    "planning": (registry.INTAKE_TOPIC, registry.PROGRESS_TOPIC, registry.CLINIC_TOPIC),
    "progress": (registry.CLINIC_TOPIC, registry.INTAKE_TOPIC, registry.PLANNING_TOPIC),
    "notify": (
        registry.CLINIC_TOPIC,
        registry.INTAKE_TOPIC,
        registry.PLANNING_TOPIC,
        registry.PROGRESS_TOPIC,
        registry.REJECTIONS_TOPIC,
    ),
}
LONG_AFTER = date(2025, 9, 1)
"""A day on which every employer asks: after the longest of these programs."""
UNTIDY = 0.3
"""Chance of late, corrected, repeated and early input, per week; and of a correction of something else, per step."""


@dataclass(frozen=True)
class Fact:
    """What a clinic said, and what it had to know to say it."""

    envelope: Envelope
    data: EventData
    signs: int | None = None
    """The week whose readiness it signs: ids depend on the order."""
    replaced: bool = False
    """It signs the first that was told of that week, which had been replaced by then; otherwise the latest."""
    known: int = 0
    """For a signature: of how many weeks readiness was published when it was given."""
    quiet: bool = False
    """It is told while nothing is unread: a report since the week was closed may have had its readiness told anew."""
    at_rest: bool = False
    """It is told, and answered, while nothing is unread: a correction of assessment or referral once there was a plan,
    and a withdrawal before any session."""


@dataclass
class Reader:
    """One service's case, and how far it has read each topic."""

    handlers: Handlers[Any, Any]
    case: Case[Any]
    read: Counter[str] = field(default_factory=Counter[str])
    seen: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


TABLES: Mapping[str, Handlers[Any, Any]] = {
    "intake": intake.handlers(Policies(IntakePolicy())),
    # Four weeks instead of eight: half the facts, and every path is walked.
    "planning": planning.handlers(Policies(PlanningPolicy(weeks=4))),
    "progress": progress.handlers(Policies(ProgressPolicy(readiness_from_week=2))),
    "notify": notify.handlers(Policies(NotifyPolicy())),
}


class Place:
    """Topics that hold one case, and the services that read them."""

    def __init__(self, ref: UUID, repeats: Callable[[], bool] = lambda: False) -> None:
        self.topics: dict[str, list[tuple[Envelope, Event[Any]]]] = {}
        self.readers = {name: Reader(handlers, Case(ref, 0)) for name, handlers in TABLES.items()}
        self.feed: list[Envelope] = []
        self._repeats = repeats

    def publish(self, topic: str, envelope: Envelope) -> None:
        """Append an event; at least once, as a relay does."""
        said = (envelope, validate(envelope, registry.BY_TYPE[envelope.type].model))
        self.topics.setdefault(topic, []).extend([said] * (1 + self._repeats()))

    def unread(self) -> list[tuple[str, str]]:
        """(service, topic) pairs with something to read."""
        return [
            (name, topic)
            for name, reader in self.readers.items()
            for topic in READS[name]
            if reader.read[topic] < len(self.topics.get(topic, ()))
        ]

    def read(self, service: str, topic: str) -> None:
        """Let one service read the next record of one topic."""
        reader = self.readers[service]
        offset = reader.read[topic]
        reader.read[topic] += 1
        envelope, event = self.topics[topic][offset]
        if type(event.data) not in reader.handlers.on or (envelope.source, envelope.id) in reader.seen:
            return
        reader.seen.add((envelope.source, envelope.id))
        folded = fold(reader.case, Received(event, Position(topic, 0, offset)), reader.handlers)
        reader.case = folded.case
        self.feed += [
            read_structured(json.dumps(row.event).encode()) for row in folded.effects if isinstance(row, FeedRow)
        ]
        for emitted in folded.emitted:
            self.publish(emitted.topic, emitted.envelope)

    def settle(self) -> None:
        """Read until nothing is left."""
        while unread := self.unread():
            self.read(*unread[0])

    def said(self, topic: str) -> list[tuple[Envelope, Event[Any]]]:
        """What was published on a topic, each event once."""
        return list({envelope.id: (envelope, event) for envelope, event in self.topics.get(topic, ())}.values())

    def refusals(self) -> list[dict[str, Any]]:
        """What was rejected, as it was published."""
        return [json.loads(envelope.data) for envelope, _ in self.said(registry.REJECTIONS_TOPIC)]

    def assessments(self) -> dict[int, list[str]]:
        """The ids of the readiness assessments by week, each followed by what replaced it."""
        found: dict[int, list[str]] = {}
        for envelope, event in self.said(registry.PROGRESS_TOPIC):
            if isinstance(event.data, ReadinessAssessed):
                found.setdefault(event.data.week, []).append(envelope.id)
        return found


def live(case: ClinicCase, random: Random) -> tuple[Place, list[Fact]]:
    """One case from referral to end, everybody listening at once; and what its clinic said, in order."""
    place, facts, heard = Place(case.ref), list[Fact](), 0

    def send(sendings: Sequence[Sending]) -> None:
        for sending in sendings:
            if sending.status == 202 and sending.mischief != "duplicate":
                _tell(place, facts, sending.envelope)
        if sendings and random.random() < UNTIDY and (correction := _correction(case, facts, random)):
            _tell(place, facts, correction)

    while not case.ended:
        while (through := case.next_close) is not None:
            send(case.work())
            if case.next_close == through:
                send([case.day_closed(through)] if case.begun else [])
                send(case.closed(through))
        news = place.feed[heard:]
        if not news:
            break
        heard += len(news)
        for envelope in news:
            if event := opened(envelope):
                send(case.hear(event))
    return place, facts


def _tell(place: Place, facts: list[Fact], envelope: Envelope) -> None:
    data = validate(envelope, registry.BY_TYPE[envelope.type].model).data
    assessments = place.assessments()
    signed = data.readiness_event if isinstance(data, ReadinessSigned) else None
    signs = next((week for week, told in assessments.items() if signed in told), None)
    replaced = signs is not None and assessments[signs][-1] != signed
    closings = [nth for nth, fact in enumerate(facts) if isinstance(fact.data, DayClosed)]
    since = facts[closings[-1] :] if closings else facts
    reported = any(isinstance(fact.data, SessionRecorded | SessionCorrected) for fact in since)
    quiet = signs is not None and (reported or len(assessments[signs]) > 1)
    replanned = isinstance(data, AssessmentRecorded | ReferralCorrected) and registry.PLANNING_TOPIC in place.topics
    trained = any(isinstance(fact.data, SessionRecorded) for fact in facts)
    at_rest = replanned or (isinstance(data, CaseWithdrawn) and not trained)
    known = len(assessments) if signs is not None else 0
    facts.append(Fact(envelope, data, signs, replaced, known, quiet, at_rest))
    place.publish(registry.CLINIC_TOPIC, envelope)
    place.settle()


def _correction(case: ClinicCase, facts: Sequence[Fact], random: Random) -> Envelope | None:
    """A word that changes an earlier one, dated like the latest; None when there is nothing of the kind to change."""
    now = facts[-1].envelope.time if facts else None
    if now is None or any(isinstance(fact.data, CaseWithdrawn) for fact in facts):
        return None
    sessions = [fact for fact in facts if isinstance(fact.data, SessionRecorded)]
    assessed = [fact for fact in facts if isinstance(fact.data, AssessmentRecorded)]
    referred = [fact for fact in facts if isinstance(fact.data, ReferralReceived | ReferralCorrected)]
    match random.choice(("session", "session", "session", "assessment", "demands", "grant", "revoke")):
        case "session" if sessions:
            wrong = random.choice(sessions)
            assert isinstance(wrong.data, SessionRecorded)
            data: EventData = SessionCorrected(
                supersedes=wrong.envelope.id, session=_mended(wrong.data.session, random)
            )
        case "assessment" if assessed:
            first = random.choice(assessed)
            assert isinstance(first.data, AssessmentRecorded)
            pain = float(random.randint(1, 5))
            data = first.data.model_copy(update={"supersedes": first.envelope.id, "baseline_pain": pain})
        case "demands" if referred:
            data = _other_job(referred[-1], random)
        case "grant":
            scopes = tuple(random.sample(("work_status", "program_week", "attendance", "expected_date"), 2))
            data = ConsentRecorded(employer="acme", scopes=scopes, basis="worker_consent", valid_from=now.date())
        case "revoke":
            data = ConsentRevoked(employer="acme", scopes=(random.choice(("work_status", "expected_date")),))
        case _:
            return None
    id_ = f"{case.ref}.correction.{len(facts)}"
    return event_of(data, id=id_, source=clinic_source(case.clinic), subject=case.ref, time=now)


def _mended(session: Session, random: Random) -> Session:
    less = random.choice((0.5, 0.9, 1.1))
    done = tuple(
        each.model_copy(
            update={"amount": each.amount.model_copy(update={"amount": min(each.amount.amount * less, 9.0)})}
        )
        for each in session.performed
    )
    return session.model_copy(update={"performed": done, "pain_next_day": random.choice((None, 1.0, 8.0))})


def _other_job(referred: Fact, random: Random) -> ReferralCorrected:
    data = referred.data
    assert isinstance(data, ReferralReceived | ReferralCorrected)
    job = data.referral.job
    if job is not None:
        first, *others = job.demands
        less = first.amount.model_copy(update={"amount": first.amount.amount * random.choice((0.8, 0.95))})
        job = job.model_copy(update={"demands": (first.model_copy(update={"amount": less}), *others)})
    referral = data.referral.model_copy(update={"job": job})
    return ReferralCorrected(supersedes=referred.envelope.id, referral=referral)


def lanes(data: EventData) -> frozenset[str] | None:
    """The lanes in which a fact keeps its place: two facts that share one are told in their order. None: all of them.

    What one word says of another (a correction, a closed day of what was reported by then, a signature of what was
    assessed) is why they share a lane.
    """
    match data:
        case ReferralReceived() | ReferralCorrected() | AssessmentRecorded():
            return frozenset({"admission"})
        case ConsentRecorded() | ConsentRevoked():
            return frozenset({"consent"})
        case SessionRecorded() | SessionCorrected():
            return frozenset({f"day {data.session.held_on}"})
        case CaseWithdrawn():
            return None
        case ReadinessSigned():
            return frozenset({"closing", "admission"})
        case _:
            return frozenset({"closing"})


def shuffled(facts: Sequence[Fact], random: Random) -> list[Fact]:
    """Another order of the facts that keeps each lane's: drawn step by step among all that may come next."""
    before = [
        {nth for nth, earlier in enumerate(facts[:place]) if _ordered(earlier, later)}
        for place, later in enumerate(facts)
    ]
    left, told = set(range(len(facts))), list[Fact]()
    while left:
        chosen = random.choice([nth for nth in sorted(left) if not before[nth] & left])
        left.remove(chosen)
        told.append(facts[chosen])
    return told


def _ordered(earlier: Fact, later: Fact) -> bool:
    if earlier.at_rest or later.at_rest:
        return True
    mine, other = lanes(earlier.data), lanes(later.data)
    if mine is None or other is None or mine & other:
        return True
    # A closed day divides the reports of sessions, as do a signature and an end.
    return any(
        "closing" in one and any(lane.startswith("day ") for lane in two) for one, two in ((mine, other), (other, mine))
    )


def again(ref: UUID, facts: Sequence[Fact], random: Random) -> Place:
    """Tell the facts again, while chance decides which service reads which topic next. Some services lag far behind."""
    place = Place(ref, lambda: random.random() < 0.05)
    pace = {name: random.choice((0.05, 1.0, 20.0)) for name in (*place.readers, "clinic")}
    left = shuffled(facts, random)
    while True:
        choices: list[tuple[str, str]] = place.unread()
        if left and _may_be_told(left[0], place, choices):
            choices = [*choices, ("clinic", "")]
        if not choices:
            return place
        service, topic = random.choices(choices, [pace[name] for name, _ in choices])[0]
        if service != "clinic":
            place.read(service, topic)
            continue
        fact = left.pop(0)
        place.publish(registry.CLINIC_TOPIC, _addressed(fact, place))
        if fact.at_rest:
            place.settle()


def _may_be_told(fact: Fact, place: Place, unread: Sequence[object]) -> bool:
    return not ((fact.at_rest or fact.quiet) and unread) and len(place.assessments()) >= fact.known


def _addressed(fact: Fact, place: Place) -> Envelope:
    if fact.signs is None:
        return fact.envelope
    told = place.assessments()[fact.signs]
    signed = fact.data.model_copy(update={"readiness_event": told[0 if fact.replaced else -1]})
    return replace(fact.envelope, data=signed.model_dump_json(exclude_none=True).encode())


def after_the_end(place: Place) -> set[str]:
    """Session reports that were refused because the case had ended."""
    return {
        each["rejected_id"]
        for each in place.refusals()
        if each["code"] == "case_closed" and each["rejected_type"] in (SessionRecorded.TYPE, SessionCorrected.TYPE)
    }


def net(place: Place, passed: Set[str] = frozenset()) -> dict[str, object]:
    """What a case came to: states, what was published, what was refused, what employers may be told, ids neutral.

    Of a week's readiness the first and the last count: which were told in between depends on which of several reports
    came first.

    `passed`: session reports whose refusal is passed over. One that comes after the day that ends the case has no
    effect in any order; whether it is refused, and why, depends on whether the end was known by then.
    """
    found: dict[str, object] = {}
    between = {id: told[0] for told in place.assessments().values() for id in told[1:-1]}
    for topic in (registry.INTAKE_TOPIC, registry.PLANNING_TOPIC, registry.PROGRESS_TOPIC):
        said = [each for each in place.said(topic) if each[0].id not in between]
        consent = [e.data.decode() for e, _ in said if "consent.changed" in e.type]
        found[topic] = [f"{e.type} {e.data.decode()}" for e, _ in said if "consent.changed" not in e.type]
        found[f"{topic} consent"] = consent
    found["refused"] = sorted(
        (each["rejected_id"], each["code"]) for each in place.refusals() if each["rejected_id"] not in passed
    )
    for name, reader in place.readers.items():
        state = reader.case.state
        found[f"{name} waits"] = sorted(each.event.id for each in reader.case.waiting)
        if isinstance(state, Known):
            told = disclosure(state, "acme", LONG_AFTER, 28)
            found["employer"] = None if told is None else told.digest
            # What an employer is told in between depends on what was read by then; the last word must not.
            state = state.model_copy(update={"told": ()})
        found[name] = None if state is None else reader.handlers.adapter.dump_python(state, mode="json")
    kept = {
        topic: [e.id for e, _ in place.said(topic) if "consent.changed" not in e.type and e.id not in between]
        for topic in (registry.INTAKE_TOPIC, registry.PLANNING_TOPIC, registry.PROGRESS_TOPIC)
    }
    names = {id: f"<{topic}:{nth}>" for topic, ids in kept.items() for nth, id in enumerate(ids)}
    text = json.dumps(found, sort_keys=True)
    for id_, first in between.items():
        text = text.replace(id_, first)
    for id_, name in names.items():
        text = text.replace(id_, name)
    return json.loads(text)


@dataclass(frozen=True)
class Tried:
    """One generated case, told in two orders."""

    number: int
    types: Counter[str]
    differs: tuple[str, ...]
    """What is not the same; empty where the property holds."""


def tried(seed: int, first: int, count: int) -> Iterator[Tried]:
    """Generate cases `first` to `first + count - 1` of a seed, and tell each again in an order of its own."""
    employers = {"acme": EmployerConfig(secret="whsec_" + "a" * 40)}
    config = CohortConfig(cases=first + count, seed=seed, employers=employers, hostile_rate=UNTIDY)
    for number, case in enumerate(make_cases(config, ["harbour", "north"])[first:], first):
        random = Random(f"{seed}/{number}/order")
        if number % 3 == 0:  # more stops and flares than a real cohort has, so that each path is walked
            case.worker = replace(case.worker, stop_hazard=0.03, flare_hazard=0.1)
        place, facts = live(case, random)
        retold = again(case.ref, facts, random)
        passed = after_the_end(place) | after_the_end(retold)
        one, other = net(place, passed), net(retold, passed)
        names = sorted({*one, *other})
        yield Tried(
            number,
            Counter(type(fact.data).__name__ for fact in facts),
            tuple(name for name in names if one.get(name) != other.get(name)),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    types, wrong = Counter[str](), 0
    for each in tried(given.seed, given.first, given.cases):
        types += each.types
        if each.differs:
            wrong += 1
            print(f"case {each.number} differs in {', '.join(each.differs)}", flush=True)
    print(f"{given.cases} cases, seed {given.seed}: {given.cases - wrong} end the same, {wrong} do not")
    print(", ".join(f"{count} {name}" for name, count in types.most_common()))
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
