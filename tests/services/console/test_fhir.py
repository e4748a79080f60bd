"""A case in FHIR: the plan, the targets, what was observed, and readiness, each as R4 has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from services.console.fhir.observations import observations
from services.console.fhir.plans import care_plans, goals
from services.console.fhir.readiness import compositions, provenances, readiness_observations
from tests.services.console.cases import corrected, readiness, replanned, session
from tests.services.console.test_story import told
from tests.services.notify.cases import MONDAY, closed, event, plan, readiness_revoked, ready, rejected
from workhardening_contracts.clinic import (
    AerobicTest,
    AssessmentRecorded,
    BlockMinutes,
    Finding,
    JointMobility,
    OutcomeTotal,
    Performed,
    Session,
    SessionRecorded,
    Vitals,
)
from workhardening_contracts.demand import Capacity
from workhardening_contracts.quantity import Quantity

SUBJECT = {"type": "Patient", "identifier": {"system": "urn:workhardening:worker", "value": "w-1"}}
KG = Quantity(amount=10.0, unit="kg")
WHOLE = AssessmentRecorded(
    assessed_on=MONDAY,
    history_flags=(),
    physical_examination=(Finding(code="pain", side="left", note="on bending"),),
    posture=(Finding(code="forward_head"),),
    mobility=(JointMobility(joint="lumbar", movement="flexion", degrees=40.0, side="not_applicable"),),
    functional_tests=(Capacity(kind="carry", frequency="frequent", amount=KG, measured_on=MONDAY - timedelta(days=1)),),
    aerobic=AerobicTest(six_minute_walk_m=500.0, vo2max=31.0),
    vitals=Vitals(heart_rate=70, systolic=130, diastolic=80),
    outcome_measures=(OutcomeTotal(measure="odi", total=30.0), OutcomeTotal(measure="phq_9", total=4.0)),
    baseline_pain=4.0,
    phq9_item9=0,
    red_flags=("chest_pain",),
)
HELD = Session(
    held_on=MONDAY,
    attendance="attended",
    hours=3.0,
    performed=(Performed(kind="lift", zone="floor_waist", frequency="occasional", amount=KG),),
    minutes=BlockMinutes(mobility=20.0),
    exertion=5.0,
    pain_before=3.0,
    pain_after=4.0,
    pain_next_day=3.0,
    heart_rate_peak=140,
    confidence=6.0,
    safety_stop=True,
    red_flags=("chest_pain",),
    phq9_item9=1,
)


def valid(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources, once each was found to be FHIR."""
    for each in resources:
        get_fhir_model_class(each["resourceType"]).model_validate(each)
    assert len({each["id"] for each in resources}) == len(resources)
    return resources


def codes(resources: list[dict[str, Any]]) -> list[str]:
    return [each["code"]["coding"][0]["code"] for each in resources]


def test_all_of_an_assessment_is_observed() -> None:
    shown = valid(observations(told(event(WHOLE, "a-1")), SUBJECT))
    assert codes(shown) == [
        "history", "physical_examination", "posture", "lumbar/flexion", "carry/-/frequent", "64098-7", "vo2max",
        "8867-4", "8480-6", "8462-4", "odi", "44261-6", "72514-3", "44260-8", "red_flag",
    ]  # fmt: skip
    assert shown[4]["effectiveDateTime"] == (MONDAY - timedelta(days=1)).isoformat()
    assert {each["identifier"][0]["value"] for each in shown} == {"a-1"}


def test_all_of_a_session_is_observed() -> None:
    shown = valid(observations(told(event(SessionRecorded(session=HELD), "s-1")), SUBJECT))
    assert codes(shown) == [
        "session", "hours", "lift/floor_waist/occasional", "pain_before", "pain_after", "pain_next_day", "exertion",
        "confidence", "44260-8", "55422-0", "mobility", "safety_stop", "red_flag",
    ]  # fmt: skip


def test_what_was_corrected_or_refused_is_not_observed() -> None:
    again = WHOLE.model_copy(update={"supersedes": "a-1", "baseline_pain": 2.0})
    story = told(
        event(WHOLE, "a-1"),
        event(again, "a-2"),
        event(WHOLE, "a-3"),
        rejected(event(WHOLE, "a-3")),
        session("s-1", MONDAY, 2.0),
        corrected("s-2", "s-1", MONDAY, 4.0),
    )
    shown = observations(story, SUBJECT)
    assert {each["identifier"][0]["value"] for each in shown} == {"a-2", "s-2"}


@pytest.mark.parametrize(("frozen", "status"), [(False, "active"), (True, "on-hold")])
def test_the_plan_in_force_is_a_care_plan_with_a_goal_for_each_demand(frozen: bool, status: str) -> None:
    story = told(plan(), replanned("week-1", 2, [10.0, 12.0], frozen=frozen))
    (shown,) = valid(care_plans(story, SUBJECT))
    (goal,) = valid(goals(story, SUBJECT))
    assert (shown["status"], goal["lifecycleStatus"], len(shown["activity"])) == (status, status, 2)
    assert shown["goal"] == [{"reference": f"Goal/{goal['id']}"}]
    assert [each["detailQuantity"]["value"] for each in goal["target"]] == [10.0, 12.0]
    assert goal["description"]["text"] == "lift/floor_waist/occasional"
    assert care_plans(told(plan(), closed("not_ready")), SUBJECT)[0]["status"] == "completed"


def test_before_there_is_anything_nothing_is_shown() -> None:
    story = told(session("s-1", MONDAY))
    shown = [care_plans(story, SUBJECT), goals(story, SUBJECT), compositions(story, SUBJECT), provenances(story)]
    assert shown == [[], [], [], []]


def test_readiness_is_preliminary_until_it_is_signed_and_again_when_the_signature_is_withdrawn() -> None:
    assessed = readiness(is_="meets_with_restrictions", vetoes=("red_flag",))
    for events, status, agents in (
        ([assessed], "preliminary", ["assembler"]),
        ([assessed, ready()], "final", ["assembler", "verifier"]),
        ([assessed, ready(), readiness_revoked()], "preliminary", ["assembler"]),
        ([assessed, ready(), readiness("readiness-2")], "preliminary", ["assembler"]),
    ):
        story = told(*events)
        (document,) = valid(compositions(story, SUBJECT))
        assert document["status"] == status
        who = valid(provenances(story))
        assert [each["agent"][0]["type"]["coding"][0]["code"] for each in who] == agents
        (observed,) = valid(readiness_observations(story, SUBJECT))
        assert document["section"][0]["entry"] == [{"reference": f"Observation/{observed['id']}"}]
        assert [each["code"]["coding"][0]["code"] for each in observed["component"]] == [
            "carry/-/seldom",
            "lift/floor_waist/occasional",
        ]
