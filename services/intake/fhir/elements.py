"""Why elements and resources that are sent are not kept: data, and the issues that follow from it.

docs/fhir.md shows the same tables to those who send; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.intake.fhir.outcome import Issue, left_out

ADMINISTRATIVE = "the program keeps no administrative data"
CLINIC = "it stays at the clinic: the program's events have no place for it"
PLANNED = "the program plans by its own rules and tells its plan by GET /fhir/CarePlan"
PERSON = "who a person is stays at the clinic"

WHY: Mapping[str, str] = {
    "ServiceRequest.intent": ADMINISTRATIVE,
    "Task.intent": ADMINISTRATIVE,
    "Appointment.participant": PERSON,
    "Encounter.class": ADMINISTRATIVE,
    "Coverage.status": "an authorisation is judged by its period",
    "Coverage.payor": "that there is an insurer to ask is kept, not who",
    "ServiceRequest.category": ADMINISTRATIVE,
    "ServiceRequest.priority": ADMINISTRATIVE,
    "ServiceRequest.requester": PERSON,
    "ServiceRequest.performer": PERSON,
    "ServiceRequest.occurrencePeriod": PLANNED,
    "ServiceRequest.reasonCode": "the injury is told by the Condition that reasonReference names",
    "ServiceRequest.note": CLINIC,
    "ServiceRequest.extension": CLINIC,
    "Condition.code": "the injury is told by the part of the body that bodySite names",
    "Condition.identifier": "a Condition is read as a part of the referral that names it",
    "Condition.clinicalStatus": CLINIC,
    "Condition.category": CLINIC,
    "Condition.severity": CLINIC,
    "Condition.abatementDateTime": CLINIC,
    "Condition.encounter": CLINIC,
    "Condition.asserter": PERSON,
    "Condition.recordedDate": CLINIC,
    "Condition.evidence": CLINIC,
    "Coverage.identifier": "a Coverage is read as a part of the referral that names it",
    "Coverage.type": ADMINISTRATIVE,
    "Coverage.class": ADMINISTRATIVE,
    "Coverage.relationship": ADMINISTRATIVE,
    "Observation.effectiveDateTime": "a part of something has the day of what it is a part of",
    "Observation.category": "what is observed is told by its code",
    "Observation.performer": PERSON,
    "Observation.issued": "when it was observed is told by effectiveDateTime",
    "Observation.interpretation": "the program judges by the job's demands, not by ranges of reference",
    "Observation.referenceRange": "the program judges by the job's demands, not by ranges of reference",
    "Observation.device": CLINIC,
    "DiagnosticReport.code": "what was assessed is told by the results",
    "DiagnosticReport.category": ADMINISTRATIVE,
    "DiagnosticReport.encounter": CLINIC,
    "DiagnosticReport.performer": PERSON,
    "DiagnosticReport.conclusion": CLINIC,
    "DiagnosticReport.presentedForm": "documents stay at the clinic",
    "Encounter.participant": PERSON,
    "Encounter.reasonCode": CLINIC,
    "Encounter.serviceProvider": PERSON,
    "Encounter.location": ADMINISTRATIVE,
    "Procedure.reasonCode": CLINIC,
    "Procedure.performer": PERSON,
    "Task.for": PERSON,
    "Task.requester": PERSON,
    "Task.owner": PERSON,
    "Task.note": CLINIC,
    "Task.priority": ADMINISTRATIVE,
    "Task.businessStatus": CLINIC,
    "Task.authoredOn": "when a task changed is told by lastModified",
    "Appointment.description": CLINIC,
    "Appointment.end": "a missed session has a day and no length",
}  # fmt: skip
"""Elements that clinics' systems often send and that are not read. One that is not here is `OTHER`."""

NOT_ASSESSED = "none of its codes is a part of an assessment"

OTHER = "the program's events have no place for this element"

NESTED: Mapping[str, str] = {
    **{
        f"{kind}.id": "a part of an event has no identity of its own"
        for kind in ("Condition", "Coverage", "Observation", "Procedure")
    },
    "Condition.code.coding.system": "the part of the body is kept in words",
    "Condition.code.coding.code": "the part of the body is kept in words",
    "coding.display": "a code is kept by the contract's word for it, not as it was displayed",
    "coding.system": "one coding is read: the first that the program knows",
    "coding.code": "one coding is read: the first that the program knows",
    "valueQuantity.unit": "the value and its UCUM code are read",
    "subject.display": PERSON,
    "period.end": "of a session the day and its length are kept, not the time of day",
    "period.start": "of a session the day and its length are kept, not the time of day",
    "effectiveDateTime": "the day is kept with the assessment, the time of day with the event",
    "meta": "which version it is, and of which profile, is not kept",
}
"""What is not kept inside of an element that is read. It is not told with each resource, only in docs/fhir.md."""

TYPES: Mapping[str, str] = {
    "Patient": PERSON,
    "RelatedPerson": PERSON,
    "Practitioner": PERSON,
    "PractitionerRole": PERSON,
    "Organization": PERSON,
    "Location": ADMINISTRATIVE,
    "Claim": ADMINISTRATIVE,
    "ExplanationOfBenefit": ADMINISTRATIVE,
    "CarePlan": PLANNED,
    "Goal": PLANNED,
    "CareTeam": PERSON,
    "Provenance": "who sent it is told by the key, and when by the event",
    "AllergyIntolerance": CLINIC,
    "Device": CLINIC,
    "DocumentReference": "documents stay at the clinic",
    "ImagingStudy": CLINIC,
    "Immunization": CLINIC,
    "Medication": CLINIC,
    "MedicationAdministration": CLINIC,
    "MedicationRequest": CLINIC,
    "SupplyDelivery": CLINIC,
    "Consent": "tell consent by POST /v1/events: who may be told what is no field of a FHIR Consent",
    "QuestionnaireResponse": "send the total as an Observation: a questionnaire's wording is copyrighted",
}  # fmt: skip
"""Resources of other types, which are answered and not read. One that is not here is `OTHER_TYPE`."""

OTHER_TYPE = "resources of this type are not taken in"


def unread(kind: str, names: Iterable[str], at: str) -> Iterable[Issue]:
    """An issue for each of these elements of a resource, which were not read."""
    for name in names:
        yield left_out(f"{at}.{name}", f"not kept: {WHY.get(f'{kind}.{name}', OTHER)}")
