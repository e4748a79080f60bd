"""What the checker says of the disclosure log's chain, which notify seals by code of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.torture.checker_world import sealed
from torture.checks.chain import check
from torture.evidence import Evidence

Spoil = Callable[[Evidence], None]
CASE = "01955b2e-8c00-7a10-8b1e-5d2f6c3a9e01"
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def log() -> Evidence:
    """Three disclosures to acme (ids 1, 3, 5) and three to beta, all sealed."""
    disclosures: list[Any] = [
        {
            "id": nth, "employer": ("beta", "acme")[nth % 2], "case_ref": CASE, "event_id": f"é-{nth}", "sequence": nth,
            "channel": "webhook", "scopes": ["work_status"], "bases": ["worker_consent"], "body_sha256": bytes(32),
            "disclosed_at": AT + timedelta(seconds=nth), "age": 600.0,
        }
        for nth in range(1, 7)
    ]  # fmt: skip
    return Evidence([], {}, disclosures=disclosures, seals=sealed(disclosures))


def row(evidence: Evidence, id: int) -> Any:
    return next(each for each in evidence.disclosures if each["id"] == id)


def seal(evidence: Evidence, id: int) -> Any:
    """The seal of a disclosure."""
    return next(each for each in evidence.seals if each["disclosure_id"] == id)


def test_a_chain_as_notify_seals_it_holds_wherever_the_clock_that_reads_it_is() -> None:
    evidence = log()
    assert check(evidence) == []
    row(evidence, 1)["disclosed_at"] = row(evidence, 1)["disclosed_at"].astimezone(timezone(timedelta(hours=9)))
    assert check(evidence) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"case_ref": "01955b2e-8c00-7a10-8b1e-5d2f6c3a9e02"},
        {"event_id": "e-1"},
        {"sequence": 9},
        {"channel": "pull"},
        {"scopes": ["work_status", "attendance"]},
        {"bases": []},
        {"body_sha256": b"\1" * 32},
        {"disclosed_at": AT},
        {"employer": "beta"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_column_that_is_changed_is_found_at_its_row_and_at_no_row_after_it(changed: dict[str, Any]) -> None:
    evidence = log()
    row(evidence, 3).update(changed)
    (found,) = check(evidence)
    assert (found.invariant, found.text) == ("I8", "number 2 of acme is not what was sealed")


def remove_a_row(evidence: Evidence) -> None:
    evidence.disclosures.remove(row(evidence, 3))


def remove_a_row_with_its_seal(evidence: Evidence) -> None:
    evidence.seals.remove(seal(evidence, 3))
    remove_a_row(evidence)


def insert_a_row_with_a_seal(evidence: Evidence) -> None:
    evidence.disclosures.append({**row(evidence, 3), "id": 7})
    evidence.seals.append({**seal(evidence, 3), "disclosure_id": 7})


def break_a_link(evidence: Evidence) -> None:
    seal(evidence, 3)["hash"] = bytes(32)


def seal_again_what_was_changed(evidence: Evidence) -> None:
    """The row and its own seal, not those after it."""
    row(evidence, 3)["bases"] = []
    seal(evidence, 3)["hash"] = next(s for s in sealed(evidence.disclosures) if s["disclosure_id"] == 3)["hash"]


def change_when_it_was_sealed(evidence: Evidence) -> None:
    seal(evidence, 3)["sealed_at"] -= timedelta(days=1)


def exchange_two_rows(evidence: Evidence) -> None:
    first, second = seal(evidence, 1), seal(evidence, 3)
    first["disclosure_id"], second["disclosure_id"] = 3, 1


def seal_twice(evidence: Evidence) -> None:
    again = dict(next(s for s in sealed([*evidence.disclosures, row(evidence, 3)]) if s["number"] == 4))
    evidence.seals.append(again)


def seal_nothing(evidence: Evidence) -> None:
    evidence.seals = [each for each in evidence.seals if each["employer"] != "acme"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (remove_a_row, ["number 2 of acme seals a disclosure that is gone"]),
        (remove_a_row_with_its_seal, ["the chain of acme has number 3 after 1"]),
        (insert_a_row_with_a_seal, ["the chain of acme has number 2 after 2"]),
        (break_a_link, ["number 2 of acme is not what was sealed", "number 3 of acme is not what was sealed"]),
        (seal_again_what_was_changed, ["number 3 of acme is not what was sealed"]),
        (change_when_it_was_sealed, ["number 2 of acme is not what was sealed"]),
        (exchange_two_rows, ["number 1 of acme is not what was sealed", "number 2 of acme is not what was sealed"]),
        (seal_twice, ["a disclosure to acme is sealed twice"]),
        (seal_nothing, ["a disclosure to acme has no seal after 600 s"] * 3),
    ],
)
def test_what_was_done_to_the_chain_is_named_where_it_was_done(spoil: Spoil, said: list[str]) -> None:
    evidence = log()
    spoil(evidence)
    assert [found.text for found in check(evidence)] == said


def test_a_disclosure_that_is_younger_than_a_minute_may_be_without_its_seal() -> None:
    evidence = log()
    evidence.seals.remove(seal(evidence, 5))
    row(evidence, 5)["age"] = 59.0
    assert check(evidence) == []
