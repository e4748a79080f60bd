"""A clinic's system, with both kinds of calendar, against the services' own decisions in this process."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from uuid import UUID

import pytest

from simulator import clinic
from simulator.casework import Case
from simulator.cohort import CohortConfig, make_cases, prologue
from simulator.employer import EmployerConfig
from simulator.ledger import Ledger, RawRecord, Sending
from tests.simulator.program import Program
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import Envelope, clinic_source, event_of

CONFIG = CohortConfig(cases=10, seed=3, hostile_rate=0.08, employers={"acme": EmployerConfig(secret="c2VjcmV0")})


class Clinic:
    """Doors of one clinic into a program in this process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.program = Program()
        self.ledger = Ledger()
        self.closed: list[date] = []
        self._news = asyncio.Event()

    async def send(self, sending: Sending | RawRecord) -> None:
        assert isinstance(sending, Sending)
        await asyncio.sleep(0)  # others have their turn, as at a real door
        if sending.status == 202:
            self.program.accept(sending.envelope)
            self._news.set()
        self.ledger.sent(sending, self.name, "http", sending.status, 1)

    async def close_day(self, through: date) -> None:
        self.closed.append(through)
        for ref in list(self.program.feed):
            closing = event_of(
                DayClosed(through=through),
                id=f"{through}.{ref}",
                source=clinic_source(self.name),
                subject=ref,
                time=datetime.combine(through, time(23), UTC),
            )
            self.program.accept(closing)
        self._news.set()

    async def pages(self) -> AsyncGenerator[list[Envelope], None]:
        read = 0
        while True:
            await self._news.wait()
            self._news.clear()
            page, read = self.program.news[read:], len(self.program.news)
            if page:
                yield page


async def run(cases: list[Case], *, calendar: bool, concurrency: int = 4) -> Clinic:
    door = Clinic("north")
    async with asyncio.timeout(60):
        await clinic.run(
            "north",
            cases,
            door,
            door,  # pyright: ignore[reportArgumentType]
            door.ledger,
            close_day=door.close_day if calendar else None,
            concurrency=concurrency,
            prologue=prologue(CONFIG, "north", "harbour", by_kafka=False),
        )
    return door


@pytest.mark.parametrize("calendar", [False, True], ids=["case by case", "one calendar"])
async def test_every_case_ends_and_all_that_happens_was_expected(calendar: bool) -> None:
    cases = make_cases(CONFIG, ["north"])
    door = await run(cases, calendar=calendar)
    assert all(case.ended for case in cases), [case.stage for case in cases]
    assert door.ledger.surprises() == []
    assert {entry.mischief for entry in door.ledger.entries} > {None, "orphan", "violation", "foreign_source"}
    assert bool(door.closed) == calendar


async def test_a_clinics_calendar_only_moves_forward() -> None:
    door = await run(make_cases(CONFIG, ["north"]), calendar=True)
    assert door.closed == sorted(set(door.closed))
    assert all(day.weekday() == 6 for day in door.closed)


async def test_how_a_clinic_keeps_its_calendar_changes_no_outcome() -> None:
    calm = replace(CONFIG, hostile_rate=0.0)
    outcomes: list[list[tuple[UUID, str | None, int]]] = []
    for calendar in (False, True):
        cases = make_cases(calm, ["north"])
        await run(cases, calendar=calendar)
        outcomes.append([(case.ref, case.outcome, case.weeks) for case in cases])
    assert outcomes[0] == outcomes[1]


async def test_the_number_of_cases_at_a_time_changes_no_outcome() -> None:
    outcomes: list[list[tuple[UUID, str | None, int]]] = []
    for concurrency in (1, 10):
        cases = make_cases(CONFIG, ["north"])
        await run(cases, calendar=False, concurrency=concurrency)
        outcomes.append([(case.ref, case.outcome, case.weeks) for case in cases])
    assert outcomes[0] == outcomes[1]


class Silent(Clinic):
    """A clinic whose feed says nothing; `asked` is set when it is listened to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked = asyncio.Event()

    async def send(self, sending: Sending | RawRecord) -> None:
        await super().send(sending)
        self.asked.set()

    async def pages(self) -> AsyncGenerator[list[Envelope], None]:
        await asyncio.Event().wait()
        yield []


async def test_a_case_that_gets_no_answer_says_what_it_waits_for() -> None:
    case = make_cases(CONFIG, ["north"])[0]
    door = Silent("north")
    waiting = asyncio.create_task(
        clinic.run(
            "north",
            [case],
            door,
            door,  # pyright: ignore[reportArgumentType]
            door.ledger,
            close_day=None,
            concurrency=1,
        )
    )
    await door.asked.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not case.ended
    assert case.stage == "waiting for a decision on the referral"
