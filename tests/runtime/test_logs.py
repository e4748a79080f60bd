"""Logs on a disk that is full: a line is lost, and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from runtime import consume
from runtime.consume import Consumer
from tests.runtime import toy

FULL = Path("/dev/full")
SCRIPT = """
import logging, os, structlog
from runtime.logs import set_up_logs
set_up_logs("toy", "info")
structlog.get_logger("toy").warning("batch is tried again", reason="x" * 100_000)
logging.getLogger("library").error("of a library")
os.write(2, b"went on")
os._exit(0)
"""


def test_a_line_that_cannot_be_written_stops_nobody() -> None:
    with FULL.open("w") as full:
        command = [sys.executable, "-c", SCRIPT]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert ran.stderr == "went on"
    assert ran.returncode == 0


async def test_a_batch_that_failed_is_never_passed_over_even_if_that_cannot_be_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handlers = toy.toy_handlers("in", "out", service="toy")
    settings = toy.settings("postgresql://localhost", "localhost:9")
    consumer: Consumer[Any, Any] = Consumer(
        handlers, ("in",), {}, cast("Any", None), settings, toy.TELEMETRY, lambda: None
    )

    async def fails(_: object) -> None:
        raise ZeroDivisionError

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(consumer, "_process", fails)
    monkeypatch.setattr(consume.log, "critical", full)
    handling = asyncio.create_task(consumer._handle([]))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(consume.Halt):
        await consumer.halted
    assert not handling.done(), "the next batch would be taken, and its offsets committed beyond this one's"
    handling.cancel()
