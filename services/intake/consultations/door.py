"""The doors of consultations: open ones to look, book and cancel, and those that a clinic's key opens."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict

from runtime.http import Problem, body_of, clinic_caller, problems, read_body, running
from runtime.keys import NAME
from runtime.relay import transient
from services.intake.admission import admit
from services.intake.consultations import asking, pages, store
from services.intake.consultations.booking import Booking, Offer, Profile, Wish, referral_of
from services.intake.consultations.callers import Strangers, looking, wishing
from services.intake.consultations.slots import ZONES, Hours
from services.intake.door import RETRY_AFTER_S, AtDesk
from services.intake.screening import Refused, screen
from workhardening_contracts.clinic import Referral

public = APIRouter(prefix="/v1/consultations", tags=["consultations"])
clinics = APIRouter(prefix="/v1/consultations", tags=["consultations of a clinic"])

Caller = Annotated[str, Depends(clinic_caller)]
OfClinic = Annotated[str | None, Query(pattern=f"^{NAME.pattern}$")]
Days = Annotated[int, Query(ge=1, le=31)]
From = Annotated[date | None, Query(alias="from")]
Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$")]
Key = Annotated[str, Header(alias="idempotency-key", pattern=r"^[\x21-\x7e]{16,200}$")]
"""Minted by the sender, e.g. a UUID; the same for each repetition of one request, and for no other."""

LOOK, BOOK = [Depends(looking)], [Depends(wishing)]


class Listed(BaseModel):
    """Something on a list."""

    id: UUID
    clinic: str


class ListedService(Listed):
    """A service that a clinic offers."""

    profile: Offer


class ListedTherapist(Listed):
    """A therapist to book a consultation with."""

    profile: Profile
    zone: str | None
    """Where his clock hangs; none while no hours are set."""


class Services(BaseModel):
    """All services on the list."""

    services: list[ListedService]


class Therapists(BaseModel):
    """All therapists on the list."""

    therapists: list[ListedTherapist]


class FreeTime(BaseModel):
    """A time to book, told in the zone that was asked for."""

    starts_at: datetime
    ends_at: datetime


class FreeTimes(BaseModel):
    """A therapist's free times."""

    zone: str
    slots: list[FreeTime]


class Appointment(BaseModel):
    """A consultation as the person is told of it, in the person's own zone."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    status: Literal["booked", "cancelled"]
    therapist: UUID
    therapist_name: str
    place: str
    telephone: str | None
    service: UUID | None
    zone: str
    starts_at: datetime
    ends_at: datetime
    cancel_until: datetime
    """The last moment in which the person can cancel without calling the clinic."""


class Booked(Appointment):
    """The answer to a booking."""

    token: str
    """Opens this appointment, to look and to cancel. It is not told again but to the same request."""


class ClinicBooking(Appointment):
    """A booking as its clinic sees it."""

    name: str
    contact: str
    booked_at: datetime
    referred_at: datetime | None


class ClinicBookings(BaseModel):
    """Bookings in the order in which they begin."""

    bookings: list[ClinicBooking]


class Had(BaseModel):
    """It is so now."""

    id: UUID


class ReferredCase(BaseModel):
    """The booking is a case now: Kafka has its referral."""

    case: UUID
    event: str
    status_url: str
    """Where to ask what became of it."""


@public.get("/services", response_model=Services, responses=problems(422, 429, 503), dependencies=LOOK)
async def list_services(request: Request, clinic: OfClinic = None) -> Services:
    """The services on the list, of all clinics or of one."""
    async with asking.at_the_tables(request) as connection:
        found = await store.list_services(connection, clinic)
    return Services(services=[ListedService(id=id_, clinic=of, profile=profile) for id_, of, profile in found])


@public.get("/therapists", response_model=Therapists, responses=problems(422, 429, 503), dependencies=LOOK)
async def list_therapists(request: Request, clinic: OfClinic = None) -> Therapists:
    """The therapists on the list, of all clinics or of one."""
    async with asking.at_the_tables(request) as connection:
        found = await store.list_therapists(connection, clinic)
    return Therapists(
        therapists=[ListedTherapist(id=id_, clinic=of, profile=profile, zone=zone) for id_, of, profile, zone in found]
    )


@public.get(
    "/therapists/{therapist}/slots",
    response_model=FreeTimes,
    responses=problems(404, 422, 429, 503),
    dependencies=LOOK,
)
async def slots(
    request: Request,
    therapist: UUID,
    first: From = None,
    days: Days = asking.WEEK,
    zone: Annotated[str | None, Query(max_length=64)] = None,
) -> FreeTimes:
    """A therapist's free times on `days` days `from` a date on, today by default; in `zone`, else the therapist's."""
    if zone is not None and zone not in ZONES:
        raise Problem(422, "zone_unknown", "name a time zone of the IANA database", field="/query/zone")
    found = await asking.free_times(request, therapist, first, days, zone)
    clock = ZoneInfo(found.zone)
    return FreeTimes(
        zone=found.zone,
        slots=[
            FreeTime(starts_at=slot.starts.astimezone(clock), ends_at=slot.ends.astimezone(clock))
            for slot in found.slots
        ],
    )


@public.post(
    "/bookings",
    status_code=201,
    response_model=Booked,
    responses=problems(404, 409, 413, 422, 429, 503),
    dependencies=BOOK,
    openapi_extra=body_of(Wish),
)
async def book(request: Request, idempotency_key: Key) -> Booked:
    """Book a free consultation. Send it again with the same key until it is answered: it books once."""
    booking, token = await asking.book(request, await read_body(request, Wish), idempotency_key)
    return Booked(**_told(booking), token=token)


@public.get(
    "/appointments/{token}", response_model=Appointment, responses=problems(404, 422, 429, 503), dependencies=LOOK
)
async def appointment(request: Request, token: Token) -> Appointment:
    """The consultation that was booked with this token."""
    return Appointment(**_told(await asking.appointment(request, token)))


@public.delete(
    "/appointments/{token}", response_model=Appointment, responses=problems(404, 409, 422, 429, 503), dependencies=LOOK
)
async def cancel(request: Request, token: Token) -> Appointment:
    """Cancel, until `cancel_until`. Once more changes nothing."""
    return Appointment(**_told(await asking.cancel(request, token)))


@clinics.put(
    "/services/{service}",
    response_model=Had,
    responses=problems(401, 403, 409, 413, 422, 503),
    openapi_extra=body_of(Offer),
)
async def put_service(request: Request, service: UUID, clinic: Caller) -> Had:
    """Have a service on the list as it is described. The id is yours to mint."""
    return await _put(request, "service", service, clinic, await read_body(request, Offer))


@clinics.put(
    "/therapists/{therapist}",
    response_model=Had,
    responses=problems(401, 403, 409, 413, 422, 503),
    openapi_extra=body_of(Profile),
)
async def put_therapist(request: Request, therapist: UUID, clinic: Caller) -> Had:
    """Have a therapist on the list as he is described. The id is yours to mint; it is not a person's."""
    return await _put(request, "therapist", therapist, clinic, await read_body(request, Profile))


@clinics.put(
    "/therapists/{therapist}/hours",
    response_model=Had,
    responses=problems(401, 403, 404, 413, 422, 503),
    openapi_extra=body_of(Hours),
)
async def put_hours(request: Request, therapist: UUID, clinic: Caller) -> Had:
    """Have these hours and no others, from now on. What is booked stays booked."""
    hours = await read_body(request, Hours)
    async with asking.at_the_tables(request) as connection:
        if not await store.put_hours(connection, therapist, clinic, hours):
            raise store.therapist_unknown()
    return Had(id=therapist)


@clinics.get("/bookings", response_model=ClinicBookings, responses=problems(401, 403, 422, 503))
async def list_bookings(request: Request, clinic: Caller, first: From = None, days: Days = 31) -> ClinicBookings:
    """The clinic's bookings of `days` days (UTC) `from` a date on, today by default; cancelled ones too."""
    begin = min(max(first or datetime.now(UTC).date(), date(2000, 1, 1)), date(2999, 1, 1))
    midnight = datetime.combine(begin, time.min, UTC)
    async with asking.at_the_tables(request) as connection:
        found = await store.of_clinic(connection, clinic, midnight, midnight + timedelta(days=days))
    return ClinicBookings(bookings=[_shown(one) for one in found])


@clinics.delete("/bookings/{booking}", response_model=Had, responses=problems(401, 403, 404, 422, 503))
async def delete_booking(request: Request, booking: UUID, clinic: Caller) -> Had:
    """Delete a booking with the name and contact in it. One that is to come is cancelled by that."""
    async with asking.at_the_tables(request) as connection:
        await store.delete(connection, booking, clinic, datetime.now(UTC))
    running(request).relay.wake()
    return Had(id=booking)


@clinics.post(
    "/bookings/{booking}/refer",
    status_code=202,
    response_model=ReferredCase,
    responses=problems(401, 403, 404, 409, 413, 422, 503),
    openapi_extra=body_of(Referral),
)
async def refer(request: Request, booking: UUID, clinic: Caller, desk: AtDesk) -> ReferredCase:
    """Refer the worker who has booked. The booking's id becomes the case reference; the same referral again is the same
    event, and another one is refused (`id_reused`): correct it by an event."""
    referral, now = await read_body(request, Referral), datetime.now(UTC)
    async with asking.at_the_tables(request) as connection:
        found = await store.find(connection, booking, clinic)
        # What the front door would refuse must not leave the time of a referral behind.
        screen(referral_of(found, referral, now), clinic, now)
        at = await store.referred_at(connection, found, now)
    event = referral_of(found, referral, at)
    try:
        await admit(desk, clinic, event, now)
    except Refused as refused:
        raise asking.problem_of(refused) from None
    except Exception as error:
        if not transient(error):
            raise
        raise Problem(503, "unavailable", "send it again", headers={"retry-after": RETRY_AFTER_S}) from None
    return ReferredCase(case=booking, event=event.id, status_url=f"/v1/events/{event.id}")


def add_consultations(app: FastAPI) -> None:
    """The doors, the pages, and what is remembered of strangers."""
    app.state.strangers = Strangers()
    for router in (public, clinics, pages.router):
        app.include_router(router)


async def _put(
    request: Request, what: Literal["service", "therapist"], id: UUID, clinic: str, described: Offer | Profile
) -> Had:
    async with asking.at_the_tables(request) as connection:
        if not await store.put(connection, what, id, clinic, described):
            raise Refused(409, "id_taken", "this id is another clinic's", "mint one of your own")
    return Had(id=id)


def _told(booking: Booking) -> dict[str, Any]:
    """An appointment's fields, with its times in the person's own zone."""
    clock = ZoneInfo(booking.zone)
    said = {name: getattr(booking, name) for name in Appointment.model_fields}
    times = {name: said[name].astimezone(clock) for name in ("starts_at", "ends_at", "cancel_until")}
    return said | times


def _shown(booking: Booking) -> ClinicBooking:
    return ClinicBooking.model_validate(booking, from_attributes=True)
