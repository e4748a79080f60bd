"""The demonstration: a simulated cohort on the real parts, watched, reconciled and told."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.local import stack as local
from deploy.local.topics import provision_one, read_specs
from ops import story, traces
from ops.kafka import lag
from ops.keys import DEMO_EMPLOYERS
from ops.reconcile import Reconciliation, reconcile
from ops.registered import handlers_of, service_of
from ops.target import ROOT, SERVICES, CommandError, Target, connected, in_schema, target_of
from runtime.db import open_pool
from runtime.retry import PATIENCE, expire_waiting
from services.notify.employers import add_endpoint, change_url, list_endpoints
from simulator import cohort, outcomes
from simulator.cohort import CohortConfig, CohortResult
from simulator.employer import EmployerConfig
from workhardening_contracts.registry import CLINIC_OWN_TOPIC

KAFKA_CLINIC = "kafka-valley"
CALENDAR_CLINIC = "harbour"
DRAIN_S = 120.0
SERVICES_WAIT_S = 90.0


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


async def run_cohort(stack: local.Stack, cases: int, seed: int, console: Console) -> Finished:
    """Run a cohort on a running stack and reconcile it. Raises CommandError when the services do not come to rest."""
    began = time.monotonic()
    target = target_of(stack)
    employers = await _employers(target)
    for clinic in (KAFKA_CLINIC,):
        await _own_topic(target, clinic)
    config = CohortConfig(
        cases=cases,
        seed=seed,
        run=await _run_name(target, seed),
        kafka_clinics=frozenset({KAFKA_CLINIC}),
        calendar_clinics=frozenset({CALENDAR_CLINIC}),
        employers=employers,
        timeout_s=max(300.0, cases * 3.0),
    )
    with _bar(console) as bar:
        task = bar.add_task("cases", total=cases, note="")

        def show(progress: cohort.Progress) -> None:
            note = f"{progress.sent} events sent, {progress.updates} updates at employers"
            bar.update(task, completed=progress.ended, note=note)

        result = await cohort.run(config, target.as_stack(), show)
    console.print("waiting until every service has read everything")
    await drained(target)
    await _give_up_waiting(target)
    await drained(target)
    books = {name: book.updates for name, book in result.books.items()}
    found = await reconcile(target, books if not config.run else None)
    case = await story.richest_case(target)
    return Finished(result, found, target, case, time.monotonic() - began)


async def drained(target: Target) -> None:
    """Wait until no service is behind and no outbox holds a row. Raises CommandError after two minutes."""
    deadline = time.monotonic() + DRAIN_S
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
        for employer in DEMO_EMPLOYERS:
            port = _free_port()
            url = f"http://127.0.0.1:{port}/work-status"
            if employer in known:
                await change_url(connection, employer, url, local=True)
                key = known[employer].public_key
            else:
                key = (await add_endpoint(connection, employer, url, kafka=False, local=True)).public_key
            configs[employer] = EmployerConfig(port=port, public_key=key)
    return configs


async def _own_topic(target: Target, clinic: str) -> None:
    specs = {spec.name: spec for spec in read_specs(ROOT / "contracts" / "topics")}
    await provision_one(target.kafka, specs[CLINIC_OWN_TOPIC], clinic)


async def _run_name(target: Target, seed: int) -> str:
    """Empty on a fresh stack; otherwise something new, since case references must not be used twice."""
    async with connected(target.database, "intake") as connection:
        used = await connection.fetchval("SELECT EXISTS (SELECT FROM cases)")
    return f"{seed}-{int(time.time())}" if used else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("[dim]{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=4,
    )


async def show(finished: Finished, console: Console) -> None:
    """Print what a stranger wants to see: outcomes, topics, the reconciliation, one story and its trace."""
    console.print(_outcome_table(finished.result))
    console.print(_topic_table(finished.reconciliation))
    console.print(_reconciliation_table(finished.reconciliation))
    _print_untidy(finished.result, console)
    if finished.case is not None:
        await print_story(finished.target, finished.case, console)
    console.print(reconciliation_line(finished.reconciliation), soft_wrap=True)
    for hanging in finished.result.hanging:
        console.print(f"[red]hangs[/] {hanging.case_ref} of {hanging.clinic}: {hanging.stage}")
    for unsettled in finished.result.unsettled:
        console.print(f"[red]not told[/] {unsettled.employer} lacks updates of {unsettled.case_ref}")
    for entry in finished.result.ledger.surprises()[:20]:
        console.print(f"[red]unexpected[/] {entry.type} {entry.id}: expected {entry.expected}, answer {entry.answer}")
    for finding in finished.reconciliation.findings[:20]:
        console.print(f"[red]finding[/] {finding}", soft_wrap=True)


async def print_story(target: Target, case: UUID, console: Console, *, whole_trace: bool = False) -> None:
    """One case's timeline, what its employer was told, and its trace."""
    moments = await story.timeline(target, case)
    table = Table(title=f"one case's story: {case}", title_justify="left", show_edge=False)
    for column in ("business time", "said by", "event", "detail", "result"):
        table.add_column(column, overflow="fold")
    for moment in moments:
        table.add_row(
            f"{moment.time:%Y-%m-%d %H:%M}", moment.source, moment.what, moment.detail,
            "" if moment.result == "folded" else moment.result,
        )  # fmt: skip
    console.print(table)
    for update in await story.told(target, case):
        body = update["body"]
        limits = f", {len(body['restrictions'])} restrictions" if body.get("restrictions") else ""
        until = body.get("effective_through") or "no end"
        console.print(
            f"  {update['employer']} was told #{update['sequence']}: [bold]{body['status']}[/]"
            f" {body['effective_from']} to {until}{limits} ({update['status']}, attempt {update['attempts']})"
        )
    if target.zipkin is None:
        console.print("no trace: the trace viewer does not run")
        return
    top = traces.fetch_trace(target.zipkin, case)
    services = set[str]().union(*(node.services() for node in top))
    spans = sum(node.count() for node in top)
    console.print(
        f"\nits trace {traces.trace_id(case)}: {spans} spans across {', '.join(sorted(services)) or 'no service'}"
        f"\n{target.zipkin}/zipkin/traces/{traces.trace_id(case)}",
        soft_wrap=True,
    )
    if whole_trace:
        for node in top:
            console.print(traces.draw(node))
    elif (node := traces.widest(top)) is not None:
        console.print("the clinic event of it that reached the most services:")
        console.print(traces.draw(node))


def reconciliation_line(found: Reconciliation) -> str:
    """The one line that says whether anything was lost."""
    names = ("effects", "rejected", "parked", "dead_lettered")
    parts = " + ".join(f"{found.total(name)} {name.replace('_', '-')}" for name in names)
    waiting = f" + {found.total('waiting')} waiting" if found.total("waiting") else ""
    verdict = "[green]holds[/]" if found.holds else "[red]does not hold[/]"
    return (
        f"reconciliation {verdict}: {found.total('accepted')} accepted = {parts}{waiting};"
        f" lost {found.total('lost')}, duplicate {found.duplicate}, out of order {found.out_of_order}"
    )


async def report(finished: Finished) -> dict[str, Any]:
    """The same as data."""
    found = finished.reconciliation
    trace: dict[str, Any] | None = None
    if finished.case is not None and finished.target.zipkin is not None:
        top = traces.fetch_trace(finished.target.zipkin, finished.case)
        trace = {
            "case": str(finished.case),
            "trace_id": traces.trace_id(finished.case),
            "spans": sum(node.count() for node in top),
            "services": sorted(set[str]().union(*(node.services() for node in top))),
        }
    return {
        "cases": len(finished.result.outcomes),
        **{
            name: found.total(name)
            for name in ("accepted", "effects", "waiting", "rejected", "parked", "dead_lettered", "lost")
        },
        "duplicate": found.duplicate,
        "out_of_order": found.out_of_order,
        "holds": finished.good,
        "consumers": {name: asdict(figures) for name, figures in found.consumers.items()},
        "outcomes": [asdict(row) for row in outcomes.table(finished.result.outcomes.values())],
        "webhooks": found.webhooks,
        "topics": found.topics,
        "untidy": _untidy(finished.result),
        "findings": found.findings,
        "hanging": [asdict(hanging) for hanging in finished.result.hanging],
        "unsettled": [asdict(unsettled) for unsettled in finished.result.unsettled],
        "versions": await versions(finished.target),
        "trace": trace,
        "seconds": round(finished.seconds, 1),
    }


async def versions(target: Target) -> dict[str, str]:
    """What ran."""
    connection = await asyncpg.connect(target.database, timeout=10)
    try:
        server = str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
    coordinates = (ROOT / "requirements" / "kafka.txt").read_text(encoding="utf-8").split()
    broker = next((entry.split(":")[2] for entry in coordinates if entry.startswith("org.apache.kafka:kafka_")), "?")
    return {
        "program": metadata.version("work-hardening-program"),
        "contracts": metadata.version("workhardening-contracts"),
        "kafka": broker,
        "postgresql": server,
        "python": sys.version.split()[0],
        "faststream": metadata.version("faststream"),
    }


def write_report(document: Mapping[str, Any], path: Path) -> None:
    """Write it whole or not at all. Raises OSError."""
    draft = path.with_suffix(path.suffix + ".part")
    draft.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")
    draft.replace(path)


def _outcome_table(result: CohortResult) -> Table:
    table = Table(title="outcomes beside the published benchmark (36 programmes, AJOT 1994)", title_justify="left")
    for column in ("", "cases", "of", "%", "95 % interval", "published %"):
        table.add_column(column, justify="left" if not column else "right")
    for row in outcomes.table(result.outcomes.values()):
        interval = "" if row.low is None or row.high is None else f"{row.low:.1f} to {row.high:.1f}"
        table.add_row(
            row.name, str(row.count), str(row.of), "" if row.percent is None else f"{row.percent:.1f}", interval,
            "" if row.published is None else f"{row.published:.1f}",
        )  # fmt: skip
    return table


def _topic_table(found: Reconciliation) -> Table:
    table = Table(title="events per topic", title_justify="left")
    for column in ("topic", "records in", "different events", "read by"):
        table.add_column(column, justify="left" if column in ("topic", "read by") else "right")
    for topic, figures in found.topics.items():
        readers = [name.removeprefix("behind_") for name in figures if name.startswith("behind_")]
        behind = sum(count for name, count in figures.items() if name.startswith("behind_"))
        note = ", ".join(readers) + (f" ({behind} behind)" if behind else "")
        table.add_row(topic, str(figures["records"]), str(figures["events"]), note)
    return table


def _reconciliation_table(found: Reconciliation) -> Table:
    names = ("accepted", "effects", "waiting", "rejected", "parked", "dead_lettered", "lost")
    table = Table(title="what became of each event at each consumer", title_justify="left")
    table.add_column("consumer")
    for name in names:
        table.add_column(name.replace("_", "-"), justify="right")
    for consumer, figures in found.consumers.items():
        table.add_row(consumer, *(str(getattr(figures, name)) for name in names))
    table.add_row("all", *(str(found.total(name)) for name in names), style="bold")
    return table


def _untidy(result: CohortResult) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for entry in result.ledger.entries:
        if entry.mischief is not None:
            kinds[entry.mischief] = kinds.get(entry.mischief, 0) + 1
    return dict(sorted(kinds.items()))


def _print_untidy(result: CohortResult, console: Console) -> None:
    listed = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in _untidy(result).items())
    console.print(f"untidy and hostile input among it: {listed or 'none'}", soft_wrap=True)
