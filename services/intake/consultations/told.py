"""What the clinic is told of a booking: when and with whom, never who. It reads that with its key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from runtime.fold import Emitted
from services.intake.consultations.booking import Booking
from workhardening_contracts import registry
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, service_source
from workhardening_contracts.intake import ConsultationBooked, ConsultationCancelled, ConsultationReminderDue


def booked(booking: Booking) -> Emitted:
    """A consultation was booked."""
    return _told("booked", booking, ConsultationBooked(**_when(booking)), booking.booked_at)


def cancelled(booking: Booking, by: Literal["person", "clinic"], at: datetime) -> Emitted:
    """It was cancelled, and its time is free again."""
    return _told("cancelled", booking, ConsultationCancelled(**_when(booking), by=by), at)


def reminder_due(booking: Booking, at: datetime) -> Emitted:
    """The clinic should remind the person now."""
    return _told("reminder", booking, ConsultationReminderDue(**_when(booking)), at)


def _when(booking: Booking) -> dict[str, str]:
    return {
        "clinic": booking.clinic,
        "therapist": str(booking.therapist),
        "starts_at": _utc(booking.starts_at),
        "ends_at": _utc(booking.ends_at),
    }


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _told(what: str, booking: Booking, data: EventData, at: datetime) -> Emitted:
    """Each happens once to a booking, so its id follows from it. No event caused it, and it is not of a case yet: it
    bears neither a cause nor a number of the case's sequence, which begins with the case."""
    envelope = Envelope(
        id=f"{booking.id}.consultation-{what}",
        source=service_source("intake"),
        type=data.TYPE,
        subject=booking.id,
        time=at,
        data=data.model_dump_json(exclude_none=True).encode(),
        policyversion=booking.policy_version,
        dataschema=data.dataschema(),
    )
    return Emitted(registry.topic_of(type(data)), envelope)
