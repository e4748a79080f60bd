"""Lives from a generator that is not ours, sent as FHIR and read back: nothing may be lost without a word.

A few of them here; `make fhir` follows 200, and docs/reports/fhir.md holds what came of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from services.intake.fhir.bundle import MODELS
from services.intake.fhir.elements import NESTED, OTHER, OTHER_TYPE, TYPES, WHY
from tests.fhir import round_trip
from tests.fhir.generated import lives, referred
from tests.fhir.round_trip import KEPT, Fate, follow
from tests.services.intake.fhir.sending import errors, read_bundle

COUNT = 10
TABLES = Path(__file__).parents[2] / "docs" / "fhir.md"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    return list(lives(COUNT, tmp_path_factory.mktemp("generated")))


def test_nothing_of_a_generated_life_is_lost_without_a_word(some: list[Json]) -> None:
    fate = Fate()
    for number, life in enumerate(some):
        assert errors(follow(referred(deepcopy(life), number), fate)) == []
    assert fate.lost == {}
    for kind in MODELS:
        assert fate.types[kind] > 0, f"no {kind} was taken in: this proves nothing"
    for event in ("ReferralReceived", "AssessmentRecorded", "SessionRecorded", "CaseWithdrawn"):
        assert fate.events[event] > 0


def test_a_loss_would_be_found(some: list[Json], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: Any, __: Json, ___: round_trip.Back) -> bool:
        return False

    kept = {**round_trip.KEPT, "Encounter.period.start": never}
    del kept["Observation.valueString"]
    monkeypatch.setattr(round_trip, "KEPT", kept)
    fate = Fate()
    follow(referred(deepcopy(some[0]), 1), fate)
    assert set(fate.lost) == {"Encounter.period.start", "Observation.valueString"}


def test_a_life_that_is_not_referred_is_answered_entry_by_entry_and_makes_no_event(some: list[Json]) -> None:
    for life in some:
        said, issues = read_bundle(life)
        assert (said, errors(issues)) == ([], [])
        places = {issue.at.removesuffix(".type") for issue in issues}
        assert places >= {f"Bundle.entry[{number}].resource" for number in range(len(life["entry"]))}


def rows(heading: str) -> dict[str, str]:
    """The tables under a heading of docs/fhir.md: first and second column."""
    section = TABLES.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {each[0].strip(" `"): each[1].strip(" |") for each in cells}


def test_the_document_lists_what_is_not_kept_and_why() -> None:
    listed = rows("What is not kept, and why")
    assert listed == {**WHY, **NESTED, **TYPES, "any other element": OTHER, "any other resource": OTHER_TYPE}


def test_the_document_lists_each_field_that_is_kept() -> None:
    listed: Iterable[str] = rows("What is kept")
    unlisted = {path for path in KEPT if not any(path == name or path.startswith(f"{name}.") for name in listed)}
    assert unlisted == set()


def test_the_same_seed_gives_the_same_lives(some: list[Json], tmp_path: Path) -> None:
    (again,) = lives(1, tmp_path)
    assert json.dumps(again) == json.dumps(some[0])
