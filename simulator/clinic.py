"""A clinic's system: sends what happens to its cases and acts on what its feed tells it, case by case, side by side.

Two ways to keep a calendar. A clinic that closes its days case by case lets every case run on by itself. A clinic that
closes a day for all its cases at once keeps one calendar for them: it moves on when no case has anything left to report
and none waits for an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from simulator.casework import Case
from simulator.doors import Door, Feed
from simulator.ledger import Ledger, RawRecord, Sending
from workhardening_contracts.envelope import Envelope, Event
from workhardening_contracts.readiness import EventRejected
from workhardening_contracts.registry import BY_TYPE

Inbox = asyncio.Queue[Event[Any]]

LAST_ANSWERS_S = 60.0
"""How long a clinic whose cases have all ended still listens for refusals, s: as long as a service may be away."""


async def run(
    name: str,
    cases: Sequence[Case],
    door: Door,
    feed: Feed,
    ledger: Ledger,
    *,
    close_day: Callable[[date], Awaitable[None]] | None,
    concurrency: int,
    prologue: Iterable[Sending | RawRecord] = (),
) -> None:
    """Take every case of the clinic `name` to its end.

    With `close_day` the clinic keeps one calendar and closes its days with it; without, at most `concurrency` cases
    run at a time and close their own. `prologue` is sent before anything else. Everything that can be mended by waiting
    is waited for; a door that refuses for good raises doors.Refused, in an ExceptionGroup when it is the feed.
    """
    for sending in prologue:
        await door.send(sending)
    inboxes: dict[UUID, Inbox] = {case.ref: asyncio.Queue() for case in cases}
    news = asyncio.Event()
    working = _calendar(cases, inboxes, door, close_day) if close_day else _each(cases, inboxes, door, concurrency)
    async with asyncio.TaskGroup() as group:
        listener = group.create_task(_listen(feed, inboxes, ledger, news))
        await working
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_ANSWERS_S):
                while ledger.unanswered(name):
                    news.clear()
                    await news.wait()
        listener.cancel()


async def _listen(feed: Feed, inboxes: dict[UUID, Inbox], ledger: Ledger, news: asyncio.Event) -> None:
    async for page in feed.pages():
        for envelope in page:
            event = opened(envelope)
            if event is None:
                continue
            if isinstance(event.data, EventRejected):
                ledger.refused(event.data.rejected_source, event.data.rejected_id, event.data.code)
            elif (inbox := inboxes.get(event.case)) is not None:
                inbox.put_nowait(event)
        news.set()


def opened(envelope: Envelope) -> Event[Any] | None:
    """A feed's event, read as a consumer: unknown types and fields are passed over. None for what cannot be used."""
    entry = BY_TYPE.get(envelope.type)
    if entry is None:
        return None
    with suppress(ValidationError):
        return Event(envelope, entry.model.model_validate_json(envelope.data, extra="ignore"))
    return None


async def _each(cases: Sequence[Case], inboxes: dict[UUID, Inbox], door: Door, concurrency: int) -> None:
    places = asyncio.Semaphore(concurrency)

    async def run_one(case: Case) -> None:
        async with places:
            while True:
                await _run_on(case, door)
                if case.ended:
                    return
                await _send(door, case.hear(await inboxes[case.ref].get()))

    await asyncio.gather(*(run_one(case) for case in cases))


async def _run_on(case: Case, door: Door) -> None:
    while (through := case.next_close) is not None:
        await _send(door, case.work())
        if case.next_close == through:
            if case.begun:
                await door.send(case.day_closed(through))
            await _send(door, case.closed(through))


async def _calendar(
    cases: Sequence[Case], inboxes: dict[UUID, Inbox], door: Door, close_day: Callable[[date], Awaitable[None]]
) -> None:
    async def answered(case: Case) -> None:
        while not case.ended and case.next_close is None:
            await _send(door, case.hear(await inboxes[case.ref].get()))

    async def worked(case: Case) -> None:
        await _send(door, case.work())

    async def moved_on(case: Case, through: date) -> None:
        await _send(door, case.closed(through))

    while True:
        await asyncio.gather(*(answered(case) for case in cases))
        closings = [case.next_close for case in cases if case.next_close is not None]
        if not closings:
            return
        through = min(closings)
        due = [case for case in cases if case.next_close == through]
        await asyncio.gather(*(worked(case) for case in due))
        if any(case.next_close == through and case.begun for case in due):
            await close_day(through)
        await asyncio.gather(*(moved_on(case, through) for case in due))


async def _send(door: Door, sendings: Sequence[Sending]) -> None:
    for sending in sendings:
        await door.send(sending)
