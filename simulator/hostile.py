"""Untidy, wrong and forged input, mixed into a clinic's regular business. Pure: it only makes what is then sent.

What should come of each is part of the sending: the front door answers with a status, what passes it is folded,
refused by its judge, absorbed as a duplicate, or kept waiting; records that are no event at all are dead-lettered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, cast

from simulator.ledger import RawRecord, Sending
from workhardening_contracts.clinic import SessionCorrected, SessionRecorded
from workhardening_contracts.envelope import Envelope, Event, clinic_source, event_of, write_kafka
from workhardening_contracts.registry import open_closed


def with_id(envelope: Envelope, label: str) -> Envelope:
    """The same event under another id."""
    return replace(envelope, id=f"{envelope.id}.{label}")


def duplicate(envelope: Envelope) -> Sending:
    """The same event once more, as a sender does that never saw the answer."""
    return Sending(envelope, "duplicate", "duplicate")


def other_body(envelope: Envelope) -> Sending:
    """Another session under an id that is taken: a security event, never a duplicate."""
    data: dict[str, dict[str, Any]] = json.loads(envelope.data)
    data["session"]["note"] = "entered again"
    return Sending(replace(envelope, data=json.dumps(data).encode()), "reject", "reused_id", 409)


def contract_violation(envelope: Envelope) -> Sending:
    """A field that the contract does not know."""
    data: dict[str, Any] = {**json.loads(envelope.data), "sesion": {}}
    return Sending(replace(with_id(envelope, "violation"), data=json.dumps(data).encode()), "reject", "violation", 422)


def foreign_source(envelope: Envelope, victim: str) -> Sending:
    """An event that says it is another clinic's."""
    forged = replace(with_id(envelope, "forged"), source=clinic_source(victim))
    return Sending(forged, "reject", "foreign_source", 403)


def orphan(envelope: Envelope) -> Sending:
    """An event for a case that nobody ever opens: it waits for its premise, which never comes."""
    return Sending(with_id(envelope, "orphan"), "wait", "orphan")


def sprinkle(sendings: Sequence[Sending], victim: str | None, rate: float, random: Random) -> list[Sending]:
    """The sendings in order, with something hostile after some of them, `rate` to each."""
    mixed: list[Sending] = []
    for sending in sendings:
        mixed.append(sending)
        if sending.mischief is not None or random.random() >= rate:
            continue
        envelope = sending.envelope
        match random.randrange(4):
            case 0 if envelope.type == SessionRecorded.TYPE:
                mixed.append(other_body(envelope))
            case 1:
                mixed.append(contract_violation(envelope))
            case 2 if victim is not None:
                mixed.append(foreign_source(envelope, victim))
            case _:
                mixed.append(duplicate(envelope))
    return mixed


@dataclass(frozen=True, slots=True)
class Week:
    """A week's sessions as they are sent in time, and those that come only after its verdict."""

    now: tuple[Sending, ...]
    late: tuple[Sending, ...] = ()


def disturb(sessions: Sequence[Sending], rate: float, random: Random) -> Week:
    """A week's sessions; `rate` is the chance that one comes late, is corrected, or is entered a second time."""
    if not sessions or random.random() >= rate:
        return Week(tuple(sessions))
    index = random.randrange(len(sessions))
    chosen = sessions[index]
    before, after = sessions[:index], sessions[index + 1 :]
    match random.randrange(3):
        case 0:
            return Week((*before, *after), (replace(chosen, mischief="late"),))
        case 1:
            wrong, correction = _corrected(chosen)
            return Week((*before, wrong, correction, *after))
        case _:
            second = Sending(with_id(chosen.envelope, "second"), "reject", "second_session")
            return Week((*before, chosen, second, *after))


def _corrected(sending: Sending) -> tuple[Sending, Sending]:
    """The session as it was wrongly entered at first (a quarter of the hours), and its correction."""
    envelope = sending.envelope
    event = cast("Event[SessionRecorded]", open_closed(envelope))
    session = event.data.session
    slip = SessionRecorded(session=session.model_copy(update={"hours": round(session.hours / 4, 2)}))
    correction = event_of(
        SessionCorrected(supersedes=envelope.id, session=session),
        id=f"{envelope.id}.corrected",
        source=envelope.source,
        subject=envelope.subject,
        time=envelope.time,
    )
    wrong = replace(envelope, data=slip.model_dump_json(exclude_none=True).encode())
    return replace(sending, envelope=wrong), Sending(correction, mischief="corrected")


def unreadable(envelope: Envelope) -> list[RawRecord]:
    """Records that are no event, one of each kind, made from an event that is well."""
    key, well, value = write_kafka(envelope)
    headers: tuple[tuple[str, bytes | None], ...] = tuple(well)
    without_id = tuple(header for header in headers if header[0] != "ce_id")
    null_header = (*headers, ("ce_causationid", None))
    nan = value[:-1] + b',"pain":NaN}'
    twice = value[:-1] + b',"session":{},"session":{}}'
    made = {
        "missing_id": (key, without_id, value),
        "invalid_json": (key, headers, value[:-3]),
        "nan": (key, headers, nan),
        "duplicate_keys": (key, headers, twice),
        "null_header": (key, null_header, value),
        "no_value": (key, headers, None),
        "no_key": (None, headers, value),
    }
    return [RawRecord(f"{envelope.id}.{kind}", kind, *record) for kind, record in made.items()]
