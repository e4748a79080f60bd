"""Opening a Kafka record: what it is to this service. Never raises, whatever the record holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from runtime.fold import Handlers, Policy, Position, Refusal, too_far_ahead, validate
from workhardening_contracts.envelope import Envelope, Event, Unreadable, Violation, read_kafka

S = TypeVar("S")
P = TypeVar("P", bound=Policy)


@dataclass(frozen=True, slots=True)
class Record:
    """A raw record as Kafka gave it."""

    position: Position
    recorded: datetime
    """The record's timestamp; the business time of a partner's event is held against it."""
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An event for one of our handlers."""

    record: Record
    event: Event[Any]
    digest: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """A partner's event of a type that we judge and that breaks its contract: it is answered by a rejection."""

    record: Record
    envelope: Envelope
    refusal: Refusal
    digest: bytes


@dataclass(frozen=True, slots=True)
class Unread:
    """An event of ours that cannot be read. That is our defect: its case is parked, since a link would be missing."""

    record: Record
    case: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A record that names no readable case: kept as a dead letter."""

    record: Record
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to this service."""


Item = Opened | Broken | Unread | Lost | Ignored

_IGNORED = Ignored()


def open_record(record: Record, handlers: Handlers[S, P], digest_key: bytes) -> Item:
    """What this record is to the service."""
    try:
        envelope = read_kafka(record.key, record.headers, record.value)
    except Unreadable as error:
        return _unreadable(record, error.code, handlers)
    model = handlers.by_type.get(envelope.type)
    if model is None:
        if record.position.topic in handlers.keeps_unreadable and not handlers.known_type(envelope.type):
            return Lost(record, "contract.unknown_type")
        return _IGNORED
    digest = hashlib.blake2b(envelope.data, key=digest_key, digest_size=16).digest()
    try:
        event = validate(envelope, model)
        if handlers.from_partner(envelope.type) and too_far_ahead(envelope.time, record.recorded):
            raise Violation("time_out_of_range", "/time", "the event's time is more than a day ahead")
    except Violation as error:
        if not handlers.from_partner(envelope.type):
            return Unread(record, envelope.subject, error.code)
        if not handlers.judges(envelope.type):
            return _IGNORED
        mend = "send the event again, mended, with a new id"
        return Broken(record, envelope, Refusal(error.code, error.detail, mend, error.field or None), digest)
    return Opened(record, event, digest)


def _unreadable(record: Record, reason: str, handlers: Handlers[S, P]) -> Item:
    topic = record.position.topic
    if topic in handlers.partner_topics:
        # Several services read the partners' topic; one keeps what none can read.
        return Lost(record, reason) if topic in handlers.keeps_unreadable else _IGNORED
    try:
        case = UUID((record.key or b"").decode())
    except (UnicodeDecodeError, ValueError):
        return Lost(record, reason)
    return Unread(record, case, reason)
