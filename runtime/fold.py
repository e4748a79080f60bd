"""The pure heart of a service: (case, event) -> what follows. No I/O, no clock, no randomness.

A service is a table of handlers (`Handlers`), each a pure function `(state, event, policy) -> Outcome`. `fold` applies
one event to one case: it calls the handler, then offers the events that were waiting again, since what they waited
for may have come.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar, cast
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError

from workhardening_contracts.envelope import (
    Envelope,
    Event,
    EventData,
    Violation,
    read_structured,
    service_source,
    strict_json,
    violation_of,
    write_structured,
)

S = TypeVar("S")
P = TypeVar("P", bound="Policy")

# More than one case can need while its plan is on the way: eight weeks of five sessions, and some to spare. A longer
# list is a sender that does not wait for answers, and would make each fold of the case slow.
MAX_WAITING = 50


class Policy(Protocol):
    """The numbers a service decides by; the version is stamped on each event that used them."""

    @property
    def version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a clinic's event is refused. Only the judge of its type is heard; see `Handlers.judges`."""

    code: str
    detail: str
    mend: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What one event leads to."""

    state: S | None
    """The next state."""
    emit: Sequence[EventData] = ()
    """Events to publish, in order."""
    effects: Sequence[object] = ()
    """Rows for the service's other tables; one writer per row type."""
    reject: Refusal | None = None
    """A refusal; the state stays as it was."""
    wait: bool = False
    """The event's premise has not come; it is offered again after each later event of the case."""
    erase: bool = False
    """Delete what is held of the case; it refuses every later event."""


Handler = Callable[[S | None, Event[Any], P], Outcome[S]]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record stands in Kafka."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Received:
    """A record that could be read, with its place."""

    event: Event[Any]
    position: Position


@dataclass(frozen=True, slots=True)
class Rejected:
    """What the service's rejection builder is given."""

    judge: str
    envelope: Envelope
    position: Position
    refusal: Refusal


@dataclass(frozen=True)
class Handlers(Generic[S, P]):
    """One service's decisions, and what the runtime must be told because it knows no event by name."""

    service: str
    state: Any
    """The state's type, a tagged union of phases (anything pydantic can validate)."""
    on: Mapping[type[EventData], Handler[S, P]]
    policy: Callable[[Event[Any]], P]
    """The policy in force for this event."""
    sender: Callable[[Event[Any]], str | None]
    """The partner an event comes from or speaks of; None for an event that lays no claim to its case."""
    owner: Callable[[S], str]
    """The partner whose case this is; another partner's event for it is refused."""
    topic_of: Callable[[type[EventData]], str]
    judges: Callable[[str], bool]
    """Whether this service may refuse this event type."""
    from_partner: Callable[[str], bool]
    """Whether an event type is published by partners; the others are ours, and one we cannot read is our defect."""
    rejection: Callable[[Rejected], EventData]
    known_type: Callable[[str], bool]
    """Whether a type is in the registry at all."""
    partner_topics: frozenset[str] = frozenset()
    """Topics that hold what partners sent."""
    keeps_unreadable: frozenset[str] = frozenset()
    """Those partner topics whose unreadable records this service keeps as dead letters."""
    erasures: frozenset[type[EventData]] = frozenset()
    """Events whose handler erases a case that has a state. From the case's owner they pass a parked queue."""
    heard_when_erased: frozenset[type[EventData]] = frozenset()
    """Events that are folded for an erased case too, for their effects alone: they tell of what was refused, not of the
    case."""

    def answers_for(self, type_: str) -> bool:
        """Whether a security finding on an event of this type is ours to keep: of several readers, its judge's."""
        return self.judges(type_) or not self.from_partner(type_)

    @cached_property
    def by_type(self) -> Mapping[str, type[EventData]]:
        return {model.TYPE: model for model in self.on}

    @cached_property
    def adapter(self) -> TypeAdapter[S]:
        return TypeAdapter(self.state)


@dataclass(frozen=True, slots=True)
class Case(Generic[S]):
    """One case as a service holds it."""

    ref: UUID
    partition: int
    version: int = 0
    """Counts the log rows of the case."""
    state: S | None = None
    waiting: tuple[Received, ...] = ()
    sequences: Mapping[str, int] = field(default_factory=dict[str, int])
    """Topic -> the last sequence emitted there."""
    parked: int = 0
    """Records that queue behind a failure of this case."""
    unreadable: tuple[str | None, str] | None = None
    """State and waiting list as stored, when they can no longer be read: they are kept, and nothing is folded."""
    erased: bool = False
    """Everything but this mark was deleted; no event, a replayed one included, brings the case back."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event to be published, with the place it goes to."""

    topic: str
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Settled:
    """What became in the end of an event that had waited."""

    event: Event[Any]
    result: str
    """`folded`, `rejected` or `ignored`; `discarded` for one that was given up by a service that is not its judge."""
    policy_version: str


@dataclass(frozen=True, slots=True)
class Folded(Generic[S]):
    """A case after one event, and all that goes out with it."""

    case: Case[S]
    result: str
    """`folded`, `waiting`, `rejected`, or `ignored` (a refusal of a service that is not the judge)."""
    policy_version: str
    emitted: tuple[Emitted, ...] = ()
    effects: tuple[object, ...] = ()
    erase: bool = False
    settled: tuple[Settled, ...] = ()
    """Events that had waited and wait no more."""


class Defect(Exception):
    """A handler cannot go on: the case is parked. Carries a code only, since a message could hold patient data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def failure_code(error: Exception) -> str:
    """What may be said of a handler's failure: a defect's own code, else the kind of error and nothing of its text."""
    return error.code if isinstance(error, Defect) else f"handler.{type(error).__name__}"


def event_id(service: str, cause: Event[Any], nth: int) -> str:
    """The id of the `nth` event (from 0) that `service` emits while it folds `cause`.

    Derived, so that folding again names the same event, and prefixed with the case, so that ids of one case lie
    together in an index (random ids cost twice the CPU at 4M rows).
    """
    digest = hashlib.sha256(f"{service}|{cause.reference}|{nth}".encode()).hexdigest()
    return f"{cause.case}.{digest[:16]}"


def fold(case: Case[S], received: Received, handlers: Handlers[S, P]) -> Folded[S]:
    """Fold one event into its case, then every waiting event whose premise has come.

    Raises Defect when a handler fails or an event of ours is refused or finds no place to wait.
    """
    first = _apply(case, received, handlers)
    case = replace(first.case, version=case.version + 1)
    emitted, effects, erase = list(first.emitted), list(first.effects), first.erase
    settled: list[Settled] = []
    progress = first.result == "folded"
    while progress and case.waiting and not erase:
        progress = False
        for index, waiting in enumerate(case.waiting):
            rest = case.waiting[:index] + case.waiting[index + 1 :]
            step = _apply(replace(case, waiting=rest), waiting, handlers)
            if step.result == "waiting":
                continue
            case = step.case
            if step.erase:  # what this very fold decided is not published either
                emitted.clear()
            emitted += step.emitted
            effects += step.effects
            erase = step.erase
            settled.append(Settled(waiting.event, step.result, step.policy_version))
            progress = True
            break
    if erase:
        case = replace(case, state=None, waiting=(), parked=0, erased=True)
    return Folded(case, first.result, first.policy_version, tuple(emitted), tuple(effects), erase, tuple(settled))


def give_up(case: Case[S], keys: set[tuple[str, str]], handlers: Handlers[S, P]) -> Folded[S]:
    """Stop waiting for the premise of these events (source, id): each is rejected, or dropped where we are no judge."""
    refusal = Refusal(
        "wait_expired",
        "what this event builds on did not arrive in time",
        "send the missing event, then this one again with a new id",
    )
    kept = tuple(w for w in case.waiting if (w.event.source, w.event.id) not in keys)
    given_up = tuple(w for w in case.waiting if (w.event.source, w.event.id) in keys)
    emitted = tuple(_reject(w, refusal, handlers) for w in given_up if handlers.judges(w.event.type))
    settled = tuple(
        Settled(w.event, "rejected" if handlers.judges(w.event.type) else "discarded", "") for w in given_up
    )
    after = replace(case, waiting=kept, version=case.version + 1)
    return Folded(after, "rejected", "", emitted, settled=settled)


def erases(case: Case[S], event: Event[Any], handlers: Handlers[S, P]) -> bool:
    """Whether an event is the erasure of this case, by its owner.

    A state must be there to name the owner: without one a stranger could delete what another sent and is parked.
    """
    known = type(event.data) in handlers.erasures and case.state is not None
    return known and not case.erased and _barred(case, event, handlers) is None


def _apply(case: Case[S], received: Received, handlers: Handlers[S, P]) -> Folded[S]:
    event = received.event
    policy = handlers.policy(event)
    if barred := _barred(case, event, handlers):
        return _refuse(case, received, barred, handlers, policy.version)
    outcome = handlers.on[type(event.data)](case.state, event, policy)
    if outcome.wait:
        return _wait(case, received, handlers, policy.version)
    if outcome.reject is not None:
        return _refuse(case, received, outcome.reject, handlers, policy.version)
    sequences = dict(case.sequences)
    emitted: list[Emitted] = []
    for nth, data in enumerate(outcome.emit):
        topic = handlers.topic_of(type(data))
        sequences[topic] = sequences.get(topic, 0) + 1
        envelope = Envelope(
            id=event_id(handlers.service, event, nth),
            source=service_source(handlers.service),
            type=data.TYPE,
            subject=case.ref,
            time=event.time,
            data=data.model_dump_json(exclude_none=True).encode(),
            sequence=sequences[topic],
            causationid=event.reference,
            policyversion=policy.version,
            traceparent=event.envelope.traceparent,
            dataschema=data.dataschema(),
        )
        emitted.append(Emitted(topic, envelope))
    after = replace(case, state=None if case.erased else outcome.state, sequences=sequences)
    return Folded(after, "folded", policy.version, tuple(emitted), tuple(outcome.effects), outcome.erase)


def _barred(case: Case[S], event: Event[Any], handlers: Handlers[S, P]) -> Refusal | None:
    if case.erased and type(event.data) not in handlers.heard_when_erased:
        return Refusal("case_erased", "this case was erased", "open a new case with a new case reference")
    if case.state is not None and handlers.sender(event) not in (None, handlers.owner(case.state)):
        return Refusal("foreign_source", "this case belongs to another source", "send events of your own cases only")
    return None


def _wait(case: Case[S], received: Received, handlers: Handlers[S, P], version: str) -> Folded[S]:
    if len(case.waiting) < MAX_WAITING:
        return Folded(replace(case, waiting=(*case.waiting, received)), "waiting", version)
    if not handlers.from_partner(received.event.type):
        raise Defect("waiting_full")
    full = Refusal(
        "waiting_full",
        f"{MAX_WAITING} events of this case already wait for what they build on",
        "send the missing event first, then this one again with a new id",
    )
    return _refuse(case, received, full, handlers, version)


def _refuse(case: Case[S], received: Received, refusal: Refusal, handlers: Handlers[S, P], version: str) -> Folded[S]:
    if not handlers.from_partner(received.event.type) and not case.erased:
        raise Defect(f"refused_internal.{refusal.code}")
    if not handlers.judges(received.event.type):
        return Folded(case, "ignored", version)
    return Folded(case, "rejected", version, (_reject(received, refusal, handlers),))


def _reject(received: Received, refusal: Refusal, handlers: Handlers[S, P]) -> Emitted:
    return rejection_of(received.event.envelope, received.position, refusal, handlers)


def rejection_of(
    envelope: Envelope, position: Position, refusal: Refusal, handlers: Handlers[S, P], time: datetime | None = None
) -> Emitted:
    """The rejection event. Its id is derived from (judge, topic, partition, offset); it has no sequence.

    `time` replaces a business time that readers would refuse in their turn.
    """
    data = handlers.rejection(Rejected(handlers.service, envelope, position, refusal))
    return Emitted(
        handlers.topic_of(type(data)),
        Envelope(
            id=f"{handlers.service}.{position.topic}.{position.partition}.{position.offset}",
            source=service_source(handlers.service),
            type=data.TYPE,
            subject=envelope.subject,
            time=time or envelope.time,
            data=data.model_dump_json(exclude_none=True).encode(),
            causationid=envelope.reference,
            traceparent=envelope.traceparent,
            dataschema=data.dataschema(),
        ),
    )


def validate(envelope: Envelope, model: type[EventData]) -> Event[Any]:
    """Validate as a consumer: unknown fields are ignored. Raises Violation."""
    strict_json(envelope.data)
    try:
        return Event(envelope, model.model_validate_json(envelope.data, extra="ignore"))
    except ValidationError as error:
        raise violation_of(error) from None


def state_to_json(state: object) -> str | None:
    """A state as its row holds it. By its own class: the adapter, which has to find out which of the states it is,
    takes 1.7 times as long."""
    return None if state is None else cast("BaseModel", state).model_dump_json()


def waiting_to_json(waiting: Sequence[Received]) -> str:
    """The waiting list as it is stored."""
    return json.dumps(
        [
            {
                "topic": w.position.topic,
                "partition": w.position.partition,
                "offset": w.position.offset,
                "event": write_structured(w.event.envelope),
            }
            for w in waiting
        ],
        separators=(",", ":"),
    )


def waiting_from_json(text: str, handlers: Handlers[S, P]) -> tuple[Received, ...]:
    """Raises Defect when a stored event can no longer be read (a contract was broken)."""
    received: list[Received] = []
    for entry in json.loads(text):
        try:
            envelope = read_structured(json.dumps(entry["event"]).encode())
            event = validate(envelope, handlers.by_type[envelope.type])
        except (Violation, KeyError):
            raise Defect("waiting_unreadable") from None
        received.append(Received(event, Position(entry["topic"], entry["partition"], entry["offset"])))
    return tuple(received)


def too_far_ahead(time: datetime, recorded: datetime, days: float = 1.0) -> bool:
    """Whether a partner's event claims to be from the future: its time is over a day after it was recorded.

    A day, since clinics' clocks and time zones may be wrong by hours but not by more. Our own events are not judged by
    it: each bears the time of a partner's event that was, and a broker's clock set back must not park cases.
    """
    return (time - recorded).total_seconds() > days * 86_400
