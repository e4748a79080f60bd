"""Who reads what, and what must come of a record: written anew from the topics' descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torture.evidence import OWN_TOPIC, Evidence, Key, Record, Row
from torture.reference import intake, notify, planning, progress
from torture.reference.replay import Model, read
from workhardening_contracts.registry import (
    BY_TYPE,
    CLINIC_TOPIC,
    INTAKE_TOPIC,
    PLANNING_TOPIC,
    PROGRESS_TOPIC,
    REJECTIONS_TOPIC,
)

MODELS: dict[str, Model] = {
    model.service: model for model in (intake.MODEL, planning.MODEL, progress.MODEL, notify.MODEL)
}
READS: dict[str, tuple[str, ...]] = {
    "intake": (CLINIC_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC),
    "planning": (CLINIC_TOPIC, INTAKE_TOPIC, PROGRESS_TOPIC),
    "progress": (CLINIC_TOPIC, INTAKE_TOPIC, PLANNING_TOPIC),
    "notify": (CLINIC_TOPIC, INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC),
}

AHEAD_S = 86_400
"""A clinic's clock may be wrong by hours, not by more than a day."""


@dataclass(frozen=True)
class Due:
    """A record of which a service must hold something."""

    record: Record
    service: str
    event: Key | None
    """None where only the record's place names it."""
    fate: Literal["logged", "dead"]


def logged(evidence: Evidence, each: Due) -> Row | None:
    """The log row of a record: by its event's name, or by its place where it was parked before it could be read."""
    by_key = evidence.services[each.service].by_key
    found = by_key.get(each.event) if each.event else None
    return found or (by_key.get(_unread(each.record)) if each.event else None)


def handles(service: str, type_: str) -> bool:
    """Whether a service folds this type."""
    return type_.removeprefix("org.workhardening.").rsplit(".", 1)[0] in MODELS[service].on


def due(evidence: Evidence) -> Iterator[Due]:
    """All that must be accounted for: each record, for each service that reads its topic and handles its type."""
    bodies: dict[Key, bytes] = {}
    for topic, here in evidence.on_topic.items():
        readers = [name for name in READS if topic in READS[name]]
        for record in here if readers else ():
            yield from _due(record, readers, bodies)


def _due(record: Record, readers: list[str], bodies: dict[Key, bytes]) -> Iterator[Due]:
    envelope, key = record.envelope, record.event
    of_clinics = record.topic == CLINIC_TOPIC
    if envelope is None or key is None:
        # In the clinics' topic intake keeps what nobody can read; in ours it parks the case of every reader.
        for service in ["intake"] if of_clinics else readers:
            yield Due(record, service, None if of_clinics else _unread(record), "dead" if of_clinics else "logged")
        return
    if envelope.type not in BY_TYPE:
        if of_clinics:
            yield Due(record, "intake", None, "dead")
        return
    reused = bodies.setdefault(key, envelope.data) != envelope.data
    judge = BY_TYPE[envelope.type].judge
    well = "" not in read(envelope.data, envelope.type) and not too_far_ahead(record)
    for service in readers:
        if not handles(service, envelope.type):
            continue
        if reused:
            # The same id with another body: a finding for who answers for the type, and nobody's event.
            if judge in (None, service):
                yield Due(record, service, None, "dead")
        elif well or judge == service:
            yield Due(record, service, key, "logged")
        elif judge is None:
            yield Due(record, service, _unread(record), "logged")


def too_far_ahead(record: Record) -> bool:
    """Whether a clinic's event claims to come from the future. Our own bear the time of a clinic's that was judged."""
    return (
        record.topic == CLINIC_TOPIC
        and record.envelope is not None
        and record.envelope.time.timestamp() - record.timestamp > AHEAD_S
    )


def _unread(record: Record) -> Key:
    case = (record.key or b"").decode("utf-8", "replace")
    return case, f"kafka:{record.topic}", f"{record.partition}/{record.offset}"


def is_own(topic: str) -> bool:
    """Whether a clinic writes this topic itself; intake's bridge reads it."""
    return OWN_TOPIC.match(topic) is not None
