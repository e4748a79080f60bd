"""What is accepted and why it is refused, and what is said of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from services.intake.consultations import told
from services.intake.consultations.booking import Wish, decide, give_back, marks, referral_of
from services.intake.policy import Policy
from services.intake.screening import Refused, digest
from tests.services.intake.cases import referral
from tests.services.intake.consultations.people import HOURS, NOW, STARTS, booking, wish
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, read_kafka, write_kafka
from workhardening_contracts.registry import INTAKE_TOPIC, open_closed

POLICY = Policy()
SECRET = bytes(32)


def refusal(asked: Wish, now: Any = NOW, policy: Policy = POLICY) -> str:
    with pytest.raises(Refused) as refused:
        decide(asked, HOURS, now, policy)
    return refused.value.code


def test_a_time_that_is_offered_is_booked_with_all_that_will_happen_of_it() -> None:
    times = decide(wish(), HOURS, NOW, POLICY)
    assert (times.slot.starts, times.slot.ends) == (STARTS, STARTS + timedelta(minutes=30))
    assert times.cancel_until == STARTS - timedelta(hours=12)
    assert times.remind_at == STARTS - timedelta(hours=24)
    assert times.kept_until == times.slot.ends + timedelta(days=30)


def test_whoever_books_within_the_last_day_is_not_reminded() -> None:
    assert decide(wish(), HOURS, STARTS - timedelta(hours=24), POLICY).remind_at is None
    assert decide(wish(), HOURS, STARTS - timedelta(hours=25), POLICY).remind_at is not None


@pytest.mark.parametrize(
    ("off", "code"),
    [
        (timedelta(minutes=15), "time_not_offered"),
        (timedelta(seconds=1), "time_not_offered"),
        (timedelta(hours=3), "time_not_offered"),
        (timedelta(days=1), "time_not_offered"),
        (timedelta(days=-14), "too_soon"),
        (timedelta(days=70), "too_far"),
    ],
)
def test_a_time_that_is_not_offered_is_refused(off: timedelta, code: str) -> None:
    assert refusal(wish(starts_at=STARTS + off)) == code


def test_the_notice_is_to_the_second() -> None:
    decide(wish(), HOURS, STARTS - timedelta(hours=12), POLICY)
    assert refusal(wish(), STARTS - timedelta(hours=12) + timedelta(seconds=1)) == "too_soon"
    decide(wish(), HOURS, STARTS - timedelta(minutes=1), Policy(consultation_notice_hours=0))


def test_a_person_can_cancel_until_the_deadline_and_not_a_second_longer() -> None:
    held = booking()
    give_back(held, held.cancel_until)
    with pytest.raises(Refused, match="too_late_to_cancel"):
        give_back(held, held.cancel_until + timedelta(seconds=1))


def test_the_same_request_has_the_same_token_and_any_other_another() -> None:
    first = marks(wish(), "a" * 16, SECRET)
    assert marks(wish(), "a" * 16, SECRET) == first
    others = [
        marks(wish(name="Sam"), "a" * 16, SECRET),
        marks(wish(), "b" * 16, SECRET),
        marks(wish(), "a" * 16, bytes(31) + b"1"),
    ]
    assert len({first.token, *(other.token for other in others)}) == 4
    assert others[0].key == first.key, "which is how another body under the same key is noticed"


@pytest.mark.parametrize("changed", [{"name": "A\nB"}, {"name": ""}, {"contact": "x" * 201}, {"zone": "Mars/Olympus"}])
def test_a_wish_that_cannot_be_kept_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        wish(**changed)


def test_a_booking_is_referred_as_the_same_event_each_time() -> None:
    held = booking()
    first, again = (referral_of(held, referral(), NOW) for _ in range(2))
    assert digest(first, SECRET) == digest(again, SECRET)
    assert (first.subject, first.source, first.id) == (held.id, "/clinics/north", f"consultation-{held.id}")


def test_what_was_cancelled_is_not_referred() -> None:
    with pytest.raises(Refused, match="booking_cancelled"):
        referral_of(booking(status="cancelled"), referral(), NOW)


def read(envelope: Envelope) -> EventData:
    return open_closed(read_kafka(*write_kafka(envelope))).data


def test_the_clinic_is_told_when_and_with_whom_and_never_who() -> None:
    held = booking(name="CANARY name", contact="CANARY 555", zone="Pacific/Apia")
    said = [told.booked(held), told.cancelled(held, "clinic", NOW), told.reminder_due(held, NOW)]
    assert {each.topic for each in said} == {INTAKE_TOPIC}
    assert len({each.envelope.id for each in said}) == 3
    for each in said:
        data: Any = read(each.envelope)
        assert (data.clinic, data.starts_at, data.ends_at) == ("north", "2026-03-10T08:00:00Z", "2026-03-10T08:30:00Z")
        assert not any(word in repr(write_kafka(each.envelope)) for word in ("CANARY", "Apia"))
