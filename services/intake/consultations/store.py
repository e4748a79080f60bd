"""Services, therapists and bookings in PostgreSQL, on the caller's connection.

What changes a booking promises the clinic's event in the same transaction; the caller wakes the relay after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from asyncpg import Record

from runtime.db import Connection, queries
from runtime.outbox import append_outbox
from runtime.policy import Policies
from services.intake.consultations import told
from services.intake.consultations.booking import Booking, Marks, Offer, Profile, Wish, decide, give_back
from services.intake.consultations.slots import Hours, Slot
from services.intake.policy import Policy
from services.intake.screening import Refused
from workhardening_contracts.contract import Contract

SQL = queries("services.intake")

REMINDERS = 100
"""Taken in hand at once: a statement or two, whatever fell due while no process ran."""


@dataclass(frozen=True, slots=True)
class Therapist:
    """One therapist, with what only bookings need."""

    id: UUID
    number: int
    clinic: str
    profile: Profile
    hours: Hours | None


def therapist_unknown() -> Refused:
    """No such therapist, or none who is on the list."""
    return Refused(404, "therapist_unknown", "no such therapist", "see GET /v1/consultations/therapists")


def _booking_unknown() -> Refused:
    return Refused(404, "booking_unknown", "no such booking", "it may have been deleted")


async def put(
    connection: Connection, what: Literal["service", "therapist"], id: UUID, clinic: str, of: Contract
) -> bool:
    """Have it so. False for one of another clinic."""
    return await connection.fetchval(SQL[f"put_{what}"], id, clinic, of.model_dump_json()) is not None


async def put_hours(connection: Connection, id: UUID, clinic: str, hours: Hours) -> bool:
    """A therapist's hours from now on; what is booked stays. False where the clinic has no such therapist."""
    return await connection.fetchval(SQL["put_hours"], id, clinic, hours.model_dump_json()) is not None


async def list_services(connection: Connection, clinic: str | None) -> list[tuple[UUID, str, Offer]]:
    """Id, clinic and description of what is on the list; of all clinics where none is named."""
    rows = await connection.fetch(SQL["list_services"], clinic)
    return [(row["id"], row["clinic"], Offer.model_validate_json(row["profile"], extra="ignore")) for row in rows]


async def list_therapists(connection: Connection, clinic: str | None) -> list[tuple[UUID, str, Profile, str | None]]:
    """Id, clinic, profile and time zone of who is on the list; no zone before there are hours."""
    return [
        (row["id"], row["clinic"], Profile.model_validate_json(row["profile"], extra="ignore"), row["zone"])
        for row in await connection.fetch(SQL["list_therapists"], clinic)
    ]


async def find_therapist(connection: Connection, id: UUID) -> Therapist:
    """A therapist who is on the list. Raises Refused."""
    found = _therapist(await connection.fetchrow(SQL["therapist"], id))
    if not found.profile.listed:
        raise therapist_unknown()
    return found


async def taken(connection: Connection, therapist: Therapist, earliest: datetime, before: datetime) -> list[Slot]:
    """What is booked of a therapist in a span, in order."""
    rows = await connection.fetch(SQL["taken"], therapist.number, earliest, before)
    return [Slot(row["starts"], row["ends"]) for row in rows]


async def book(connection: Connection, wish: Wish, marks: Marks, now: datetime, policies: Policies[Policy]) -> Booking:
    """Book, or find what the same request has booked. Raises Refused, and asyncpg's ExclusionViolationError where the
    time is taken."""
    therapist = _therapist(await connection.fetchrow(SQL["lock_therapist"], wish.therapist))
    if (before := await connection.fetchrow(SQL["booking_by_key"], marks.key)) is not None:
        if before["wish_digest"] != marks.wish:
            raise Refused(
                409, "key_reused", "this idempotency key was used for another booking", "send a key of its own"
            )
        return await find(connection, before["id"])
    if not therapist.profile.listed or therapist.hours is None:
        raise therapist_unknown()
    if wish.service and not await connection.fetchval(SQL["service_of_clinic"], wish.service, therapist.clinic):
        raise Refused(
            409, "service_unknown", "the clinic has no such service", "see GET /v1/consultations/services", "/service"
        )
    policy = policies.of(therapist.clinic)
    times = decide(wish, therapist.hours, now, policy)
    id_ = uuid4()
    await connection.execute(
        SQL["insert_booking"],
        *(id_, marks.key, marks.wish, marks.token_digest, therapist.clinic, therapist.number, wish.service),
        *(times.slot.starts, times.slot.ends, wish.zone, wish.name, wish.contact),
        *(now, times.cancel_until, times.remind_at, times.kept_until, policy.version),
    )
    booking = await find(connection, id_)
    await append_outbox(connection, [told.booked(booking)])
    return booking


async def find(connection: Connection, id: UUID, clinic: str | None = None) -> Booking:
    """A booking, of this clinic where one is named. Raises Refused."""
    row = await connection.fetchrow(SQL["appointment"], id)
    if row is None or clinic not in (None, row["clinic"]):
        raise _booking_unknown()
    return Booking(**row)


async def find_by_token(connection: Connection, digest: bytes) -> Booking:
    """Whose token this is. Raises Refused."""
    id_ = await connection.fetchval(SQL["booking_by_token"], digest)
    if id_ is None:
        raise _booking_unknown()
    return await find(connection, id_)


async def of_clinic(connection: Connection, clinic: str, earliest: datetime, before: datetime) -> list[Booking]:
    """A clinic's bookings that begin in a span, cancelled ones too."""
    return [Booking(**row) for row in await connection.fetch(SQL["clinic_appointments"], clinic, earliest, before)]


async def cancel(connection: Connection, digest: bytes, now: datetime) -> Booking:
    """The person gives the time back; once more changes nothing. Raises Refused."""
    booking = await _in_hand(connection, (await find_by_token(connection, digest)).id)
    if booking.status == "cancelled":
        return booking
    give_back(booking, now)
    await connection.execute(SQL["cancel_booking"], booking.id)
    await append_outbox(connection, [told.cancelled(booking, "person", now)])
    return await find(connection, booking.id)


async def delete(connection: Connection, id: UUID, clinic: str, now: datetime) -> None:
    """The clinic deletes a booking with all that the person left. Raises Refused."""
    booking = await _in_hand(connection, id, clinic)
    if booking.status == "booked" and now < booking.starts_at:
        await append_outbox(connection, [told.cancelled(booking, "clinic", now)])
    await connection.execute(SQL["delete_bookings"], [id])


async def referred_at(connection: Connection, booking: Booking, now: datetime) -> datetime:
    """When the booking was referred first, which is now unless it has been."""
    return await connection.fetchval(SQL["refer_booking"], booking.id, now) or now


async def remind(connection: Connection, now: datetime) -> int:
    """Tell clinics of reminders that are due; how many. One that is due in vain, after the beginning, is left out."""
    ids: Sequence[UUID] = [row["id"] for row in await connection.fetch(SQL["claim_reminders"], now, REMINDERS)]
    if ids:
        await append_outbox(connection, [told.reminder_due(await find(connection, id_), now) for id_ in ids])
        await connection.execute(SQL["mark_reminded"], ids)
    return len(ids)


async def forget(connection: Connection, now: datetime) -> None:
    """Delete bookings that were kept for long enough."""
    await connection.execute(SQL["delete_expired_bookings"], now)


async def _in_hand(connection: Connection, id: UUID, clinic: str | None = None) -> Booking:
    """Two who change a booking do it one after the other, so its events are promised in order."""
    if await connection.fetchval(SQL["lock_booking"], id, clinic) is None:
        raise _booking_unknown()
    return await find(connection, id)


def _therapist(row: Record | None) -> Therapist:
    if row is None:
        raise therapist_unknown()
    return Therapist(
        row["id"],
        row["number"],
        row["clinic"],
        Profile.model_validate_json(row["profile"], extra="ignore"),
        None if row["hours"] is None else Hours.model_validate_json(row["hours"], extra="ignore"),
    )
