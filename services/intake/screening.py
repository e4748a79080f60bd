"""What the front door lets in, decided without looking anything up: whose event it is, whether it keeps its contract,
and what a record that closes a day for every case stands for. Pure; the clock is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid5

from workhardening_contracts import registry
from workhardening_contracts.clinic import DayClosed, SessionCorrected, SessionRecorded
from workhardening_contracts.envelope import (
    Envelope,
    Event,
    EventData,
    Violation,
    clinic_source,
    event_of,
    strict_json,
)

MAX_BODY = 64 * 1024
"""Bytes. The largest event, an assessment with every list full, stays below half of it."""

MAX_BATCH = 100
"""Events of a batch. At so many one costs a seventh of the CPU that it costs alone, and the answer comes well within a
second (docs/adr/0024)."""

MAX_BATCH_BODY = 1024 * 1024
"""Bytes of a batch: a hundred events of a caseload have about a tenth of it."""

AHEAD = timedelta(days=1)
"""Clinics' clocks and time zones may be wrong by hours, not by more than a day."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No event of a running program is older; a year such as 0001 is a mistake that databases cannot store in UTC."""

ALL_CASES = UUID(int=0)
"""The subject of a DayClosed that stands for all open cases of its clinic."""

_DAY_CLOSED = UUID("6f1f7f0e-6a0e-5d0b-9c4e-0b9a3c1d2e4f")
"""The name space of ids derived from (source, date, case)."""


FINDINGS = frozenset({"foreign_source", "id_reused"})
"""Refusals that somebody should look at: an event that says it is another clinic's, or another event."""


class Refused(Exception):
    """An event that is not let in. Says why and how to mend it; never holds a value of the event."""

    def __init__(self, status: int, code: str, detail: str, mend: str, field: str | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.mend = mend
        self.field = field


@dataclass(frozen=True, slots=True)
class Claim:
    """What a receipt is made from."""

    source: str
    id: str
    digest: bytes
    case: UUID
    type: str


def screen(envelope: Envelope, clinic: str, now: datetime) -> Event[EventData]:
    """Validate an event that `clinic` sends at `now` (with an offset). Raises Refused."""
    if envelope.source != clinic_source(clinic):
        raise Refused(
            403, "foreign_source", "the event's source is another's", f"send {clinic_source(clinic)}", "/source"
        )
    if len(envelope.data) > MAX_BODY:
        raise Refused(413, "too_large", f"an event's data has at most {MAX_BODY} bytes", "send less", "/data")
    if not registry.from_clinic(envelope.type):
        raise Refused(
            422, "contract.unknown_type", "clinics publish no event of this type", "see the list of types", "/type"
        )
    try:
        event = registry.open_closed(_ours(envelope))
    except Violation as error:
        raise violated(error) from None
    if not EARLIEST <= envelope.time <= now + AHEAD:
        raise Refused(
            422,
            "time_out_of_range",
            "the event's time is more than a day ahead, or before the year 2000",
            "send the time at which it happened, with its offset",
            "/time",
        )
    if (dated := _day(event.data)) is not None and dated[0] > (now + AHEAD).date():
        raise Refused(422, "date_to_come", "the date is more than a day ahead", "report days that have come", dated[1])
    if envelope.subject == ALL_CASES and not isinstance(event.data, DayClosed):
        raise Refused(
            422, "nil_subject", "only DayClosed may be said of all cases", "send the case reference", "/subject"
        )
    return event


def violated(error: Violation) -> Refused:
    """A breach of the contract as the front door answers it. A time without offset is out of range like a far one."""
    code = "time_out_of_range" if (error.code, error.field) == ("envelope.attribute", "/time") else error.code
    return Refused(422, code, error.detail, "send the event again, mended", error.field or None)


def digest(envelope: Envelope, key: bytes) -> bytes:
    """HMAC-SHA256 over what makes two sendings the same event: type, case, time and the data, whatever its spacing and
    the order of its keys. Keyed, since the data of a short event could be guessed from a plain hash."""
    said = [envelope.type, str(envelope.subject), envelope.time.isoformat(), strict_json(envelope.data)]
    return hmac.digest(key, json.dumps(said, sort_keys=True, separators=(",", ":")).encode(), hashlib.sha256)


def claim(envelope: Envelope, key: bytes) -> Claim:
    """The receipt that this event asks for."""
    return Claim(envelope.source, envelope.id, digest(envelope, key), envelope.subject, envelope.type)


def close_all(clinic: str, through: date) -> Envelope:
    """One record that closes a day for all open cases. The same day always gives the same record."""
    source = clinic_source(clinic)
    return event_of(
        DayClosed(through=through),
        id=str(uuid5(_DAY_CLOSED, f"{source}|{through}")),
        source=source,
        subject=ALL_CASES,
        time=_end_of(through),
    )


def expand(envelope: Envelope, through: date, cases: Iterable[UUID], now: datetime) -> list[Envelope]:
    """A record that closes a day for all cases, as one DayClosed for each. Raises Refused for a day to come.

    Ids and times come from (source, date, case) alone, so that closing a day again says the same events again.
    """
    if _end_of(through) > now + AHEAD:
        raise Refused(
            422, "time_out_of_range", "a day to come cannot be closed", "close days that have ended", "/through"
        )
    closed = DayClosed(through=through)
    return [
        event_of(
            closed,
            id=str(uuid5(_DAY_CLOSED, f"{envelope.source}|{through}|{case}")),
            source=envelope.source,
            subject=case,
            time=_end_of(through),
            traceparent=envelope.traceparent,
        )
        for case in cases
    ]


def _ours(envelope: Envelope) -> Envelope:
    """Without the attributes that only our services set: a clinic cannot claim a sequence, a cause or a policy.

    And with the data in one spelling, so that an event sent again with other spacing is the same to every reader.
    """
    data = json.dumps(strict_json(envelope.data), sort_keys=True, separators=(",", ":")).encode()
    return replace(envelope, sequence=None, causationid=None, policyversion=None, data=data)


def _day(data: EventData) -> tuple[date, str] | None:
    """The day that an event reports, and its field. A day closed ahead of its time would judge weeks to come, and each
    session in between would be refused as late; the other dates are for the events' judges."""
    match data:
        case DayClosed():
            return data.through, "/through"
        case SessionRecorded() | SessionCorrected():
            return data.session.held_on, "/session/held_on"
        case _:
            return None


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), UTC)
