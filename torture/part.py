"""One part of the torture: cases under fire, then rest, then the checker. All that it needs comes and goes with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import UUID

import aiohttp

from deploy.local.keys import CLINICS
from ops.registered import handlers_of, service_of
from runtime.db import open_pool
from runtime.retry import PATIENCE, expire_waiting
from simulator import cohort
from simulator.canaries import CANARIES
from simulator.cohort import CohortConfig, CohortResult
from simulator.doors import ANSWER_S, Door, FrontDoor, OwnTopic, Producing, noting_errors
from simulator.employer import Book
from simulator.ledger import Ledger, Sending
from torture import checker
from torture.checks.account import tally
from torture.checks.readers import READS
from torture.checks.violation import Violation
from torture.evidence import Evidence, gather, read_ledger, read_samples, read_texts
from torture.faults import Fire, NotNow, inject
from torture.ground import Ground, ground
from torture.keeper import Keeper
from torture.load import Case, send, short_case
from torture.meanwhile import Tally, deliver_again, fall_ill, forge, heal, mend_parked, operate
from torture.plan import Step
from torture.receivers import NAMES, FireEmployer, receiving
from torture.scraping import scraping
from torture.spans import taking_spans
from torture.watching import Watch, at_rest, watch
from workhardening_contracts.registry import CLINIC_TOPIC, INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC

KAFKA_CLINICS = ("kafka-valley",)
WATCHED = {**READS, "intake-bridge": tuple(f"clinic.{clinic}.events.v1" for clinic in KAFKA_CLINICS)}
BY_HTTP = 5
"""One short case in so many comes by HTTP: a door is down for half of the time, and Kafka takes what is sent."""
PROGRAMS_PER_1000 = 4
"""Whole eight-week programs, with signatures and corrections, beside a thousand short cases."""
TOO_FAR_BEHIND = 10_000
"""Records: no new case begins while a service is farther behind. A clinic waits for answers, too."""
AHEAD = 0.1
"""How far cases and faults may be ahead of each other, as a share of all."""
GAP_S = 1.5
REST_S = 240.0
"""The longest that a part waits for rest; more than 60 s is a violation, and the checker says what is left."""
HEALED_AFTER = 0.6
"""Share of the faults after which what ails planning is mended."""

Say = Callable[[str], None]


@dataclass
class Result:
    """What one part came to; a line of the report."""

    seed: int
    part: int
    commit: str
    cases: int
    programs: int
    sent: int
    records: int
    seconds: dict[str, float]
    faults: list[dict[str, Any]]
    """Each with its kind, target, detail, and when it began and ended, s from the fire's start."""
    impossible: dict[str, str]
    named: dict[str, int]
    """Place -> processes that died there."""
    deaths: dict[str, int]
    troubles: dict[str, int]
    meanwhile: dict[str, int]
    drained_s: float
    account: dict[str, dict[str, int]]
    lag: list[tuple[float, str, int]]
    """(s from the fire's start, service, records behind)."""
    violations: list[str] = field(default_factory=list[str])
    hanging: list[str] = field(default_factory=list[str])

    @property
    def holds(self) -> bool:
        """Whether nothing was violated and nothing hangs."""
        return not self.violations and not self.hanging


@dataclass(frozen=True)
class Part:
    """What is to be done."""

    seed: int
    part: int
    commit: str
    cases: int
    steps: Sequence[Step]
    troubles: int
    previous: Path | None


async def run_part(part: Part, say: Say, keep: Path | None = None) -> Result:
    """Run one part and judge it. `keep`: a folder for the evidence of a part with violations."""
    began = time.time()
    async with AsyncExitStack() as stack:
        raised = await stack.enter_async_context(ground(KAFKA_CLINICS))
        say(f"PostgreSQL and Kafka are up ({time.time() - began:.0f} s), on {_disk(raised)}")
        spans = stack.enter_context((raised.notes / "spans").open("ab", buffering=0))
        raised.through.otlp = await stack.enter_async_context(taking_spans(spans.write))
        keeper = await stack.enter_async_context(Keeper(raised.layout, raised.through).keeping())
        employers = await stack.enter_async_context(receiving(raised.target, part.troubles, part.seed))
        books = {name: employer.book for name, employer in employers.items()}
        fire = Fire(raised, keeper, part.previous)
        seen = Watch(raised.notes / "samples.jsonl")
        metrics = set[str]()
        doors = [f"http://127.0.0.1:{raised.ports[name]}" for name in READS]
        for looking in (watch(raised.target, WATCHED, seen), scraping(doors, metrics)):
            stack.callback(asyncio.create_task(looking).cancel)
        await asyncio.gather(*(keeper.ready(name) for name in READS))
        lit = time.time()
        done = Tally()
        programs = await _burn(part, fire, seen, done, say)
        burnt = time.time()
        for employer in employers.values():
            employer.quiet = True
        say(
            f"the fire is out after {burnt - lit:.0f} s: {len(fire.done)} faults, {dict(keeper.deaths)} processes ended"
        )
        drained = await _rest(raised, keeper, seen, done, say)
        evidence = await _evidence(raised, programs, books, seen, metrics)
        evidence.drained_s = drained
        gathered = time.time()
        violations = await asyncio.to_thread(checker.check, evidence)
        say(checker.report(evidence, violations))
        if violations and keep is not None:
            _keep(raised, keep, violations)
        return _result(part, fire, employers, done, seen, programs, evidence, violations, {
            "start": lit - began, "fire": burnt - lit, "rest": drained, "gather": gathered - burnt - drained,
            "check": time.time() - gathered,
        }, lit)  # fmt: skip


def _disk(raised: Ground) -> str:
    return "a tmpfs of their own" if raised.can_fill else "a disk that cannot be filled"


async def _burn(part: Part, fire: Fire, seen: Watch, done: Tally, say: Say) -> CohortResult:
    """Send everything while everything is done to the services; whole programs and short cases end with it."""
    raised = fire.ground
    progress = _Progress(len(part.steps), part.cases)
    cases = _short_cases(part)
    known: list[UUID] = []
    await fall_ill(raised)
    background = [
        asyncio.create_task(each)
        for each in (
            deliver_again(raised, (CLINIC_TOPIC, INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC), done),
            forge(raised, known, done),
            operate(raised, done),
            _tell(progress, seen, say),
        )
    ]
    try:
        async with asyncio.TaskGroup() as group:
            programs = group.create_task(_programs(part, raised))
            group.create_task(_send(part, raised, cases, progress, seen, known))
            for lane in dict.fromkeys(step.lane for step in part.steps):
                steps = [step for step in part.steps if step.lane == lane]
                group.create_task(_lane(fire, steps, progress, Random(f"{part.seed}/{part.part}/{lane}")))
        return programs.result()
    finally:
        for task in background:
            task.cancel()
        for ended in await asyncio.gather(*background, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended  # a fire without its poison or its operator proves less than it says


@dataclass
class _Progress:
    """How far the fire is; cases and faults wait for each other, so that neither burns alone."""

    steps: int
    cases: int
    stepped: int = 0
    begun: int = 0
    healed: bool = False

    def ahead(self, share: float) -> bool:
        """Whether a clinic that has begun this share of its cases must wait for the faults."""
        return self.stepped < self.steps and share > self.stepped / self.steps + AHEAD

    def may(self, share: float) -> bool:
        """Whether enough cases have begun for a lane to be this far."""
        return self.begun / self.cases >= share - AHEAD


async def _lane(fire: Fire, steps: Sequence[Step], progress: _Progress, random: Random) -> None:
    for number, step in enumerate(steps):
        while not progress.may(number / len(steps)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await asyncio.sleep(random.expovariate(1 / GAP_S))
        while True:
            try:
                await inject(fire, step)
                break
            except NotNow:
                await asyncio.sleep(1)
        progress.stepped += 1
        if not progress.healed and progress.stepped >= HEALED_AFTER * progress.steps:
            progress.healed = True
            await heal(fire.ground)


def _short_cases(part: Part) -> dict[str, list[Case]]:
    cases: dict[str, list[Case]] = {name: [] for name in CLINICS}
    doors = [name for name in CLINICS if name not in KAFKA_CLINICS]
    for index in range(part.cases):
        raw = index % BY_HTTP > 0
        among = KAFKA_CLINICS if raw else doors
        clinic = among[index // BY_HTTP % len(among)]
        victim = CLINICS[(CLINICS.index(clinic) + 1) % len(CLINICS)]
        employer = NAMES[index % len(NAMES)]
        cases[clinic].append(short_case(part.seed * 1000 + part.part, index, clinic, victim, employer, raw=raw))
    return cases


async def _send(
    part: Part, raised: Ground, cases: dict[str, list[Case]], progress: _Progress, seen: Watch, known: list[UUID]
) -> None:
    async def admitted(clinic: str, number: int) -> None:
        while seen.most > TOO_FAR_BEHIND or progress.ahead(number / len(cases[clinic])):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        progress.begun += 1
        first = cases[clinic][number][0]
        if isinstance(first, Sending):
            known.append(first.envelope.subject)

    stack = raised.stack
    async with AsyncExitStack() as open_:
        ledger = open_.enter_context(Ledger(raised.notes / "short.jsonl"))
        http = await open_.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S),
                middlewares=[noting_errors(ledger)],
            )
        )
        producer = await open_.enter_async_context(Producing(stack.kafka))
        async with asyncio.TaskGroup() as group:
            for clinic in CLINICS:
                door: Door = FrontDoor(http, stack.front_door, clinic, stack.keys.clinics[clinic], ledger)
                if clinic in KAFKA_CLINICS:
                    door = OwnTopic(producer, clinic, ledger)
                group.create_task(send(cases[clinic], door, _for(admitted, clinic)))


def _for(admitted: Callable[[str, int], Awaitable[None]], clinic: str) -> Callable[[int], Awaitable[None]]:
    return lambda number: admitted(clinic, number)


async def _programs(part: Part, raised: Ground) -> CohortResult:
    """Whole programs, whose clinics and employers answer as they do in the demonstration."""
    count = max(6, part.cases * PROGRAMS_PER_1000 // 1000)
    config = CohortConfig(
        cases=count,
        seed=part.seed * 1000 + part.part,
        run="torture",
        kafka_clinics=frozenset(KAFKA_CLINICS),
        calendar_clinics=frozenset(),
        canaries=True,
        timeout_s=3600,
        settle_s=120,
        ledger=raised.notes / "programs.jsonl",
    )
    return await cohort.run(config, raised.target.as_stack(), lambda _: None)


async def _tell(progress: _Progress, seen: Watch, say: Say) -> None:
    began = time.time()
    while True:
        await asyncio.sleep(15)
        say(
            f"{time.time() - began:5.0f} s  {progress.begun} of {progress.cases} cases begun,"
            f" {progress.stepped} of {progress.steps} faults done, behind {seen.behind}"
        )


async def _rest(raised: Ground, keeper: Keeper, seen: Watch, done: Tally, say: Say) -> float:
    """Mend everything and wait until nothing moves; seconds that it took."""
    began = time.monotonic()
    keeper.drills.clear()
    await raised.mend()
    await heal(raised)
    try:
        async with asyncio.timeout(REST_S):
            while await mend_parked(raised.layout, raised.stack, done):  # noqa: ASYNC110
                await asyncio.sleep(1)
            await at_rest(raised.target, WATCHED, seen)
    except TimeoutError:
        say(f"no rest after {REST_S:.0f} s: {seen.behind}")
        return time.monotonic() - began
    took = time.monotonic() - began
    # What still waits, waits for something that never comes: given up as if fourteen days had passed.
    for service in READS:
        pool = await open_pool(raised.stack.services[service].database, "torture-expiry", size=1)
        try:
            later = datetime.now(UTC) + PATIENCE + timedelta(hours=1)
            await expire_waiting(pool, handlers_of(service), service_of(service).writers, later)
        finally:
            await pool.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST_S):
            await at_rest(raised.target, WATCHED, seen)
    return took


async def _evidence(
    raised: Ground, programs: CohortResult, books: dict[str, Book], seen: Watch, metrics: set[str]
) -> Evidence:
    evidence = await gather(raised.target, READS)
    evidence.ledger = [line for name in ("short", "programs") for line in read_ledger(raised.notes / f"{name}.jsonl")]
    evidence.books = {name: asdict(book) for name, book in {**books, **programs.books}.items()}
    evidence.samples = read_samples(seen.samples)
    evidence.texts = read_texts([*sorted(raised.layout.logs.iterdir()), raised.notes / "spans"])
    evidence.texts["metrics"] = "\n".join(sorted(metrics))
    evidence.canaries = CANARIES
    return evidence


def _keep(raised: Ground, folder: Path, violations: Sequence[Violation]) -> None:
    """What an engineer needs to find out: the logs, the ledgers, the offsets, and all violations."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(raised.layout.logs, folder / "logs", dirs_exist_ok=True)
    for file in raised.notes.glob("*.jsonl"):
        shutil.copy(file, folder)
    (folder / "violations.txt").write_text("\n".join(map(str, violations)) + "\n", encoding="utf-8")


def _result(
    part: Part, fire: Fire, employers: dict[str, FireEmployer], done: Tally, seen: Watch, programs: CohortResult,
    evidence: Evidence, violations: Sequence[Violation], seconds: dict[str, float], lit: float,
) -> Result:  # fmt: skip
    troubles: Counter[str] = Counter()
    for employer in employers.values():
        troubles += employer.met
    return Result(
        seed=part.seed,
        part=part.part,
        commit=part.commit,
        cases=part.cases,
        programs=len(programs.outcomes),
        sent=sum(line["what"] == "sent" for line in evidence.ledger or ()),
        records=len(evidence.records),
        seconds={name: round(took, 1) for name, took in seconds.items()},
        faults=[asdict(each) | {"began": round(each.began - lit, 1), "ended": round(each.ended - lit, 1)}
                for each in fire.done],
        impossible=cast("dict[str, str]", dict(fire.impossible)),
        named=dict(fire.keeper.fired),
        deaths=dict(fire.keeper.deaths),
        troubles=dict(troubles),
        meanwhile=dict(done.counts),
        drained_s=round(evidence.drained_s or 0.0, 1),
        account={name: dict(counts) for name, counts in tally(evidence).items()},
        lag=[(round(at - lit, 1), service, count) for at, service, count in seen.lag],
        violations=[str(each) for each in violations],
        hanging=[f"{each.case_ref} {each.stage}" for each in programs.hanging]
        + [f"{each.employer} lacks {each.case_ref}" for each in programs.unsettled],
    )  # fmt: skip


def write(result: Result, path: Path) -> None:
    """Keep a part's result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(result), separators=(",", ":")) + "\n", encoding="utf-8")
    draft.replace(path)


def read(path: Path) -> Result | None:
    """A part's result, or None where there is none yet."""
    return Result(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
