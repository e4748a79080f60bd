"""`whp import` on the running program: broken off and gone on with, mended and imported alone, and each case once."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.processes import wait_until
from ops.caseload.events import case_of
from ops.caseload.progress import place_of
from ops.keys import issue
from tests.e2e.place import PATIENCE_S, Place, await_that
from tests.ops.caseloads import row, table
from tests.ops.in_process import Command, assert_one_sentence
from workhardening_contracts.envelope import clinic_source

pytestmark = pytest.mark.stack

ROWS = 300
"""Three events each: nine batches."""


@pytest.fixture
def clinic() -> str:
    """One that has no case yet."""
    return f"clinic-{uuid4().hex[:8]}"


@pytest.fixture
async def key_file(place: Place, clinic: str, tmp_path: Path) -> Path:
    """Its key."""
    file = tmp_path / "key"
    file.write_text(await issue(place.stack().database, "clinic", clinic) + "\n")
    return file


def opened(place: Place, clinic: str) -> list[str]:
    """The cases of a clinic as intake knows them."""
    query = "SELECT case_ref FROM cases WHERE state->>'clinic' = $1 AND state->>'completed' IS NOT NULL"
    return sorted(str(found[0]) for found in place.query("intake", query, clinic))


def expected(clinic: str, numbers: range) -> list[str]:
    return sorted(str(case_of(clinic, f"C-{number}")) for number in numbers)


def test_an_import_that_was_killed_goes_on_where_it_was_and_each_case_is_known_once(
    place: Place, clinic: str, key_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "caseload.csv"
    file.write_bytes(table(row(number) for number in range(ROWS)))
    words = ("import", file, "--clinic", clinic, "--key-file", key_file)
    seen = place_of(file)

    def sent() -> int:
        return json.loads(seen.read_text())["through"] if seen.exists() else 0

    with place.begin(*words) as begun:
        assert wait_until(lambda: sent() > 0 or begun.poll() is not None, PATIENCE_S, step=0.001), place.said()
        begun.send_signal(signal.SIGKILL)
        assert begun.wait() == -signal.SIGKILL, place.said()
    stopped_at = sent()
    assert 0 < stopped_at < ROWS + 1

    ended = place.whp(*words, "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    assert (told["lines"], told["events"], told["resumed_after"]) == (ROWS, 3 * ROWS, stopped_at)
    assert not seen.exists()
    await_that(lambda: len(opened(place, clinic)) == ROWS, "all cases assessed")
    assert opened(place, clinic) == expected(clinic, range(ROWS))
    receipts = f"receipts WHERE source = '{clinic_source(clinic)}'"
    assert place.count("intake", receipts) == place.count("intake", f"{receipts} AND status = 'accepted'") == 3 * ROWS

    again = place.whp(*words, "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    assert place.count("intake", receipts) == 3 * ROWS
    assert place.whp("reconcile").returncode == 0


def test_a_faulty_file_is_not_sent_and_its_faulty_lines_are_mended_and_imported_alone(
    place: Place, command: Command, clinic: str, key_file: Path, tmp_path: Path
) -> None:
    file, faulty, report = tmp_path / "caseload.csv", tmp_path / "faulty.csv", tmp_path / "report.csv"
    rows = [row(0), row(1, medical_clearance="canary-7731"), row(2), row(3, phq9_item9="canary-7732")]
    file.write_bytes(table(rows))
    words = ("--clinic", clinic, "--key-file", key_file, "--report", report)
    refused = command("import", file, *words)
    assert refused.returncode == 1
    assert refused.stdout.splitlines()[-1] == "4 lines, 6 events, 2 faulty: nothing was sent"
    assert place.count("intake", f"receipts WHERE source = '{clinic_source(clinic)}'") == 0
    codes = [line.split(",")[:3] for line in report.read_text().splitlines()]
    assert codes == [
        ["line", "column", "code"],
        ["3", "medical_clearance", "cell.answer"],
        ["5", "phq9_item9", "cell.number"],
    ]

    others = command("import", file, *words, "--skip-faulty", faulty)
    assert others.returncode == 1
    assert others.stdout.splitlines()[-1] == "4 lines, 6 events, 2 faulty, 0 refused: sent"
    assert "canary" not in refused.stdout + others.stdout + others.stderr + report.read_text()
    assert_one_sentence(command("import", file, *words, "--skip-faulty", faulty), "is there: name a new file")
    faulty.write_bytes(faulty.read_bytes().replace(b"canary-7731", b"yes").replace(b"canary-7732", b"0"))
    last = command("import", faulty, *words)
    assert last.returncode == 0, last.stdout + last.stderr
    await_that(lambda: len(opened(place, clinic)) == 4, "all cases assessed")
    assert opened(place, clinic) == expected(clinic, range(4))


def test_a_line_that_was_imported_with_other_values_is_told_and_what_stands_stays(
    place: Place, command: Command, clinic: str, key_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "caseload.csv"
    words = ("import", file, "--clinic", clinic, "--key-file", key_file, "--json")
    file.write_bytes(table([row(0), row(1)]))
    assert command(*words).returncode == 0
    file.write_bytes(table([row(0), row(1, baseline_pain="7"), row(2)]))
    changed = command(*words)
    told = json.loads(changed.stdout)
    assert (changed.returncode, told["refused"], told["faults"]) == (1, 1, {"already_imported": 1})
    assert told["first"][0]["line"] == 3
    await_that(lambda: len(opened(place, clinic)) == 3, "all cases assessed")


def test_what_no_repetition_mends_is_one_sentence(
    place: Place, command: Command, clinic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, key = tmp_path / "caseload.csv", tmp_path / "key"
    file.write_bytes(table([row()]))
    key.write_text("whp_nobody_" + "x" * 43)
    assert_one_sentence(command("import", file, "--clinic", clinic), f"there is no key for clinic {clinic}")
    assert_one_sentence(command("import", file, "--clinic", clinic, "--key-file", key), "unauthorized")
    monkeypatch.setenv("WHP_FRONT_DOOR", place.stack().employer_door)
    assert_one_sentence(command("import", file, "--clinic", clinic, "--key-file", key), "not_found")
    assert_one_sentence(command("import", tmp_path / "none.csv", "--clinic", clinic), "No such file")
    assert_one_sentence(command("import", file, "--clinic", "no clinic"), "name the clinic by its id")
