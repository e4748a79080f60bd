"""What growth costs: verdicts over rounds, the table and the file, and cases that come again under other names."""

from __future__ import annotations

import json
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from rich.console import Console

from bench.growth.cohorts import cohort, referred_on, renamed
from bench.growth.parts import PARTS
from bench.growth.report import GOALS, Measured, found, table, write
from bench.load import Load, Record, Stored
from bench.partitions import partition_of
from simulator.cohort import reference

REFS = [reference(1, "test", index, date(2026, 1, 5)) for index in range(50)]


def rounds(goal: str, *values: float) -> list[Measured]:
    """A value for each round."""
    return [Measured(goal, number, value, {"rows": number * 10}) for number, value in enumerate(values, 1)]


def printed(measured: list[Measured], scale: float) -> str:
    """The table as people see it, on a wide terminal."""
    console = Console(width=200, record=True, file=StringIO())
    console.print(table(measured, scale))
    return console.export_text()


def test_every_goal_has_its_part() -> None:
    assert PARTS.keys() == GOALS.keys()


def test_a_goal_is_told_by_its_median_and_between_what_its_rounds_lay() -> None:
    result = found(rounds("P9", 1.9, 1.1, 1.2))["P9"]
    assert (result.median, result.low, result.high, result.rounds) == (1.2, 1.1, 1.9, 3)


def test_what_was_not_measured_is_not_told() -> None:
    assert found(rounds("P12", 0.7)).keys() == {"P12"}


@pytest.mark.parametrize(
    ("goal", "value", "said"),
    [
        ("P9", 1.3, "met"),
        ("P9", 1.31, "MISSED"),
        ("P10", 1.71, "MISSED"),
        ("P11", 0.79, "MISSED"),
        ("P12", 0.5, "met"),
        ("P12", 0.8, "stretch met"),
        ("P12", 0.49, "MISSED"),
        ("P13", 1.16, "MISSED"),
        ("P15", 0.9, "met"),
        ("P15", 0.89, "MISSED"),
    ],
)
def test_each_goal_is_met_on_its_own_side(goal: str, value: float, said: str) -> None:
    (line,) = [line for line in printed(rounds(goal, value), 1).splitlines() if goal in line]
    assert line.rsplit("│", 2)[1].strip() == said


def test_the_table_says_when_its_figures_mean_nothing() -> None:
    assert "only those of scale 1 count" in printed(rounds("P9", 1.0), 0.01)
    assert "scale" not in printed(rounds("P9", 1.0), 1)


def test_the_file_holds_every_round_and_what_it_was_made_of(tmp_path: Path) -> None:
    path = write(rounds("P9", 1.1, 1.4, 1.5), {"P9": 61.04}, "python -m bench.growth --parts P9", 0.1, tmp_path / "out")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "growth.json"
    part = document["P9"]
    assert part["command"] == "python -m bench.growth --parts P9"
    assert part["commit"]
    assert part["machine"]["cores"] > 0
    assert (part["scale"], part["took_s"]) == (0.1, 61.0)
    assert part["verdict"] == "MISSED"
    assert [(each["round"], each["value"], each["more"]) for each in part["samples"]] == [
        (1, 1.1, {"rows": 10}),
        (2, 1.4, {"rows": 20}),
        (3, 1.5, {"rows": 30}),
    ]


def test_what_another_run_measured_stays_in_the_file(tmp_path: Path) -> None:
    write(rounds("P9", 1.1), {"P9": 1}, "the first", 1, tmp_path)
    write(rounds("P10", 1.2), {"P10": 1}, "the second", 1, tmp_path)
    path = write(rounds("P9", 1.3), {"P9": 1}, "the third", 1, tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert {name: (part["median"], part["command"]) for name, part in document.items()} == {
        "P9": (1.3, "the third"),
        "P10": (1.2, "the second"),
    }


def test_other_cohorts_have_references_of_version_7_of_their_own_weeks() -> None:
    seen = set(REFS)
    for nth in (-1, 1, 2):
        names = renamed(REFS, nth)
        assert [old for old, _, _ in names] == REFS
        for _, other, number in names:
            assert other.version == 7
            assert referred_on(other) == date(2026, 1, 5) - timedelta(weeks=nth)
            assert number == partition_of(str(other).encode())
            assert other not in seen
            seen.add(other)


def test_a_cohort_of_a_cohort_is_neither() -> None:
    """What is multiplied may itself have come of multiplying: the load's cases do."""
    later = [other for _, other, _ in renamed(REFS, -1)]
    assert not {other for _, other, _ in renamed(later, 1)} & {*REFS, *later}


def test_nothing_of_a_case_that_comes_again_names_the_one_that_was_lived() -> None:
    ref = REFS[0]
    headers = (("ce_subject", str(ref).encode()), ("ce_traceparent", f"00-{ref.hex}-1-01".encode()), ("n", b"1"))
    record = Record(str(ref).encode(), headers, json.dumps({"referral": f"{ref}/1", "hours": 4}).encode())
    load = cohort(Load([Stored(ref, 3, '{"plan": 1}', "[]", "{}")], [record]), 1)
    (case,), (again,) = load.cases, load.records
    assert (case.version, case.state) == (3, '{"plan": 1}')
    assert again.key == str(case.ref).encode()
    assert UUID(dict(again.headers)["ce_subject"].decode()) == case.ref
    assert case.ref.hex in dict(again.headers)["ce_traceparent"].decode()
    assert dict(again.headers)["n"] == b"1"
    assert json.loads(again.value) == {"referral": f"{case.ref}/1", "hours": 4}
