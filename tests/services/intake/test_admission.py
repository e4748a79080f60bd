"""What the front door lets in, and how receipts, the broker and retries go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.relay import PublishFailed
from services.intake.admission import IN_FLIGHT, admit
from services.intake.screening import ALL_CASES, MAX_BODY, Refused, close_all, digest, expand, screen
from tests.services.intake.cases import CASE, NOON, TODAY, assessed, referral
from tests.services.intake.desk import KEY, TRACE, MemoryBroker, MemoryReceipts, desk_of
from workhardening_contracts.clinic import DayClosed, ReferralReceived, Session, SessionCorrected, SessionRecorded
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, event_of
from workhardening_contracts.intake import ConsentChanged

MIDNIGHT = datetime.combine(TODAY, datetime.min.time(), UTC)


def sent(event: EventData | None = None, /, **changes: Any) -> Envelope:
    envelope = event_of(event or assessed(), id="a1", source="/clinics/north", subject=CASE, time=NOON)
    return replace(envelope, **changes)


def refusal(envelope: Envelope, clinic: str = "north", now: datetime = NOON) -> Refused:
    with pytest.raises(Refused) as refused:
        screen(envelope, clinic, now)
    return refused.value


# Screening


def test_a_clinics_own_event_is_let_in() -> None:
    assert screen(sent(), "north", NOON).data == assessed()


def test_another_clinics_source_is_refused_before_anything_is_read() -> None:
    refused = refusal(sent(source="/clinics/south"))
    assert (refused.status, refused.code, refused.field) == (403, "foreign_source", "/source")
    assert refusal(replace(sent(), source="/clinics/northwest")).code == "foreign_source"


def test_only_types_that_clinics_publish_are_let_in() -> None:
    ours = sent(ConsentChanged(clinic="north", grants=()))
    assert (refusal(ours).status, refusal(ours).code) == (422, "contract.unknown_type")
    assert refusal(sent(type="org.example.unheard.of.v1")).code == "contract.unknown_type"


def test_a_breach_of_the_contract_names_its_field_and_never_its_value() -> None:
    body = json.dumps({"assessed_on": "2026-03-02", "baseline_pain": 77, "CANARY": 1}).encode()
    refused = refusal(sent(data=body))
    assert refused.status == 422
    assert refused.field == "/baseline_pain"
    misspelt = refusal(sent(data=b'{"assessed_on": "2026-03-02", "postur": []}'))
    assert (misspelt.code, misspelt.field) == ("contract.extra_forbidden", "/postur")
    assert "77" not in refused.detail
    assert "CANARY" not in refused.detail


@pytest.mark.parametrize("body", [b"{", b'{"a":1,"a":2}', b"[" * 30_000, b'{"a":1e400}', b'{"a":NaN}', b"\xff\xfe"])
def test_json_that_is_no_json_is_refused(body: bytes) -> None:
    refused = refusal(sent(data=body))
    assert refused.status == 422
    assert refused.code.startswith("json.")


def test_data_over_the_cap_is_refused_wherever_it_comes_from() -> None:
    assert refusal(sent(data=b" " * (MAX_BODY + 1))).status == 413


@pytest.mark.parametrize(
    ("time", "let_in"),
    [
        (NOON + timedelta(days=1), True),
        (NOON + timedelta(days=1, seconds=1), False),
        (NOON + timedelta(days=3650), False),
        (datetime(2000, 1, 1, tzinfo=UTC), True),
        (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), False),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), False),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12))), False),
    ],
)
def test_a_time_is_between_2000_and_a_day_ahead(time: datetime, let_in: bool) -> None:
    if let_in:
        assert screen(sent(time=time), "north", NOON).time == time
    else:
        assert refusal(sent(time=time)).code == "time_out_of_range"


def held(day: date) -> Session:
    return Session(held_on=day, attendance="attended", hours=2.0)


def closing(day: date) -> EventData:
    return DayClosed(through=day)


def recording(day: date) -> EventData:
    return SessionRecorded(session=held(day))


def correcting(day: date) -> EventData:
    return SessionCorrected(supersedes="s1", session=held(day))


@pytest.mark.parametrize(
    ("data", "field"), [(closing, "/through"), (recording, "/session/held_on"), (correcting, "/session/held_on")]
)
def test_a_day_that_has_not_come_is_neither_closed_nor_held(data: Callable[[date], EventData], field: str) -> None:
    tomorrow = TODAY + timedelta(days=1)
    assert screen(sent(data(tomorrow)), "north", NOON)
    for ahead in (tomorrow + timedelta(days=1), date(9999, 12, 31)):
        refused = refusal(sent(data(ahead)))
        assert (refused.status, refused.code, refused.field) == (422, "date_to_come", field)


def test_what_only_our_services_may_say_is_taken_off() -> None:
    forged = sent(sequence=9, causationid="/services/progress#x", policyversion="mine-1", traceparent=TRACE)
    taken = screen(forged, "north", NOON).envelope
    assert (taken.sequence, taken.causationid, taken.policyversion) == (None, None, None)
    assert taken.traceparent == TRACE


def test_only_a_closed_day_may_be_said_of_all_cases() -> None:
    assert refusal(sent(subject=ALL_CASES)).code == "nil_subject"
    assert screen(sent(DayClosed(through=TODAY), subject=ALL_CASES), "north", NOON)


# Digests and expansion


def test_spacing_and_the_order_of_keys_make_no_other_event() -> None:
    one = sent(data=b'{"assessed_on":"2026-03-02","baseline_pain":3}')
    same = sent(data=b'{ "baseline_pain": 3, "assessed_on": "2026-03-02" }')
    assert digest(one, KEY) == digest(same, KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": b'{"assessed_on":"2026-03-03"}'},
        {"time": NOON + timedelta(seconds=1)},
        {"subject": UUID(int=7)},
        {"type": DayClosed.TYPE},
    ],
)
def test_another_body_time_case_or_type_is_another_event(changes: dict[str, Any]) -> None:
    base = sent(data=b'{"assessed_on":"2026-03-02"}')
    assert digest(replace(base, **changes), KEY) != digest(base, KEY)


def test_a_digest_cannot_be_guessed_without_the_key() -> None:
    assert digest(sent(), KEY) != digest(sent(), bytes(32))


def test_a_day_closed_for_all_is_one_event_for_each_case_and_the_same_every_time() -> None:
    cases = [UUID(int=number) for number in (1, 2, 3)]
    record = replace(close_all("north", TODAY), traceparent=TRACE)
    each = expand(record, TODAY, cases, NOON)
    assert [envelope.subject for envelope in each] == cases
    assert {envelope.traceparent for envelope in each} == {TRACE}
    assert len({envelope.id for envelope in each}) == 3
    by_kafka = expand(sent(DayClosed(through=TODAY), subject=ALL_CASES), TODAY, cases, NOON)
    assert [(e.id, digest(e, KEY)) for e in by_kafka] == [(e.id, digest(e, KEY)) for e in each]
    other = expand(replace(record, source="/clinics/south"), TODAY, cases, NOON)
    assert not {e.id for e in other} & {e.id for e in each}


def test_a_day_to_come_cannot_be_closed() -> None:
    record = sent(DayClosed(through=TODAY), subject=ALL_CASES)
    assert expand(record, TODAY, [CASE], MIDNIGHT)
    with pytest.raises(Refused) as refused:
        expand(record, TODAY + timedelta(days=2), [CASE], NOON)
    assert (refused.value.code, refused.value.field) == ("time_out_of_range", "/through")


@given(st.dates(date(2020, 1, 1), date(2026, 3, 1)), st.lists(st.uuids(), max_size=5, unique=True))
@settings(derandomize=True, deadline=None)
def test_what_is_expanded_is_let_in_itself(day: date, cases: list[UUID]) -> None:
    for envelope in expand(close_all("north", day), day, cases, NOON):
        assert screen(envelope, "north", NOON).data == DayClosed(through=day)


@given(st.binary(max_size=200), st.sampled_from([ReferralReceived.TYPE, DayClosed.TYPE]))
@settings(derandomize=True, deadline=None)
def test_any_bytes_are_let_in_or_refused_and_nothing_else(body: bytes, type_: str) -> None:
    status = 202
    try:
        screen(sent(data=body, type=type_), "north", NOON)
    except Refused as refused:
        status = refused.status
    assert status in {202, 422}


# Receipts and the broker


async def test_an_event_is_answered_after_the_broker_has_it() -> None:
    receipts, broker = MemoryReceipts(), MemoryBroker()
    admitted = await admit(desk_of(receipts, broker), "north", sent(), NOON)
    assert (admitted.id, admitted.events, admitted.repeated) == ("a1", 1, 0)
    assert [(topic, envelope.id) for topic, envelope in broker.sent] == [("clinic.events.v1", "a1")]
    assert receipts.rows["/clinics/north", "a1"].status == "accepted"


async def test_a_retry_produces_again_and_answers_the_same() -> None:
    receipts, broker = MemoryReceipts(), MemoryBroker()
    desk = desk_of(receipts, broker)
    first = await admit(desk, "north", sent(), NOON)
    again = await admit(desk, "north", sent(), NOON + timedelta(hours=1))
    assert (again.id, again.source, again.repeated) == (first.id, first.source, 1)
    assert len(broker.sent) == 2


async def test_the_same_id_with_another_body_is_refused_and_not_produced() -> None:
    receipts, broker = MemoryReceipts(), MemoryBroker()
    desk = desk_of(receipts, broker)
    await admit(desk, "north", sent(), NOON)
    with pytest.raises(Refused) as refused:
        await admit(desk, "north", sent(ReferralReceived(referral=referral())), NOON)
    assert (refused.value.status, refused.value.code) == (409, "id_reused")
    assert len(broker.sent) == 1


async def test_a_receipt_stays_pending_until_the_broker_has_the_event() -> None:
    receipts, broker = MemoryReceipts(), MemoryBroker(failures=1)
    desk = desk_of(receipts, broker)
    with pytest.raises(PublishFailed):
        await admit(desk, "north", sent(), NOON)
    assert receipts.rows["/clinics/north", "a1"].status == "pending"
    await admit(desk, "north", sent(), NOON)
    assert receipts.rows["/clinics/north", "a1"].status == "accepted"


async def test_a_refused_event_leaves_no_receipt() -> None:
    receipts, broker = MemoryReceipts(), MemoryBroker()
    with pytest.raises(Refused):
        await admit(desk_of(receipts, broker), "south", sent(), NOON)
    assert (receipts.rows, broker.sent) == ({}, [])


async def test_closing_a_day_reaches_every_open_case_of_that_clinic_only() -> None:
    cases = [UUID(int=number + 1) for number in range(IN_FLIGHT + 7)]
    receipts, broker = MemoryReceipts(open={"north": cases, "south": [UUID(int=999)]}), MemoryBroker()
    desk = desk_of(receipts, broker)
    closed = await admit(desk, "north", close_all("north", TODAY), NOON)
    assert (closed.events, closed.repeated) == (len(cases), 0)
    assert [envelope.subject for _, envelope in broker.sent] == cases
    assert {held.status for held in receipts.rows.values()} == {"accepted"}
    again = await admit(desk, "north", close_all("north", TODAY), NOON)
    assert (again.events, again.repeated) == (len(cases), len(cases))


async def test_a_day_closed_while_the_broker_is_away_can_be_closed_again() -> None:
    receipts, broker = MemoryReceipts(open={"north": [UUID(int=1), UUID(int=2)]}), MemoryBroker(failures=1)
    desk = desk_of(receipts, broker)
    with pytest.raises(PublishFailed):
        await admit(desk, "north", close_all("north", TODAY), NOON)
    assert {held.status for held in receipts.rows.values()} == {"pending"}
    closed = await admit(desk, "north", close_all("north", TODAY), NOON)
    assert closed.events == 2
    assert {held.status for held in receipts.rows.values()} == {"accepted"}
