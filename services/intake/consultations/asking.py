"""What the open doors and the pages ask alike: the JSON doors answer with it, and the pages draw it.

All raise Problem for what is refused, and what a lost database raises.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID

import asyncpg
from fastapi import Request

from runtime.db import Connection
from runtime.http import Problem, running
from runtime.policy import Policies, load
from services.intake.consultations import store
from services.intake.consultations.booking import Booking, Wish, marks, token_digest
from services.intake.consultations.slots import Slot, bounds, free
from services.intake.policy import Policy
from services.intake.receipts import WAIT_S
from services.intake.screening import Refused

WEEK = 7


@dataclass(frozen=True, slots=True)
class Times:
    """A therapist's free times, and the zone in which they were asked for."""

    therapist: store.Therapist
    zone: str
    slots: list[Slot]


@asynccontextmanager
async def at_the_tables(request: Request) -> AsyncGenerator[Connection]:
    """A transaction; what is refused in it becomes a problem."""
    async with running(request).pool.acquire(timeout=WAIT_S) as connection:
        try:
            async with connection.transaction():
                yield connection
        except Refused as refused:
            raise problem_of(refused) from None


def problem_of(refused: Refused) -> Problem:
    """A refusal as it is answered."""
    return Problem(refused.status, refused.code, f"{refused.detail}; {refused.mend}", field=refused.field)


async def free_times(request: Request, id: UUID, first: date | None, days: int, zone: str | None) -> Times:
    """A therapist's free times on these days of the asker's; without a zone, of the therapist's."""
    now = datetime.now(UTC)
    async with at_the_tables(request) as connection:
        therapist = await store.find_therapist(connection, id)
        if therapist.hours is None:
            return Times(therapist, zone or "UTC", [])
        asked = zone or therapist.hours.zone
        policy = _policies(request).of(therapist.clinic)
        notice, ahead = (
            timedelta(hours=policy.consultation_notice_hours),
            timedelta(days=policy.consultation_days_ahead),
        )
        earliest, before = bounds(first, days, asked, now, notice, ahead)
        if earliest >= before:
            return Times(therapist, asked, [])
        # The last that begins in the span ends behind it.
        booked = await store.taken(connection, therapist, earliest, before + timedelta(minutes=therapist.hours.minutes))
        return Times(therapist, asked, free(therapist.hours, booked, earliest, before))


async def book(request: Request, wish: Wish, idempotency_key: str) -> tuple[Booking, str]:
    """The booking and its token; the same ones for the same request."""
    service = running(request)
    known = marks(wish, idempotency_key, bytes.fromhex(service.settings.digest_key.get_secret_value()))
    try:
        async with at_the_tables(request) as connection:
            booking = await store.book(connection, wish, known, datetime.now(UTC), _policies(request))
    except asyncpg.ExclusionViolationError:
        raise Problem(
            409, "time_taken", "somebody has just taken this time; take another", field="/starts_at"
        ) from None
    service.relay.wake()
    return booking, known.token


async def appointment(request: Request, token: str) -> Booking:
    """What this token was given for."""
    async with at_the_tables(request) as connection:
        return await store.find_by_token(connection, token_digest(token))


async def cancel(request: Request, token: str) -> Booking:
    """It is cancelled, now or before."""
    async with at_the_tables(request) as connection:
        booking = await store.cancel(connection, token_digest(token), datetime.now(UTC))
    running(request).relay.wake()
    return booking


def _policies(request: Request) -> Policies[Policy]:
    return _read(running(request).settings.policy_file)


@cache
def _read(path: Path | None) -> Policies[Policy]:
    """As the service's handlers read it when it started: a new file counts from the next start on."""
    return load(Policy, path)
