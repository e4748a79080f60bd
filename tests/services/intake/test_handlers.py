"""Intake's handlers: given(events).when(event).then(outcome)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from services.intake.effects import CaseloadRow
from services.intake.state import Assessed, Declined, Opened, Pending
from tests.services.intake.cases import (
    CASE,
    NOON,
    TODAY,
    after,
    capacity,
    corrected,
    decide,
    kinds,
    only,
    received,
    recorded,
    referral,
    said,
    state,
    when,
    withdrawn,
)
from workhardening_contracts.clinic import (
    Injury,
    Referral,
    ReferralCorrected,
)
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import (
    AssessmentCompleted,
    CaseDeclined,
    CaseOpened,
    InformationNeeded,
)

# Referrals


def test_an_eligible_referral_opens_the_case_and_enters_the_caseload() -> None:
    outcome = decide(None, received())
    assert isinstance(outcome.state, Opened)
    (opened,) = outcome.emit
    assert isinstance(opened, CaseOpened)
    assert (opened.clinic, opened.worker_ref, opened.employer, opened.opened_on) == ("north", "w-1", "acme", TODAY)
    assert opened.eligibility.reasons == ("all_met",)
    assert outcome.effects == [CaseloadRow(CASE, "north", open=True)]


def test_a_referral_that_lacks_answers_asks_for_exactly_these() -> None:
    outcome = decide(None, received(referral(job=None, medical_clearance="unknown")))
    assert isinstance(outcome.state, Pending)
    (asked,) = outcome.emit
    assert isinstance(asked, InformationNeeded)
    assert asked.missing == ("job_demand_profile", "medical_clearance")
    assert not outcome.effects


def test_a_referral_that_is_barred_is_declined_and_not_in_the_caseload() -> None:
    outcome = decide(None, received(referral(treatment_consent="no")))
    assert isinstance(outcome.state, Declined)
    assert kinds(outcome) == ["CaseDeclined"]
    assert not outcome.effects


@pytest.mark.parametrize("first", [referral(medical_clearance="unknown"), referral(medical_clearance="no")])
@pytest.mark.parametrize("later", [received(id_="r2"), corrected(referral())])
def test_a_later_referral_or_a_correction_decides_again(first: Referral, later: Event[Any]) -> None:
    outcome = decide(state(received(first)), later)
    assert isinstance(outcome.state, Opened)
    assert kinds(outcome) == ["CaseOpened"]


def test_a_second_referral_of_an_open_case_is_refused() -> None:
    outcome = decide(state(received()), received(id_="r2"))
    assert outcome.reject is not None
    assert outcome.reject.code == "case_exists"


def test_a_correction_that_changes_nothing_we_said_says_nothing() -> None:
    outcome = decide(state(received()), corrected(referral(injury=Injury(occurred_on=TODAY, body_part="knee"))))
    assert (kinds(outcome), list(outcome.effects)) == ([], [])


def test_a_correction_of_the_employer_says_the_opening_anew_with_its_first_date() -> None:
    outcome = decide(state(received()), corrected(referral(employer="zeta")))
    (opened,) = outcome.emit
    assert isinstance(opened, CaseOpened)
    assert (opened.employer, opened.opened_on) == ("zeta", TODAY)
    assert not outcome.effects, "it is in the caseload already"


def test_the_same_information_is_asked_for_once() -> None:
    lacking = referral(medical_clearance="unknown")
    outcome = decide(state(received(lacking)), corrected(lacking))
    assert kinds(outcome) == []
    more = decide(state(received(lacking)), corrected(referral(medical_clearance="unknown", job=None)))
    assert kinds(more) == ["InformationNeeded"]


def test_a_correction_that_bars_an_open_case_declines_it_but_leaves_it_to_be_withdrawn() -> None:
    before = state(received(), recorded())
    outcome = decide(before, corrected(referral(medical_clearance="no")))
    assert isinstance(outcome.state, Declined)
    assert kinds(outcome) == ["CaseDeclined"]
    assert not outcome.effects, "others still run it, so its days are still closed"
    assert decide(outcome.state, withdrawn()).effects == (CaseloadRow(CASE, "north", open=False),)
    assert decide(outcome.state, received(id_="r9")).reject is not None


def test_a_correction_must_name_a_referral_of_this_case() -> None:
    opened = state(received())
    assert decide(opened, corrected(referral(), supersedes="r1")).reject is None
    unknown = decide(opened, corrected(referral(), supersedes="r7"))
    assert unknown.reject is not None
    assert unknown.reject.code == "supersedes_unknown"


def test_a_second_correction_may_still_name_the_first_referral() -> None:
    twice = state(received(), corrected(referral(employer="zeta")))
    assert decide(twice, corrected(referral(), id_="r3", supersedes="r1")).reject is None
    assert decide(twice, corrected(referral(), id_="r3", supersedes="r2")).reject is None


def test_a_new_demand_profile_completes_the_assessment_anew() -> None:
    before = state(received(), recorded())
    longer = referral(tolerance_hours_per_day=4.0)
    outcome = decide(before, corrected(longer))
    assert kinds(outcome) == ["AssessmentCompleted"]


# Assessment


def test_a_whole_assessment_of_an_accepted_case_completes_it() -> None:
    outcome = decide(state(received()), recorded(phq9_item9=1))
    assert isinstance(outcome.state, Assessed)
    (completed,) = outcome.emit
    assert isinstance(completed, AssessmentCompleted)
    assert completed.baseline == (capacity(10.0),)
    assert completed.baseline_pain == 4.0
    assert (completed.tolerance_hours_per_day, completed.tolerance_days_per_week) == (3.0, 4)
    assert (completed.authorised_weeks, completed.authorised_hours_per_day) == (8, 6.0)
    assert completed.alerts == ("phq9_item9",)


def test_an_assessment_before_the_referral_waits_for_it() -> None:
    assert decide(None, recorded()).wait
    case, folded = when(recorded(), received())
    assert isinstance(case.state, Assessed)
    assert [each.result for each in folded] == ["waiting", "folded"]
    assert [e.envelope.type.split(".")[-2] for e in folded[1].emitted] == ["opened", "completed"]


def test_what_is_missing_of_the_assessment_is_told_when_it_changes() -> None:
    opened = state(received())
    first = decide(opened, only("history_flags", "posture"))
    (asked,) = first.emit
    assert isinstance(asked, InformationNeeded)
    assert asked.missing == tuple(
        f"assessment.{name}" for name in ("physical_examination", "mobility", "functional_tests", "baseline_pain")
    )
    assert kinds(decide(first.state, only("posture", id_="a2"))) == [], "nothing new is known of what is missing"
    second = decide(first.state, only("mobility", id_="a2"))
    assert kinds(second) == ["InformationNeeded"]


def test_a_new_alert_is_told_though_the_same_is_missing() -> None:
    first = decide(state(received()), only("posture"))
    alarmed = decide(first.state, only("posture", id_="a2", red_flags=("chest_pain",)))
    (asked,) = alarmed.emit
    assert isinstance(asked, InformationNeeded)
    assert asked.alerts == ("red_flag",)
    assert kinds(decide(alarmed.state, only("posture", id_="a3"))) == []


def test_parts_recorded_while_the_referral_is_open_complete_it_once_it_is_accepted() -> None:
    pending = decide(state(received(referral(job=None))), recorded())
    assert kinds(pending) == []
    accepted = decide(pending.state, corrected(referral()))
    assert isinstance(accepted.state, Assessed)
    assert kinds(accepted) == ["CaseOpened", "AssessmentCompleted"]


def test_a_declined_worker_in_danger_is_told_of_once_for_each_new_alert() -> None:
    declined = decide(state(received(referral(medical_clearance="no"))), recorded(phq9_item9=2))
    (said_,) = declined.emit
    assert isinstance(said_, CaseDeclined)
    assert said_.alerts == ("phq9_item9",)
    assert said_.eligibility.reasons == ("unmet.medical_clearance",)
    same = decide(declined.state, only("posture", id_="a2"))
    assert kinds(same) == []
    more = decide(same.state, only("posture", id_="a3", red_flags=("chest_pain",)))
    assert [data.alerts for data in more.emit if isinstance(data, CaseDeclined)] == [("phq9_item9", "red_flag")]


def test_a_correction_that_declines_carries_the_alerts_that_stand() -> None:
    before = state(received(), recorded(phq9_item9=1))
    (declined,) = decide(before, corrected(referral(medical_clearance="no"))).emit
    assert isinstance(declined, CaseDeclined)
    assert declined.alerts == ("phq9_item9",)


def test_an_alert_that_was_answered_and_comes_back_is_new() -> None:
    before = state(received(referral(medical_clearance="no")), recorded(phq9_item9=1), recorded("a2", phq9_item9=0))
    assert kinds(decide(before, recorded("a3", phq9_item9=3))) == ["CaseDeclined"]


def test_an_assessment_of_a_declined_case_is_kept_and_nothing_is_said() -> None:
    declined = decide(state(received(referral(medical_clearance="no"))), recorded())
    assert isinstance(declined.state, Declined)
    assert kinds(declined) == []
    assert kinds(decide(declined.state, corrected(referral()))) == ["CaseOpened", "AssessmentCompleted"]


def test_a_reassessment_completes_again_with_what_is_known_now() -> None:
    before = state(received(), recorded(red_flags=("chest_pain",)))
    later = TODAY + timedelta(days=28)
    retest = only("functional_tests", assessed_on=later, functional_tests=(capacity(18.0, later),)).data
    again = decide(before, said(retest, "a2", NOON + timedelta(days=28)))
    (completed,) = again.emit
    assert isinstance(completed, AssessmentCompleted)
    assert completed.assessed_on == later
    assert completed.baseline == (capacity(18.0, later),)
    assert completed.baseline_pain == 4.0
    assert completed.alerts == (), "examined anew, without a red flag"


def test_a_correction_can_make_a_complete_assessment_incomplete() -> None:
    before = state(received(), recorded())
    outcome = decide(before, recorded("a2", posture=None, supersedes="a1"))
    assert isinstance(outcome.state, Opened)
    (asked,) = outcome.emit
    assert isinstance(asked, InformationNeeded)
    assert asked.missing == ("assessment.posture",)


def test_an_assessment_that_supersedes_nothing_we_know_is_refused() -> None:
    outcome = decide(state(received()), recorded(supersedes="a0"))
    assert outcome.reject is not None
    assert outcome.reject.code == "supersedes_unknown"


@pytest.mark.parametrize("ahead", [TODAY + timedelta(days=2), date(9999, 12, 31)])
def test_a_day_that_has_not_come_is_refused_by_its_name(ahead: date) -> None:
    opened = state(received())
    injured = referral(injury=Injury(occurred_on=ahead, body_part="back"))
    declined = state(received(referral(medical_clearance="no")))
    for before, late, code in (
        (opened, recorded(assessed_on=ahead), "assessed_on_to_come"),
        (opened, recorded(functional_tests=(capacity(10.0, ahead),)), "measured_on_to_come"),
        (None, received(injured), "occurred_on_to_come"),
        (declined, received(injured, "r2"), "occurred_on_to_come"),
        (opened, said(ReferralCorrected(referral=injured, supersedes="r1"), "r2"), "occurred_on_to_come"),
    ):
        outcome = decide(before, late)
        assert outcome.reject is not None
        assert (outcome.reject.code, outcome.state) == (code, before)


def test_the_clinics_own_date_may_be_one_ahead_of_the_events() -> None:
    tomorrow = TODAY + timedelta(days=1)
    injured = referral(injury=Injury(occurred_on=tomorrow, body_part="back"))
    whole = recorded(assessed_on=tomorrow, functional_tests=(capacity(10.0, tomorrow),))
    assert isinstance(state(received(injured), whole), Assessed)


def test_the_number_of_parts_in_force_is_bounded_and_a_correction_still_goes_through() -> None:
    case, folded = when(received(), *(only("posture", id_=f"a{n}") for n in range(51)))
    assert [each.result for each in folded[1:]] == ["folded"] * 50 + ["rejected"]
    _, (mended,) = after(case, [recorded("a99", supersedes="a7")])
    assert mended.result == "folded"
