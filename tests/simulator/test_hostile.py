"""Hostile input is hostile in the way that it says, and regular business passes through untouched and in order."""

from datetime import UTC, date, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import hostile
from simulator.ledger import Sending
from workhardening_contracts.clinic import Session, SessionCorrected, SessionRecorded
from workhardening_contracts.envelope import Envelope, Unreadable, Violation, clinic_source, event_of, read_kafka
from workhardening_contracts.registry import open_closed

REF = UUID("01944000-0000-7000-8000-000000000001")


def session(day: int) -> Envelope:
    held_on = date(2025, 1, day)
    return event_of(
        SessionRecorded(session=Session(held_on=held_on, attendance="attended", hours=4.0)),
        id=f"{REF}.session.{held_on}",
        source=clinic_source("north"),
        subject=REF,
        time=datetime(2025, 1, day, 15, tzinfo=UTC),
    )


WEEK = tuple(Sending(session(day)) for day in (6, 7, 8, 9, 10))


@settings(derandomize=True, deadline=None)
@given(st.integers(), st.floats(0, 1))
def test_sprinkling_keeps_regular_business_whole_and_in_order(seed: int, rate: float) -> None:
    mixed = hostile.sprinkle(WEEK, "harbour", rate, Random(seed))
    assert tuple(sending for sending in mixed if sending.mischief is None) == WEEK
    assert mixed == hostile.sprinkle(WEEK, "harbour", rate, Random(seed))


@settings(derandomize=True, deadline=None)
@given(st.integers())
def test_a_disturbed_week_loses_no_session(seed: int) -> None:
    week = hostile.disturb(WEEK, 1.0, Random(seed))
    sent = [*week.now, *week.late]
    assert {sending.envelope.id for sending in WEEK} <= {sending.envelope.id for sending in sent}
    assert len(sent) in (len(WEEK), len(WEEK) + 1)
    assert [sending for sending in sent if sending.mischief is not None]


def test_a_rate_of_nothing_disturbs_nothing() -> None:
    assert hostile.disturb(WEEK, 0.0, Random(1)) == hostile.Week(WEEK)
    assert hostile.sprinkle(WEEK, "harbour", 0.0, Random(1)) == list(WEEK)


def test_a_correction_names_the_session_that_it_replaces_and_restores_it() -> None:
    corrections = [
        sending
        for seed in range(30)
        for sending in hostile.disturb(WEEK, 1.0, Random(seed)).now
        if sending.mischief == "corrected"
    ]
    event = open_closed(corrections[0].envelope)
    assert isinstance(event.data, SessionCorrected)
    assert event.data.supersedes in {sending.envelope.id for sending in WEEK}
    assert event.data.session.hours == 4.0


def test_a_duplicate_is_the_very_same_event() -> None:
    assert hostile.duplicate(WEEK[0].envelope).envelope == WEEK[0].envelope


def test_a_reused_id_comes_with_another_body_that_keeps_the_contract() -> None:
    sending = hostile.other_body(WEEK[0].envelope)
    assert sending.envelope.id == WEEK[0].envelope.id
    assert sending.envelope.data != WEEK[0].envelope.data
    open_closed(sending.envelope)
    assert (sending.expected, sending.status) == ("reject", 409)


def test_a_violation_breaks_the_contract_under_an_id_of_its_own() -> None:
    sending = hostile.contract_violation(WEEK[0].envelope)
    assert sending.envelope.id != WEEK[0].envelope.id
    with pytest.raises(Violation):
        open_closed(sending.envelope)


def test_a_forged_event_names_the_victims_source() -> None:
    assert hostile.foreign_source(WEEK[0].envelope, "harbour").envelope.source == "/clinics/harbour"


@pytest.mark.parametrize("record", hostile.unreadable(session(6)), ids=lambda record: record.mischief)
def test_none_of_the_unreadable_records_can_be_read(record: hostile.RawRecord) -> None:
    with pytest.raises(Unreadable):
        open_closed(read_kafka(record.key, record.headers, record.value))
