"""Ctrl-C in the middle of a measurement: whatever it had started is gone, processes and folders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import PART, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
"""Nothing here takes so long on a quiet machine; other people's work must not make a test fail."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a run keeps its temporary files: all that it starts inherits the name, and is known by it."""
    # The database server may run as a user of its own, who must be able to go in.
    made = Path(tempfile.mkdtemp(prefix="whp-interrupted-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        for process in started_with(made):
            process.kill()
        shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize(
    ("variant", "seen"),
    [("latency_floor", "postgres"), ("relay_limit", "bench.variants.relay_limit")],
    ids=["while the stack starts", "while a variant runs"],
)
def test_ctrl_c_leaves_nothing_behind(folder: Path, variant: str, seen: str) -> None:
    command = [sys.executable, "-m", "bench", "--only", variant, "--rounds", "1", "--cases", "5", "--out", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)}, stderr=subprocess.PIPE, text=True
    ) as bench:
        try:
            assert wait_until(lambda: seen in parts(folder) or bench.poll() is not None, PATIENCE_S), parts(folder)
            bench.send_signal(signal.SIGINT)
            _, said = bench.communicate(timeout=PATIENCE_S)
        finally:
            bench.kill()
    assert bench.returncode == 130, said
    assert said.splitlines()[-1] == "stopped; nothing was written"
    assert "Traceback" not in said
    # A server's own children end a moment after it.
    assert wait_until(lambda: parts(folder) == [], PATIENCE_S), parts(folder)
    assert list(folder.iterdir()) == []


def started_with(folder: Path) -> list[psutil.Process]:
    """The processes of the run that has this folder, the run itself among them."""
    return [process for process in psutil.process_iter() if _environment(process).get("TMPDIR") == str(folder)]


def parts(folder: Path) -> list[str]:
    """What these processes are: parts of the stack by their mark, modules of Python by their names."""
    found: list[str] = []
    for process in started_with(folder):
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        module = command[command.index("-m") + 1] if "-m" in command else "unknown"
        found.append(_environment(process).get(PART, module))
    return found


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except (psutil.Error, OSError):
        return {}
