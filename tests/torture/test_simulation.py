"""Rung 1 at the size of CI; `python -m torture.simulation --seeds 20000` is the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from torture.simulation import run

ROOT = Path(__file__).parents[2]
# What a thousand seeds must meet, or they show nothing.
TROUBLE = (
    "record read again",
    "record read by a zombie",
    "offsets of a zombie refused",
    "waited for a lock of partitions",
    "lock timeout",
    "killed in a transaction",
    "COMMIT of unknown end",
    "batch appended by the broker",
    "batch unanswered by the broker",
    "batch dropped by the broker",
    "batch refused by the broker",
    "parked",
    "retried",
    "discarded",
    "dead letter",
    "gave up waiting",
    "erased",
    "erased behind a parked record",
    "waited and was settled",
    "failed again",
    "floor met a writer",
)


def test_a_thousand_schedules_lose_double_and_invert_nothing() -> None:
    seen: Counter[str] = Counter()
    failed = {seed: found for seed in range(1000) if (found := run(seed, seen=seen))}
    assert not failed
    assert [trouble for trouble in TROUBLE if seen[trouble] < 50] == []


def test_a_seed_replays_its_schedule_in_another_process() -> None:
    here: list[str] = []
    assert run(4711, here.append) == []
    there = subprocess.run(
        [sys.executable, "-m", "torture.simulation", "--seed", "4711", "--verbose"],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.splitlines() == [*here, "seed 4711: 0 violations"]
    assert len(here) > 100
