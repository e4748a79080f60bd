"""What a clinic reported of a case, as FHIR Observations: assessments and sessions as they stand. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from uuid import UUID, uuid5

from services.console.story import Logged, Story, held
from workhardening_contracts import fhir
from workhardening_contracts.clinic import AssessmentRecorded, Finding, Performed, Session
from workhardening_contracts.demand import Capacity
from workhardening_contracts.quantity import Quantity
from workhardening_contracts.readiness import EventRejected

Json = dict[str, Any]

UCUM = {unit: code for code, unit in fhir.UNITS.items()}
SIDES = {side: code for code, side in fhir.SIDES.items()}
MEASURES = {measure: term for term, measure in fhir.MEASURES.items()}

_NAMES = UUID("3e5d6f4b-8a7c-5d9e-9fa0-2b3c4d5e6f70")
"""The name space of resources' ids, of the event and the place in it."""

SCORES: Mapping[str, tuple[str, str]] = {
    "pain_before": (fhir.SESSION, "pain_before"),
    "pain_after": (fhir.SESSION, "pain_after"),
    "pain_next_day": (fhir.SESSION, "pain_next_day"),
    "exertion": (fhir.SESSION, "exertion"),
    "confidence": (fhir.SESSION, "confidence"),
    "phq9_item9": fhir.PHQ9_ITEM9,
}


def observations(story: Story, subject: Json) -> list[Json]:
    """Each thing observed, with the event's id as its identifier."""
    found: list[Json] = []
    for event, recorded in assessments(story):
        found += _numbered(_assessed(recorded), event.id, recorded.assessed_on, subject)
    for id_, session in held(story).items():
        found += _numbered(_trained(session), id_, session.held_on, subject)
    return found


def assessments(story: Story) -> list[tuple[Logged, AssessmentRecorded]]:
    """The assessments as they stand: corrections in the place of what they replace, without what was refused."""
    refused = {data.rejected_id for _, data in story.of(EventRejected)}
    standing: dict[str, tuple[Logged, AssessmentRecorded]] = {}
    for event, data in story.of(AssessmentRecorded):
        if event.id not in refused:
            standing.pop(data.supersedes or "", None)
            standing[event.id] = (event, data)
    return list(standing.values())


def coded(system: str, code: str) -> Json:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def measured(amount: Quantity) -> Json:
    """A Quantity in UCUM."""
    return ucum(amount.amount, UCUM[amount.unit])


def ucum(value: float, code: str) -> Json:
    """A Quantity of this UCUM code."""
    return {"value": value, "unit": code, "system": fhir.UCUM, "code": code}


def name_of(*parts: object) -> str:
    """The id of a resource that is made from these."""
    return str(uuid5(_NAMES, "|".join(str(part) for part in parts)))


def _numbered(parts: Iterator[Json], event_id: str, on: date, subject: Json) -> list[Json]:
    return [
        {
            "resourceType": "Observation",
            "id": name_of(event_id, number),
            "identifier": [{"system": "urn:workhardening:event", "value": event_id}],
            "status": "final",
            "subject": subject,
            "effectiveDateTime": on.isoformat(),
            **part,
        }
        for number, part in enumerate(parts)
    ]


def _assessed(recorded: AssessmentRecorded) -> Iterator[Json]:
    if recorded.history_flags is not None:
        yield _flags((fhir.EXAMINATION, "history"), recorded.history_flags or ("none",))
    for part in ("physical_examination", "posture"):
        for finding in getattr(recorded, part) or ():
            yield _finding(part, finding)
    for joint in recorded.mobility or ():
        yield {
            "code": coded(fhir.MOBILITY, f"{joint.joint}/{joint.movement}"),
            **_site(joint.side),
            "valueQuantity": ucum(joint.degrees, "deg"),
        }
    for capacity in recorded.functional_tests or ():
        yield {**_capacity(capacity), "effectiveDateTime": capacity.measured_on.isoformat()}
    if recorded.aerobic is not None:
        yield from _one(fhir.SIX_MINUTE_WALK, recorded.aerobic.six_minute_walk_m, "m")
        yield from _one((fhir.EXAMINATION, "vo2max"), recorded.aerobic.vo2max, "mL/min/kg")
    if recorded.vitals is not None:
        yield from _one(fhir.HEART_RATE, recorded.vitals.heart_rate, "/min")
        yield from _one(fhir.SYSTOLIC, recorded.vitals.systolic, "mm[Hg]")
        yield from _one(fhir.DIASTOLIC, recorded.vitals.diastolic, "mm[Hg]")
    for total in recorded.outcome_measures:
        yield from _one(MEASURES.get(total.measure, (fhir.MEASURE, total.measure)), total.total, "{score}")
    yield from _one(fhir.PAIN, recorded.baseline_pain, "{score}")
    yield from _one(fhir.PHQ9_ITEM9, recorded.phq9_item9, "{score}")
    if recorded.red_flags:
        yield _flags((fhir.EXAMINATION, "red_flag"), recorded.red_flags)


def _trained(session: Session) -> Iterator[Json]:
    yield {"code": coded(fhir.SESSION, "session"), "valueCodeableConcept": coded(fhir.ATTENDANCE, session.attendance)}
    yield from _one((fhir.SESSION, "hours"), session.hours, "h")
    for done in session.performed:
        yield _capacity(done)
    for name, term in SCORES.items():
        yield from _one(term, getattr(session, name), "{score}")
    yield from _one(fhir.HEART_RATE_PEAK, session.heart_rate_peak, "/min")
    if session.minutes is not None:
        for block, minutes in session.minutes.model_dump().items():
            yield from _one((fhir.BLOCK, block), minutes or None, "min")
    if session.safety_stop:
        yield {"code": coded(fhir.SESSION, "safety_stop"), "valueBoolean": True}
    if session.red_flags:
        yield _flags((fhir.SESSION, "red_flag"), session.red_flags)


def _one(term: tuple[str, str], value: float | None, unit: str) -> Iterator[Json]:
    if value is not None:
        yield {"code": coded(*term), "valueQuantity": ucum(value, unit)}


def _capacity(shown: Capacity | Performed) -> Json:
    key = f"{shown.kind}/{shown.zone or '-'}/{shown.frequency}"
    return {"code": coded(fhir.DEMAND, key), "valueQuantity": measured(shown.amount)}


def _finding(part: str, finding: Finding) -> Json:
    note = {} if finding.note is None else {"note": [{"text": finding.note}]}
    code, value = coded(fhir.EXAMINATION, part), coded(fhir.FINDING, finding.code)
    return {"code": code, **_site(finding.side), "valueCodeableConcept": value, **note}


def _site(side: str) -> Json:
    return {"bodySite": coded(fhir.SNOMED, SIDES[side])} if side in SIDES else {}


def _flags(term: tuple[str, str], codes: tuple[str, ...]) -> Json:
    return {
        "code": coded(*term),
        "valueCodeableConcept": {"coding": [{"system": fhir.FINDING, "code": code} for code in codes]},
    }
