"""What is booked, given back and referred, and why it is refused. Pure; the clock is an argument."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, StringConstraints

from services.intake.consultations.slots import Hours, Slot, Zone, offered
from services.intake.policy import Policy
from services.intake.screening import Refused
from workhardening_contracts.clinic import Referral, ReferralReceived
from workhardening_contracts.contract import PRINTABLE, Contract, Line
from workhardening_contracts.envelope import Envelope, clinic_source, event_of

Short = Annotated[str, StringConstraints(pattern=PRINTABLE, min_length=1, max_length=200)]
"""One line of at most 200 characters."""


class Offer(Contract):
    """A service of a clinic, as anybody may read of it."""

    name: Short
    summary: Line
    listed: bool = True
    """False takes it off the list; what was booked stays booked."""


class Profile(Contract):
    """A therapist as anybody may read of him."""

    name: Short
    profession: Short
    about: Line
    languages: Annotated[tuple[Short, ...], Field(max_length=20)] = ()
    place: Line
    """Where consultations are held, for people: an address, or `by telephone`."""
    telephone: Short | None = None
    """Of the clinic: for who must cancel late."""
    listed: bool = True
    """False takes him off the list, and his times with it; what was booked stays booked."""


class Wish(Contract):
    """What a person asks for. Nothing about an injury: that is for the consultation itself."""

    therapist: UUID
    starts_at: AwareDatetime
    zone: Zone
    """The person's own, in which the time is told again."""
    name: Short
    contact: Short
    """How the clinic reaches the person: a telephone number or an address."""
    service: UUID | None = None
    """Which of the clinic's services the person would like to talk about."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A consultation that was booked."""

    id: UUID
    """Also the case reference, should it become a case."""
    clinic: str
    therapist: UUID
    therapist_name: str
    place: str
    telephone: str | None
    service: UUID | None
    starts_at: datetime
    ends_at: datetime
    status: Literal["booked", "cancelled"]
    zone: str
    name: str
    contact: str
    booked_at: datetime
    cancel_until: datetime
    referred_at: datetime | None
    policy_version: str


@dataclass(frozen=True, slots=True)
class Times:
    """When what happens of a booking: decided once, so that no later policy changes what a person was told."""

    slot: Slot
    cancel_until: datetime
    remind_at: datetime | None
    """None for who books so late that a reminder would come with the answer."""
    kept_until: datetime


@dataclass(frozen=True, slots=True)
class Marks:
    """What a request is known by again. The token is told to its sender and kept by its digest only."""

    key: bytes
    wish: bytes
    token: str

    @property
    def token_digest(self) -> bytes:
        return token_digest(self.token)


def marks(wish: Wish, idempotency_key: str, secret: bytes) -> Marks:
    """The same for the same request, so that a repeated one is answered with the same token.

    All of it is keyed: names and numbers could be guessed from a plain hash.
    """

    def sealed(*said: str) -> bytes:
        return hmac.digest(secret, json.dumps(["consultation", *said]).encode(), hashlib.sha256)

    asked = wish.model_dump_json()
    token = urlsafe_b64encode(sealed("token", idempotency_key, asked)).decode().rstrip("=")
    return Marks(sealed("key", idempotency_key), sealed("wish", asked), token)


def token_digest(token: str) -> bytes:
    """A token is 256 bits that nobody can guess: there is nothing to salt."""
    return hashlib.sha256(token.encode()).digest()


def decide(wish: Wish, hours: Hours, now: datetime, policy: Policy) -> Times:
    """Whether this time is to be had, as far as it does not depend on other bookings. Raises Refused."""
    notice, horizon = timedelta(hours=policy.consultation_notice_hours), timedelta(days=policy.consultation_days_ahead)
    if wish.starts_at < now + notice:
        raise Refused(
            409, "too_soon", f"a consultation is booked {_hours(notice)} ahead at the least", "take a later time"
        )
    if wish.starts_at >= now + horizon:
        raise Refused(409, "too_far", f"a consultation is booked {horizon.days} days ahead at most", "ask again later")
    day = wish.starts_at.astimezone(ZoneInfo(hours.zone)).date()
    slot = next((one for one in offered(hours, day, day) if one.starts == wish.starts_at), None)
    if slot is None:
        raise Refused(409, "time_not_offered", "the therapist does not offer this time", "take one that is listed")
    remind_at = slot.starts - timedelta(hours=policy.reminder_hours)
    return Times(
        slot,
        cancel_until=slot.starts - notice,
        remind_at=remind_at if remind_at > now else None,
        kept_until=slot.ends + timedelta(days=policy.consultation_kept_days),
    )


def give_back(booking: Booking, now: datetime) -> None:
    """Whether the person may still cancel. Raises Refused."""
    if now > booking.cancel_until:
        raise Refused(
            409, "too_late_to_cancel", "the time in which you can cancel by yourself is over", "call the clinic"
        )


def referral_of(booking: Booking, referral: Referral, at: datetime) -> Envelope:
    """The booking as its clinic's referral. Booking, id and time are the same each time, so a repeat is no second case.

    Raises Refused for a booking that was cancelled.
    """
    if booking.status == "cancelled":
        raise Refused(409, "booking_cancelled", "this consultation was cancelled", "refer the worker by an event")
    return event_of(
        ReferralReceived(referral=referral),
        id=f"consultation-{booking.id}",
        source=clinic_source(booking.clinic),
        subject=booking.id,
        time=at,
    )


def _hours(span: timedelta) -> str:
    return f"{span // timedelta(hours=1)} h"
