"""`whp` where no stack runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.in_process import Command, whp_in_process


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`whp` in an empty place."""
    for name in ("WHP_KAFKA_BOOTSTRAP", "WHP_ADMIN_DATABASE_URL", "WHP_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return whp_in_process({"WHP_LOCAL": str(tmp_path / "local"), "COLUMNS": "120"}, monkeypatch, capsys)
