"""Whole lives of cases: what their clinics send from the referral on, step by step, and what the four services must
make of it; bytes that depend on the seed alone."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, count
from os import cpu_count
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.load import CLINICS, Record, live, sources
from bench.program import Hop
from runtime.fold import Position
from services.notify.rows import DeliveryRow, FeedRow, MessageRow
from simulator.casework import Case as ClinicCase
from simulator.cohort import CohortConfig, make_cases
from simulator.employer import EmployerConfig
from workhardening_contracts.clinic import ReadinessSigned, ReadinessWithdrawn
from workhardening_contracts.envelope import Envelope, write_kafka
from workhardening_contracts.registry import CLINIC_TOPIC

SERVICES = ("intake", "planning", "progress", "notify")
RECIPE = 1
"""Changes with whatever here changes a story."""
COHORT = 16
"""Cases that are lived at a time by one process."""
TABLES: Mapping[type, str] = {FeedRow: "feed", MessageRow: "messages", DeliveryRow: "deliveries"}
"""Where notify keeps what it has to tell."""
EMPLOYERS = ("acme", "bolt")
_SIGNING = frozenset({ReadinessSigned.TYPE, ReadinessWithdrawn.TYPE})


@dataclass(frozen=True, slots=True)
class Step:
    """What a clinic sends on one occasion, and how many events the program then publishes."""

    records: tuple[Record, ...]
    heard: int


@dataclass(frozen=True, slots=True)
class Story:
    """One case from its referral to its end."""

    ref: UUID
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, str, str], ...]
    """Topic, type and sequence of each event that the services publish."""
    rows: dict[str, int]
    """Service or table of notify -> events that it takes, or rows that it holds in the end."""

    @property
    def sent(self) -> int:
        """Clinic events, repeated ones too."""
        return sum(len(step.records) for step in self.steps)


def stories_of(cases: int, seed: int, folder: Path) -> list[Story]:
    """So many lives; kept in `folder`, since living them takes a twentieth of a second each."""
    path = folder / f"stories-{RECIPE}-{cases}-{seed}-{sources(SERVICES)}.json.gz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        cohorts = [(seed * 100_000 + number, COHORT) for number in range(-(-cases // COHORT))]
        draft = path.with_suffix(".new")
        with (
            ProcessPoolExecutor(cpu_count()) as pool,
            gzip.open(draft, "wt", encoding="utf-8", compresslevel=1) as file,
        ):
            for line in chain.from_iterable(pool.map(lives, cohorts)):
                file.write(json.dumps(line) + "\n")
        draft.rename(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [story_of(json.loads(line)) for line, _ in zip(file, range(cases), strict=False)]


def retold(story: Story, nth: int) -> Story:
    """The same life of another case, told for the `nth` time: 0 is the story itself.

    A signature names the assessment that it answers, whose id is derived from the closed day that led to it.
    """
    if not nth:
        return story
    # The time in front stays: it decides where in an index a case lies.
    ref = UUID(int=story.ref.int ^ (nth * 0x9E3779B97F4A7C15 & ((1 << 62) - 1)))
    before, after = str(story.ref).encode(), str(ref).encode()
    ids = _assessments(story, before, after)

    def told(record: Record) -> Record:
        headers = tuple((name, _renamed(value, before, after)) for name, value in record.headers)
        value = record.value.replace(before, after)
        if dict(record.headers)["ce_type"].decode() in _SIGNING:
            for old, new in ids.items():
                value = value.replace(old, new)
        return Record(after, headers, value)

    steps = tuple(replace(step, records=tuple(map(told, step.records))) for step in story.steps)
    return replace(story, ref=ref, steps=steps)


def _renamed(value: bytes, before: bytes, after: bytes) -> bytes:
    """A header of the other case; its trace is another one, too."""
    return value.replace(before, after).replace(before.replace(b"-", b""), after.replace(b"-", b""))


def _assessments(story: Story, before: bytes, after: bytes) -> dict[bytes, bytes]:
    """The ends of the ids that progress derives (`runtime.fold.event_id`), old -> new."""
    found: dict[bytes, bytes] = {}
    for record in chain.from_iterable(step.records for step in story.steps):
        given = dict(record.headers)
        cause = given["ce_source"] + b"#" + given["ce_id"]
        for nth in range(4):  # a closed day leads to no more
            found[_derived(cause, nth)] = _derived(cause.replace(before, after), nth)
    return found


def _derived(cause: bytes, nth: int) -> bytes:
    return hashlib.sha256(b"progress|%s|%d" % (cause, nth)).hexdigest()[:16].encode()


def lives(cohort: tuple[int, int]) -> list[Sequence[Any]]:
    """The stories of a cohort, by its seed and size, as they are kept."""
    seed, size = cohort
    receiver = EmployerConfig(secret="unused")  # noqa: S106 - nobody receives: who is told is decided all the same
    config = CohortConfig(cases=size, seed=seed, employers=dict.fromkeys(EMPLOYERS, receiver))
    return [_life(case) for case in make_cases(config, CLINICS)]


def _life(case: ClinicCase) -> Sequence[Any]:
    """One story as it is kept."""
    hops = {name: Hop(name) for name in SERVICES}
    offsets = count()
    steps: list[tuple[list[Any], int]] = []
    outputs: list[tuple[str, str, str]] = []
    for sent, news in live(case, hops):
        answers = [entry for envelope in sent for entry in followed(hops, envelope, offsets)[1:]]
        outputs += [(topic, answer.type, str(answer.sequence or "")) for topic, answer in answers]
        news += [answer for _, answer in answers]
        if sent:
            steps.append(([_kept(envelope) for envelope in sent], len(answers)))
    rows = Counter({name: len(hop.taken) for name, hop in hops.items()})
    rows.update(TABLES[type(effect)] for effect in hops["notify"].effects if type(effect) in TABLES)
    return str(case.ref), steps, outputs, rows


def followed(hops: Mapping[str, Hop], envelope: Envelope, offsets: Iterator[int]) -> list[tuple[str, Envelope]]:
    """One clinic event and all that follows from it, each with its topic; each at a place of its own in it, since a
    refusal's id is made of that."""
    queue, found = deque([(CLINIC_TOPIC, envelope)]), list[tuple[str, Envelope]]()
    while queue:
        topic, next_ = queue.popleft()
        found.append((topic, next_))
        place = Position(topic, 0, next(offsets))
        queue += [(entry.topic, entry.envelope) for hop in hops.values() for entry in hop.take(next_, place)]
    return found


def _kept(envelope: Envelope) -> tuple[list[tuple[str, str]], str]:
    span = hashlib.sha256(envelope.reference.encode()).hexdigest()[:16]
    # As the front door writes it, of a case that is not sampled.
    _, headers, value = write_kafka(replace(envelope, traceparent=f"00-{envelope.subject.hex}-{span}-00"))
    return [(name, text.decode()) for name, text in headers], value.decode()


def story_of(line: Sequence[Any]) -> Story:
    """A story that was kept."""
    ref, steps, outputs, rows = line
    return Story(
        UUID(ref),
        tuple(Step(tuple(_record(ref, *entry) for entry in records), heard) for records, heard in steps),
        tuple((topic, type_, sequence) for topic, type_, sequence in outputs),
        rows,
    )


def _record(ref: str, headers: Sequence[tuple[str, str]], value: str) -> Record:
    return Record(ref.encode(), tuple((name, text.encode()) for name, text in headers), value.encode())
