"""The restore drill of docs/upgrade-and-restore.md, command by command, on what a cohort left behind."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from ops.target import SERVICES
from tests.abuse.attack import referred, send
from tests.docs.pasting import is_shown, paste, typed
from tests.docs.reading import ROOT
from tests.e2e.place import Place, await_that, demonstrate, running_place
from workhardening_contracts.envelope import write_kafka

pytestmark = pytest.mark.stack

DRILL = ROOT / "docs" / "upgrade-and-restore.md"
VALLEY = "kafka-valley"
"""The demonstration's clinic that has a topic of its own."""


def held(place: Place) -> dict[tuple[str, str], Any]:
    """(service, case) -> what the service holds of it."""
    return {
        (service, str(row["case_ref"])): (row["version"], row["state"] and json.loads(row["state"]), row["sequences"])
        for service in SERVICES
        for row in place.query(service, "SELECT case_ref, version, state, sequences FROM cases")
    }


def test_a_restored_database_holds_what_it_held_and_takes_what_came_meanwhile() -> None:
    setting, backup, restore, start = typed(DRILL.read_text(encoding="utf-8"))
    with running_place() as place:
        environment = place.environment(WHP_BACKUP=str(place.folder / "whp.dump"))
        assert demonstrate(place).code == 0, place.said()
        before = held(place)
        assert len(before) > len(SERVICES) * 10

        paste([setting, backup], environment)
        meanwhile = referred(uuid4(), clinic=VALLEY)
        send(place, f"clinic.{VALLEY}.events.v1", write_kafka(meanwhile))
        *_, looked = paste([setting, restore, start], environment)

        assert start.shown is not None
        assert is_shown(start.shown, looked), looked
        await_that(
            lambda: place.count("intake", f"cases WHERE case_ref = '{meanwhile.subject}'"), "what came meanwhile"
        )
        after = held(place)
        assert {key: after[key] for key in before} == before
        assert place.whp("reconcile").returncode == 0
