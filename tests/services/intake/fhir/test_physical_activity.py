"""The examples of HL7's Physical Activity guide: what of them the program takes in, and what it says of the rest."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from services.intake.fhir.elements import NOT_ASSESSED, PLANNED
from tests.services.intake.fhir.sending import REFERRAL, data_of, errors, example, read_bundle, read_one, resource_of
from workhardening_contracts.clinic import AssessmentRecorded, SessionRecorded, Vitals

GUIDE = Path(__file__).parent / "physical_activity" / "examples.json"
EXAMPLES: dict[str, dict[str, Any]] = {each["id"]: each for each in json.loads(GUIDE.read_text())}
POST = {"method": "POST", "url": "Observation"}


def based(name: str) -> dict[str, Any]:
    """An example as it is sent by a clinic of the program: with the case that it belongs to."""
    return {**EXAMPLES[name], "basedOn": [REFERRAL]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_fhir(name: str) -> None:
    get_fhir_model_class(EXAMPLES[name]["resourceType"]).model_validate(EXAMPLES[name])


def test_the_guides_own_referral_is_to_another_program_and_all_of_it_is_left_out_by_name() -> None:
    entries = [{"resource": each, "request": POST, "fullUrl": f"urn:{name}"} for name, each in EXAMPLES.items()]
    said, issues = read_bundle({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert said == []
    assert errors(issues) == []
    for number in range(len(entries)):
        assert any(issue.at.startswith(f"Bundle.entry[{number}].") for issue in issues), entries[number]["fullUrl"]


def test_a_resting_heart_rate_over_a_week_is_a_vital_sign_of_its_last_day() -> None:
    (said,), issues = read_one(based("ExampleAverageRestingHeartRate"))
    assert data_of(said) == AssessmentRecorded(assessed_on=date(2022, 6, 8), vitals=Vitals(heart_rate=68))
    assert {issue.at for issue in issues} == {"Observation.performer"}


def test_a_peak_heart_rate_is_taken_with_its_session_and_not_without() -> None:
    bundle = example("session")
    (encounter,) = [each for each in bundle["entry"] if each["resource"]["resourceType"] == "Encounter"]
    peak = {
        **EXAMPLES["ExampleActivityPeakHR"],
        "subject": encounter["resource"]["subject"],
        "encounter": {"reference": encounter["fullUrl"]},
    }
    bundle["entry"] = [
        each for each in bundle["entry"] if each["resource"] is not resource_of(bundle, "Observation", 6)
    ]
    bundle["entry"].append({"resource": peak, "request": POST})
    (said,), _ = read_bundle(bundle)
    found = data_of(said)
    assert isinstance(found, SessionRecorded)
    assert found.session.heart_rate_peak == 178
    said, issues = read_one(based("ExampleActivityPeakHR"))
    assert (said, issues[0].text) == ([], NOT_ASSESSED)


@pytest.mark.parametrize(
    "name",
    [
        "ExampleEVSDaysPerWeek",
        "ExampleEVSMinutesPerDay",
        "ExampleEVSMinutesPerWeek",
        "ExampleActivityGroup",
        "ExampleActivityType",
        "ExampleActivityDuration",
        "ExampleDailySteps",
    ],
)
def test_activity_of_everyday_life_is_no_capacity_for_a_jobs_demand(name: str) -> None:
    said, issues = read_one(based(name))
    assert said == []
    assert ("Observation.code", NOT_ASSESSED) in {(issue.at, issue.text) for issue in issues}


def test_a_plan_of_another_program_is_left_out() -> None:
    entries = [{"resource": EXAMPLES[name], "request": POST} for name in ("ExampleCarePlan", "ExampleGoal")]
    said, issues = read_bundle({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert (said, [issue.text for issue in issues]) == ([], [PLANNED, PLANNED])
