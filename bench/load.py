"""What the hop is fed with: one week of a cohort, as its clinics report it; bytes that depend on the seed alone.

Each case is lived by the simulator, through the services' own folds, up to its fourth week in the program. Where it
stands then is what progress's table holds before a sample; what its clinic sends in that week is the load.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from os import cpu_count
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import UUID

from bench.program import Hop, follow, handlers_of
from runtime.fold import Case, state_to_json, waiting_to_json
from simulator.casework import Case as ClinicCase
from simulator.clinic import opened
from simulator.cohort import CohortConfig, make_cases
from workhardening_contracts.envelope import Envelope, write_kafka

ROOT = Path(__file__).parent.parent
SERVICE = "progress"
LIVED = ("intake", "planning", "progress")
"""What a case needs to get on: notify only tells."""
WEEK = 4
"""Half of eight weeks: a case's log of sessions is then about as long as it is on the average."""
SAMPLED_ONE_IN = 20
"""Cases that are traced: the services' default (`trace_ratio`), taken evenly so that the smallest load has one."""
RECIPE = 2
"""Changes with whatever here changes the bytes."""
CLINICS = ("east", "north", "south")
SPREAD = 50
"""Cases begin their week up to so many records apart, so that verdicts fall due all the time and not at the end."""

Headers = tuple[tuple[str, bytes], ...]
Life = Callable[[ClinicCase, bool], Sequence[Any] | None]
"""Lives a case, which is traced or is not, and gives what is `kept` of it, if it gets so far. A module's own function:
processes are told it by its name."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the clinics' topic, to the byte."""

    key: bytes
    headers: Headers
    value: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A case's row before the first record."""

    ref: UUID
    version: int
    state: str | None
    waiting: str
    sequences: str


@dataclass(frozen=True)
class Load:
    """The rows and records of a sample."""

    cases: Sequence[Stored]
    records: Sequence[Record]

    def part(self, cases: int) -> Load:
        """The same of the first cases only: for variants that would take too long for all."""
        some = self.cases[:cases]
        keys = {str(case.ref).encode() for case in some}
        return Load(some, [record for record in self.records if record.key in keys])


def load_of(cases: int, seed: int, folder: Path, life: Life | None = None) -> Load:
    """The load of so many cases, in their fourth week unless another part of a `life` is told; kept in `folder`, since
    living takes minutes."""
    life = life or fourth_week
    path = folder / f"load-{RECIPE}-{life.__name__}-{cases}-{seed}-{sources(LIVED)}.json.gz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        with gzip.open(draft, "wt", encoding="utf-8", compresslevel=1) as file:
            for line in _lived(cases, seed, life):
                file.write(json.dumps(line) + "\n")
        draft.rename(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return _load((json.loads(line) for line in file), seed)


def _load(lines: Iterable[Sequence[Any]], seed: int) -> Load:
    cases: list[Stored] = []
    placed: list[tuple[float, Record]] = []
    draw = Random(f"{seed}/load")
    for ref, version, state, waiting, sequences, sent in lines:
        cases.append(Stored(UUID(ref), version, state, waiting, sequences))
        begins = draw.uniform(0, SPREAD)
        for nth, (headers, value) in enumerate(sent):
            named = tuple((name, text.encode()) for name, text in headers)
            placed.append((begins + nth, Record(ref.encode(), named, value.encode())))
    placed.sort(key=lambda entry: entry[0])
    return Load(cases, [record for _, record in placed])


def _lived(cases: int, seed: int, life: Life) -> Iterable[Sequence[Any]]:
    """Per case: where it stands in a service, and what is sent to that."""
    found = list[Sequence[Any]]()
    size = min(64, cases)
    at_once = -(-cases // size) + 1
    with ProcessPoolExecutor(cpu_count()) as pool:
        # Some are declined or leave before: as many more are drawn as it takes, in cohorts of a seed each.
        for first in count(0, at_once):
            cohorts = [(seed * 100_000 + number, size) for number in range(first, first + at_once)]
            found += chain.from_iterable(pool.map(partial(_lives, life), cohorts))
            if len(found) >= cases:
                return found[:cases]
    raise AssertionError("unreachable")


def _lives(life: Life, cohort: tuple[int, int]) -> list[Sequence[Any]]:
    seed, size = cohort
    cases = make_cases(CohortConfig(cases=size, seed=seed), CLINICS)
    found: list[Sequence[Any]] = []
    for case in cases:
        lived = life(case, len(found) % SAMPLED_ONE_IN == 0)
        found += [] if lived is None else [lived]
    return found


def fourth_week(case: ClinicCase, sampled: bool) -> Sequence[Any] | None:
    """Where a case stands in progress before that week, and what its clinic sends in it; None where it ends before."""
    hops = {name: Hop(name) for name in LIVED}
    for sent, news in live(case, hops):
        if case.weeks == WEEK:
            closing = [case.day_closed(case.next_close)] if case.next_close is not None else []
            reports = (*sent, *(entry.envelope for entry in closing))
            return kept(hops[SERVICE].cases[case.ref], reports, sampled)
        for envelope in sent:
            news += [entry.envelope for entry in follow(hops, envelope)]
    return None


def kept(case: Case[Any], sent: Iterable[Envelope], sampled: bool) -> Sequence[Any]:
    """A case's row and what is sent of it, as they are kept."""
    written = [write_kafka(_traced(envelope, sampled)) for envelope in sent]
    lines = [([(name, text.decode()) for name, text in headers], value.decode()) for _, headers, value in written]
    return (
        str(case.ref), case.version, state_to_json(case.state), waiting_to_json(case.waiting),
        json.dumps(case.sequences), lines,
    )  # fmt: skip


def live(case: ClinicCase, hops: Mapping[str, Hop]) -> Iterable[tuple[list[Envelope], list[Envelope]]]:
    """What a case's clinic sends, as the front door lets it pass, step by step; the reader adds what came of it."""
    news: list[Envelope] = []
    while not case.ended:
        while (through := case.next_close) is not None:
            yield [entry.envelope for entry in case.work() if entry.status == 202], news
            if case.next_close == through:
                if case.begun:
                    yield [case.day_closed(through).envelope], news
                yield [entry.envelope for entry in case.closed(through) if entry.status == 202], news
        if not news:
            return
        event = opened(news.pop(0))
        if event is not None:
            yield [entry.envelope for entry in case.hear(event) if entry.status == 202], news


def _traced(envelope: Envelope, sampled: bool) -> Envelope:
    """As the front door writes it."""
    span = hashlib.sha256(envelope.reference.encode()).hexdigest()[:16]
    return replace(envelope, traceparent=f"00-{envelope.subject.hex}-{span}-{'01' if sampled else '00'}")


def case_of(stored: Stored, service: str) -> Case[Any]:
    """The case that a row of a service holds."""
    handlers = handlers_of(service)
    state = None if stored.state is None else handlers.adapter.validate_json(stored.state)
    sequences = cast("dict[str, int]", json.loads(stored.sequences))
    return Case(stored.ref, 0, stored.version, state, sequences=sequences)


def states_file(load: Load) -> str:
    """The cases before the first record, a line of JSON each: for variants that keep them elsewhere than in a table."""
    return "\n".join(
        json.dumps(
            {
                "case_ref": str(case.ref),
                "version": case.version,
                "state": case.state,
                "waiting": case.waiting,
                "sequences": case.sequences,
            }
        )
        for case in load.cases
    )


def sources(services: Sequence[str]) -> str:
    """A name for the code that makes a load: what is kept is of no other."""
    digest = hashlib.sha256()
    for folder in ("contracts/workhardening_contracts", *(f"services/{name}" for name in services), "simulator"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
