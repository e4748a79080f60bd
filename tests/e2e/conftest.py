"""One stack with all four services for the whole folder, and the first demonstration on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.place import Place, give_back, new_place
from tests.ops.in_process import Command, whp_in_process


@dataclass(frozen=True)
class Demonstration:
    """A `whp demo` that ran to its end."""

    code: int
    out: str
    err: str
    report: dict[str, Any]


@pytest.fixture(scope="session")
def fresh() -> Iterator[Place]:
    """A stack on which nothing has happened yet."""
    place = new_place()
    try:
        up = place.whp("up")
        assert up.returncode == 0, up.stderr
        yield place
    finally:
        give_back(place)


@pytest.fixture(scope="session")
def demonstration(fresh: Place) -> Demonstration:
    """The first demonstration on the stack: only on a fresh one are the receivers' books the whole story."""
    return demonstrate(fresh)


@pytest.fixture(scope="session")
def place(fresh: Place, demonstration: Demonstration) -> Place:
    """The stack as all other tests find it: with a cohort's history. They run in any order."""
    assert demonstration.code == 0, demonstration.out + demonstration.err
    return fresh


@pytest.fixture
def command(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`whp` on the stack without the start of a process: for the many ways in which one command is held wrong."""
    return whp_in_process(place.environment(), monkeypatch, capsys)


def demonstrate(place: Place, cases: int = 12, seed: int = 7) -> Demonstration:
    """Run a demonstration to its end."""
    file = place.folder / "report.json"
    file.unlink(missing_ok=True)
    ran = place.whp("demo", "--cases", str(cases), "--seed", str(seed), "--report", file)
    return Demonstration(ran.returncode, ran.stdout, ran.stderr, json.loads(file.read_text()) if file.exists() else {})
