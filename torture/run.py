"""`python -m torture.run`: the program under fire. Prints its seed, replays it, and ends with what was violated.

Without `--full` one short run; with it the gate of 50,000 cases in parts, each kept as soon as it is done: a gate that
was broken off goes on where it was, and parts can be run one by one with `--part`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import structlog

from ops.target import ROOT
from torture import plan, report
from torture.part import Part, Result, Say, read, run_part, write

WORK = ROOT / ".local" / "torture"
CODE = ("runtime", "services", "contracts")
"""What a service runs: the previous version is the last one in which any of it was different."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when nothing was violated, 1 when something was, 2 when it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m torture.run", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed sends the same cases and plans the same faults")
    parser.add_argument("--cases", type=int, help=f"{plan.SHORT_CASES} in a short run, {plan.CASES} in the gate")
    parser.add_argument("--full", action="store_true", help="the whole gate, in parts")
    parser.add_argument("--part", type=int, help="one part of the gate, from 0")
    parser.add_argument("--parts", type=int, default=plan.PARTS, help=f"parts of the gate, {plan.PARTS} by default")
    parser.add_argument("--report", type=Path, help="write the report of what was done to this Markdown file")
    parser.add_argument("--results", type=Path, default=WORK, help="where parts' results are kept")
    given = parser.parse_args(arguments)
    if given.part is not None and not 0 <= given.part < given.parts:
        parser.error(f"--part is 0 to {given.parts - 1}")
    seed = (
        given.seed
        if given.seed is not None
        else 1
        if given.full or given.part is not None
        else secrets.randbelow(10**6)
    )
    # What clients in this process say of a broker that was killed is no news.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    commit = _git("rev-parse", "HEAD") or "unknown"
    say = _sayer()
    with ExitStack() as stack:
        stack.callback(structlog.configure, **structlog.get_config())
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        previous = _previous(stack)
        if given.full or given.part is not None:
            wanted = range(given.parts) if given.part is None else [given.part]
            each = (given.cases or plan.CASES) // given.parts
            parts = [
                Part(
                    seed,
                    number,
                    commit,
                    each,
                    plan.full(seed, number, given.parts),
                    plan.troubles(number, given.parts),
                    previous,
                )
                for number in wanted
            ]
        else:
            cases = given.cases or plan.SHORT_CASES
            parts = [Part(seed, 0, commit, cases, plan.short(seed), plan.TROUBLES_SHORT, previous)]
        say(f"seed {seed}, commit {commit[:9]}, {sum(part.cases for part in parts)} cases in {len(parts)} parts")
        results = [_one(part, given.results, say, resumed=given.full) for part in parts]
    say(report.summary(results))
    if given.report is not None:
        report.write(results, given.report)
        say(f"wrote {given.report}")
    return 0 if all(result.holds for result in results) else 1


def _one(part: Part, folder: Path, say: Say, *, resumed: bool) -> Result:
    path = folder / f"seed-{part.seed}" / f"part-{part.part:02d}-{part.cases}.json"
    known = read(path) if resumed else None
    if known is not None and known.commit == part.commit:
        say(f"part {part.part} was done before: {len(known.violations)} violations")
        return known
    say(f"part {part.part}: {part.cases} short cases, {len(part.steps)} faults")
    result = asyncio.run(_until_told(run_part(part, say, path.with_suffix(""))))
    write(result, path)
    say(f"part {part.part}: {len(result.violations)} violations, {len(result.hanging)} hang, {result.seconds}")
    return result


async def _until_told(work: Coroutine[Any, Any, Result]) -> Result:
    """SIGTERM ends it as Ctrl-C does: with everything that was started."""
    task = asyncio.create_task(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _sayer() -> Say:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {text}", flush=True)

    return say


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip()


def _previous(stack: ExitStack) -> Path | None:
    """A checkout of the last version whose services' code was different; None where the history has none."""
    changed = _git("log", "-1", "--format=%H", "--", *CODE)
    before = _git("rev-parse", "--verify", "--quiet", f"{changed}^") if changed else ""
    git = shutil.which("git")
    if not before or git is None:
        return None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whp-previous-")))
    archive = subprocess.run([git, "archive", before], cwd=ROOT, capture_output=True, check=True)  # noqa: S603
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("broken off; everything that was started is stopped", file=sys.stderr)
        sys.exit(130)
