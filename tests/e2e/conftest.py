"""`whp` as the tests of this folder call it."""

from __future__ import annotations

import pytest

from tests.e2e.place import Place
from tests.ops.in_process import Command, whp_in_process


@pytest.fixture
def command(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`whp` on the stack without the start of a process: for the many ways in which one command is held wrong."""
    return whp_in_process(place.environment(), monkeypatch, capsys)
