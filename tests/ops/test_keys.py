"""`whp keys` as an operator uses it, on a real PostgreSQL and without any service."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Database
from tests.ops.in_process import Command, assert_one_sentence, whp_in_process

pytestmark = pytest.mark.stack


@pytest.fixture
def command(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`whp` on a database that its address names."""
    environment = {"WHP_KAFKA_BOOTSTRAP": "127.0.0.1:9", "WHP_ADMIN_DATABASE_URL": database.admin, "USER": "op"}
    return whp_in_process(environment, monkeypatch, capsys)


def listed(command: Command, name: str, *more: str) -> list[dict[str, Any]]:
    """The keys of one name, and that a person is shown as many."""
    found = [row for row in json.loads(command("keys", "list", "--json", *more).stdout) if row["name"] == name]
    assert sum(name in line for line in command("keys", "list", *more).stdout.splitlines()) == len(found)
    return found


@pytest.fixture
def clinic() -> str:
    return f"clinic-{uuid4().hex[:8]}"


def test_a_key_is_issued_listed_rotated_and_revoked(command: Command, clinic: str) -> None:
    key = command("keys", "issue", "--clinic", clinic).stdout.strip()
    prefix = key.split("_")[1]
    (row,) = listed(command, clinic)
    assert (row["prefix"], row["kind"], row["status"]) == (prefix, "clinic", "valid")
    assert (row["last_used_on"], row["expires_at"], row["replaced_by"]) == (None, None, None)

    rotated = command("keys", "rotate", f"whp_{prefix}")
    assert "24 more hours" in rotated.stderr
    new = rotated.stdout.strip()
    old_row, new_row = sorted(listed(command, clinic), key=lambda row: row["prefix"] != prefix)
    assert old_row["replaced_by"] == new_row["prefix"] == new.split("_")[1]
    assert old_row["expires_at"] is not None

    revoked = command("keys", "revoke", prefix, "--reason", "the new one is in use")
    assert revoked.stdout == f"the key of clinic {clinic} is revoked\n"
    assert [row["prefix"] for row in listed(command, clinic)] == [new_row["prefix"]]
    gone = next(row for row in listed(command, clinic, "--everything") if row["prefix"] == prefix)
    assert gone["revoked_reason"] == "the new one is in use (by op)"
    everything = (
        command("keys", "list", "--everything").stdout + command("keys", "list", "--everything", "--json").stdout
    )
    for secret in (key, new):
        assert secret not in everything
        assert secret.split("_", 2)[2] not in everything


def test_without_overlap_the_old_key_is_expired_at_once(command: Command, clinic: str) -> None:
    prefix = command("keys", "issue", "--employer", clinic).stdout.split("_")[1]
    rotated = json.loads(command("keys", "rotate", prefix, "--at-once", "--json").stdout)
    assert rotated["overlap_hours"] == 0
    assert [row["prefix"] for row in listed(command, clinic)] == [rotated["key"].split("_")[1]]
    by_prefix = {row["prefix"]: row["status"] for row in listed(command, clinic, "--everything")}
    assert by_prefix[prefix] == "expired"


def test_what_cannot_be_done_is_said_with_the_mend(command: Command, clinic: str) -> None:
    key = command("keys", "issue", "--clinic", clinic).stdout.strip()
    prefix = key.split("_")[1]
    for words, mend in (
        (("issue",), "exactly one of --clinic, --clinician, --employer or --role"),
        (("issue", "--clinic", clinic, "--role", "operations"), "exactly one of"),
        (("issue", "--role", "admin"), "one of operations, console"),
        (("issue", "--clinic", "two words"), "letters, digits"),
        (("rotate", key), "it is in your shell's history now"),
        (("rotate", "none"), "12 hexadecimal digits"),
        (("rotate", "0" * 12), "no key with this prefix"),
        (("revoke", prefix, "--reason", " "), "say why"),
        (("revoke", "0" * 12, "--reason", "x"), "no key with this prefix"),
    ):
        ran = command("keys", *words)
        assert_one_sentence(ran, mend)
        assert key not in ran.stderr
    assert command("keys", "revoke", prefix).returncode == 2, "a reason is not optional"
    assert command("keys", "revoke", prefix, "--reason", "lost").returncode == 0
    assert_one_sentence(command("keys", "revoke", prefix, "--reason", "lost"), "was revoked on")
    assert_one_sentence(command("keys", "rotate", prefix), "issue a new one")
