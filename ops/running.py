"""Commands that run the system: up, down, demo, migrate, topics."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.layout import layout_of
from deploy.local.prepare import topics_and_rights
from deploy.local.state import Stack
from ops.app import answer, app, console, say, topics
from ops.report import as_document, show, write_report
from ops.target import ROOT, SERVICES, CommandError, target
from runtime.migrate import apply_access, apply_service
from workhardening_contracts.kafka import read_address


@app.command
def up(*, services: bool = True, secured: bool = False) -> None:
    """Start Kafka, PostgreSQL, the trace viewer and the five services; what runs already is used as it is.

    Parameters
    ----------
    services
        Whether the five services start, too.
    secured
        Make the stack as it is in production: everybody logs in to Kafka, inside TLS, and may do only what the topics'
        files say. A stack stays what it was made as.
    """
    from deploy.local import stack  # what starts servers is not installed where `whp` is deployed

    started = stack.up(ROOT, services=services, secured=secured, say=say)
    answer(f"front door      {started.front_door}")
    answer(f"employer door   {started.employer_door}")
    answer(f"console         {started.console}")
    broker = read_address(started.kafka)
    answer(f"kafka           {broker.servers}{' (TLS, with logins)' if broker.login else ''}")
    answer(f"traces          {started.zipkin or 'not available'}")
    answer(f"addresses, process ids, logins and demo keys are in {layout_of(ROOT).stack_file}")


@app.command
def down() -> None:
    """Stop everything that `whp up` started; the data stays."""
    from deploy.local import stack

    stack.down(ROOT, say=say)


@app.command
def demo(*, cases: int = 60, seed: int = 1, report: Path | None = None) -> int:
    """Watch a simulated cohort go from referral to work-status updates, and reconcile every event.

    Starts the stack if none runs, and then stops it again. Exits with 1 when anything was lost, doubled or reordered.

    Parameters
    ----------
    cases
        How many workers to simulate.
    seed
        The same seed gives the same workers, jobs and untidy input.
    report
        Write the figures as JSON to this file.
    """
    from ops.demo import run_cohort  # it brings the simulator and the services along, which no other command needs

    if cases < 1:
        raise CommandError("give at least one case: --cases 60")
    if report is not None and not report.absolute().parent.is_dir():
        raise CommandError(f"the folder of {report} does not exist: make it first")
    with _stack_for_demo() as running:
        finished = asyncio.run(run_cohort(running, cases, seed, console))
        asyncio.run(show(finished, console))
        if report is not None:
            write_report(asyncio.run(as_document(finished)), report)
            say(f"report written to {report}")
    return 0 if finished.good else 1


@contextmanager
def _stack_for_demo() -> Generator[Stack]:
    from deploy.local import stack

    before = stack.read(ROOT)
    mine = before is None or not before.pids
    running = stack.up(ROOT, say=say)
    try:
        yield running
    finally:
        if mine:
            stack.down(ROOT, say=say)


@app.command
def migrate() -> None:
    """Bring every service's tables up to date, by the owner role."""

    async def run() -> list[str]:
        to = target()
        done: list[str] = []
        for service in SERVICES:
            done += [f"{service}: {name}" for name in await apply_service(to.database, service, service)]
        return done + [f"access: {name}" for name in await apply_access(to.database)]

    for line in asyncio.run(run()) or ["nothing to do"]:
        answer(line)


@topics.command(name="apply")
def topics_apply() -> None:
    """Create missing topics and bring retention and access lists to what is declared; no topic is deleted."""
    for line in asyncio.run(topics_and_rights(ROOT, target().kafka)) or ["nothing to do"]:
        answer(line)
