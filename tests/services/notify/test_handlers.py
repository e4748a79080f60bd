"""Given a case, when an event arrives, then: who is told what."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.rows import DeliveryRow, FeedRow, MessageRow, RemoveCase, Withhold
from services.notify.state import Heard, Known
from tests.services.notify.cases import (
    CASE,
    CLINIC,
    ELIGIBLE,
    EMPLOYER,
    IN_PROGRAM,
    LIMIT,
    MONDAY,
    TABLE,
    assessed,
    closed,
    consent,
    event,
    given,
    grant,
    identity,
    judged,
    known,
    only,
    opened,
    plan,
    readiness_revoked,
    ready,
    rejected,
    revised,
    revoke,
    told,
    updates,
    when,
    withdraw_case,
    withdraw_readiness,
)
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.envelope import Event, read_structured
from workhardening_contracts.intake import (
    CaseDeclined,
    ConsultationBooked,
    ConsultationCancelled,
    ConsultationReminderDue,
    InformationNeeded,
)
from workhardening_contracts.progress import CaseEscalated, WeekAdvanced
from workhardening_contracts.readiness import ReadinessUpdated


def test_a_plan_tells_the_employer_that_the_worker_is_in_the_program_until_its_planned_end() -> None:
    _, rows = given(IN_PROGRAM)
    update: ReadinessUpdated = only(updates(rows))
    assert (update.status, update.outcome, update.sequence, update.previous_sequence) == ("unable", "in_program", 1, 0)
    assert update.effective_through == MONDAY + timedelta(days=55)
    assert update.employee_key == "E-42"


def test_an_update_is_an_event_of_its_own_with_an_id_that_follows_from_the_case() -> None:
    _, rows = given(IN_PROGRAM)
    row: DeliveryRow = only([row for row in rows if isinstance(row, DeliveryRow)])
    envelope = read_structured(row.body)
    assert envelope.id == row.event_id == identity(plan())
    assert envelope.subject == CASE
    assert (envelope.causationid, envelope.traceparent, envelope.policyversion) == (None, None, None)
    assert (row.scopes, row.bases, row.send_from) == (("work_status",), ("worker_consent",), MONDAY)


def test_without_consent_no_employer_is_told_anything() -> None:
    _, rows = given([opened(), plan(), ready(), closed()])
    assert updates(rows) == []


def test_consent_that_arrives_later_tells_the_status_that_stands_then() -> None:
    _, rows = given([opened(), plan(), ready(), closed(), consent(grant())])
    assert only(updates(rows)).status == "no_restrictions"


def test_the_same_statement_is_not_sent_twice() -> None:
    case, _ = given(IN_PROGRAM)
    folded = when(case, revised(2))
    assert updates(folded.effects) == []


def test_a_signature_is_told_with_its_restrictions_and_role() -> None:
    case, _ = given(IN_PROGRAM)
    update: ReadinessUpdated = only(updates(when(case, ready(restrictions=(LIMIT,))).effects))
    assert (update.status, update.certifier_role, update.restrictions) == ("with_restrictions", "physician", (LIMIT,))


def test_a_revocation_supersedes_the_update_that_said_ready() -> None:
    case, rows = given([*IN_PROGRAM, ready()])
    said_ready = [row for row in rows if isinstance(row, DeliveryRow)][-1]
    folded = when(case, readiness_revoked())
    update: ReadinessUpdated = only(updates(folded.effects))
    assert (update.outcome, update.status, update.supersedes) == ("revoked", "unable", said_ready.event_id)
    assert update.effective_through == MONDAY + timedelta(days=28)


def test_a_corrected_signature_supersedes_the_first() -> None:
    case, rows = given([*IN_PROGRAM, ready()])
    first = [row for row in rows if isinstance(row, DeliveryRow)][-1]
    update: ReadinessUpdated = only(
        updates(when(case, ready("ready-2", restrictions=(LIMIT,), supersedes="ready-1")).effects)
    )
    assert (update.status, update.supersedes) == ("with_restrictions", first.event_id)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("not_ready", "not_ready"), ("discontinued", "discontinued"), ("withdrawn", "discontinued")],
)
def test_a_program_that_ended_without_readiness_is_unable_until_a_review(outcome: str, said: str) -> None:
    case, _ = given(IN_PROGRAM)
    update: ReadinessUpdated = only(updates(when(case, closed(outcome)).effects))
    assert (update.status, update.outcome) == ("unable", said)
    assert update.effective_through == MONDAY + timedelta(days=28)


def test_revoked_consent_stops_at_once_and_withholds_what_was_not_sent() -> None:
    case, _ = given(IN_PROGRAM)
    folded = when(case, revoke())
    assert folded.effects == (Withhold(EMPLOYER, CASE, 1),)
    after = when(folded.case, ready())
    assert updates(after.effects) == []


def test_a_consent_that_is_older_than_the_revocation_does_not_lift_it() -> None:
    case, _ = given([opened(), plan()])
    case = when(case, revoke(id="r1")).case
    earlier = when(case, consent(grant(), id="c1", cause="/clinics/north#granted"))
    assert updates(earlier.effects) == []
    answer = when(earlier.case, consent(id="c2", cause="/clinics/north#r1"))
    granted_again = when(answer.case, consent(grant(), id="c3", cause="/clinics/north#granted-again"))
    assert only(updates(granted_again.effects)).outcome == "in_program"


def test_a_revocation_that_is_read_after_its_answer_stops_nothing_more() -> None:
    case, _ = given([*IN_PROGRAM, consent(id="c2", cause="/clinics/north#r1")])
    case = when(case, revoke(id="r1")).case
    assert known(case).stops == ()
    assert only(updates(when(case, consent(grant(), id="c3")).effects)).sequence == 2


def test_consent_given_again_tells_the_same_status_once_more() -> None:
    case, _ = given([*IN_PROGRAM, revoke(id="r1"), consent(id="c2", cause="/clinics/north#r1")])
    update: ReadinessUpdated = only(updates(when(case, consent(grant(), id="c3")).effects))
    assert (update.outcome, update.sequence) == ("in_program", 2)


def test_a_revoked_scope_leaves_the_rest_and_the_employer_learns_the_smaller_statement() -> None:
    case, _ = given([opened(), consent(grant(), grant("program_week")), plan()])
    folded = when(case, revoke("program_week"))
    row: DeliveryRow = only([row for row in folded.effects if isinstance(row, DeliveryRow)])
    assert row.scopes == ("work_status",)
    assert told(row).program is None


def test_a_refused_revocation_lets_the_telling_go_on() -> None:
    case, _ = given([*IN_PROGRAM, revoke(id="r1")])
    folded = when(case, rejected(revoke(id="r1")))
    assert only(updates(folded.effects)).outcome == "in_program"


def test_a_withdrawn_case_is_not_told_of_until_it_is_closed() -> None:
    case, _ = given([*IN_PROGRAM, withdraw_case()])
    between = when(case, revised(2, 9))
    assert updates(between.effects) == []
    assert only(updates(when(between.case, closed("withdrawn")).effects)).outcome == "discontinued"


def test_a_withdrawal_that_is_read_after_the_close_stops_nothing() -> None:
    case, _ = given([*IN_PROGRAM, closed("withdrawn"), withdraw_case()])
    assert known(case).stops == ()


def test_withdrawn_readiness_stops_until_progress_has_answered() -> None:
    case, _ = given([*IN_PROGRAM, withdraw_readiness()])
    late = when(case, ready())
    assert updates(late.effects) == []
    answer = when(late.case, readiness_revoked(cause="/clinics/north#w2"))
    assert only(updates(answer.effects)).outcome == "revoked"


def test_a_withdrawal_of_readiness_that_is_read_after_its_answer_stops_nothing() -> None:
    case, _ = given([*IN_PROGRAM, ready(), readiness_revoked(cause="/clinics/north#w2"), withdraw_readiness()])
    assert known(case).stops == ()


@pytest.mark.parametrize("stop", [revoke(), withdraw_case(), withdraw_readiness()])
def test_what_stops_a_case_waits_until_the_case_is_known(stop: Event[Any]) -> None:
    case, rows = given([stop])
    assert [waiting.event.id for waiting in case.waiting] == [stop.id]
    assert rows == []
    assert when(case, opened()).case.waiting == ()


@pytest.mark.parametrize("early", [plan(), judged(WeekAdvanced), assessed(), ready(), readiness_revoked(), closed()])
def test_what_another_service_says_of_a_case_waits_until_it_is_opened(early: Event[Any]) -> None:
    case, _ = given([early])
    assert len(case.waiting) == 1
    after = when(case, opened())
    assert after.case.waiting == ()
    assert {row.event_id for row in after.effects if isinstance(row, FeedRow)} == {"CaseOpened", early.id}


def test_a_declined_correction_stops_the_telling_until_the_case_is_accepted_again() -> None:
    case, _ = given(IN_PROGRAM)
    declined = when(case, event(CaseDeclined(clinic=CLINIC, eligibility=ELIGIBLE)))
    assert Withhold(EMPLOYER, CASE, 1) in declined.effects
    assert updates(when(declined.case, ready()).effects) == []
    assert only(updates(when(declined.case, opened()).effects)).outcome == "in_program"


def test_each_employer_has_a_sequence_and_ids_of_its_own() -> None:
    _, rows = given([opened(), plan(), consent(grant(), grant(employer="other"))])
    deliveries = [row for row in rows if isinstance(row, DeliveryRow)]
    assert [(row.employer, row.sequence) for row in deliveries] == [("acme", 1), ("other", 1)]
    assert len({row.event_id for row in deliveries}) == 2


def test_an_erased_case_leaves_nothing_and_refuses_what_comes_after() -> None:
    case, _ = given(IN_PROGRAM)
    folded = when(case, event(CaseErased(reason_code="worker_request"), "e1"))
    assert folded.effects == (RemoveCase(CASE),)
    assert folded.case.state is None
    assert when(folded.case, ready()).result == "ignored"


def test_an_erasure_of_a_case_that_nobody_knows_waits() -> None:
    case, _ = given([event(CaseErased(reason_code="worker_request"), "e1")])
    assert not case.erased
    assert len(case.waiting) == 1


def test_information_needed_reaches_the_feed_and_keeps_a_small_case() -> None:
    data = InformationNeeded(clinic=CLINIC, missing=("clearance",), eligibility=ELIGIBLE, alerts=("red_flag",))
    case, rows = given([event(data)])
    assert case.state == Heard(clinic=CLINIC)
    feed, alert = rows
    assert isinstance(feed, FeedRow)
    assert feed.event["data"]["missing"] == ["clearance"]
    assert isinstance(alert, MessageRow)
    assert alert.audience == "clinician"
    assert "red_flag" not in alert.body + alert.subject


def test_a_declined_worker_in_danger_is_brought_before_the_clinicians_in_the_program_or_not() -> None:
    declined = event(CaseDeclined(clinic=CLINIC, eligibility=ELIGIBLE, alerts=("phq9_item9",)))
    for before in ([], IN_PROGRAM):
        case, _ = given(before)
        message: MessageRow = only([row for row in when(case, declined).effects if isinstance(row, MessageRow)])
        assert (message.kind, message.audience, message.clinic) == ("alert", "clinician", CLINIC)
        assert "phq9" not in message.body + message.subject
    quiet = when(case, event(CaseDeclined(clinic=CLINIC, eligibility=ELIGIBLE)))
    assert not [row for row in quiet.effects if isinstance(row, MessageRow)]


def test_a_rejection_goes_to_the_clinic_that_sent_the_refused_event_and_makes_no_case() -> None:
    case, rows = given([rejected(revoke(), clinic="south")])
    assert only(rows).clinic == "south"
    assert case.state is None
    assert isinstance(when(case, opened()).case.state, Known)


def test_a_stranger_whose_event_was_refused_does_not_park_the_case_it_was_aimed_at() -> None:
    case, _ = given(IN_PROGRAM)
    folded = when(case, rejected(revoke(), clinic="south"))
    assert (folded.result, folded.case.state, folded.case.parked) == ("folded", case.state, 0)
    assert {row.clinic for row in folded.effects if isinstance(row, FeedRow)} == {"south"}


def test_an_escalation_alerts_the_clinicians_and_tells_the_employer_nothing_of_it() -> None:
    case, _ = given(IN_PROGRAM)
    folded = when(case, judged(CaseEscalated))
    message: MessageRow = only([row for row in folded.effects if isinstance(row, MessageRow)])
    assert (message.kind, message.audience) == ("alert", "clinician")
    assert updates(folded.effects) == []


def test_a_readiness_assessment_asks_for_a_signature_and_tells_no_employer() -> None:
    case, _ = given(IN_PROGRAM)
    folded = when(case, assessed())
    message: MessageRow = only([row for row in folded.effects if isinstance(row, MessageRow)])
    assert message.kind == "sign_off"
    assert "assessed-1" in message.body
    assert updates(folded.effects) == []


def test_what_a_newer_release_stored_is_read_by_an_older_one() -> None:
    case, _ = given([*IN_PROGRAM, ready(restrictions=(LIMIT,)), revoke("attendance")])
    assert case.state is not None
    stored = json.loads(TABLE.adapter.dump_json(case.state))
    for place in (
        stored,
        stored["program"],
        stored["progressed"],
        stored["standing"],
        *stored["told"],
        *stored["stops"],
    ):
        place["of_a_newer_release"] = 1
    assert TABLE.adapter.validate_json(json.dumps(stored)) == case.state


def test_the_feed_shows_the_event_as_it_was_published() -> None:
    _, rows = given([opened()])
    feed: FeedRow = only(rows)
    assert read_structured(json.dumps(feed.event).encode()) == opened().envelope


def test_a_state_survives_being_stored() -> None:
    case, _ = given([*IN_PROGRAM, ready(restrictions=(LIMIT,)), revoke("attendance")])
    assert case.state is not None
    assert TABLE.adapter.validate_json(TABLE.adapter.dump_json(case.state)) == case.state


TOPICS: tuple[tuple[Event[Any], ...], ...] = (
    (revoke(id="r1"), withdraw_readiness()),
    (
        opened(),
        consent(grant(), id="c1", cause="/clinics/north#granted"),
        consent(id="c2", cause="/clinics/north#r1"),
        consent(grant(), id="c3", cause="/clinics/north#granted-again"),
    ),
    (plan(), revised(2, 9)),
    (
        judged(WeekAdvanced),
        assessed(),
        ready(),
        closed(),
        readiness_revoked(cause="/clinics/north#w2"),
    ),
)


@settings(derandomize=True, deadline=None, max_examples=150)
@any_of(order=st.permutations([topic for topic, events in enumerate(TOPICS) for _ in events]))
def test_any_order_of_topics_ends_in_the_same_facts_and_the_same_last_word(order: list[int]) -> None:
    queues = [iter(events) for events in TOPICS]
    case, rows = given(next(queues[topic]) for topic in order)
    in_order, _ = given(each for events in TOPICS for each in events)
    assert case.waiting == ()
    assert known(case).model_dump(exclude={"told"}) == known(in_order).model_dump(exclude={"told"})
    assert known(case).stops == ()
    last = updates(rows)[-1]
    assert (last.outcome, last.status) == ("revoked", "unable")
    sequences = [update.sequence for update in updates(rows)]
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_clinic_is_told_of_a_consultation_in_its_feed_and_reminded_by_mail() -> None:
    when_ = {
        "clinic": CLINIC,
        "therapist": "t-1",
        "starts_at": "2026-03-10T08:00:00Z",
        "ends_at": "2026-03-10T08:30:00Z",
    }
    said = [ConsultationBooked(**when_), ConsultationReminderDue(**when_), ConsultationCancelled(**when_, by="person")]
    case, rows = given([event(data) for data in said])
    assert case.state == Heard(clinic=CLINIC)
    assert [row.event_id for row in rows if isinstance(row, FeedRow)] == [type(data).__name__ for data in said]
    message: MessageRow = only([row for row in rows if isinstance(row, MessageRow)])
    assert (message.kind, message.audience) == ("consultation", "worker")
    assert str(CASE) in message.body
    assert "2026-03-10T08:00:00Z" in message.body


def test_a_case_that_began_as_a_consultation_goes_on_as_any_other() -> None:
    when_ = {
        "clinic": CLINIC,
        "therapist": "t-1",
        "starts_at": "2026-03-10T08:00:00Z",
        "ends_at": "2026-03-10T08:30:00Z",
    }
    begun, _ = given([event(ConsultationBooked(**when_)), *IN_PROGRAM])
    assert begun.state == given(IN_PROGRAM)[0].state
