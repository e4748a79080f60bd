"""What an operator reads of parked cases, dead letters and the outbox, on tables that a test has filled."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from ops.target import in_schema
from tests.conftest import Database
from tests.ops.in_process import Command, assert_one_sentence, whp_in_process
from tests.runtime.toy import DIGEST_KEY

pytestmark = pytest.mark.stack


@pytest.fixture
def whp(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`whp` on the module's database; nothing here asks Kafka."""
    return whp_in_process(
        {
            "WHP_KAFKA_BOOTSTRAP": "127.0.0.1:9", "WHP_ADMIN_DATABASE_URL": database.admin,
            "WHP_DIGEST_KEY": DIGEST_KEY, "COLUMNS": "120",
        },
        monkeypatch,
        capsys,
    )  # fmt: skip


def execute(database: Database, schema: str, query: str, *arguments: Any) -> None:
    """As the administrator, in a loop of its own: the commands run theirs."""

    async def run() -> None:
        connection = await asyncpg.connect(in_schema(database.admin, schema))
        try:
            await connection.execute(query, *arguments)
        finally:
            await connection.close()

    asyncio.run(run())


def park(database: Database, service: str, case: UUID, offset: int, reason: str) -> None:
    """A parked record, as the runtime leaves it, of an event that cannot be read."""
    execute(
        database,
        service,
        "INSERT INTO cases (case_ref, partition, version, parked) VALUES ($1, 0, 1, 1)"
        " ON CONFLICT (case_ref) DO UPDATE SET version = cases.version + 1, parked = cases.parked + 1",
        case,
    )
    execute(
        database,
        service,
        'INSERT INTO parked (case_ref, topic, partition, "offset", recorded, key, value, headers, source, event_id,'
        " reason)"
        " VALUES ($1, 'intake.events.v1', 0, $2, now(), $3, 'no event', '[]', 'kafka:intake.events.v1', $4, $5)",
        case,
        offset,
        str(case).encode(),
        f"0/{offset}",
        reason,
    )
    execute(database, service, "INSERT INTO partitions VALUES (0) ON CONFLICT DO NOTHING")


def test_a_parked_case_is_listed_with_its_first_reason_and_what_is_cut_off_is_said(
    database: Database, whp: Command
) -> None:
    case, other = uuid4(), uuid4()
    park(database, "planning", case, 1, "envelope.structured")
    park(database, "planning", case, 2, "behind_parked")
    park(database, "planning", other, 3, "handler.KeyError")
    listed = whp("parked", "list")
    (line,) = [line for line in listed.stdout.splitlines() if str(case) in line]
    assert "2 records since 20" in line
    assert "UTC" in line
    assert line.endswith("envelope.structured")
    assert listed.stderr == ""
    assert "--limit shows more" in whp("parked", "list", "--limit", "1").stderr


def test_a_retry_in_vain_exits_with_1_and_says_the_two_ways_on(database: Database, whp: Command) -> None:
    case = uuid4()
    park(database, "planning", case, 11, "envelope.structured")
    retried = whp("parked", "retry", case)
    assert retried.returncode == 1
    assert retried.stdout.startswith("planning: 0 folded, 1 left, the first fails with envelope.")
    assert "mend the cause" in retried.stderr
    assert "whp parked discard" in retried.stderr
    as_data = whp("parked", "retry", case, "--json")
    (row,) = json.loads(as_data.stdout)
    assert (as_data.returncode, row["service"], row["folded"], row["left"]) == (1, "planning", 0, 1)
    assert as_data.stderr == ""


def test_a_retry_of_what_is_not_parked_says_so(whp: Command) -> None:
    case = uuid4()
    retried = whp("parked", "retry", case)
    assert (retried.returncode, retried.stdout) == (0, f"nothing of case {case} is parked\n")
    assert json.loads(whp("parked", "retry", case, "--json").stdout) == []


@pytest.mark.parametrize("reason", ["", "  "])
def test_nothing_is_given_up_without_a_reason(database: Database, whp: Command, reason: str) -> None:
    case = uuid4()
    park(database, "planning", case, 21 + len(reason), "envelope.structured")
    assert_one_sentence(whp("parked", "discard", case, "--service", "planning", "--reason", reason), "say why")
    assert whp("parked", "show", case).returncode == 0, "it is there still"


def test_a_dead_letter_shows_what_a_stranger_wrote_without_letting_it_steer_the_terminal(
    database: Database, whp: Command
) -> None:
    headers = [["ce_id", "\x1b[2Jgone\r\n\u202eback".encode().hex()], ["ce_type", None], ["bad", "ff41"]]
    execute(
        database,
        "intake",
        'INSERT INTO dead_letter (topic, partition, "offset", key, value, headers, reason)'
        " VALUES ('clinic.events.v1', 3, 7, $1, $2, $3, 'envelope.missing')",
        b"k\x07ey",
        "pain\x9b\n".encode(),
        json.dumps(headers),
    )
    (line,) = whp("dead-letters", "list").stdout.splitlines()
    assert "clinic.events.v1 3 7  envelope.missing" in line, "as `show` takes it"
    shown = whp("dead-letters", "show", "clinic.events.v1", 3, 7)
    assert r"header       ce_id: \x1b[2Jgone\r\n\u202eback" in shown.stdout.splitlines()
    assert "header       ce_type: null" in shown.stdout.splitlines()
    assert r"header       bad: \xffA" in shown.stdout.splitlines()
    assert "pain" not in shown.stdout
    assert r"pain\x9b\n" in whp("dead-letters", "show", "clinic.events.v1", 3, 7, "--value").stdout


def test_the_outbox_tells_what_is_held_and_why_until_it_is_released(database: Database, whp: Command) -> None:
    row = "INSERT INTO outbox (topic, case_ref, headers, value, held) VALUES ($1, $2, '{}', '', $3)"
    assert whp("outbox", "list").stdout == "everything is published\n"
    execute(database, "progress", row, "progress.events.v1", uuid4(), "TopicAuthorizationFailedError")
    execute(database, "progress", row, "progress.events.v1", uuid4(), None)
    first, second = sorted(whp("outbox", "list").stdout.splitlines(), key=len)
    assert first.startswith("progress  progress.events.v1  1 rows since 20")
    assert second.endswith("held: TopicAuthorizationFailedError")
    assert {entry["held"] for entry in json.loads(whp("outbox", "list", "--json").stdout)} == {
        None,
        "TopicAuthorizationFailedError",
    }
    assert "progress: 1 rows released" in whp("outbox", "release").stderr
    (line,) = whp("outbox", "list").stdout.splitlines()
    assert "2 rows" in line
    assert "held" not in line
