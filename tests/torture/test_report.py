"""The report of a gate: what was to be injected beside what was, and a picture that a browser can draw."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from torture import report
from torture.part import Result, read, write
from torture.picture import draw
from torture.plan import AMOUNTS

FAULTS = [
    {"kind": kind, "target": "intake", "detail": "reset, 3 connections <&>", "began": 1.0 * at, "ended": 2.0 * at}
    for at, kind in enumerate(AMOUNTS, 1)
]
RESULT = Result(
    seed=4,
    part=2,
    commit="abc",
    cases=10,
    programs=1,
    sent=90,
    records=300,
    seconds={"start": 1.0, "fire": 30.0, "rest": 2.0, "gather": 1.0, "check": 1.0},
    faults=FAULTS,
    impossible={},
    named={"claimed": 1},
    deaths={"killed": 1, "drilled": 1},
    troubles={"down": 2},
    meanwhile={"again": 40},
    drained_s=2.0,
    account={"intake": {"accepted": 9, "folded": 8, "rejected": 1}},
    lag=[(0.0, "intake", 0), (1.0, "intake", 12), (2.0, "notify", 3)],
)


def test_a_part_is_kept_whole_and_read_again(tmp_path: Path) -> None:
    write(RESULT, tmp_path / "parts" / "part.json")
    again = read(tmp_path / "parts" / "part.json")
    assert again is not None
    assert replace(again, lag=[]) == replace(RESULT, lag=[])
    assert read(tmp_path / "none.json") is None


def test_a_part_holds_only_without_violations_and_without_programs_that_hang() -> None:
    assert RESULT.holds
    assert not replace(RESULT, violations=["I4 x"]).holds
    assert not replace(RESULT, hanging=["x"]).holds


def test_the_summary_adds_the_parts_up_and_ends_with_the_verdict() -> None:
    bad = replace(RESULT, part=3, violations=["I4 case: out of order", "I1 case: lost"])
    lines = report.summary([RESULT, bad]).splitlines()
    assert "intake: 18 = 16 folded + 2 rejected" in lines
    assert "part 3: I4 case: out of order" in lines
    assert lines[-1] == "2 violations: 1 I4, 1 I1; 0 programs hang"


def test_the_report_names_seed_and_commit_and_sets_every_amount_beside_what_was_done(tmp_path: Path) -> None:
    report.write([RESULT], tmp_path / "reports" / "fire.md")
    text = (tmp_path / "reports" / "fire.md").read_text(encoding="utf-8")
    assert "Commit abc; seed 4; 1 parts" in text
    assert f"| {AMOUNTS['pause'].what} | {AMOUNTS['pause'].full} | 1 |" in text
    assert "| reset on the links | 20 | 1 |" in text
    assert "| latency on the links | 20 | 0 |" in text
    assert (tmp_path / "reports" / "fire-part-02.svg").exists()


def test_the_picture_is_well_formed_and_has_every_fault_and_every_line() -> None:
    root = ET.fromstring(draw(RESULT.lag, FAULTS))
    name = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f".//{name}title")) == len(FAULTS)
    assert len(root.findall(f"{name}polyline")) == 5
