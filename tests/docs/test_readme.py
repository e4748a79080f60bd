"""The README's copy-and-paste blocks, run as a stranger runs them: pasted into bash, on a stack that is up."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess

import pytest

from ops.demo import drained
from tests.docs.reading import ROOT, blocks, section
from tests.e2e.place import Place

README = (ROOT / "README.md").read_text(encoding="utf-8")
CLINIC = section(README, "How a clinic publishes its first event")
EMPLOYER = section(README, "How an employer gets its first update")

pytestmark = pytest.mark.stack


def paste(block: str, stack: Place) -> str:
    """What bash prints for a block; a command that fails ends it."""
    ran = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=block,
        cwd=ROOT,
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_clinic_publishes_its_first_event_by_copy_and_paste(stack: Place) -> None:
    (block,) = blocks(CLINIC, "bash")
    printed = paste(block, stack)
    assert " -> 202\n" in printed
    receipt = next(json.loads(line) for line in printed.splitlines() if re.fullmatch(r'\{"id":"referral-.*\}', line))
    assert receipt["status"] == "accepted"
    (told,) = re.findall(r"`(org\.workhardening\.intake\.[a-z.]+\.v1)`", CLINIC)
    assert f"{told} 2025-03-03T" in printed


def test_an_employer_gets_its_first_update_by_copy_and_paste(stack: Place) -> None:
    (block,) = blocks(EMPLOYER, "bash")
    printed = paste(block, stack)
    decoder = json.JSONDecoder()
    pushed, _ = decoder.raw_decode(printed[printed.index("{\n") :])
    pulled = json.loads(printed.rstrip().splitlines()[-1])
    assert pulled["data"] == pushed
    assert pushed["sequence"] == 1
    for said in (pushed["employee_key"], pushed["status"], pushed["effective_from"], pushed["effective_through"]):
        assert said in EMPLOYER


def test_the_events_of_the_first_update_may_be_sent_again_and_nothing_is_told_twice(stack: Place) -> None:
    for _ in range(2):
        assert stack.whp("publish", "docs/examples/first-case.ndjson").returncode == 0
    asyncio.run(drained(stack.target()))
    pushed = stack.query("notify", "SELECT sequence FROM deliveries WHERE employer = 'first-employer'")
    assert [row["sequence"] for row in pushed] == [1]


def test_the_receiver_that_is_shown_is_the_one_that_is_run() -> None:
    (shown,) = blocks(EMPLOYER, "python")
    assert shown == (ROOT / "docs/examples/receiver.py").read_text(encoding="utf-8")
