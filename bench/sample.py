"""One sample of one variant: a fresh process on a fresh database, measured from warm to done, and checked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.accounting import cpu_s, peak_rss_mb

ROOT = Path(__file__).parent.parent
PATIENCE_S = 300.0
"""How long one sample may take."""


class Failed(Exception):
    """A variant died, took too long, or did less than its work; the sentence says which."""


def end_as_by_ctrl_c() -> None:
    """However this process is ended, it ends as by Ctrl-C, with everything that it started: also when a shell, which
    starts it in the background, has it ignore that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_ctrl_c)


def _as_ctrl_c(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one sample cost."""

    variant: str
    round: int
    events: int
    """Between warm and done."""
    wall_s: float
    cpu_s: Mapping[str, float]
    """By part: client, postgres, kafka."""
    rss_mb: float
    """The client's peak."""
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def cpu_us(self) -> float:
        """CPU per event over all parts, us."""
        return sum(self.cpu_s.values()) / self.events * 1e6

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.wall_s

    def as_json(self) -> dict[str, Any]:
        parts = {part: round(used / self.events * 1e6, 2) for part, used in self.cpu_s.items()}
        return {**asdict(self), "cpu_us": round(self.cpu_us, 2), "cpu_us_by_part": parts, "rate": round(self.rate, 1)}


@dataclass(frozen=True, slots=True)
class Reading:
    """Clock and CPU at one moment."""

    records: int
    at: float
    cpu: Mapping[str, float]


def read(records: int, roots: Mapping[str, int]) -> Reading:
    """Where everything stands now."""
    return Reading(records, time.perf_counter(), cpu_s(roots))


def between(
    variant: str, round_: int, begun: Reading, warm: Reading, last: Reading, rss_mb: float, **more: Any
) -> Sample:
    """The sample from warm to done; of a load so small that one batch held it, from the start of the process."""
    first = warm if warm.records < last.records else begun
    used = {part: last.cpu[part] - first.cpu[part] for part in last.cpu}
    return Sample(variant, round_, last.records - first.records, last.at - first.at, used, rss_mb, more)


@asynccontextmanager
async def process(
    command: Sequence[str], environment: Mapping[str, str], log: Path, *, tells: bool = True
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A process that ends with the block, whatever happens. Its errors go to `log`, and all that it says unless it
    `tells` us."""
    with log.open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if tells else errors,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'contracts'}", **environment},
            start_new_session=True,  # a Ctrl-C is ours to pass on
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            try:
                await asyncio.wait_for(child.communicate(), 30)
            except (TimeoutError, ValueError):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


async def told(child: asyncio.subprocess.Process, at: str, log: Path) -> int:
    """Wait until a variant says that it is at this place; the records that it has handled. Raises Failed."""
    assert child.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while line := await child.stdout.readline():
                with contextlib.suppress(ValueError):
                    said: Any = json.loads(line)
                    if isinstance(said, dict) and said.get("at") == at:  # pyright: ignore[reportUnknownMemberType]
                        return int(said["records"])  # pyright: ignore[reportUnknownArgumentType]
    except TimeoutError:
        raise Failed(f"was not {at} within {PATIENCE_S:.0f} s{end_of(log)}") from None
    raise Failed(f"ended before it was {at}{end_of(log)}")


async def measure_told(
    variant: str, round_: int, child: asyncio.subprocess.Process, servers: Mapping[str, int], log: Path
) -> Sample:
    """A variant that says itself when it is warm and done."""
    roots = {"client": child.pid, **servers}
    begun = read(0, roots)
    first = read(await told(child, "warm", log), roots)
    records = await told(child, "done", log)
    last = read(records, roots)
    return between(variant, round_, begun, first, last, peak_rss_mb(child.pid))


def end_of(log: Path) -> str:
    """What a process said last, to follow a sentence."""
    text = log.read_text(encoding="utf-8", errors="replace").strip() if log.exists() else ""
    return f": {text[-600:]}" if text else ""


def python(peers: bool) -> str:
    """The interpreter of the program's environment, or of the peers'."""
    return str(ROOT / ".bench" / "venv" / "bin" / "python") if peers else sys.executable
