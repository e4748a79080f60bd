"""`python -m torture.importing`: a new clinic's import of 100,000 rows, killed twice, and the front door under it once.

It stands on a stack of its own. Exits with 0 when every case arrived once and the system reconciles, 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psutil

from deploy.local import processes, stack
from deploy.local.layout import layout_of
from deploy.local.scratch import scratch_stack
from ops.caseload.progress import place_of
from ops.demo import drained
from ops.target import ROOT, Target, connected, target_of

CLINIC = "north"
ASSESSED = 0.1
"""Share of the rows that bring consent and an assessment: cases whose program is about to begin."""
KILLS = (0.25, 0.75)
"""Where the import is killed, as shares of its events."""
DOOR_KILL = 0.5
REST_S = 7200.0
WHP = Path(sys.executable).with_name("whp")
MB = 1024 * 1024


@dataclass
class Run:
    """What was seen of the import while it ran."""

    seconds: float = 0.0
    """Of all its processes, checks included."""
    resumed: list[int] = field(default_factory=list[int])
    """The events that were in when it was started again."""
    memory: dict[int, int] = field(default_factory=dict[int, int])
    """Tenth of the way -> the most memory of the process there, bytes."""
    door_killed_at: int | None = None
    told: dict[str, Any] = field(default_factory=dict[str, Any])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture.importing", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="of the rows")
    parser.add_argument("--report", type=Path, help="write what it came to into this Markdown file")
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short=9", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False  # noqa: S607
    ).stdout.strip()  # fmt: skip
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {line}", flush=True)

    with tempfile.TemporaryDirectory(prefix="whp-import-") as folder, scratch_stack(ROOT, "import", say=say):
        file = Path(folder) / "caseload.csv"
        events = write_caseload(file, options.rows, options.seed)
        say(f"{options.rows} rows with {events} events, {file.stat().st_size / MB:.0f} MB, seed {options.seed}")
        target = target_of(stack.up(ROOT, traces=False, say=say))
        run = import_under_fire(file, events, say)
        say(f"imported in {run.seconds:.0f} s; waiting until every service has read everything")
        resting = time.monotonic()
        asyncio.run(drained(target, REST_S))
        rest = time.monotonic() - resting
        found = asyncio.run(counts(target))
        reconciled = subprocess.run([WHP, "reconcile"], capture_output=True, text=True, check=False)  # noqa: S603
    wanted = {
        "cases at intake": options.rows,
        "cases assessed": (events - options.rows) // 2,
        "receipts": events,
        "receipts accepted": events,
        "events at intake": events,
        "events at intake, each once": events,
    }
    last = (reconciled.stdout.strip().splitlines() or [reconciled.stderr.strip()])[-1]
    good = found == wanted and reconciled.returncode == 0
    told = report(options, commit, events, run, rest, found, wanted, last)
    say(last)
    print(told)
    if options.report is not None:
        options.report.write_text(told, encoding="utf-8")
    return 0 if good else 1


def write_caseload(file: Path, rows: int, seed: int) -> int:
    """Write a caseload, and give how many events it holds. The same seed writes the same file."""
    random, events = Random(seed), 0
    with file.open("w", encoding="utf-8", newline="") as table:
        written = csv.DictWriter(table, list(_row(random, 0, assessed=True)), restval="")
        written.writeheader()
        for number in range(rows):
            assessed = random.random() < ASSESSED
            written.writerow(_row(random, number, assessed=assessed))
            events += 3 if assessed else 1
    return events


def _row(random: Random, number: int, *, assessed: bool) -> dict[str, str]:
    referred = date(2026, 1, 5) + timedelta(days=random.randrange(120))
    row = {
        "case_number": f"K-{number:06}",
        "referred_on": str(referred),
        "worker_ref": f"w-{number:06}",
        "employer": f"employer-{random.randrange(50)}",
        "employee_key": f"E-{number:06}",
        "injury_date": str(referred - timedelta(days=random.randrange(30, 300))),
        "body_part": random.choice(("lower back", "right shoulder", "left knee", "neck")),
        "injury_story": random.choice(("", 'lifted a crate, "felt it at once"', "slipped; fell on one side")),
        "workplace_injury": "yes",
        "demanding_job": "yes",
        "difficulty_with_duties": random.choice(("yes", "unknown")),
        "return_to_work_goal": "yes",
        "medical_clearance": "yes" if assessed else random.choice(("yes", "unknown", "")),
        "treatment_consent": "yes",
        "job_title": "Order picker",
        "job_basis": "job_analysis",
        "job_shift_hours": "8",
        "job_demands": f"lift/floor_waist/occasional {random.randrange(15, 30)} kg critical | stand/-/constant 6 h",
        "tolerance_hours_per_day": str(random.randrange(4, 12) / 2),
        "tolerance_days_per_week": str(random.randrange(3, 6)),
    }
    if assessed:
        row |= {
            "assessed_on": str(referred + timedelta(days=3)),
            "history_flags": "none",
            "examination": "lumbar_flexion_pain/both",
            "posture": "none",
            "mobility": f"lumbar/flexion/not_applicable {random.randrange(20, 60)}",
            "functional_tests": f"lift/floor_waist/occasional {random.randrange(5, 14)} kg",
            "baseline_pain": str(random.randrange(1, 8)),
            "consent_scopes": "work_status",
            "consent_basis": "worker_consent",
            "consent_from": str(referred),
        }
    return row


def import_under_fire(file: Path, events: int, say: Callable[[str], None]) -> Run:
    """Import a file on the stack of WHP_LOCAL to its end, through two kills of the import and one of the front door."""
    run, told = Run(), ""
    for kill in (*KILLS, None):
        run.resumed.append(_sent(file))
        began = time.monotonic()
        with subprocess.Popen(  # noqa: S603
            [WHP, "import", file, "--clinic", CLINIC, "--json"], stdout=subprocess.PIPE, text=True
        ) as process:
            for sent in _watched(process, file, events, run):
                if run.door_killed_at is None and sent >= DOOR_KILL * events:
                    run.door_killed_at = sent
                    intake = processes.pid_of(layout_of(ROOT).base, "intake")
                    assert intake is not None, "intake runs"
                    say(f"{sent} events are in: killing intake")
                    os.kill(intake, signal.SIGKILL)
                if kill is not None and sent >= kill * events:
                    say(f"{sent} events are in: killing the import")
                    process.kill()
                    break
            told = process.communicate()[0]
        run.seconds += time.monotonic() - began
    run.told = json.loads(told) if told else {}
    return run


def _watched(process: subprocess.Popen[str], file: Path, events: int, run: Run) -> Iterator[int]:
    """How many events are in, for as long as the process runs; notes its memory on the way."""
    of = psutil.Process(process.pid)
    while process.poll() is None:
        sent = _sent(file)
        with suppress(psutil.Error):
            tenth = sent * 10 // events
            run.memory[tenth] = max(run.memory.get(tenth, 0), of.memory_info().rss)
        yield sent
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def _sent(file: Path) -> int:
    try:
        return int(json.loads(place_of(file).read_text(encoding="utf-8"))["events"])
    except FileNotFoundError:
        return 0


async def counts(target: Target) -> dict[str, int]:
    """What is there of the clinic at the end."""
    queries = {
        "cases at intake": "SELECT count(*) FROM cases WHERE state->>'clinic' = $1",
        "cases assessed": "SELECT count(*) FROM cases WHERE state->>'clinic' = $1 AND state->>'completed' IS NOT NULL",
        "receipts": "SELECT count(*) FROM receipts WHERE source = '/clinics/' || $1",
        "receipts accepted": "SELECT count(*) FROM receipts WHERE source = '/clinics/' || $1 AND status = 'accepted'",
        "events at intake": "SELECT count(*) FROM event_log WHERE source = '/clinics/' || $1 AND result = 'folded'",
        "events at intake, each once": "SELECT count(DISTINCT id) FROM event_log WHERE source = '/clinics/' || $1",
    }
    async with connected(target.database, "intake") as connection:
        return {name: int(await connection.fetchval(query, CLINIC)) for name, query in queries.items()}


def report(
    options: argparse.Namespace,
    commit: str,
    events: int,
    run: Run,
    rest: float,
    found: dict[str, int],
    wanted: dict[str, int],
    last: str,
) -> str:
    """The report as Markdown."""
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {sys.version.split()[0]}"
    resumed = ", ".join(str(each) for each in run.resumed[1:])
    memory = " ".join(f"{run.memory[tenth] / MB:.0f}" for tenth in sorted(run.memory))
    rows = "\n".join(f"| {name} | {wanted[name]} | {found[name]} |" for name in wanted)
    return f"""# The import of a large caseload

Commit {commit}, seed {options.seed}, {machine}; everything on this one machine. `make import-large` does it again.

A CSV of {options.rows} rows with {events} events ({ASSESSED:.0%} of the rows with consent and assessment) went by
`whp import` through the front door. The import was killed (SIGKILL) when {resumed} events were in and started again;
intake, with the front door in it, was killed when {run.door_killed_at} were in, and its supervisor started it again.

| | |
|---|---|
| the import, all three processes, each with its check of the whole file | {run.seconds:.0f} s |
| rows a second | {options.rows / run.seconds:.0f} |
| events a second | {events / run.seconds:.0f} |
| from then until all services had read everything | {rest:.0f} s |
| most memory of the import at each tenth of the way, MB | {memory} |

| | expected | found |
|---|---|---|
{rows}

The import's last words: `{json.dumps(run.told)}`

`whp reconcile`: {last}
"""


if __name__ == "__main__":
    sys.exit(main())
