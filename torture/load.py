"""What clinics send under fire: many short cases of about eight events each, untidy and hostile input among them.

A short case is sent without waiting for answers: referral, consent, assessment, a week or two of sessions, a closed
day, and an end. Whole programs, with signatures and corrections, come from the simulator beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from simulator import admission, hostile, jobs, workers
from simulator.canaries import plant
from simulator.cohort import FIRST_MONDAY, reference, spread
from simulator.doors import Door
from simulator.ledger import RawRecord, Sending
from simulator.workers import Worker
from workhardening_contracts.clinic import (
    CaseErased,
    CaseWithdrawn,
    ConsentRevoked,
    DayClosed,
    ReferralReceived,
    Session,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import clinic_source, event_of

HOSTILE = 0.012
"""Chance of something hostile or doubled after an event: with the unreadable records about 1 % of what is sent."""
UNREADABLE = 0.05
"""Chance that a case of a clinic with its own topic is followed by a record that is no event."""
AT_ONCE = 100
"""Cases that one clinic sends side by side: while a door is down, none of them gets on."""

Case = Sequence[Sending | RawRecord]


def short_case(seed: int, index: int, clinic: str, victim: str, employer: str, *, raw: bool) -> Case:
    """Everything that is sent for one case, in order. `raw`: records that are no event can be sent."""
    random = Random(f"{seed}/short/{index}")
    starts_on = FIRST_MONDAY + timedelta(weeks=random.randrange(20))
    ref = reference(seed, "short", index, starts_on)
    fate = spread(seed, index)
    worker = workers.meet(jobs.draw(random), fate, random)
    referral = admission.refer(worker, fate, ref.hex[-12:], employer, starts_on, random).complete

    def say(data: EventData, name: str, on: date, hour: int = 9) -> Sending:
        at = datetime.combine(on, time(hour), UTC)
        return Sending(event_of(plant(data), id=f"{ref}.{name}", source=clinic_source(clinic), subject=ref, time=at))

    assessed = starts_on + timedelta(days=2)
    sent = [say(ReferralReceived(referral=referral), "referral", starts_on)]
    if random.random() < 0.95:
        sent.append(say(admission.consent(employer, assessed, random), "consent", assessed))
    sent.append(say(admission.assess(worker, assessed, random), "assessment", assessed))
    monday = starts_on + timedelta(days=7)
    for week in range(1 if random.random() < 0.85 else 2):
        first = monday + timedelta(weeks=week)
        for day in (0, 2, 4):
            on = first + timedelta(days=day)
            sent.append(say(_session(worker, on, random), f"session.{on}", on, 15))
        sent.append(
            say(DayClosed(through=first + timedelta(days=6)), f"closed.{week + 1}", first + timedelta(days=6), 23)
        )
        monday = first + timedelta(days=7)
    sent += _end(say, employer, monday, random)
    mixed: list[Sending | RawRecord] = [*hostile.sprinkle(sent, victim, HOSTILE, random)]
    if raw and random.random() < UNREADABLE:
        mixed.append(random.choice(hostile.unreadable(hostile.with_id(sent[0].envelope, "unreadable"))))
    return mixed


def _session(worker: Worker, on: date, random: Random) -> SessionRecorded:
    attended = random.random() < worker.attendance
    return SessionRecorded(
        session=Session(
            held_on=on,
            attendance="attended" if attended else "absent",
            hours=worker.hours if attended else 0.0,
            exertion=float(random.randint(3, 7)) if attended else None,
            pain_next_day=worker.pain if attended else None,
        )
    )


def _end(say: Callable[..., Sending], employer: str, on: date, random: Random) -> list[Sending]:
    """How a short case ends: most withdraw, some consents are revoked, a few cases are erased, some stay open."""
    match random.random():
        case x if x < 0.65:
            return [say(CaseWithdrawn(withdrawn_on=on, reason_code="moved"), "withdrawn", on, 18)]
        case x if x < 0.75:
            revoked = say(ConsentRevoked(employer=employer, scopes=("work_status",)), "revoked", on)
            return [revoked, say(CaseWithdrawn(withdrawn_on=on, reason_code="moved"), "withdrawn", on, 18)]
        case x if x < 0.78:
            return [say(CaseErased(reason_code="worker_request"), "erased", on)]
        case _:
            return []


async def send(cases: Sequence[Case], door: Door, admitted: Callable[[int], Awaitable[None]]) -> None:
    """Send one clinic's cases, each in order, `AT_ONCE` side by side. `admitted(n)` returns when the nth may begin."""
    numbered = iter(enumerate(cases))

    async def sender() -> None:
        for number, case in numbered:
            await admitted(number)
            for sending in case:
                await door.send(sending)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(sender())
