"""Eligibility: tri-state criteria, gates, overrides."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.eligibility import FURTHER, GATES, NEEDED_AS_DATA, NEVER_OVERRIDDEN, REQUIRED, eligibility
from services.intake.policy import Policy
from tests.services.intake.cases import JOB, POLICY, TODAY, criteria, referral
from workhardening_contracts.clinic import Authorisation, Criteria, Injury, Override, Referral

NAMES = (REQUIRED, *FURTHER, *GATES)

NONE_FURTHER = criteria(demanding_job="no", difficulty_with_duties="no", reinjury_risk="no")
tri = st.sampled_from(["yes", "no", "unknown"])
overrides = st.lists(
    st.builds(
        Override,
        criterion=st.sampled_from([*NAMES, "star_sign"]),
        role=st.sampled_from(["physician", "program_director", "front_desk"]),
        reason_code=st.just("stable_for_months"),
    ),
    max_size=4,
).map(tuple)
authorisations = st.none() | st.builds(
    Authorisation,
    required=st.booleans(),
    valid_from=st.none() | st.dates(date(2026, 1, 1), date(2026, 6, 1)),
    valid_through=st.none() | st.dates(date(2026, 1, 1), date(2026, 6, 1)),
    weeks=st.just(8),
    hours_per_day=st.just(6.0),
)
referrals = st.builds(
    Referral,
    worker_ref=st.just("w-1"),
    employer=st.none(),
    employee_key=st.none(),
    injury=st.builds(
        Injury, occurred_on=st.dates(date(2023, 1, 1), date(2026, 4, 1)), body_part=st.just("back"), story=st.none()
    ),
    criteria=st.builds(
        Criteria,
        workplace_injury=tri,
        demanding_job=tri,
        difficulty_with_duties=tri,
        reinjury_risk=tri,
        gradual_exposure_needed=tri,
    ),
    return_to_work_goal=tri,
    medical_clearance=tri,
    treatment_consent=tri,
    red_flags=st.sampled_from([(), ("chest_pain",), ("tingling",)]),
    job=st.sampled_from([None, JOB]),
    tolerance_hours_per_day=st.sampled_from([None, 1.0, 2.0, 4.0]),
    tolerance_days_per_week=st.sampled_from([None, 2, 3, 5]),
    authorisation=authorisations,
    overrides=overrides,
)


def test_a_referral_that_meets_everything_is_accepted_with_nothing_missing() -> None:
    decision = eligibility(referral(), POLICY, TODAY)
    assert decision.verdict == "accepted"
    assert set(decision.met) == {REQUIRED, "demanding_job", *GATES}
    assert decision.unmet == ("reinjury_risk", "gradual_exposure_needed")
    assert decision.unknown == ("difficulty_with_duties",)
    assert decision.missing == ()
    assert decision.reasons == ("all_met",)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"criteria": criteria(workplace_injury="no")}, "workplace_injury"),
        ({"return_to_work_goal": "no"}, "return_to_work_goal"),
        ({"medical_clearance": "no"}, "medical_clearance"),
        ({"treatment_consent": "no"}, "treatment_consent"),
        ({"red_flags": ("cauda_equina",)}, "red_flags"),
        ({"tolerance_hours_per_day": 1.99}, "tolerance_hours_per_day"),
        ({"tolerance_days_per_week": 2}, "tolerance_days_per_week"),
        ({"injury": Injury(occurred_on=date(2024, 3, 1), body_part="back")}, "injury_age"),
        ({"authorisation": Authorisation(required=True, valid_through=date(2026, 3, 1))}, "authorisation"),
        ({"authorisation": Authorisation(required=True, valid_from=date(2026, 3, 3))}, "authorisation"),
    ],
)
def test_a_criterion_or_gate_that_is_not_met_declines_by_its_name(changes: dict[str, Any], name: str) -> None:
    decision = eligibility(referral(**changes), POLICY, TODAY)
    assert decision.verdict == "declined"
    assert name in decision.unmet
    assert decision.reasons == (f"unmet.{name}",)
    assert decision.missing == ()


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"criteria": criteria(workplace_injury="unknown")}, ("workplace_injury",)),
        ({"return_to_work_goal": "unknown"}, ("return_to_work_goal",)),
        ({"job": None}, ("job_demand_profile",)),
        ({"medical_clearance": "unknown"}, ("medical_clearance",)),
        ({"treatment_consent": "unknown"}, ("treatment_consent",)),
        ({"tolerance_hours_per_day": None}, ("tolerance_hours_per_day",)),
        ({"tolerance_days_per_week": None}, ("tolerance_days_per_week",)),
        ({"authorisation": Authorisation(required=True)}, ("authorisation",)),
        ({"authorisation": Authorisation(required=True, valid_from=date(2026, 1, 1))}, ("authorisation",)),
        ({"medical_clearance": "unknown", "job": None}, ("job_demand_profile", "medical_clearance")),
    ],
)
def test_what_is_unknown_is_asked_for_and_is_not_a_no(changes: dict[str, Any], missing: tuple[str, ...]) -> None:
    decision = eligibility(referral(**changes), POLICY, TODAY)
    assert decision.verdict == "information_needed"
    assert decision.missing == missing
    assert decision.reasons == tuple(f"unknown.{name}" for name in missing)


@pytest.mark.parametrize(
    ("further", "verdict", "missing"),
    [
        (criteria(demanding_job="no", difficulty_with_duties="yes"), "accepted", ()),
        (criteria(demanding_job="no", gradual_exposure_needed="yes"), "accepted", ()),
        (criteria(demanding_job="no"), "information_needed", ("difficulty_with_duties",)),
        (
            criteria(demanding_job="unknown"),
            "information_needed",
            ("demanding_job", "difficulty_with_duties"),
        ),
        (NONE_FURTHER, "declined", ()),
    ],
)
def test_one_of_b_to_e_is_enough_and_asked_for_only_while_none_is_met(
    further: Criteria, verdict: str, missing: tuple[str, ...]
) -> None:
    decision = eligibility(referral(criteria=further), POLICY, TODAY)
    assert (decision.verdict, decision.missing) == (verdict, missing)


def test_a_policy_can_ask_for_two_further_criteria() -> None:
    strict = Policy(further_criteria=2)
    assert eligibility(referral(), strict, TODAY).missing == ("difficulty_with_duties",)
    assert eligibility(referral(criteria=criteria(reinjury_risk="yes")), strict, TODAY).verdict == "accepted"


def test_a_barring_answer_declines_even_when_others_are_unknown() -> None:
    decision = eligibility(referral(medical_clearance="no", job=None), POLICY, TODAY)
    assert decision.verdict == "declined"
    assert decision.missing == ()
    assert decision.unknown == ("difficulty_with_duties", "job_demand_profile")


def test_a_red_flag_outside_the_policys_list_does_not_bar() -> None:
    assert eligibility(referral(red_flags=("night_sweats",)), POLICY, TODAY).verdict == "accepted"
    own = Policy(barring_red_flags=frozenset({"night_sweats"}))
    assert eligibility(referral(red_flags=("night_sweats",)), own, TODAY).verdict == "declined"


@pytest.mark.parametrize(
    ("occurred_on", "on", "verdict"),
    [
        (date(2024, 3, 2), date(2026, 3, 2), "accepted"),
        (date(2024, 3, 1), date(2026, 3, 2), "declined"),
        (date(2024, 2, 29), date(2026, 2, 28), "accepted"),
        (date(2024, 2, 29), date(2026, 3, 1), "declined"),
        (date(2026, 3, 2), date(2026, 3, 2), "accepted"),
    ],
)
def test_an_injury_counts_for_two_years_with_the_anniversary(occurred_on: date, on: date, verdict: str) -> None:
    asked = referral(injury=Injury(occurred_on=occurred_on, body_part="back"))
    assert eligibility(asked, POLICY, on).verdict == verdict


@pytest.mark.parametrize("on", [date(2026, 3, 2), date(2026, 3, 9)])
def test_an_authorisation_is_in_date_on_its_first_and_its_last_day(on: date) -> None:
    given_ = Authorisation(required=True, valid_from=date(2026, 3, 2), valid_through=date(2026, 3, 9))
    assert eligibility(referral(authorisation=given_), POLICY, on).verdict == "accepted"


def test_an_authorisation_that_nobody_requires_may_have_ended() -> None:
    ended = Authorisation(required=False, valid_through=date(2020, 1, 1))
    assert eligibility(referral(authorisation=ended), POLICY, TODAY).verdict == "accepted"
    assert eligibility(referral(authorisation=None), POLICY, TODAY).verdict == "accepted"


def _override(criterion: str) -> Override:
    return Override(criterion=criterion, role="physician", reason_code="stable_for_months")


def test_an_override_sets_aside_what_it_names_and_travels_with_the_decision() -> None:
    used = _override("injury_age")
    old = Injury(occurred_on=date(2020, 1, 1), body_part="back")
    decision = eligibility(referral(injury=old, overrides=(used,)), POLICY, TODAY)
    assert decision.verdict == "accepted"
    assert decision.overrides == (used,)
    assert decision.reasons == ("overridden.injury_age",)
    assert "injury_age" in decision.unmet, "the facts stay what they are"


def test_an_override_of_something_unknown_stands_in_for_the_answer() -> None:
    decision = eligibility(
        referral(medical_clearance="unknown", overrides=(_override("medical_clearance"),)), POLICY, TODAY
    )
    assert (decision.verdict, decision.missing) == ("accepted", ())


def test_an_override_that_nothing_needs_is_not_called_used() -> None:
    decision = eligibility(referral(overrides=(_override("medical_clearance"),)), POLICY, TODAY)
    assert (decision.overrides, decision.reasons) == ((), ("all_met",))


def test_nobody_consents_for_the_worker() -> None:
    decision = eligibility(referral(treatment_consent="no", overrides=(_override("treatment_consent"),)), POLICY, TODAY)
    assert decision.verdict == "declined"
    assert decision.reasons == ("unmet.treatment_consent", "override_refused.treatment_consent")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"job": None}, "job_demand_profile"),
        ({"tolerance_hours_per_day": None}, "tolerance_hours_per_day"),
        ({"tolerance_days_per_week": None}, "tolerance_days_per_week"),
    ],
)
def test_no_override_stands_in_for_data_that_the_plan_is_computed_from(changes: dict[str, Any], name: str) -> None:
    decision = eligibility(referral(overrides=(_override(name),), **changes), POLICY, TODAY)
    assert (decision.verdict, decision.missing) == ("information_needed", (name,))


def test_a_low_tolerance_can_be_overridden() -> None:
    low = referral(tolerance_hours_per_day=1.0, overrides=(_override("tolerance_hours_per_day"),))
    assert eligibility(low, POLICY, TODAY).verdict == "accepted"


@pytest.mark.parametrize("role", ["front_desk", "physical_therapist"])
def test_an_override_by_a_role_that_may_not_is_not_used_and_the_decision_says_so(role: str) -> None:
    by = _override("medical_clearance").model_copy(update={"role": role})
    decision = eligibility(referral(medical_clearance="no", overrides=(by,)), POLICY, TODAY)
    assert (decision.verdict, decision.overrides) == ("declined", ())
    assert decision.reasons == ("unmet.medical_clearance", "override_role_refused.medical_clearance")
    allowed = Policy(override_roles=frozenset({role}))
    assert eligibility(referral(medical_clearance="no", overrides=(by,)), allowed, TODAY).verdict == "accepted"


def test_a_physicians_override_counts_though_another_role_said_it_first() -> None:
    first = _override("injury_age").model_copy(update={"role": "front_desk"})
    old = Injury(occurred_on=date(2020, 1, 1), body_part="back")
    decision = eligibility(referral(injury=old, overrides=(first, _override("injury_age"))), POLICY, TODAY)
    assert (decision.verdict, decision.overrides) == ("accepted", (_override("injury_age"),))


def test_an_override_that_names_nothing_we_know_is_reported() -> None:
    decision = eligibility(referral(overrides=(_override("star_sign"),)), POLICY, TODAY)
    assert (decision.overrides, decision.reasons) == ((), ("override_names_nothing",))


@given(referrals)
@settings(derandomize=True, deadline=None)
def test_every_name_is_met_unmet_or_unknown_and_never_two_of_them(asked: Referral) -> None:
    decision = eligibility(asked, POLICY, TODAY)
    assert sorted((*decision.met, *decision.unmet, *decision.unknown)) == sorted(NAMES)


@given(referrals)
@settings(derandomize=True, deadline=None)
def test_something_is_missing_exactly_when_information_is_needed(asked: Referral) -> None:
    decision = eligibility(asked, POLICY, TODAY)
    assert bool(decision.missing) == (decision.verdict == "information_needed")
    assert set(decision.missing) <= set(decision.unknown)
    assert bool([r for r in decision.reasons if r.startswith("unmet.")]) == (decision.verdict == "declined")


@given(referrals)
@settings(derandomize=True, deadline=None)
def test_an_accepted_referral_has_all_that_planning_needs(asked: Referral) -> None:
    decision = eligibility(asked, POLICY, TODAY)
    if decision.verdict == "accepted":
        assert asked.job is not None
        assert asked.tolerance_hours_per_day is not None
        assert asked.tolerance_days_per_week is not None
        assert asked.treatment_consent == "yes"
    used = {override.criterion for override in decision.overrides}
    assert not used & NEVER_OVERRIDDEN
    assert not used & NEEDED_AS_DATA & set(decision.unknown)
    assert {override.role for override in decision.overrides} <= POLICY.override_roles


@given(referrals, st.sampled_from(["medical_clearance", "return_to_work_goal", "treatment_consent"]))
@settings(derandomize=True, deadline=None)
def test_learning_an_answer_never_makes_more_information_needed(asked: Referral, name: str) -> None:
    before = eligibility(asked.model_copy(update={name: "unknown"}), POLICY, TODAY)
    after = eligibility(asked.model_copy(update={name: "yes"}), POLICY, TODAY)
    assert set(after.missing) <= set(before.missing) - {name}
    assert (after.verdict == "declined") == (before.verdict == "declined")


@given(referrals)
@settings(derandomize=True, deadline=None)
def test_an_injury_only_grows_older(asked: Referral) -> None:
    today = eligibility(asked, POLICY, TODAY)
    later = eligibility(asked, POLICY, TODAY + timedelta(days=400))
    if "injury_age" in today.unmet:
        assert "injury_age" in later.unmet
