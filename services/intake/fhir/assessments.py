"""Observations as parts of an AssessmentRecorded: a table from codes to parts, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from services.intake.fhir.bundle import Entry
from services.intake.fhir.elements import NOT_ASSESSED
from services.intake.fhir.outcome import Issue, left_out
from services.intake.fhir.values import (
    Fault,
    Json,
    Term,
    amount,
    built,
    code_in,
    day,
    effective,
    notes,
    quantity,
    score,
    term,
    terms,
)
from workhardening_contracts import fhir
from workhardening_contracts.clinic import AerobicTest, AssessmentRecorded, Finding, JointMobility, OutcomeTotal, Vitals
from workhardening_contracts.demand import Capacity

FINAL = frozenset({"final", "amended", "corrected"})
NOT_FINAL = "it is not final: send it when it is"
WITHDRAWN = frozenset({"cancelled", "entered-in-error"})

Part = tuple[str, Any]
"""A field of AssessmentRecorded (`vitals.heart_rate` is one of a part of it), and what is read for it."""
Reader = Callable[[Json, str], Sequence[Part | Issue]]

_LISTS = frozenset(
    {
        "history_flags",
        "physical_examination",
        "posture",
        "mobility",
        "functional_tests",
        "outcome_measures",
        "red_flags",
    }
)
_MODELS = {"vitals": Vitals, "aerobic": AerobicTest}


def assessment(
    observations: Iterable[Entry], at: str, assessed_on: date, supersedes: str | None
) -> tuple[AssessmentRecorded | None, list[Issue]]:
    """The event that these observations make up; None when none of them is known or one is faulty."""
    found: dict[str, Any] = {}
    issues: list[Issue] = []
    for observation in observations:
        try:
            parts, told = read(observation)
            issues += told
            for name, value in parts:
                _add(found, name, value, observation.at)
        except Fault as fault:
            issues.append(fault.issue)
    if not found or any(issue.severity == "error" for issue in issues):
        return None, issues
    try:
        return built(
            AssessmentRecorded, at, assessed_on=assessed_on, supersedes=supersedes, **_nested(found, at)
        ), issues
    except Fault as fault:
        return None, [*issues, fault.issue]


def read(observation: Entry) -> tuple[list[Part], list[Issue]]:
    """What one observation contributes, and what is to be said of it. Raises Fault."""
    resource, at = observation.resource, observation.at
    reader = reader_of(terms(resource["code"]))
    if reader is None:
        return [], [left_out(f"{at}.code", NOT_ASSESSED)]
    if resource.get("status") in WITHDRAWN:
        raise Fault("business-rule", f"{at}.status", "send the assessment anew without it, as a correction (PUT)")
    if resource.get("status") not in FINAL:
        return [], [left_out(f"{at}.status", NOT_FINAL)]
    if "dataAbsentReason" in resource:
        return [], [left_out(f"{at}.dataAbsentReason", "nothing was observed")]
    found = reader(resource, at)
    parts = [each for each in found if not isinstance(each, Issue)]
    rounded = [name for name, value in parts if isinstance(value, Rounded)]
    told = [left_out(f"{at}.value", f"rounded to a whole number: {', '.join(rounded)}")] if rounded else []
    return parts, [*told, *(each for each in found if isinstance(each, Issue))]


def reader_of(codes: Sequence[Term]) -> Reader | None:
    """How an observation with these codes is read; None where no code is a part of an assessment."""
    for system, code in codes:
        if (system, code) in BY_CODE:
            return BY_CODE[system, code]
        if system in BY_SYSTEM:
            return BY_SYSTEM[system]
    return None


def phq9_item9(resource: Json, at: str) -> int:
    """The score of PHQ-9 item 9, also where the answer was coded. Raises Fault."""
    answer = code_in(resource.get("valueCodeableConcept"), fhir.LOINC)
    return fhir.PHQ9_ANSWERS[answer] if answer in fhir.PHQ9_ANSWERS else whole(score(resource, at))


def whole(given: float) -> int:
    """A value that the contract has as a whole number; one that was rounded can be told."""
    return int(given) if given == int(given) else Rounded(round(given))


def pulse(resource: Json, at: str) -> int:
    """A heart rate, beats per minute. Raises Fault."""
    return whole(amount(resource, at, ("/min",)))


def findings(resource: Json, at: str) -> list[str]:
    """The codes of findings; none where the one code is `none`. Raises Fault."""
    concept = resource.get("valueCodeableConcept", {})
    codes = [code for system, code in terms(concept) if system == fhir.FINDING]
    if not codes:
        raise Fault("value", f"{at}.value", f"give the finding as a code of {fhir.FINDING}, or `none`")
    return [code for code in codes if code != "none"]


def demand(resource: Json, at: str) -> dict[str, Any]:
    """Kind, zone, frequency and amount by the demand's key. Raises Fault."""
    key = code_in(resource["code"], fhir.DEMAND) or ""
    parts = key.split("/")
    if len(parts) != 3:
        raise Fault("value", f"{at}.code", "a demand's code is kind/zone/frequency, with - for no zone")
    kind, zone, frequency = parts
    return {
        "kind": kind,
        "zone": None if zone == "-" else zone,
        "frequency": frequency,
        "amount": quantity(resource, at),
    }


class Rounded(int):
    """A whole number that was not one when it was sent."""


def _side(resource: Json) -> str:
    sides = (fhir.SIDES.get(code) for of, code in terms(resource.get("bodySite")) if of == fhir.SNOMED)
    return next((side for side in sides if side is not None), "not_applicable")


def _capacity(resource: Json, at: str) -> list[Part]:
    on = day(*effective(resource, at))
    return [("functional_tests", built(Capacity, at, **demand(resource, at), measured_on=on))]


def _mobility(resource: Json, at: str) -> list[Part]:
    joint, _, movement = (code_in(resource["code"], fhir.MOBILITY) or "").partition("/")
    degrees = amount(resource, at, ("deg",))
    return [
        ("mobility", built(JointMobility, at, joint=joint, movement=movement, degrees=degrees, side=_side(resource)))
    ]


def _total(resource: Json, at: str) -> list[Part]:
    own = code_in(resource["code"], fhir.MEASURE)
    measure = own or next(fhir.MEASURES[term] for term in terms(resource["code"]) if term in fhir.MEASURES)
    return [("outcome_measures", built(OutcomeTotal, at, measure=measure, total=score(resource, at)))]


def _examined(part: str) -> Reader:
    def read(resource: Json, at: str) -> list[Part]:
        told: dict[str, Any] = {"side": _side(resource), "note": notes(resource)}
        return [(part, built(Finding, at, code=code, **told)) for code in findings(resource, at) or ["none"]]

    return read


def _flagged(part: str) -> Reader:
    def read(resource: Json, at: str) -> list[Part]:
        return [(part, code) for code in findings(resource, at)] or [(part, None)]

    return read


def _valued(part: str, value: Callable[[Json, str], float]) -> Reader:
    return lambda resource, at: [(part, value(resource, at))]


def _measured(part: str, *units: str) -> Reader:
    return lambda resource, at: [(part, amount(resource, at, units))]


def _pressure(resource: Json, at: str) -> int:
    return whole(amount(resource, at, ("mm[Hg]",)))


def _blood_pressure(resource: Json, at: str) -> list[Part | Issue]:
    named: dict[Term, str] = {fhir.SYSTOLIC: "vitals.systolic", fhir.DIASTOLIC: "vitals.diastolic"}
    found: list[Part | Issue] = []
    for number, component in enumerate(resource.get("component", ())):
        place, known = f"{at}.component[{number}]", term(component["code"], named)
        found.append(left_out(place, NOT_ASSESSED) if known is None else (named[known], _pressure(component, place)))
    return found


BY_CODE: Mapping[Term, Reader] = {
    fhir.PAIN: _valued("baseline_pain", score),
    fhir.PHQ9_ITEM9: _valued("phq9_item9", phq9_item9),
    fhir.HEART_RATE: _valued("vitals.heart_rate", pulse),
    fhir.HEART_RATE_RESTING: _valued("vitals.heart_rate", pulse),
    fhir.BLOOD_PRESSURE: _blood_pressure,
    fhir.SYSTOLIC: _valued("vitals.systolic", _pressure),
    fhir.DIASTOLIC: _valued("vitals.diastolic", _pressure),
    fhir.SIX_MINUTE_WALK: _measured("aerobic.six_minute_walk_m", "m"),
    (fhir.EXAMINATION, "vo2max"): _measured("aerobic.vo2max", "mL/min/kg", "mL/kg/min", "mL/(kg.min)"),
    (fhir.EXAMINATION, "history"): _flagged("history_flags"),
    (fhir.EXAMINATION, "red_flag"): _flagged("red_flags"),
    (fhir.EXAMINATION, "physical_examination"): _examined("physical_examination"),
    (fhir.EXAMINATION, "posture"): _examined("posture"),
    **dict.fromkeys(fhir.MEASURES, _total),
}
BY_SYSTEM: Mapping[str, Reader] = {fhir.DEMAND: _capacity, fhir.MOBILITY: _mobility, fhir.MEASURE: _total}


def _add(found: dict[str, Any], name: str, value: Any, at: str) -> None:
    if name in _LISTS:
        found.setdefault(name, [])
        found[name] += [] if value is None else [value]
    elif name in found:
        raise Fault("business-rule", at, f"{name} is observed twice in one assessment")
    else:
        found[name] = int(value) if isinstance(value, int) else value


def _nested(found: Mapping[str, Any], at: str) -> dict[str, Any]:
    fields = {name: tuple(value) if name in _LISTS else value for name, value in found.items() if "." not in name}
    for part, model in _MODELS.items():
        inner = {name.partition(".")[2]: value for name, value in found.items() if name.startswith(f"{part}.")}
        if inner:
            fields[part] = built(model, at, **inner)
    return fields
