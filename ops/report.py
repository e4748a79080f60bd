"""What a demonstration shows a person, and the same as data for a program."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.table import Table

from ops import story, traces
from ops.outcomes import ends_table
from ops.reconcile import Reconciliation
from ops.target import ROOT, Target
from services.console import outcomes

if TYPE_CHECKING:
    from ops.demo import Finished
    from simulator.cohort import CohortResult


async def show(finished: Finished, console: Console) -> None:
    """Print what a stranger wants to see: outcomes, topics, the reconciliation, one story and its trace."""
    title = "outcomes beside the published benchmark (36 programmes, AJOT 1994)"
    console.print(ends_table(title, outcomes.table(Counter(finished.result.outcomes.values()))))
    console.print(_topic_table(finished.reconciliation))
    console.print(_reconciliation_table(finished.reconciliation))
    _print_untidy(finished.result, console)
    if finished.case is not None:
        await print_story(finished.target, finished.case, console)
        _print_trace(finished.target, finished.case, console)
    console.print(reconciliation_line(finished.reconciliation), soft_wrap=True)
    for hanging in finished.result.hanging:
        console.print(f"[red]hangs[/] {hanging.case_ref} of {hanging.clinic}: {hanging.stage}")
    for unsettled in finished.result.unsettled:
        console.print(f"[red]not told[/] {unsettled.employer} lacks updates of {unsettled.case_ref}")
    for entry in finished.result.ledger.surprises()[:20]:
        console.print(f"[red]unexpected[/] {entry.type} {entry.id}: expected {entry.expected}, answer {entry.answer}")
    for finding in finished.reconciliation.findings[:20]:
        console.print(f"[red]finding[/] {finding}", soft_wrap=True)


async def print_story(target: Target, case: UUID, console: Console) -> None:
    """One case's timeline, and what its employer was told."""
    moments = await story.timeline(target, case)
    table = Table(title=f"one case's story: {case}", title_justify="left", show_edge=False)
    for column in ("day", "said by", "event", "detail", "result"):
        table.add_column(column, overflow="fold")
    for moment in story.condensed(moments):
        by = moment.source.rpartition("/")[2]
        result = "" if moment.result == "folded" else moment.result
        table.add_row(f"{moment.time:%Y-%m-%d}", by, moment.what, moment.detail, result)
    console.print(table)
    for update in await story.told(target, case):
        body = update["body"]
        limits = f", {len(body['restrictions'])} restrictions" if body.get("restrictions") else ""
        until = body.get("effective_through") or "no end"
        told = "told" if update["attempts"] else "not told"
        console.print(
            f"  {update['employer']} was {told} #{update['sequence']}: [bold]{body['status']}[/]"
            f" {body['effective_from']} to {until}{limits} ({update['status']}, attempt {update['attempts']})"
        )


def _print_trace(target: Target, case: UUID, console: Console) -> None:
    """Of a case's trace the part that is easiest to read; `whp trace` has the whole."""
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
    if (node := traces.widest(top)) is not None:
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


async def as_document(finished: Finished) -> dict[str, Any]:
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
        "outcomes": [asdict(row) for row in outcomes.table(Counter(finished.result.outcomes.values()))],
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
    kinds = Counter(entry.mischief for entry in result.ledger.entries if entry.mischief is not None)
    return dict(sorted(kinds.items()))


def _print_untidy(result: CohortResult, console: Console) -> None:
    listed = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in _untidy(result).items())
    console.print(f"untidy and hostile input among it: {listed or 'none'}", soft_wrap=True)
