"""Intake's handlers: consent, the end of a case, receipts, and what is stored."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.assessment import REQUIRED
from services.intake.consent import MAX_GRANTS
from services.intake.effects import CaseloadRow, ReceiptRejected, RemoveBooking
from services.intake.state import Assessed, Closed, State
from tests.services.intake.cases import (
    CASE,
    HANDLERS,
    after,
    assessed,
    closed,
    corrected,
    decide,
    granted,
    only,
    received,
    recorded,
    referral,
    refused,
    said,
    state,
    when,
    withdrawn,
)
from workhardening_contracts.clinic import (
    CaseErased,
    ConsentRevoked,
    Injury,
)
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import (
    ConsentChanged,
)
from workhardening_contracts.readiness import EventRejected


def test_consent_is_told_as_it_stands_now() -> None:
    opened = state(received())
    first = decide(opened, granted("work_status", "attendance"))
    second = decide(first.state, granted("work_status", id_="c2", employer="zeta"))
    (changed,) = second.emit
    assert isinstance(changed, ConsentChanged)
    assert [(g.employer, g.scope) for g in changed.grants] == [
        ("acme", "attendance"),
        ("acme", "work_status"),
        ("zeta", "work_status"),
    ]


def test_a_revocation_is_answered_even_when_nothing_was_granted() -> None:
    revoked = said(ConsentRevoked(employer="acme", scopes=("work_status",)), "v1")
    outcome = decide(state(received()), revoked)
    assert outcome.emit == (ConsentChanged(clinic="north", grants=()),)


def test_consent_can_still_be_revoked_on_a_closed_case() -> None:
    done = state(received(), granted("work_status"), closed())
    outcome = decide(done, said(ConsentRevoked(employer="acme", scopes=("work_status",)), "v1"))
    assert isinstance(outcome.state, Closed)
    assert outcome.emit == (ConsentChanged(clinic="north", grants=()),)


def test_grants_are_bounded() -> None:
    opened: State | None = state(received())
    for number in range(MAX_GRANTS):
        opened = decide(opened, granted("work_status", employer=f"e{number}")).state
    over = decide(opened, granted("work_status", employer="one-more"))
    assert over.reject is not None
    assert over.reject.code == "too_many_grants"
    assert decide(opened, granted("work_status", employer="e0")).reject is None


@pytest.mark.parametrize("end", [withdrawn(), closed()])
def test_a_case_that_ends_leaves_the_caseload(end: Event[Any]) -> None:
    outcome = decide(state(received()), end)
    assert isinstance(outcome.state, Closed)
    assert outcome.effects == (CaseloadRow(CASE, "north", open=False),)
    assert not outcome.emit


def test_withdrawal_and_closing_end_in_the_same_state_in_either_order() -> None:
    base = (received(), recorded(), granted("work_status"))
    assert state(*base, withdrawn(), closed()) == state(*base, closed(), withdrawn())
    for first, second in ((withdrawn(), closed()), (closed(), withdrawn())):
        case, folded = when(*base, first, second)
        assert [each.result for each in folded[3:]] == ["folded", "folded"]
        assert not folded[4].effects
        assert isinstance(case.state, Closed)


@pytest.mark.parametrize("late", [received(id_="r9"), corrected(referral()), recorded("a9")])
def test_a_closed_case_takes_no_referral_and_no_assessment(late: Event[Any]) -> None:
    outcome = decide(state(received(), withdrawn()), late)
    assert outcome.reject is not None
    assert outcome.reject.code == "case_closed"


def test_a_withdrawn_case_that_was_never_opened_was_in_no_caseload() -> None:
    outcome = decide(state(received(referral(job=None))), withdrawn())
    assert isinstance(outcome.state, Closed)
    assert not outcome.effects


@pytest.mark.parametrize("early", [corrected(referral()), recorded(), granted("work_status"), withdrawn(), closed()])
def test_what_builds_on_a_referral_waits_for_it(early: Event[Any]) -> None:
    assert decide(None, early).wait


def test_an_erased_case_is_gone_and_refuses_what_comes_after() -> None:
    erased = said(CaseErased(reason_code="worker_request"), "e1")
    case, folded = when(received(), recorded(), erased, granted("work_status"))
    assert case.state is None
    assert case.erased
    assert folded[2].effects == (CaseloadRow(CASE, "north", open=False), RemoveBooking(CASE))
    assert [each.result for each in folded[2:]] == ["folded", "rejected"]


def test_an_unknown_case_is_not_erased_so_that_a_stranger_cannot_bar_it() -> None:
    case, _ = when(said(CaseErased(reason_code="opened_in_error"), "e1"))
    assert (case.erased, len(case.waiting)) == (False, 1)


def test_a_rejection_marks_its_receipt_and_leaves_every_case_alone() -> None:
    pending, closed_ = state(received(referral(job=None)), only("posture")), state(received(), withdrawn())
    for before in (None, pending, state(received(referral(medical_clearance="no"))), state(received()), closed_):
        outcome = decide(before, said(refused(), "x1", source="/services/progress"))
        assert outcome.state is before
        (row,) = outcome.effects
        assert isinstance(row, ReceiptRejected)
        assert (row.source, row.id, row.code) == ("/clinics/north", "s1", "session_exists")


def test_a_rejection_of_a_record_on_a_clinics_own_topic_marks_no_receipt() -> None:
    outcome = decide(None, said(refused("clinic.north.events.v1"), "x1", source="/services/intake"))
    assert not outcome.effects


def test_the_receipt_of_an_event_that_came_after_the_erasure_is_rejected_with_that_code() -> None:
    erased = said(CaseErased(reason_code="worker_request"), "e1")
    case, folded = when(received(), erased, recorded("late"))
    (rejection,) = folded[-1].emitted
    told = EventRejected.model_validate_json(rejection.envelope.data)
    after_, heard = after(case, [Event(rejection.envelope, told)])
    (receipt,) = heard[0].effects
    assert isinstance(receipt, ReceiptRejected)
    assert (receipt.source, receipt.id, receipt.code) == ("/clinics/north", "late", "case_erased")
    assert (after_.erased, after_.state) == (True, None)


def test_another_clinics_event_for_the_case_is_refused() -> None:
    foreign = said(assessed(), "a1", source="/clinics/south")
    _, folded = when(received(), foreign)
    assert folded[1].result == "rejected"


def test_only_intakes_own_types_are_judged_here() -> None:
    judged = {model.__name__ for model in HANDLERS.on if HANDLERS.judges(model.TYPE)}
    assert judged == {model.__name__ for model in HANDLERS.on} - {"CaseClosed", "EventRejected"}


def test_what_a_newer_release_stored_is_read_by_an_older_one() -> None:
    before = state(received(), recorded(), granted("work_status"))
    stored = json.loads(HANDLERS.adapter.dump_json(before))
    for place in (stored, stored["referred"], stored["referred"]["decision"], stored["parts"][0]):
        place["of_a_newer_release"] = 1
    assert HANDLERS.adapter.validate_json(json.dumps(stored)) == before


def test_every_phase_survives_being_stored() -> None:
    histories = [
        [received()],
        [received(referral(job=None)), only("posture")],
        [received(referral(medical_clearance="no"))],
        [received(), recorded(), granted("work_status")],
        [received(), withdrawn()],
    ]
    phases: set[str] = set()
    for events in histories:
        before = state(*events)
        assert HANDLERS.adapter.validate_json(HANDLERS.adapter.dump_json(before)) == before
        phases.add(before.phase)
    assert phases == {"opened", "pending", "declined", "assessed", "closed"}


def test_the_state_holds_no_story_and_no_body_part() -> None:
    injury = Injury(occurred_on=date(2026, 1, 5), body_part="CANARY-PART", story="CANARY-STORY")
    kept = HANDLERS.adapter.dump_json(state(received(referral(injury=injury)), recorded()))
    assert b"CANARY" not in kept


@given(st.permutations([0, 1, 2, 3, 4]), st.integers(0, 5))
@settings(derandomize=True, deadline=None)
def test_the_clinics_events_end_alike_wherever_progress_speaks_in_between(order: list[int], place: int) -> None:
    """Each topic keeps its own order; CaseClosed comes from another topic, at any point."""
    clinic = [received(), only("posture"), granted("work_status"), recorded("a2"), withdrawn()]
    interleaved = [*clinic[:place], closed(), *clinic[place:]]
    case, _ = when(*interleaved)
    assert isinstance(case.state, Closed)
    assert [grant.employer for grant in case.state.grants] == ["acme"]
    # Parts of the assessment may come in any order among themselves.
    parts = [only(name, id_=f"o{n}") for n, name in enumerate(REQUIRED[:5])]
    shuffled = [parts[index] for index in order]
    assert isinstance(state(received(), *shuffled, only("baseline_pain", id_="o9")), Assessed)
