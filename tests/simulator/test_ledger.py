"""The ledger: what was sent, what came of it, and what of that was not expected."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from simulator.ledger import Ledger, RawRecord, Sending
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import Envelope, clinic_source, event_of

REF = UUID("01944000-0000-7000-8000-000000000001")


def closing(id_: str = "closed.1") -> Envelope:
    return event_of(
        DayClosed(through=date(2025, 1, 12)),
        id=id_,
        source=clinic_source("north"),
        subject=REF,
        time=datetime(2025, 1, 12, 23, tzinfo=UTC),
    )


def test_what_is_accepted_as_expected_is_no_surprise() -> None:
    ledger = Ledger()
    ledger.sent(Sending(closing()), "north", "http", 202, 1)
    ledger.sent(Sending(closing(), "duplicate", "duplicate"), "north", "http", 202, 3)
    ledger.sent(Sending(closing(), "reject", "reused_id", 409), "north", "http", 409, 1)
    ledger.sent(Sending(closing("closed.2")), "north", "kafka", None, 1)
    assert ledger.surprises() == []
    assert [entry.attempts for entry in ledger.entries] == [1, 3, 1, 1]


def test_another_answer_than_expected_is_a_surprise() -> None:
    ledger = Ledger()
    ledger.sent(Sending(closing()), "north", "http", 422, 1)
    ledger.sent(Sending(closing(), "reject", "reused_id", 409), "north", "http", 202, 1)
    assert [entry.answer for entry in ledger.surprises()] == [422, 202]


def test_regular_business_that_is_refused_later_is_a_surprise() -> None:
    ledger = Ledger()
    ledger.sent(Sending(closing()), "north", "http", 202, 1)
    ledger.refused("/clinics/north", "closed.1", "case_closed")
    assert [entry.refused for entry in ledger.surprises()] == ["case_closed"]


def test_what_should_be_refused_by_its_judge_is_a_surprise_until_it_is() -> None:
    ledger = Ledger()
    ledger.sent(Sending(closing(), "reject", "second_session"), "north", "http", 202, 1)
    assert len(ledger.surprises()) == 1
    ledger.refused("/clinics/north", "closed.1", "session_exists")
    assert ledger.surprises() == []


def test_a_refusal_that_is_heard_before_the_answer_counts() -> None:
    ledger = Ledger()
    ledger.refused("/clinics/north", "closed.1", "session_exists")
    ledger.sent(Sending(closing(), "reject", "second_session"), "north", "http", 202, 2)
    assert ledger.surprises() == []


def test_a_clinic_listens_until_all_its_refusals_were_heard() -> None:
    ledger = Ledger()
    ledger.sent(Sending(closing(), "reject", "reused_id", 409), "north", "http", 409, 1)
    assert not ledger.unanswered("north")
    ledger.sent(Sending(closing("closed.2"), "reject", "violation", 422), "north", "kafka", None, 1)
    assert ledger.unanswered("north")
    assert not ledger.unanswered("harbour")
    ledger.refused("/clinics/north", "closed.2", "contract.extra_forbidden")
    assert not ledger.unanswered("north")


def test_over_kafka_a_forged_source_and_a_reused_id_are_dead_letters() -> None:
    ledger = Ledger()
    for status in (403, 409, 422):
        ledger.sent(Sending(closing(), "reject", "any", status), "north", "kafka", None, 1)
    assert [entry.expected for entry in ledger.entries] == ["dead_letter", "dead_letter", "reject"]


def test_each_answer_is_a_line_of_the_file_as_soon_as_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.sent(Sending(closing()), "north", "http", 202, 1)
        assert json.loads(path.read_text())["id"] == "closed.1"
        ledger.sent(RawRecord("closed.1.nan", "nan", b"k", (), b"{"), "north", "kafka", None, 1)
        ledger.closed("north", "2025-01-12", 202, 1)
        ledger.refused("/clinics/north", "closed.1", "case_closed")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["what"] for line in lines] == ["sent", "sent", "day_closed", "refused"]
    assert lines[1]["expected"] == "dead_letter"
    assert "data" not in lines[0]
