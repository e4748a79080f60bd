"""The whole demonstration with a canary in each field of a patient, and with faults: none is where none may be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from rich.console import Console

from deploy.local import stack as local
from deploy.local.layout import Layout
from deploy.local.state import Stack
from ops import demo
from ops.target import ROOT, connected
from simulator import casework
from simulator.canaries import CANARIES, plant
from simulator.doors import FrontDoor, OwnTopic, Producing, noting_errors
from simulator.employer import EmployerConfig
from simulator.ledger import Ledger, Sending
from tests.e2e.events import MONDAY
from tests.e2e.place import SECURED, Place, give_back, new_place
from torture.checks import privacy
from torture.checks.readers import READS
from torture.evidence import Evidence, gather, read_texts
from torture.meanwhile import Tally, mend_parked
from torture.scraping import scraping
from torture.spans import taking_spans
from workhardening_contracts.clinic import Session, SessionRecorded
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, event_of, write_kafka
from workhardening_contracts.planning import PlanIssued
from workhardening_contracts.registry import CLINIC_TOPIC, PLANNING_TOPIC, REJECTIONS_TOPIC

pytestmark = pytest.mark.stack

CASES, SEED = 16, 11
RARE = {
    "assessment.red_flags": "none of these workers has a flag in an examination",
    "referral.overrides.reason_code": "no referral of theirs is overridden",
    "session.red_flags": "no session of theirs raises a flag",
}
"""Fields that this cohort's events leave out. Those of any cohort: tests/simulator/test_canaries.py."""
NOT_FOR_INTAKE = ("readiness.", "session.")
EVERYTHING = " ".join(CANARIES.values())
NONSENSE = tuple(
    text.replace("CANARIES", EVERYTHING).encode()
    for text in (
        '{"CANARIES": "CANARIES"}',
        '{"session": {"held_on": "CANARIES", "attendance": "attended", "hours": 2.0}}',
        '{"session": {"held_on": "2025-01-06", "attendance": "CANARIES", "hours": "CANARIES"}}',
        '{"session": {"held_on": "2025-01-06", "CANARIES": {"note": "CANARIES"}}}',
        '{"session": {"note": "CANARIES"',
        '{"CANARIES": 1, "CANARIES": 2}',
        '["CANARIES"]',
    )
)
SICK = "get_byte(uuid_send(case_ref), 15) % 8 = 0"
"""About one case in eight: planning cannot write what it decides about it, and PostgreSQL's error holds the row."""


@dataclass(frozen=True)
class Demonstrated:
    """What is left of the demonstration."""

    evidence: Evidence
    planted: set[str]
    """The fields whose canaries were in events of the cohort."""
    restarts: dict[str, int]
    outcomes: Mapping[str, str | None]
    """Case -> how it ended."""
    mended: dict[str, int]


@pytest.fixture(scope="module")
def demonstrated() -> Iterator[Demonstrated]:
    place = new_place()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHP_LOCAL", str(place.folder))
        patch.setenv("WHP_RETRY_SCALE", "0.01")
        patch.setattr(demo, "EmployerConfig", partial(EmployerConfig, trouble=0.3))
        planted = set[str]()

        def planting(data: EventData) -> EventData:
            said = plant(data)
            planted.update(field for field, text in CANARIES.items() if text in said.model_dump_json())
            return said

        patch.setattr(casework, "plant", planting)
        try:
            yield asyncio.run(demonstrate(place, patch, planted))
        finally:
            give_back(place)


async def demonstrate(place: Place, patch: pytest.MonkeyPatch, planted: set[str]) -> Demonstrated:
    """Run the cohort while services die, planning cannot write, and nonsense comes in by every door."""
    spans, metrics, tally = place.folder / "spans", set[str](), Tally()
    async with contextlib.AsyncExitStack() as stopped:
        kept = stopped.enter_context(spans.open("ab", buffering=0))
        endpoint = await stopped.enter_async_context(taking_spans(kept.write))
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        stack = await asyncio.to_thread(local.up, ROOT, traces=False, secured=SECURED, say=print)
        doors = [f"http://127.0.0.1:{stack.services[name].port}" for name in READS]
        nonsense = Ledger()
        await _execute(stack, f"ALTER TABLE outbox ADD CONSTRAINT ill CHECK (NOT ({SICK})) NOT VALID")
        with (place.folder / "told.txt").open("w", encoding="utf-8") as told:
            async with _beside(scraping(doors, metrics)), _beside(_faults(place, stack, tally)):
                finished, _ = await asyncio.gather(
                    demo.run_cohort(stack, CASES, SEED, Console(file=told), canaries=True), _nonsense(stack, nonsense)
                )
        # A process exports its last spans when it is told to end.
        evidence = await gather(finished.target, READS)
        restarts = {name: place.stack().services[name].restarts for name in READS}
        await asyncio.to_thread(local.down, ROOT, say=print)
    # What was forged in planning's name holds canaries by intent: its value is no place that they leaked to.
    forged = {record.event for record in evidence.on_topic[PLANNING_TOPIC] if _found([record.value]) >= RARE.keys()}
    evidence = replace(
        evidence, records=[r for r in evidence.records if r.topic != PLANNING_TOPIC or r.event not in forged]
    )
    evidence.canaries = CANARIES
    evidence.texts = read_texts([*_files(place), spans]) | {"metrics": "\n".join(sorted(metrics))}
    evidence.books = {name: asdict(book) for name, book in finished.result.books.items()}
    errors = finished.result.ledger.errors | nonsense.errors
    evidence.ledger = [{"what": "error", "status": status, "text": text} for status, text in errors]
    return Demonstrated(evidence, planted, restarts, finished.result.outcomes, dict(tally.counts))


def _files(place: Place) -> list[Path]:
    return [*sorted((place.folder / "logs").iterdir()), place.folder / "told.txt"]


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Something that goes on until the end of the block; what it raised before is raised there."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()


async def _faults(place: Place, stack: Stack, tally: Tally) -> None:
    """Kill one service after the other, each when the last death was survived; then heal planning, and mend."""
    for nth, name in enumerate(READS, 1):
        while await _count(stack, "progress", "event_log") < 80 * nth:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        pid = place.stack().services[name].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    while not await _count(stack, "planning", "parked WHERE reason LIKE 'write.%'"):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    await _execute(stack, "ALTER TABLE outbox DROP CONSTRAINT ill")
    while True:
        await mend_parked(Layout(place.folder), stack, tally)
        await asyncio.sleep(1)


async def _count(stack: Stack, service: str, what: str) -> int:
    async with connected(stack.database, service) as connection:
        return await connection.fetchval(f"SELECT count(*) FROM {what}")


async def _execute(stack: Stack, statement: str) -> None:
    async with connected(stack.database, "planning") as connection:
        await connection.execute(statement)


async def _nonsense(stack: Stack, ledger: Ledger) -> None:
    """Canaries where no reader expects them: by the front door, by a clinic's topic, and as if a service had written.

    A validator that quotes what it was given, or the name of a field that it does not know, gives itself away here.
    """
    said = SessionRecorded(session=Session(held_on=MONDAY, attendance="attended", hours=2.0))
    async with (
        aiohttp.ClientSession(middlewares=[noting_errors(ledger)]) as http,
        Producing(stack.keys.kafka.get("clinic.kafka-valley", stack.kafka)) as by_clinic,
        Producing(stack.kafka) as by_anyone,
    ):
        front = FrontDoor(http, stack.front_door, "north", stack.keys.clinics["north"], ledger)
        own = OwnTopic(by_clinic, "kafka-valley", ledger)
        for value in NONSENSE:
            await front.send(Sending(_saying(said, "/clinics/north", value)))
            await own.send(Sending(_saying(said, "/clinics/kafka-valley", value)))
            for topic, source in ((CLINIC_TOPIC, "/clinics/north"), (PLANNING_TOPIC, "/services/planning")):
                key, headers, body = write_kafka(_saying(said, source, value))
                await by_anyone.send_and_wait(topic, body, key=key, headers=list(headers))


def _saying(data: SessionRecorded, source: str, value: bytes) -> Envelope:
    """An event of a case of its own; of planning it is a plan."""
    at = datetime(2025, 1, 6, 15, tzinfo=UTC)
    envelope = event_of(data, id=uuid4().hex, source=source, subject=uuid4(), time=at)
    return replace(envelope, data=value, type=PlanIssued.TYPE if source.startswith("/services/") else envelope.type)


def _found(bodies: Iterable[bytes | None]) -> set[str]:
    held = b"\0".join(body or b"" for body in bodies)
    return {field for field, text in CANARIES.items() if text.encode() in held}


def test_no_canary_is_found_where_none_may_be(demonstrated: Demonstrated) -> None:
    assert [str(each) for each in privacy.check(demonstrated.evidence)] == []


def test_the_canaries_stand_in_the_clinics_events_and_in_what_intake_keeps_of_them(demonstrated: Demonstrated) -> None:
    planted, evidence = demonstrated.planted, demonstrated.evidence
    assert planted == CANARIES.keys() - RARE.keys()
    cohort = {case for case, outcome in demonstrated.outcomes.items() if outcome}
    sent = [r.value for r in evidence.on_topic[CLINIC_TOPIC] if r.event is not None and r.event[0] in cohort]
    assert _found(sent) == planted
    kept = [row["body"] for row in evidence.services["intake"].log if row["case_ref"] in cohort]
    assert _found(kept) == {field for field in planted if not field.startswith(NOT_FOR_INTAKE)}


def test_everything_that_is_searched_was_there_to_be_searched(demonstrated: Demonstrated) -> None:
    evidence = demonstrated.evidence
    texts = evidence.texts
    for service in READS:
        assert f'"service": "{service}"' in texts[f"{service}.log"]
        assert f'service="{service}"' in texts["metrics"]
        assert f"process {READS[service][0]}" in texts["spans"]
    assert "whp_parked_total{" in texts["metrics"]
    assert 'violates check constraint "ill"' in texts["postgres.log"]
    assert texts["kafka.log"]
    assert {403, 422} <= {line["status"] for line in evidence.ledger or ()}
    assert all(evidence.services[name].parked for name in ("planning", "progress", "notify"))
    assert evidence.services["intake"].dead
    assert {row["kind"] for row in evidence.messages} >= {"plan_issued", "week_summary", "sign_off", "ready"}
    assert evidence.on_topic[REJECTIONS_TOPIC]
    assert all(book["bodies"] for book in (evidence.books or {}).values())


def test_it_was_searched_after_faults(demonstrated: Demonstrated) -> None:
    assert all(count >= 1 for count in demonstrated.restarts.values())
    assert demonstrated.mended["discarded"] > 0
    assert demonstrated.mended["retried"] > 0
    assert any(row["attempts"] > 1 for row in demonstrated.evidence.deliveries)
    assert all(demonstrated.outcomes.values()), "and every case came to its end all the same"
