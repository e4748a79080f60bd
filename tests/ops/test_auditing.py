"""`whp audit` as the privacy officer uses it, on a log that is honest and on one that its owner has changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from deploy.local import stack as local
from ops.auditing import accounting_begins
from runtime.db import open_pool
from services.notify.sealer import Progress, seal_new
from tests.ops.in_process import Command, assert_one_sentence, whp_in_process

pytestmark = pytest.mark.stack

Run = Callable[..., Any]


@pytest.fixture
def whp(infrastructure: local.Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return whp_in_process({"COLUMNS": "200"}, monkeypatch, capsys)


@pytest.fixture
def owner(infrastructure: local.Stack) -> Run:
    """A statement by the administrator of the database, with the triggers off."""

    async def run(sql: str, arguments: tuple[Any, ...]) -> Any:
        connection = await asyncpg.connect(infrastructure.database)
        try:
            await connection.execute("SET session_replication_role = replica; SET search_path = notify")
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()

    def change(sql: str, *arguments: Any) -> Any:
        return asyncio.run(run(sql, arguments))

    return change


@pytest.fixture
def employer() -> str:
    return f"e-{uuid4().hex[:8]}"


def disclosed(owner: Run, employer: str, case: UUID, sequence: int = 1, days_ago: int = 0) -> int:
    """One row of the log; its id."""
    return owner(
        "INSERT INTO disclosures"
        " (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256, disclosed_at)"
        " VALUES ($1, $2, $3, $4, 'webhook', '{work_status,attendance}', '{workers_compensation_law,worker_consent}',"
        " sha256(''), $5) RETURNING id",
        *(employer, case, uuid4().hex, sequence, datetime.now(UTC) - timedelta(days=days_ago)),
    )


def sealed(infrastructure: local.Stack) -> None:
    async def run() -> None:
        pool = await open_pool(infrastructure.services["notify"].database, "notify-test")
        await seal_new(pool, Progress(), 0)
        await pool.close()

    asyncio.run(run())


def test_an_honest_log_verifies_and_what_waits_for_its_seal_is_said(
    whp: Command, owner: Run, infrastructure: local.Stack, employer: str
) -> None:
    disclosed(owner, employer, uuid4())
    ran = whp("audit", "verify", "--employer", employer)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("0 sealed disclosures checked: all hold; 1 not sealed yet, the oldest of ")
    sealed(infrastructure)
    said = json.loads(whp("audit", "verify", "--employer", employer, "--json").stdout)
    assert (said["holds"], said["rows"], said["unsealed"]) == (True, 1, 0)


def test_who_looked_at_a_case_is_told_newest_first(whp: Command, owner: Run) -> None:
    case = uuid4()
    assert "nobody looked" in whp("audit", "views", case).stdout
    for what in ("case", "sign_off"):
        owner(
            "INSERT INTO console.views (case_ref, clinic, who, role, what) VALUES ($1, 'north', 'dr', 'clinician', $2)",
            *(case, what),
        )
    assert [row["what"] for row in json.loads(whp("audit", "views", case, "--json").stdout)] == ["sign_off", "case"]
    assert [line.split()[-1] for line in whp("audit", "views", case).stdout.splitlines()] == ["sign_off", "case"]


def test_a_changed_row_is_named_and_the_exit_code_is_1(
    whp: Command, owner: Run, infrastructure: local.Stack, employer: str
) -> None:
    case = uuid4()
    ids = [disclosed(owner, employer, case, number) for number in (1, 2, 3)]
    sealed(infrastructure)
    owner("UPDATE disclosures SET scopes = '{work_status}', bases = '{worker_consent}' WHERE id = $1", ids[1])
    try:
        ran = whp("audit", "verify", "--employer", employer)
        assert ran.returncode == 1
        assert ran.stdout.splitlines()[0].startswith(f"{employer}, number 2 (disclosure {ids[1]}): the row")
        assert "3 sealed disclosures checked: 1 places do not hold" in ran.stdout
        accounting = whp("audit", "worker", case)
        assert accounting.returncode == 1
        assert accounting.stdout.count("NOT AS IT WAS SEALED") == 1
    finally:
        owner(
            "UPDATE disclosures SET scopes = '{work_status,attendance}',"
            " bases = '{workers_compensation_law,worker_consent}' WHERE id = $1",
            ids[1],
        )
    assert whp("audit", "verify", "--employer", employer).returncode == 0


def test_an_earlier_export_shows_a_chain_that_was_rewritten_whole_or_cut(
    whp: Command, owner: Run, infrastructure: local.Stack, employer: str, tmp_path: Path
) -> None:
    case = uuid4()
    for number in (1, 2, 3):
        disclosed(owner, employer, case, number)
    sealed(infrastructure)
    exported = whp("audit", "export", "--employer", employer)
    assert exported.returncode == 0, exported.stderr
    lines = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [line.get("number") for line in lines] == [1, 2, 3, None]
    (head,) = lines[3]["heads"]
    assert (head["number"], head["hash"]) == (3, lines[2]["hash"])
    kept = tmp_path / "export.ndjson"
    kept.write_text(exported.stdout, encoding="utf-8")
    held = whp("audit", "verify", "--employer", employer, "--against", kept)
    assert (held.returncode, "4 kept seals compared: all hold" in held.stdout) == (0, True)

    owner("DELETE FROM disclosure_seals WHERE employer = $1", employer)
    owner("DELETE FROM disclosures WHERE employer = $1 AND sequence = 3", employer)
    owner("UPDATE disclosures SET channel = 'pull' WHERE employer = $1 AND sequence = 2", employer)
    sealed(infrastructure)
    assert whp("audit", "verify", "--employer", employer).returncode == 0, "it holds in itself"
    ran = whp("audit", "verify", "--employer", employer, "--against", kept)
    assert ran.returncode == 1
    assert f"{employer}, number 3: the chain is another than it was" in ran.stdout


def test_an_export_can_be_cut_to_a_time_and_says_what_it_lacks(
    whp: Command, owner: Run, infrastructure: local.Stack, employer: str
) -> None:
    case = uuid4()
    for number, days in ((1, 400), (2, 40), (3, 4)):
        disclosed(owner, employer, case, number, days)
    sealed(infrastructure)
    disclosed(owner, employer, case, 4)
    now = datetime.now(UTC)
    since, until = (f"{now - timedelta(days=days):%Y-%m-%d}" for days in (100, 10))
    ran = whp("audit", "export", "--employer", employer, "--since", since, "--until", until)
    first, last = (json.loads(line) for line in ran.stdout.splitlines())
    assert (first["sequence"], last["heads"][0]["number"]) == (2, 3)
    assert "1 disclosures are not sealed yet" in ran.stderr
    owner("DELETE FROM disclosures WHERE employer = $1 AND sequence = 1", employer)
    ran = whp("audit", "export", "--employer", employer)
    assert ran.returncode == 1
    assert "1 disclosures were sealed and are not there any more" in ran.stderr
    owner("DELETE FROM disclosure_seals WHERE employer = $1", employer)
    owner("DELETE FROM disclosures WHERE employer = $1", employer)


def test_a_workers_accounting_names_when_to_whom_what_and_why_for_six_years(
    whp: Command, owner: Run, infrastructure: local.Stack, employer: str
) -> None:
    case, other = uuid4(), uuid4()
    disclosed(owner, employer, case, 1, 7 * 366)
    disclosed(owner, employer, case, 2, 5 * 365)
    disclosed(owner, f"{employer}-two", other, 1, 3)
    sealed(infrastructure)
    ran = whp("audit", "worker", case, other)
    assert ran.returncode == 0, ran.stderr
    assert "Accounting of disclosures (45 CFR 164.528)" in ran.stdout
    assert f"to {employer}, by webhook, case {case}" in ran.stdout
    assert "work status with dates and restrictions; on the basis of workers_compensation_law" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "2 disclosures"
    said = json.loads(whp("audit", "worker", case, "--since", "2000-01-01", "--json").stdout)["disclosures"]
    assert [each["seal"] for each in said] == ["holds", "holds"]
    assert said[0]["told"][1] == {"scope": "attendance", "basis": "worker_consent"}
    assert whp("audit", "worker", uuid4()).stdout.splitlines()[-1] == "nothing was disclosed"


def test_a_worker_is_found_by_the_employers_key_and_after_an_erasure_by_the_case(
    whp: Command, owner: Run, employer: str
) -> None:
    case = uuid4()
    state = json.dumps({"phase": "known", "employer": employer, "employee_key": "E-7"})
    owner(
        "INSERT INTO cases (case_ref, partition, version, state) VALUES ($1, 0, 1, $2::jsonb)",
        *(case, state),
    )
    disclosed(owner, employer, case)
    by_key = ("audit", "worker", "--employer", employer, "--employee-key", "E-7")
    assert whp(*by_key).stdout.splitlines()[-1] == "1 disclosures"
    owner("UPDATE cases SET state = NULL, erased = true WHERE case_ref = $1", case)
    assert_one_sentence(whp(*by_key), "an erased one is found only so")
    assert whp("audit", "worker", case).stdout.splitlines()[-1] == "1 disclosures"
    owner("DELETE FROM cases WHERE case_ref = $1", case)


@pytest.mark.parametrize(
    "words", [(), ("--employer", "acme"), ("--employee-key", "E-7"), (str(uuid4()), "--employer", "acme")]
)
def test_a_worker_that_is_not_named_is_asked_for(whp: Command, words: tuple[str, ...]) -> None:
    assert_one_sentence(whp("audit", "worker", *words), "name the worker's cases")


@pytest.mark.parametrize("content", [None, b"", b'{"employer": "acme"}\n', b"no json\n", b"\xff\xfe"])
def test_a_file_without_seals_is_neither_yes_nor_no(whp: Command, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "kept"
    if content is not None:
        file.write_bytes(content)
    ran = whp("audit", "verify", "--against", file)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr


def test_six_years_back_is_the_same_day() -> None:
    assert accounting_begins(datetime(2026, 11, 25, 8, tzinfo=UTC)) == datetime(2020, 11, 25, tzinfo=UTC)
    assert accounting_begins(datetime(2028, 2, 29, 8, tzinfo=UTC)) == datetime(2022, 2, 28, tzinfo=UTC)
