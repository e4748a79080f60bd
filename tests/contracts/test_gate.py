"""The gate on a copy of the repository's contracts: each way of going wrong has its finding, and freeze its limits."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from ops.contracts import Breaking, check, freeze
from workhardening_contracts import registry
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.contract import Code, EventData

ROOT = Path(__file__).parents[2]
TYPE = DayClosed.TYPE
SCHEMA = f"contracts/schemas/{TYPE}/1.0.producer.json"
GOLDEN = f"contracts/examples/{TYPE}/week_one.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return tmp_path


def _with(model: type[EventData]) -> tuple[registry.Entry, ...]:
    """The registry with another model in the place of DayClosed."""
    return tuple(replace(entry, model=model) if entry.type == TYPE else entry for entry in registry.ENTRIES)


def _files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Sooner(DayClosed):
    VERSION: ClassVar[str] = "1.1"

    reported_by: Code | None = None


class Renamed(DayClosed):
    VERSION: ClassVar[str] = "1.1"

    reported_by: Code


class Counted(DayClosed):
    VERSION: ClassVar[str] = "1.2"

    reported_by: Annotated[int, Field(ge=0)] | None = None


class SameVersion(DayClosed):
    reported_by: Code | None = None


def test_the_repository_is_good() -> None:
    assert check(ROOT) == []


def _edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edited(root: Path) -> None:
        text = (root / name).read_text(encoding="utf-8")
        assert old in text
        (root / name).write_text(text.replace(old, new), encoding="utf-8")

    return edited


def _delete(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def _write(name: str, text: str) -> Callable[[Path], None]:
    def written(root: Path) -> None:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")

    return written


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (_edit(SCHEMA, '"date"', '"date-time"'), f"{SCHEMA}: was frozen and has changed"),
        (_edit(SCHEMA, '"date"', '"date-time"'), f"{SCHEMA} at /properties/through/format: the model has changed"),
        (
            _edit(SCHEMA, '"format": "date",', ""),
            f"contracts/schemas/{TYPE}/1.0.consumer.json cannot read 1.0 at /through",
        ),
        (_delete(SCHEMA), f"{SCHEMA}: was frozen and is gone"),
        (
            _write(SCHEMA.replace("1.0", "9.9"), "{}"),
            "contracts/schemas/" + TYPE + "/9.9.producer.json: is not in FROZEN",
        ),
        (_write(SCHEMA.replace("1.0", "9.9"), "{"), "contracts/schemas/" + TYPE + "/9.9.producer.json is not JSON"),
        (_write(f"contracts/schemas/{TYPE}/1.0.json", "{}"), f"contracts/schemas/{TYPE}/1.0.json is neither"),
        (_delete("contracts/schemas/FROZEN"), f"{SCHEMA}: is not in FROZEN"),
        (_delete("contracts/topics/intake.events.v1.yaml"), "contracts/topics: intake.events.v1 is in the registry"),
        (
            _edit("contracts/topics/intake.events.v1.yaml", "name: intake", "name: outtake"),
            "contracts/topics/intake.events.v1.yaml: outtake.events.v1 is no topic",
        ),
        (
            _edit("contracts/topics/intake.events.v1.yaml", "retention_days: 30", "retention_days: 90"),
            "contracts/topics/intake.events.v1.yaml does not declare a topic: /retention_days",
        ),
        (_write("contracts/topics/bad.yaml", "{"), "contracts/topics/bad.yaml does not declare a topic"),
        (_edit(GOLDEN, '"through"', '"thru"'), f"{GOLDEN} at /through: Field required"),
        (_edit(GOLDEN, TYPE + '"', 'org.workhardening.clinic.case.erased.v1"'), "contracts/examples/" + TYPE),
        (
            _edit("contracts/examples/hostile/nan.json", "json.number", "json.other"),
            "contracts/examples/hostile/nan.json at kafka: is refused as json.number instead of json.other",
        ),
        (
            _edit("contracts/examples/hostile/nan.json", "NaN", "2.5"),
            "contracts/examples/hostile/nan.json at http: is accepted instead of json.number",
        ),
        (_write("contracts/examples/hostile/bad.json", "{}"), "contracts/examples/hostile/bad.json is not a hostile"),
        (
            _edit("contracts/asyncapi.yaml", "asyncapi: 3.0.0", "asyncapi: 3.0.1"),
            "contracts/asyncapi.yaml: is not what",
        ),
        (_delete("contracts/asyncapi.yaml"), "contracts/asyncapi.yaml: is not what"),
        (_edit(GOLDEN, "2026-03-15", "2026-03-14"), "contracts/asyncapi.yaml: is not what"),
    ],
)
def test_each_way_of_going_wrong_has_its_finding(root: Path, spoil: Callable[[Path], None], finding: str) -> None:
    spoil(root)
    found = check(root)
    assert any(one.startswith(finding) for one in found), found


def test_a_type_without_an_example_is_found(root: Path) -> None:
    shutil.rmtree(root / f"contracts/examples/{TYPE}")
    assert f"contracts/examples/{TYPE}: has no example; add one" in check(root)


def test_a_model_that_changed_under_its_version_is_found_and_not_frozen(root: Path) -> None:
    entries = _with(SameVersion)
    assert freeze(root, entries) == ["contracts/asyncapi.yaml"]
    assert check(root, entries) == [
        f"contracts/schemas/{TYPE}/1.0.{side}.json at /properties/reported_by: "
        "the model has changed; bump its VERSION and freeze"
        for side in ("producer", "consumer")
    ]


def test_a_new_minor_version_is_frozen_beside_the_old_one(root: Path) -> None:
    entries = _with(Sooner)
    before = _files(root)
    assert f"contracts/schemas/{TYPE}/1.1.producer.json: is not frozen yet; run `whp contracts freeze`" in check(
        root, entries
    )
    written = freeze(root, entries)
    assert written == [
        f"contracts/schemas/{TYPE}/1.1.producer.json",
        f"contracts/schemas/{TYPE}/1.1.consumer.json",
        "contracts/schemas/FROZEN",
        "contracts/asyncapi.yaml",
    ]
    assert check(root, entries) == []
    assert freeze(root, entries) == []
    after = _files(root)
    assert {name for name in before if before[name] != after[name]} == set(written[2:])


def test_a_version_that_breaks_an_older_reader_is_not_frozen(root: Path) -> None:
    before = _files(root)
    with pytest.raises(Breaking, match="/reported_by: the reader requires it and the writer may leave it out"):
        freeze(root, _with(Renamed))
    assert _files(root) == before


def test_a_version_is_held_against_every_frozen_one_and_not_only_the_last(root: Path) -> None:
    class Without(DayClosed):
        VERSION: ClassVar[str] = "1.2"

    class Again(Counted):
        VERSION: ClassVar[str] = "1.3"

    freeze(root, _with(Sooner))
    freeze(root, _with(Without))
    with pytest.raises(Breaking) as raised:
        freeze(root, _with(Again))
    readers = {finding.split(" cannot read ")[0].rsplit("/", 1)[1] for finding in raised.value.findings}
    assert readers == {"1.1.consumer.json", "1.3.consumer.json"}


def test_freezing_what_is_frozen_writes_nothing(root: Path) -> None:
    assert freeze(root) == []


def test_a_frozen_file_that_is_gone_is_not_quietly_written_again(root: Path) -> None:
    (root / SCHEMA).unlink()
    assert freeze(root) == []
    assert not (root / SCHEMA).exists()


def test_the_text_of_a_field_is_part_of_the_promise_since_it_names_the_unit(root: Path) -> None:
    class Described(DayClosed):
        through: Annotated[date, Field(description="In other words.")]

    assert any("/properties/through/description" in found for found in check(root, _with(Described)))
