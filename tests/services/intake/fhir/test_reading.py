"""From FHIR resources to the clinic's events, without a door."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from services.intake.fhir.outcome import operation_outcome
from tests.services.intake.fhir.sending import (
    EXAMPLES,
    REFERRAL,
    WORKER,
    data_of,
    errors,
    example,
    read_bundle,
    read_one,
    resource_of,
    updating,
)
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseWithdrawn,
    ReferralCorrected,
    ReferralReceived,
    SessionCorrected,
    SessionRecorded,
    Vitals,
)
from workhardening_contracts.envelope import read_structured
from workhardening_contracts.quantity import Quantity
from workhardening_contracts.registry import open_closed

FIRST_CASE = (EXAMPLES.parent / "first-case.ndjson").read_bytes().splitlines()
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def observation(code: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"resourceType": "Observation", "id": "o-1", "status": "final", "code": code, "subject": WORKER}
    return {**given, "basedOn": [REFERRAL], "effectiveDateTime": "2025-04-01T10:00:00+02:00", **more}


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def measured(value: float, code: str) -> dict[str, Any]:
    return {"value": value, "system": UCUM, "code": code}


def assessed(resource: dict[str, Any]) -> AssessmentRecorded:
    said, issues = read_one(resource)
    assert errors(issues) == []
    found = data_of(said[0])
    assert isinstance(found, AssessmentRecorded)
    return found


# What is read


def test_a_referral_is_the_event_that_a_clinic_would_have_sent() -> None:
    said, issues = read_bundle(example("referral"))
    assert errors(issues) == []
    first = open_closed(read_structured(FIRST_CASE[0])).data
    found = data_of(said[0])
    assert isinstance(found, ReferralReceived)
    assert isinstance(first, ReferralReceived)
    assert found.referral.authorisation is not None
    assert found.referral.authorisation.valid_through == date(2025, 8, 31)
    assert found.referral.model_copy(update={"authorisation": None}) == first.referral


def test_an_assessment_in_one_report_is_one_event() -> None:
    said, issues = read_bundle(example("assessment"))
    assert errors(issues) == []
    first = open_closed(read_structured(FIRST_CASE[2])).data
    assert [data_of(each) for each in said] == [first]


def test_a_session_takes_what_names_its_encounter() -> None:
    (said,), issues = read_bundle(example("session"))
    assert errors(issues) == []
    found = data_of(said)
    assert isinstance(found, SessionRecorded)
    session = found.session
    assert (session.held_on, session.attendance, session.hours) == (date(2025, 3, 10), "attended", 2.5)
    assert (session.pain_before, session.pain_after, session.exertion, session.confidence) == (4, 5, 6, 4)
    assert session.heart_rate_peak == 128
    assert [(done.kind, done.amount) for done in session.performed] == [
        ("lift", Quantity(amount=11.0, unit="kg")),
        ("carry", Quantity(amount=5.0, unit="kg")),
    ]
    assert session.minutes is not None
    assert session.minutes.job_simulation == 40.0


def test_all_that_names_one_referral_is_of_one_case() -> None:
    cases = {
        said.envelope.subject
        for name in ("referral", "assessment", "session")
        for said in read_bundle(example(name))[0]
    }
    assert len(cases) == 1
    assert cases != {said.envelope.subject for said in read_bundle(example("referral"), "south")[0]}


def test_a_clinic_may_name_the_case_itself() -> None:
    case = "018f0000-0000-7000-8000-000000000001"
    bundle = example("referral")
    resource_of(bundle, "ServiceRequest")["identifier"].append({"system": "urn:workhardening:case", "value": case})
    (said,), _ = read_bundle(bundle)
    assert said.envelope.subject == UUID(case)
    resource_of(bundle, "ServiceRequest")["identifier"][1]["value"] = "mine"
    assert errors(read_bundle(bundle)[1]) == [("value", "Bundle.entry[0].resource.identifier")]


def test_one_observation_is_an_assessment_of_one_part() -> None:
    walked = assessed(observation(coded(LOINC, "64098-7"), valueQuantity=measured(512.0, "m")))
    assert walked.aerobic is not None
    assert (walked.assessed_on, walked.aerobic.six_minute_walk_m) == (date(2025, 4, 1), 512.0)
    flexed = observation(
        coded("urn:workhardening:mobility", "shoulder/flexion"),
        valueQuantity=measured(140.0, "deg"),
        bodySite=coded("http://snomed.info/sct", "7771000"),
    )
    moved = assessed(flexed).mobility
    assert moved is not None
    (joint,) = moved
    assert (joint.joint, joint.movement, joint.degrees, joint.side) == ("shoulder", "flexion", 140.0, "left")
    none = coded("urn:workhardening:finding", "none")
    assert assessed(observation(coded("urn:workhardening:examination", "history"), valueCodeableConcept=none)) == (
        AssessmentRecorded(assessed_on=date(2025, 4, 1), history_flags=())
    )


def test_blood_pressure_is_a_panel_and_is_rounded_as_is_told() -> None:
    components = [
        {"code": coded(LOINC, "8480-6"), "valueQuantity": measured(131.6, "mm[Hg]")},
        {"code": coded(LOINC, "8462-4"), "valueQuantity": measured(84, "mm[Hg]")},
    ]
    panel = observation(coded(LOINC, "85354-9"), component=components)
    assert assessed(panel).vitals == Vitals(systolic=132, diastolic=84)
    assert [issue.at for issue in read_one(panel)[1]] == ["Observation.value"]


def test_the_first_code_that_is_known_is_read() -> None:
    code = {"coding": [{"system": "urn:local", "code": "p"}, {"system": LOINC, "code": "72514-3"}]}
    assert assessed(observation(code, valueQuantity=measured(3, "{score}"))).baseline_pain == 3.0


def test_a_missed_appointment_is_a_session_that_did_not_take_place() -> None:
    appointment = {
        "resourceType": "Appointment",
        "id": "ap-1",
        "status": "noshow",
        "basedOn": [REFERRAL],
        "start": "2025-03-12T09:00:00+01:00",
        "participant": [{"status": "accepted"}],
    }
    (said,), _ = read_one(appointment)
    found = data_of(said)
    assert isinstance(found, SessionRecorded)
    assert (found.session.attendance, found.session.held_on, found.session.hours) == ("absent", date(2025, 3, 12), 0.0)
    said, issues = read_one({**appointment, "status": "booked"})
    assert (said, [issue.at for issue in issues]) == ([], ["Appointment.status"])


def test_a_cancelled_task_withdraws_the_case() -> None:
    task = {
        "resourceType": "Task",
        "id": "t-1",
        "status": "cancelled",
        "intent": "order",
        "focus": REFERRAL,
        "lastModified": "2025-03-20T08:00:00Z",
        "statusReason": coded("urn:workhardening:reason", "worker_choice"),
    }
    (said,), _ = read_one(task)
    assert data_of(said) == CaseWithdrawn(withdrawn_on=date(2025, 3, 20), reason_code="worker_choice")
    assert said.envelope.subject == read_bundle(example("referral"))[0][0].envelope.subject
    assert read_one({**task, "status": "in-progress"})[0] == []


def test_a_request_opens_its_case_before_it_says_anything_of_it() -> None:
    referral, assessment, session = example("referral"), example("assessment"), example("session")
    together = {**referral, "entry": [*session["entry"], *assessment["entry"], *referral["entry"]]}
    said, issues = read_bundle(together)
    assert errors(issues) == []
    assert [type(data_of(each)) for each in said] == [ReferralReceived, AssessmentRecorded, SessionRecorded]


# Which event it is


def test_the_same_resource_is_the_same_event_and_another_clinics_is_another() -> None:
    (first,), (again,) = read_bundle(example("session"))[0], read_bundle(example("session"))[0]
    assert first.envelope == again.envelope
    assert read_bundle(example("session"), "south")[0][0].envelope.id != first.envelope.id


def test_a_correction_supersedes_the_first_version_or_the_one_it_names() -> None:
    (first,), _ = read_bundle(example("session"))
    (second,), _ = read_bundle(updating(example("session"), "Encounter"))
    (third,), _ = read_bundle(updating(example("session"), "Encounter", second.envelope.id))
    corrected, again = data_of(second), data_of(third)
    assert isinstance(corrected, SessionCorrected)
    assert isinstance(again, SessionCorrected)
    assert (corrected.supersedes, again.supersedes) == (first.envelope.id, second.envelope.id)
    assert len({first.envelope.id, second.envelope.id, third.envelope.id}) == 3


def test_referrals_and_assessments_are_corrected_likewise() -> None:
    (first,), (second,) = (
        read_bundle(example("referral"))[0],
        read_bundle(updating(example("referral"), "ServiceRequest"))[0],
    )
    corrected = data_of(second)
    assert isinstance(corrected, ReferralCorrected)
    assert corrected.supersedes == first.envelope.id
    assert second.envelope.subject == first.envelope.subject
    (before,), (after,) = (
        read_bundle(example("assessment"))[0],
        read_bundle(updating(example("assessment"), "DiagnosticReport"))[0],
    )
    replaced = data_of(after)
    assert isinstance(replaced, AssessmentRecorded)
    assert replaced.supersedes == before.envelope.id


# What is refused, and what is only told

HOURS = {"system": UCUM, "code": "h"}
DEEP: dict[str, Any] = json.loads('{"url": "urn:x", "extension": [' * 300 + "{}" + "]}" * 300)
POST = {"method": "POST", "url": "Observation"}
DEMAND = coded("urn:workhardening:demand", "lift/floor_waist/occasional")


@pytest.mark.parametrize(
    ("name", "kind", "change", "code", "place"),
    [
        ("referral", "ServiceRequest", {"status": "revoked"}, "business-rule", "[0].resource.status"),
        ("referral", "ServiceRequest", {"authoredOn": None}, "required", "[0].resource.authoredOn"),
        ("referral", "ServiceRequest", {"identifier": None}, "required", "[0].resource.identifier"),
        ("referral", "ServiceRequest", {"reasonReference": None}, "required", "[0].resource.reasonReference"),
        ("referral", "ServiceRequest", {"unheard": "of"}, "structure", "[0].resource"),
        ("referral", "Condition", {"onsetDateTime": "2024"}, "value", "[1].resource.onsetDateTime"),
        ("referral", "Condition", {"onsetDateTime": None}, "required", "[1].resource.onsetDateTime"),
        ("referral", "Condition", {"onsetDateTime": "soon"}, "value", "[1].resource.onsetDateTime"),
        ("referral", "Condition", {"subject": {"reference": "Patient/2"}}, "business-rule", "[1].resource.subject"),
        ("assessment", "DiagnosticReport", {"status": "entered-in-error"}, "business-rule", "[0].resource.status"),
        ("assessment", "DiagnosticReport", {"status": None}, "required", "[0].resource.status"),
        ("assessment", "DiagnosticReport", {"effectiveDateTime": None}, "required", "[0].resource.effective"),
        ("assessment", "DiagnosticReport", {"result": [{"reference": "x"}]}, "not-found", "[0].resource.result[0]"),
        ("assessment", "Observation", {"valueCodeableConcept": None}, "value", "[1].resource.value"),
        ("assessment", "Observation", {"status": "entered-in-error"}, "business-rule", "[1].resource.status"),
        ("assessment", "Observation", {"code": DEMAND}, "value", "[1].resource.value"),
        ("session", "Encounter", {"period": {"start": "2025-03-10"}}, "required", "[0].resource.period.end"),
        ("session", "Encounter", {"period": None}, "required", "[0].resource.period.start"),
        ("session", "Observation", {"valueQuantity": measured(11, "{score}")}, "value", "[0].resource"),
        # What FHIR's library lets through, and FHIR does not.
        ("assessment", "DiagnosticReport", {"effectiveDateTime": 20250310}, "value", "[0].resource.effectiveDateTime"),
        ("session", "Encounter", {"length": {"value": "2", **HOURS}}, "value", "[0].resource.length.value"),
        (
            "session",
            "Encounter",
            {"length": {"value": 2, "code": "d"}},
            "value",
            "[0].resource.length.valueQuantity.code",
        ),
        ("session", "Encounter", {"extension": [DEEP]}, "structure", "[0].resource"),
    ],
)
def test_a_fault_is_pointed_at_and_nothing_is_read(
    name: str, kind: str, change: dict[str, Any], code: str, place: str
) -> None:
    bundle = example(name)
    resource = resource_of(bundle, kind)
    resource |= change
    for gone in [element for element, value in change.items() if value is None]:
        del resource[gone]
    said, issues = read_bundle(bundle)
    assert said == []
    assert (code, f"Bundle.entry{place}") in errors(issues)


def test_a_null_is_refused() -> None:
    bundle = example("session")
    resource_of(bundle, "Observation")["valueQuantity"] = None
    assert errors(read_bundle(bundle)[1]) == [("structure", "Bundle.entry[1].resource")]


def test_a_word_for_truth_is_refused() -> None:
    bundle = example("referral")
    resource_of(bundle, "Observation")["component"][0]["valueBoolean"] = "false"
    assert errors(read_bundle(bundle)[1]) == [("value", "Bundle.entry[2].resource.component[0].value")]


def test_a_status_that_is_there_without_a_value_is_none() -> None:
    bundle = example("session")
    encounter = resource_of(bundle, "Encounter")
    del encounter["status"]
    encounter["_status"] = {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}
    said, issues = read_bundle(bundle)
    assert (said, errors(issues)) == ([], [])
    assert "Bundle.entry[0].resource.status" in {issue.at for issue in issues}


def test_every_fault_of_a_request_is_told_at_once() -> None:
    bundle = example("assessment")
    for nth in (4, 5):
        resource_of(bundle, "Observation", nth)["valueQuantity"]["code"] = "stone"
    assert errors(read_bundle(bundle)[1]) == [
        ("value", f"Bundle.entry[{nth}].resource.valueQuantity.code") for nth in (5, 6)
    ]


def test_what_a_session_observes_twice_is_refused() -> None:
    bundle = example("session")
    again = deepcopy(bundle["entry"][1])
    again["fullUrl"] = "urn:uuid:4d1c2a00-0000-4000-8000-000000000099"
    bundle["entry"].append(again)
    assert errors(read_bundle(bundle)[1]) == [("business-rule", "Bundle.entry[9].resource")]


def test_what_has_no_place_is_told_and_the_rest_is_taken() -> None:
    bundle = example("assessment")
    resource_of(bundle, "Observation", 9)["referenceRange"] = [{"text": "0 to 10"}]
    resource_of(bundle, "Observation", 9)["note"] = [{"text": "as ever"}]
    bundle["entry"].append({"resource": {"resourceType": "Patient"}, "request": POST})
    bundle["entry"].append({"resource": {"resourceType": "Basic"}, "request": POST})
    lone = observation(coded(LOINC, "29463-7"), valueQuantity=measured(81, "kg"), id="weight")
    bundle["entry"].append({"resource": lone, "request": POST})
    said, issues = read_bundle(bundle)
    assert len(said) == 1
    told = {issue.at for issue in issues if issue.severity == "information"}
    assert told >= {
        "Bundle.entry[10].resource.referenceRange",
        "Bundle.entry[10].resource.note",
        "Bundle.entry[12].resource",
        "Bundle.entry[13].resource",
        "Bundle.entry[14].resource.code",
    }


def test_what_is_not_final_or_asks_for_something_else_is_left_out() -> None:
    preliminary = observation(coded(LOINC, "72514-3"), valueQuantity=measured(3, "{score}"), status="preliminary")
    assert ("information", "Observation.status") in [(each.severity, each.at) for each in read_one(preliminary)[1]]
    other = resource_of(example("referral"), "ServiceRequest") | {"code": coded("http://snomed.info/sct", "390893007")}
    assert [(each.severity, each.at) for each in read_one(other)[1]] == [("information", "ServiceRequest.code")]
    nameless = observation(coded(LOINC, "72514-3"), valueQuantity=measured(3, "{score}"))
    del nameless["basedOn"]
    said, issues = read_one(nameless)
    assert (said, [each.at for each in issues]) == ([], ["Observation"])


NO_BUNDLES: list[tuple[dict[str, Any], str]] = [
    ({"type": "collection"}, "Bundle.type"),
    ({"type": "batch"}, "Bundle.type"),
    ({"entry": []}, "Bundle.type"),
    ({"type": "transaction", "entry": ["x"]}, "Bundle.entry[0]"),
    ({"type": "transaction", "entry": "x"}, "Bundle.entry"),
    ({"type": "transaction", "entry": [{}]}, "Bundle.entry[0]"),
    ({"type": "transaction", "entry": [{"resource": {}, "request": POST}]}, "Bundle.entry[0].resource.resourceType"),
]


@pytest.mark.parametrize(("bundle", "place"), NO_BUNDLES)
def test_a_bundle_that_is_none_is_refused(bundle: dict[str, Any], place: str) -> None:
    said, issues = read_bundle({"resourceType": "Bundle", **bundle})
    assert said == []
    assert place in {at[: len(place)] for _, at in errors(issues)}


def test_no_issue_repeats_what_was_sent() -> None:
    marked = json.loads(json.dumps(example("referral")).replace("lower back", "Zebulon"))
    resource_of(marked, "ServiceRequest")["Zebulon"] = "Zebulon"
    resource_of(marked, "Condition")["onsetDateTime"] = "Zebulon"
    resource_of(marked, "Coverage")["status"] = {"Zebulon": "Zebulon"}
    resource_of(marked, "Observation")["effectiveDateTime"] = "2025-Zebulon"
    marked["entry"].append({"resource": {"resourceType": "Zebulon"}, "request": POST})
    said, issues = read_bundle(marked)
    assert said == []
    assert len(errors(issues)) == 4
    assert "Zebulon" not in json.dumps(operation_outcome(issues))
