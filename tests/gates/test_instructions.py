"""The pure fold executes as much as was recorded: who makes it dearer, or cheaper, records it anew and says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDED = {
    "intake": {"instructions": 2612, "calls": 68.0},
    "planning": {"instructions": 15797, "calls": 423.5},
    "progress": {"instructions": 5686, "calls": 141.8},
    "notify": {"instructions": 3991, "calls": 129.6},
}
"""For an event; by `python -m tests.gates.instructions`, on Python 3.11."""
WITHIN = 0.05 if sys.version_info[:2] == (3, 11) else 0.25
"""Other versions of Python have other bytecode: there only what is grossly dearer is found."""


def test_to_fold_an_event_takes_the_instructions_that_were_recorded() -> None:
    """In a process of its own: coverage and debuggers count by the same hooks."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.gates.instructions"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found == {service: pytest.approx(recorded, rel=WITHIN) for service, recorded in RECORDED.items()}
