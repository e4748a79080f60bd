"""A cohort: workers, clinics and employers side by side, against a running stack, until everything has come to rest."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import aiohttp

from simulator import admission, clinic, hostile, jobs, workers
from simulator.canaries import plant
from simulator.casework import Case
from simulator.doors import ANSWER_S, Door, Feed, FrontDoor, OwnTopic, Producing, noting_errors
from simulator.employer import Book, Employer, EmployerConfig
from simulator.ledger import Ledger, RawRecord, Sending
from simulator.settling import Unsettled, settle
from simulator.workers import Fate
from workhardening_contracts.clinic import Session, SessionRecorded
from workhardening_contracts.envelope import clinic_source, event_of

FIRST_MONDAY = date(2025, 1, 6)
"""The simulated calendar. It must lie so far back that the last follow-up, a year after the longest program, is not in
the future: the doors refuse what claims to be from there."""


@dataclass(frozen=True)
class CohortConfig:
    """What to simulate."""

    cases: int = 60
    seed: int = 1
    run: str = ""
    """Changes the case references and nothing else, so that one seed can be run again on the same stack."""
    starts_on: date = FIRST_MONDAY
    intake_weeks: int = 4
    """Referrals are spread over this many weeks."""
    kafka_clinics: frozenset[str] = frozenset()
    """Clinics that send to their own topic."""
    calendar_clinics: frozenset[str] = frozenset()
    """Clinics that close a day for all their cases at once; by HTTP."""
    employers: Mapping[str, EmployerConfig] = field(default_factory=dict[str, EmployerConfig])
    hostile_rate: float = 0.03
    """Chance of something hostile, per event and per week. 0 for none at all."""
    canaries: bool = False
    """Whether every field that holds something of a patient holds a canary (`simulator/canaries.py`)."""
    concurrency: int = 32
    """Cases that one clinic runs at a time."""
    timeout_s: float = 600.0
    """For the cases to end, s."""
    settle_s: float = 120.0
    """For the employers' updates to arrive after that, s."""
    ledger: Path | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a cohort is."""

    cases: int
    ended: int
    stages: Mapping[str, int]
    """Stage -> cases that stand there."""
    sent: int
    updates: int
    """Work-status updates that employers hold."""


@dataclass(frozen=True, slots=True)
class Hanging:
    """A case that did not come to its end."""

    case_ref: str
    clinic: str
    stage: str


@dataclass(frozen=True)
class CohortResult:
    """What became of a cohort."""

    outcomes: Mapping[str, str | None]
    """Case reference -> `declined` or the outcome of CaseClosed; None for a case that hangs."""
    clinics: Mapping[str, str]
    """Case reference -> clinic."""
    hanging: Sequence[Hanging]
    unsettled: Sequence[Unsettled]
    """Updates that employers should hold and do not."""
    ledger: Ledger
    books: Mapping[str, Book]
    """Employer -> what it holds."""


async def run(config: CohortConfig, stack: Mapping[str, Any], progress: Callable[[Progress], None]) -> CohortResult:
    """Run a cohort against the stack of `stack.json`: `front_door`, `employer_door`, `kafka`, `keys.clinics.<id>` and
    `keys.employers.<id>` (API keys).

    Ends when every case has ended and every employer holds what it should, or at the time limits; then the result
    says what hangs and where. Raises KeyError when the stack lacks an address or a key, OSError when a receiver's port
    is taken, and doors.Refused when a door does not know a key.
    """
    keys: Mapping[str, str] = stack["keys"]["clinics"]
    cases = make_cases(config, sorted(keys))
    async with AsyncExitStack() as open_:
        ledger = open_.enter_context(Ledger(config.ledger))
        employers = {
            name: await open_.enter_async_context(Employer(name, given, f"{config.seed}"))
            for name, given in config.employers.items()
        }
        books = {name: employer.book for name, employer in employers.items()}
        http = await open_.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S),
                middlewares=[noting_errors(ledger)],
            )
        )
        logins: Mapping[str, str] = stack["keys"].get("kafka", {})
        producers = {
            name: await open_.enter_async_context(Producing(logins.get(f"clinic.{name}", stack["kafka"])))
            for name in sorted(config.kafka_clinics & set(keys))
        }
        telling = asyncio.create_task(_tell(cases, ledger, books, progress))
        open_.callback(telling.cancel)
        hangs = False
        try:
            async with asyncio.timeout(config.timeout_s), asyncio.TaskGroup() as group:
                for name in sorted(keys):
                    own = [case for case in cases if case.clinic == name]
                    group.create_task(_clinic(config, name, own, stack, http, producers.get(name), ledger))
        except TimeoutError:
            hangs = True
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        told = {case.ref: case.employer for case in cases if case.outcome not in (None, "declined") and case.employer}
        unsettled = await settle(http, stack, told, books, within_s=config.settle_s)
        progress(_progress(cases, ledger, books))
    return CohortResult(
        outcomes={str(case.ref): case.outcome for case in cases},
        clinics={str(case.ref): case.clinic for case in cases},
        hanging=[Hanging(str(case.ref), case.clinic, case.stage) for case in cases if hangs and not case.ended],
        unsettled=unsettled,
        ledger=ledger,
        books=books,
    )


def make_cases(config: CohortConfig, clinics: Sequence[str]) -> list[Case]:
    """The cohort's cases, spread evenly over the clinics. The same for the same seed, whatever happens later."""
    employers = sorted(config.employers)
    cases: list[Case] = []
    for index in range(config.cases):
        draw = Random(f"{config.seed}/{index}")
        home = clinics[index % len(clinics)]
        starts_on = config.starts_on + timedelta(weeks=draw.randrange(config.intake_weeks))
        employer = employers[draw.randrange(len(employers))] if employers else None
        ref = reference(config.seed, config.run, index, starts_on)
        fate = spread(config.seed, index)
        worker = workers.meet(jobs.draw(draw), fate, draw)
        cases.append(
            Case(
                ref,
                home,
                worker,
                admission.refer(worker, fate, ref.hex[-12:], employer, starts_on, draw),
                starts_on,
                employer,
                _purposes(config.seed, index),
                mischief=config.hostile_rate,
                victim=next((other for other in clinics if other != home), None),
                canaries=config.canaries,
            )
        )
    return cases


def spread(seed: int, index: int) -> Fate:
    """Quantiles that lie evenly over a cohort, each by itself and all together: multiples of irrational numbers modulo
    1, from a start that the seed draws (Kronecker sequence)."""
    draw = Random(f"{seed}/fate")
    return Fate(*((draw.random() + index * math.sqrt(prime)) % 1.0 for prime in (2, 3, 5, 7)))


def reference(seed: int, run_: str, index: int, on: date) -> UUID:
    """A case reference: a UUID of version 7 whose time is `on` and whose random part follows from the rest."""
    milliseconds = int(datetime.combine(on, clock(8), UTC).timestamp() * 1000)
    drawn = int.from_bytes(hashlib.sha256(f"{seed}/{run_}/{index}".encode()).digest()[:10], "big")
    value = (milliseconds << 80) | drawn
    value = value & ~(0xF << 76) | (0x7 << 76)
    return UUID(int=value & ~(0x3 << 62) | (0x2 << 62))


def _purposes(seed: int, index: int) -> Callable[[str], Random]:
    return lambda purpose: Random(f"{seed}/{index}/{purpose}")


async def _clinic(
    config: CohortConfig,
    name: str,
    cases: Sequence[Case],
    stack: Mapping[str, Any],
    http: aiohttp.ClientSession,
    producer: Producing | None,
    ledger: Ledger,
) -> None:
    key = stack["keys"]["clinics"][name]
    front = FrontDoor(http, stack["front_door"], name, key, ledger)
    door: Door = front if producer is None else OwnTopic(producer, name, ledger)
    victim = next((other for other in sorted(stack["keys"]["clinics"]) if other != name), None)
    await clinic.run(
        name,
        cases,
        door,
        Feed(http, stack["employer_door"], key),
        ledger,
        close_day=front.close_day if name in config.calendar_clinics and producer is None else None,
        concurrency=config.concurrency,
        prologue=prologue(config, name, victim, by_kafka=producer is not None) if config.hostile_rate > 0 else (),
    )


def prologue(config: CohortConfig, name: str, victim: str | None, *, by_kafka: bool) -> list[Sending | RawRecord]:
    """One of each kind of hostile input that needs no case, so that even the smallest cohort meets them all."""
    stranger = reference(config.seed, f"{config.run}/stranger/{name}", 0, config.starts_on)
    session = SessionRecorded(session=Session(held_on=config.starts_on, attendance="attended", hours=2.0))
    envelope = event_of(
        plant(session) if config.canaries else session,
        id=f"{stranger}.session",
        source=clinic_source(name),
        subject=stranger,
        time=datetime.combine(config.starts_on, clock(15), UTC),
    )
    first: list[Sending | RawRecord] = [hostile.orphan(envelope), hostile.contract_violation(envelope)]
    if victim is not None:
        first.append(hostile.foreign_source(envelope, victim))
    return [*first, *hostile.unreadable(envelope)] if by_kafka else first


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group of groups: the others are its consequences, or say the same of another clinic."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]


async def _tell(
    cases: Sequence[Case], ledger: Ledger, books: Mapping[str, Book], progress: Callable[[Progress], None]
) -> None:
    while True:
        progress(_progress(cases, ledger, books))
        await asyncio.sleep(0.5)


def _progress(cases: Sequence[Case], ledger: Ledger, books: Mapping[str, Book]) -> Progress:
    return Progress(
        cases=len(cases),
        ended=sum(case.ended for case in cases),
        stages=Counter(case.stage for case in cases),
        sent=len(ledger.entries),
        updates=sum(len(book.updates) for book in books.values()),
    )
