"""The command line where no stack runs: help, errors, and what needs no stack."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cyclopts import App

from ops.__main__ import COMMANDS, load
from ops.app import app
from tests.ops.in_process import Command, assert_one_sentence

REF = str(uuid4())
# NIOSH 94-110, example 4, package inspection, origin: its worksheet has 34.9 lb from rounded multipliers, 34.8 without.
EXAMPLE_4 = {
    "unit_system": "us", "load": 26, "horizontal": 10, "vertical": 22, "travel": 37, "asymmetry": 0,
    "lifts_per_minute": 3, "duration_hours": 1, "coupling": "fair",
}  # fmt: skip


def commands(of: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and every group of commands."""
    yield words
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*words, name))


load("")
ALL = list(commands(app))


def test_no_command_that_was_promised_is_missing() -> None:
    promised = (
        "up", "down", "demo", "publish", "case", "trace", "status", "tail",
        "parked list", "parked show", "parked retry", "parked discard",
        "dead-letters list", "dead-letters show", "outbox list", "employers add", "employers list", "keys issue",
        "keys list", "keys rotate", "keys revoke", "erase", "audit verify", "audit export", "audit worker",
        "employers enable", "employers disable", "employers ping", "employers attempts", "employers replay",
        "employers change-url", "employers rotate-key", "employers changes", "employers approve",
        "topics apply", "migrate", "reconcile", "demands import", "demands show", "demands list",
        "demands compare", "demands grade", "demands sheet", "lifting-index", "contracts check",
    )  # fmt: skip
    assert {tuple(words.split()) for words in promised} <= set(ALL)


def test_each_module_is_known_by_the_first_words_of_its_commands() -> None:
    found: dict[str, set[str]] = {}
    for words in ALL:
        at = app
        for word in words:
            at = at[word]
        if words and at.default_command is not None:
            found.setdefault(at.default_command.__module__, set()).add(words[0])
    assert found == {f"ops.{module}": words for module, words in COMMANDS.items()}


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_explains_itself(command: Command, words: tuple[str, ...]) -> None:
    ran = command(*words, "--help")
    assert ran.returncode == 0, ran.stderr
    assert f"Usage: whp {' '.join(words)}".strip() in ran.stdout
    sentences = [line for line in ran.stdout.splitlines() if line.rstrip().endswith(".")]
    assert sentences, "it says what it is for"


def test_the_script_that_is_installed_is_this_program() -> None:
    ran = subprocess.run([Path(sys.executable).with_name("whp"), "--help"], capture_output=True, text=True, check=True)
    assert "Usage: whp" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize(
    "line",
    [
        f"case {REF}", f"erase {REF} --reason worker_request", "parked list", f"parked show {REF}",
        f"parked retry {REF}",
        f"parked discard {REF} --service intake --reason x", "dead-letters list", "dead-letters show t 0 0",
        "audit export", f"audit worker {REF}",
        "outbox list", "outbox release", "employers add acme --kafka", "employers list",
        "employers enable acme", "employers replay acme --id x", "employers approve 1 --by ada",
        "clinics mailbox north a@b.example", "keys issue --clinic north", "keys list", "keys rotate 000000000000",
        "keys revoke 000000000000 --reason x", "topics apply", "migrate",
        "demands show nurse", "publish -",
    ],
)  # fmt: skip
def test_without_a_stack_a_command_says_how_to_get_one(command: Command, line: str) -> None:
    assert_one_sentence(command(*line.split(), given='{"source": "/clinics/north"}'), "start one with `whp up`")


def test_where_there_is_nothing_to_look_at_the_answer_is_neither_yes_nor_no(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = command("reconcile")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "start one with `whp up`" in ran.stderr
    monkeypatch.setenv("WHP_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("WHP_ADMIN_DATABASE_URL", "postgresql://nobody:canary-password@127.0.0.1:9/whp")
    ran = command("reconcile", "--json")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "cannot look" in ran.stderr
    assert "canary" not in ran.stderr


def test_a_system_that_does_not_answer_is_said_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHP_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("WHP_ADMIN_DATABASE_URL", "postgresql://nobody:canary-password@127.0.0.1:9/whp")
    monkeypatch.setenv("WHP_FRONT_DOOR", "http://127.0.0.1:9")
    monkeypatch.setenv("WHP_API_KEY", "canary-key")
    for line, mend in (
        ("parked list", "PostgreSQL does not answer"),
        ("migrate", "does not answer"),
        ("topics apply", "Kafka does not answer"),
        ("publish -", "the front door does not answer"),
    ):
        ran = command(*line.split(), given="{}")
        assert ran.returncode == 1, line
        assert mend in ran.stderr, line
        assert "canary" not in ran.stderr + ran.stdout
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("demo --cases 0", "give at least one case"),
        ("demo --cases -3", "give at least one case"),
        ("demo --report missing/folder/report.json", "does not exist"),
    ],
)
def test_a_demonstration_that_cannot_be_is_refused_before_anything_is_started(
    command: Command, tmp_path: Path, line: str, mend: str
) -> None:
    assert_one_sentence(command(*line.split()), mend)
    assert not (tmp_path / "local").exists()


@pytest.mark.parametrize("line", ["nonsense", "parked nonsense", "demo --cases many", "case", "case 7", "keys issue x"])
def test_a_command_line_that_is_held_wrong_exits_with_2_and_no_traceback(command: Command, line: str) -> None:
    ran = command(*line.split())
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert "Error" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_down_where_nothing_runs_is_no_error(command: Command) -> None:
    ran = command("down")
    assert ran.returncode == 0
    assert "nothing runs" in ran.stderr


def test_ctrl_c_is_said_and_exits_with_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ops.running.target", interrupted)
    ran = command("topics", "apply")
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "stopped\n")


# The lifting index


def graded(command: Command, tmp_path: Path, **changes: Any) -> Any:
    """What `whp lifting-index` makes of example 4 with these keys changed; None takes one away."""
    task = {name: value for name, value in (EXAMPLE_4 | changes).items() if value is not None}
    file = tmp_path / "task.json"
    file.write_text(json.dumps(task))
    return command("lifting-index", file)


def test_the_lifting_index_of_the_published_example(command: Command, tmp_path: Path) -> None:
    ran = graded(command, tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert round(found["rwl"], 1) == 34.8
    assert round(found["lifting_index"], 1) == 0.7
    printed = {"hm": 1.0, "vm": 0.94, "dm": 0.87, "am": 1.0, "fm": 0.88, "cm": 0.95}
    assert {name: round(found[name], 2) for name in printed} == printed


def test_a_lift_that_nobody_should_make_has_no_index(command: Command, tmp_path: Path) -> None:
    found = json.loads(graded(command, tmp_path, horizontal=30).stdout)
    assert found["rwl"] == 0
    assert found["lifting_index"] is None


@pytest.mark.parametrize(
    ("changes", "mend"),
    [
        ({"load": "canary"}, "load"),
        ({"load": 0}, "load"),
        ({"load": None}, "load"),
        ({"coupling": "canary"}, "coupling"),
        ({"unit_system": "canary"}, "unit_system"),
        ({"wieght": 3}, "wieght"),
        ({"duration_hours": 9}, "over_8_hours"),
        ({"hands": 1}, "one_handed"),
    ],
)
def test_a_task_that_cannot_be_graded_is_refused_by_name(
    command: Command, tmp_path: Path, changes: dict[str, Any], mend: str
) -> None:
    ran = graded(command, tmp_path, **changes)
    assert_one_sentence(ran, mend)
    assert "canary" not in ran.stderr.replace(str(tmp_path), "")


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"\xff\xfe", b'{"load": NaN}'])
def test_a_file_that_is_no_task_is_refused(command: Command, tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "task.json"
    file.write_bytes(body)
    assert_one_sentence(command("lifting-index", file), "task.json")


def test_a_task_that_is_not_there_is_said_so(command: Command, tmp_path: Path) -> None:
    assert_one_sentence(command("lifting-index", tmp_path / "missing.json"), "No such file")


# The job demand library, as far as it needs no database


def in_file(tmp_path: Path, name: str, value: Any) -> Path:
    file = tmp_path / name
    file.write_text(json.dumps(value))
    return file


JOB = {
    "title": "Order picker", "basis": "job_analysis", "shift_hours": 8,
    "demands": [{"kind": "lift", "frequency": "seldom", "amount": {"amount": 22.5, "unit": "kg"}, "critical": True}],
}  # fmt: skip


def test_the_lifting_tasks_of_a_job_are_graded_together(command: Command, tmp_path: Path) -> None:
    tasks = [{**EXAMPLE_4, "name": name} for name in ("first", "second")]
    file = in_file(tmp_path, "tasks.json", {"tasks": tasks})
    graded = json.loads(command("demands", "grade", file, "--json").stdout)
    # 26 / 34.8 lb alone; the second adds 26 / 39.6 lb × (1/0.75 − 1/0.88) for six lifts a minute instead of three
    assert [round(task["added"], 2) for task in graded["tasks"]] == [0.75, 0.13]
    assert "composite lifting index: 0.88" in command("demands", "grade", file).stdout


def test_a_job_that_cannot_be_graded_is_refused_by_name(command: Command, tmp_path: Path) -> None:
    for task, mend in ((EXAMPLE_4, "name"), ({**EXAMPLE_4, "name": "a", "hands": 1}, "one_handed")):
        assert_one_sentence(command("demands", "grade", in_file(tmp_path, "tasks.json", {"tasks": [task]})), mend)


def test_a_job_analysis_is_compared_and_written_as_a_sheet(command: Command, tmp_path: Path) -> None:
    file = in_file(tmp_path, "job.json", JOB)
    other = in_file(tmp_path, "other.json", {**JOB, "basis": "employer", "title": "Packer", "shift_hours": 6})
    (pair,) = json.loads(command("demands", "compare", file, other, "--json").stdout)["demands"]
    assert (pair["demand"], pair["more"]) == ("lift/-/seldom", "equal")
    assert "Packer (stated)" in " ".join(command("demands", "compare", file, other).stdout.split())
    tasks = in_file(tmp_path, "tasks.json", {"tasks": [{**EXAMPLE_4, "name": "inspection"}]})
    written = command("demands", "sheet", file, "--tasks", tasks).stdout
    assert written.startswith("<!doctype html>")
    assert "Order picker" in written
    assert "inspection" in written
    assert_one_sentence(command("demands", "sheet", in_file(tmp_path, "no-job.json", {"title": "canary"})), "basis")


# The contract gate


def test_the_contracts_of_this_checkout_agree(command: Command) -> None:
    ran = command("contracts", "check")
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout == "contracts: all agree\n"
    assert json.loads(command("contracts", "check", "--json").stdout) == []


def test_a_breach_of_contract_is_told_and_exits_with_1(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(root: Path) -> list[str]:
        return ["a finding"]

    monkeypatch.setattr("ops.library.check", found)
    ran = command("contracts", "check")
    assert ran.returncode == 1
    assert ran.stdout == "a finding\ncontracts: 1 findings\n"
