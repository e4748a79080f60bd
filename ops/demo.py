"""The demonstration: a simulated cohort on the real parts, watched, reconciled and told."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rich.console import Console

from deploy.local import stack as local
from deploy.local.keys import EMPLOYERS
from deploy.local.prepare import give_topic
from ops import story
from ops.kafka import lag
from ops.progress import watching
from ops.reconcile import Reconciliation, reconcile
from ops.registered import handlers_of, service_of
from ops.target import ROOT, SERVICES, CommandError, Target, connected, in_schema, target_of
from runtime.db import open_pool
from runtime.retry import PATIENCE, expire_waiting
from services.notify.employers import add_endpoint, change_url, list_endpoints
from simulator import cohort
from simulator.cohort import CohortConfig, CohortResult
from simulator.employer import EmployerConfig

KAFKA_CLINIC = "kafka-valley"
CALENDAR_CLINIC = "harbour"
DRAIN_S = 120.0


@dataclass(frozen=True)
class Finished:
    """What a demonstration came to."""

    result: CohortResult
    reconciliation: Reconciliation
    target: Target
    case: UUID | None
    seconds: float

    @property
    def good(self) -> bool:
        """Whether every case ended, every employer holds what it should, and everything reconciles."""
        return (
            self.reconciliation.holds
            and not self.result.hanging
            and not self.result.unsettled
            and not self.result.ledger.surprises()
        )


async def run_cohort(
    stack: local.Stack, cases: int, seed: int, console: Console, *, canaries: bool = False
) -> Finished:
    """Run a cohort on a running stack and reconcile it. Raises CommandError when the services do not come to rest.

    `canaries`: they stand in all that its clinics say of patients (`simulator/canaries.py`).
    """
    began = time.monotonic()
    await give_topic(ROOT, stack, KAFKA_CLINIC)
    target = target_of(stack)
    employers = await _employers(target)
    config = CohortConfig(
        cases=cases,
        seed=seed,
        run=await _run_name(target, seed),
        kafka_clinics=frozenset({KAFKA_CLINIC}),
        calendar_clinics=frozenset({CALENDAR_CLINIC}),
        employers=employers,
        canaries=canaries,
        timeout_s=max(300.0, cases * 3.0),
    )
    with watching(console, cases) as show:
        result = await cohort.run(config, target.as_stack(), show)
    console.print("waiting until every service has read everything")
    await drained(target)
    await _give_up_waiting(target)
    await drained(target)
    books = {name: book.updates for name, book in result.books.items()}
    found = await reconcile(target, books if not config.run else None)
    case = await story.richest_case(target)
    return Finished(result, found, target, case, time.monotonic() - began)


async def drained(target: Target, patience_s: float = DRAIN_S) -> None:
    """Wait until no service is behind and no outbox holds a row. Raises CommandError when that takes too long."""
    deadline = time.monotonic() + patience_s
    quiet = 0
    while quiet < 2:
        behind = await _behind(target)
        quiet = 0 if behind else quiet + 1
        if behind and time.monotonic() > deadline:
            raise CommandError(f"the services do not come to rest: {behind}; see .local/logs")
        await asyncio.sleep(0.2)


async def _behind(target: Target) -> str:
    for service in SERVICES:
        async with connected(target.database, service) as connection:
            left = await connection.fetchval("SELECT count(*) FROM outbox WHERE held IS NULL")
        if left:
            return f"{service} has {left} outbox rows"
        for topic, (_, records) in (await lag(target.kafka, f"whp.{service}", service_of(service).topics)).items():
            if records:
                return f"{service} is {records} records behind in {topic}"
    return ""


async def _give_up_waiting(target: Target) -> None:
    """What still waits at the end waits for something that never comes: give it up as if fourteen days had passed."""
    for service in SERVICES:
        pool = await open_pool(in_schema(target.database, service), "whp-demo", size=1)
        try:
            later = datetime.now(UTC) + PATIENCE + timedelta(hours=1)
            await expire_waiting(pool, handlers_of(service), service_of(service).writers, later)
        finally:
            await pool.close()


async def _employers(target: Target) -> dict[str, EmployerConfig]:
    """An endpoint for each of the demo's employers, on a port where its receiver will listen."""
    configs: dict[str, EmployerConfig] = {}
    async with connected(target.database, "notify") as connection:
        known = {entry.employer: entry for entry in await list_endpoints(connection)}
        for employer in EMPLOYERS:
            port = _free_port()
            url = f"http://127.0.0.1:{port}/work-status"
            if employer in known:
                await change_url(connection, employer, url, local=True)
                key = known[employer].public_key
            else:
                key = (await add_endpoint(connection, employer, url, kafka=False, local=True)).public_key
            configs[employer] = EmployerConfig(port=port, public_key=key)
    return configs


async def _run_name(target: Target, seed: int) -> str:
    """Empty on a fresh stack; otherwise something new, since case references must not be used twice."""
    async with connected(target.database, "intake") as connection:
        used = await connection.fetchval("SELECT EXISTS (SELECT FROM cases)")
    return f"{seed}-{int(time.time())}" if used else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
