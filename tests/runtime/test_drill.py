"""The drill's kill points: they kill when it is their turn, and production refuses them."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from pydantic import ValidationError

from runtime import drill
from runtime.settings import Settings

SCRIPT = """
from runtime import drill
drill.arm("after_commit:3")
drill.point("before_commit")
for number in (1, 2, 3, 4):
    print(number, flush=True)
    drill.point("after_commit")
"""


def settings(**given: str) -> Settings:
    known = {"kafka_bootstrap": "localhost:9", "database_url": "postgresql://localhost", "digest_key": "00" * 32}
    return Settings.model_validate(known | given)


def test_a_process_dies_at_the_named_place_at_the_named_pass() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["1", "2", "3"]


def test_a_process_without_a_drill_passes_every_place() -> None:
    drill.arm(None)
    for place in drill.PLACES:
        drill.point(place)


@pytest.mark.parametrize("place", drill.PLACES)
def test_every_place_can_be_named_in_the_settings_of_a_local_process(place: str) -> None:
    assert settings(mode="local", drill=f"{place}:7").drill == f"{place}:7"


def test_production_refuses_a_drill() -> None:
    with pytest.raises(ValidationError, match="refused in production"):
        settings(mode="production", drill="claimed:1")


@pytest.mark.parametrize("wrong", ["elsewhere:1", "claimed", "claimed:0", "claimed:-1", "claimed:1:1", ""])
def test_a_place_that_does_not_exist_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        settings(mode="local", drill=wrong)
