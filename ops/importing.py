"""`whp import`: a clinic's existing caseload, checked line by line and sent through the front door."""

from __future__ import annotations

import asyncio
import csv
import os
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ops.app import Json, answer, app, errors, say
from ops.caseload.checking import Checked, check, copy_faulty
from ops.caseload.fault import Fault, Unusable
from ops.caseload.progress import Progress as Standing
from ops.caseload.progress import keep, place_of, resumed
from ops.caseload.sending import batches, send
from ops.target import CommandError, as_json, given, target
from runtime.keys import NAME

SHOWN = 20
"""Faults that a person reads on a screen; the report has all."""
MOST_REFUSED = 1000
"""Lines that the front door may refuse although they were checked; beyond, the cause is not in the lines."""
LINE_EVERY_S = 5.0


@app.command(name="import")
def import_(
    file: Path,
    *,
    clinic: str,
    key_file: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    skip_faulty: Path | None = None,
    report: Path | None = None,
    json: Json = False,
) -> int:
    """Import a clinic's caseload from a CSV or NDJSON file, once, whatever happens in between.

    All lines are checked before the first is sent. The same command again goes on where a kill or Ctrl-C ended it, and
    what was sent before counts once. Exits with 1 when a line is faulty or refused.

    Parameters
    ----------
    file
        A table with a header line, or one JSON object per line; see docs/import.md.
    clinic
        Whose cases they are.
    key_file
        A file with the clinic's API key; otherwise WHP_API_KEY, or the local stack's key.
    dry_run
        Check, and send nothing.
    skip_faulty
        Send the others, and copy the faulty lines into this file, to be mended and imported alone. Without it a file
        with a faulty line is not sent at all.
    report
        Write what is to be mended to this CSV file: line, column, code, mend. It repeats nothing of the lines.
    """
    if not NAME.fullmatch(clinic):
        raise CommandError("name the clinic by its id, as its API key was issued for")
    began, now = time.monotonic(), datetime.now(UTC)
    with ExitStack() as stack:
        faults = _Faults(_reporter(report, stack))
        try:
            checked = check(file, clinic, now, faults.add)
        except Unusable as unusable:
            for fault in unusable.faults:
                faults.add(fault)
            return _told(faults, {"lines": 0, "sent": False}, json)
        came_to: dict[str, Any] = {
            "lines": checked.lines, "faulty": len(checked.faulty), "events": checked.events, "sent": False,
        }  # fmt: skip
        if dry_run or (checked.faulty and skip_faulty is None):
            return _told(faults, came_to, json)
        door, key = _door(clinic, key_file)
        standing = _standing(file, Standing(sha256=checked.sha256, clinic=clinic, door=door), skip_faulty)
        came_to["resumed_after"] = standing.through
        if skip_faulty is not None and checked.faulty and not skip_faulty.exists():
            copy_faulty(file, checked.faulty, skip_faulty)
        for fault in standing.refused:
            faults.add(fault)
        try:
            asyncio.run(_send(file, clinic, now, checked, standing, key, faults))
        except KeyboardInterrupt:
            say("interrupted: the same command goes on where this ended")
            raise
        place_of(file).unlink(missing_ok=True)
    refused = len({fault.line for fault in standing.refused})
    came_to |= {"sent": True, "refused": refused, "seconds": round(time.monotonic() - began, 1)}
    return _told(faults, came_to, json)


def _standing(file: Path, new: Standing, skip_faulty: Path | None) -> Standing:
    """Where to go on. Raises CommandError rather than write over lines that somebody may have mended."""
    old = resumed(file, new)
    if old is not None:
        say(f"going on behind line {old.through}, where an import of this file ended")
        return old
    if skip_faulty is not None and skip_faulty.exists():
        raise CommandError(f"{skip_faulty} is there: name a new file for the faulty lines, or import that one first")
    keep(file, new)
    return new


async def _send(
    file: Path, clinic: str, now: datetime, checked: Checked, standing: Standing, key: str, faults: _Faults
) -> None:
    wanted = batches(file, clinic, now, checked.faulty, standing.through)
    with _watching(checked.events, standing.events) as show:
        async for answered in send(standing.door, key, wanted):
            standing.through = answered.batch.through
            standing.events += len(answered.batch.lines)
            standing.refused += answered.refused
            for fault in answered.refused:
                faults.add(fault)
            keep(file, standing)
            show(standing.events)
            if len(standing.refused) > MOST_REFUSED:
                first = standing.refused[0]
                raise CommandError(
                    f"the front door refuses line after line, first line {first.line} with {first.code}: {first.mend}"
                )


@dataclass
class _Faults:
    """What was found, told in full to the report and in part to the person."""

    write: Callable[[Fault], None]
    codes: Counter[str] = field(default_factory=Counter[str])
    first: list[Fault] = field(default_factory=list[Fault])

    def add(self, fault: Fault) -> None:
        self.codes[fault.code] += 1
        self.write(fault)
        if len(self.first) < SHOWN:
            self.first.append(fault)


def _reporter(report: Path | None, stack: ExitStack) -> Callable[[Fault], None]:
    """What writes a fault into the report, if there is one."""
    if report is None:
        return lambda fault: None
    written = csv.writer(stack.enter_context(report.open("w", encoding="utf-8", newline="")))
    written.writerow(Fault._fields)
    return lambda fault: written.writerow(fault)


def _door(clinic: str, key_file: Path | None) -> tuple[str, str]:
    """The front door's address, and the clinic's key. Raises CommandError."""
    door, key = os.environ.get("WHP_FRONT_DOOR"), given("WHP_API_KEY")
    if key_file is not None:
        key = key_file.read_text(encoding="utf-8").strip()
    if door is None or key is None:
        local = target()
        door, key = door or local.front_door, key or local.clinics.get(clinic)
    if not door:
        raise CommandError("the front door's address is not known: set WHP_FRONT_DOOR")
    if key is None:
        raise CommandError(f"there is no key for clinic {clinic}: give --key-file, or set WHP_API_KEY")
    return door.rstrip("/"), key


def _told(faults: _Faults, came_to: dict[str, Any], json: bool) -> int:
    """Say what it came to, and give the exit code."""
    if json:
        answer(as_json({**came_to, "faults": faults.codes, "first": [fault._asdict() for fault in faults.first]}))
        return 1 if faults.codes else 0
    for fault in faults.first:
        where = f"line {fault.line}" + (f", {fault.column}" if fault.column else "")
        answer(f"{where}: {fault.code}, {fault.mend}")
    if left := faults.codes.total() - len(faults.first):
        answer(f"and {left} more; --report FILE has all")
    told = [f"{came_to[name]} {name}" for name in ("lines", "events", "faulty", "refused") if name in came_to]
    answer(f"{', '.join(told)}: {'sent' if came_to['sent'] else 'nothing was sent'}")
    return 1 if faults.codes else 0


@contextmanager
def _watching(events: int, before: int) -> Generator[Callable[[int], None]]:
    """Give what is told of the events so far: a bar on a terminal, a line now and then in a file."""
    if not errors.is_terminal:
        said = time.monotonic() - LINE_EVERY_S

        def show(sent: int) -> None:
            nonlocal said
            if time.monotonic() - said >= LINE_EVERY_S:
                said = time.monotonic()
                say(f"{sent} of {events} events sent")

        yield show
        return
    columns = (TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, refresh_per_second=4) as bar:
        task = bar.add_task("", total=events, completed=before)
        yield lambda sent: bar.update(task, completed=sent)
