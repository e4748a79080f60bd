"""A ServiceRequest, with the Condition, Coverage and Observations that it names, as a Referral."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

from services.intake.fhir.assessments import FINAL, NOT_FINAL, demand
from services.intake.fhir.bundle import Entries, Entry
from services.intake.fhir.outcome import Issue, left_out
from services.intake.fhir.values import Fault, Json, amount, built, code_in, day, notes, said, term, terms, words
from workhardening_contracts import fhir
from workhardening_contracts.clinic import Authorisation, Criteria, Injury, Referral
from workhardening_contracts.demand import Demand, DemandProfile

_WORKER = UUID("2d4c5e3a-7f6b-5c8d-8e9f-1a2b3c4d5e6f")
"""The name space of workers' references, of clinic and the Patient's reference."""

CRITERIA = tuple(Criteria.model_fields)
QUESTIONS = (*CRITERIA, "return_to_work_goal", "medical_clearance", "treatment_consent")
"""Components that are true or false. One that is left out is unknown, and unknown is not no."""

ANY = frozenset({(fhir.SCREENING, "screening"), fhir.OCCUPATION, (fhir.JOB, "job")})


def referral(clinic: str, entry: Entry, entries: Entries) -> tuple[Referral | None, list[Entry], list[Issue]]:
    """The referral; None when a fault is among the issues. And the resources that it was read from beside its own."""
    parts, issues = _Parts(), list[Issue]()
    for each in _named(entry, entries):
        if isinstance(each, Issue):
            issues.append(each)
            continue
        parts.read.append(each)
        try:
            issues += _take(parts, each)
        except Fault as fault:
            issues.append(fault.issue)
    if parts.injury is None and not any(issue.severity == "error" for issue in issues):
        text = "name a Condition that was sent along, with the day of the injury and the part of the body"
        issues.append(Fault("required", f"{entry.at}.reasonReference", text).issue)
    if any(issue.severity == "error" for issue in issues):
        return None, parts.read, issues
    try:
        worker = worker_ref(clinic, entry.resource["subject"])
        fields = {name: parts.answers.get(name, "unknown") for name in QUESTIONS if name not in CRITERIA}
        criteria = built(Criteria, entry.at, **{name: parts.answers.get(name, "unknown") for name in CRITERIA})
        asked = built(
            Referral, entry.at, worker_ref=worker, injury=parts.injury, criteria=criteria, job=parts.job,
            authorisation=parts.authorisation, **fields, **parts.facts,
        )  # fmt: skip
    except Fault as fault:
        return None, parts.read, [*issues, fault.issue]
    return asked, parts.read, issues


def worker_ref(clinic: str, subject: Json) -> str:
    """The worker, opaque: the identifier that the clinic minted for this, else derived from the Patient's reference."""
    identifier: Json = subject.get("identifier", {})
    if identifier.get("system") == fhir.WORKER and identifier.get("value"):
        return str(identifier["value"])
    name = subject.get("reference") or f"{identifier.get('system')}|{identifier.get('value')}"
    return f"w-{uuid5(_WORKER, f'{clinic}|{name}')}"


class _Parts:
    """What the resources that a ServiceRequest names have given so far."""

    def __init__(self) -> None:
        self.read: list[Entry] = []
        self.injury: Injury | None = None
        self.authorisation: Authorisation | None = None
        self.job: DemandProfile | None = None
        self.answers: dict[str, str] = {}
        self.facts: dict[str, Any] = {}


def _named(entry: Entry, entries: Entries) -> Iterator[Entry | Issue]:
    for element, kind in (
        ("reasonReference", "Condition"),
        ("insurance", "Coverage"),
        ("supportingInfo", "Observation"),
    ):
        for number, reference in enumerate(entry.resource.get(element, ())):
            found = entries.find(reference, kind)
            at = f"{entry.at}.{element}[{number}]"
            yield left_out(at, f"this is no {kind} that was sent along") if found is None else found


def _take(parts: _Parts, each: Entry) -> list[Issue]:
    match each.kind:
        case "Observation" if each.resource.get("status") not in FINAL:
            return [left_out(f"{each.at}.status", NOT_FINAL)]
        case "Condition" if parts.injury is None:
            parts.injury = injury(each)
        case "Coverage" if parts.authorisation is None:
            parts.authorisation = authorisation(each)
            parts.facts |= employment(each)
        case "Observation" if term(each.resource["code"], {(fhir.SCREENING, "screening")}):
            return _screening(parts, each)
        case "Observation" if term(each.resource["code"], ANY):
            parts.job, issues = job(each)
            return issues
        case "Observation":
            return [left_out(f"{each.at}.code", "none of its codes is a part of a referral")]
        case _:
            return [left_out(each.at, f"a referral has one {each.kind}: the first that it names")]
    return []


def injury(condition: Entry) -> Injury:
    """The injury. Raises Fault."""
    resource, at = condition.resource, condition.at
    if code_in(resource.get("verificationStatus"), _VERIFICATION) in ("refuted", "entered-in-error"):
        raise Fault("business-rule", f"{at}.verificationStatus", "a referral names an injury that stands")
    sites = [words(site) for site in resource.get("bodySite", ())]
    part = next((site for site in sites if site), None) or words(resource.get("code"))
    onset = resource.get("onsetDateTime")
    if part is None or onset is None:
        missing = "bodySite" if part is None else "onsetDateTime"
        raise Fault(
            "required", f"{at}.{missing}", "a referral says when the injury happened and to which part of the body"
        )
    occurred_on = day(onset, f"{at}.onsetDateTime")
    return built(Injury, at, occurred_on=occurred_on, body_part=part, story=notes(resource))


def authorisation(coverage: Entry) -> Authorisation:
    """An insurer's authorisation: there is one to ask, from when and until when. Raises Fault."""
    period, at = coverage.resource.get("period", {}), f"{coverage.at}.period"
    days = {name: day(period[end], f"{at}.{end}") for name, end in _ENDS.items() if end in period}
    return built(Authorisation, coverage.at, required=True, **days)


_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ENDS = {"valid_from": "start", "valid_through": "end"}


def employment(coverage: Entry) -> dict[str, Any]:
    """The employer that holds the policy, and the employer's own key of the employee."""
    holder: Json = coverage.resource.get("policyHolder", {}).get("identifier", {})
    if holder.get("system") != fhir.EMPLOYER:
        return {}
    return {"employer": holder.get("value"), "employee_key": coverage.resource.get("subscriberId")}


def job(observation: Entry) -> tuple[DemandProfile, list[Issue]]:
    """The job's demands: a component for each. Raises Fault."""
    resource, at = observation.resource, observation.at
    title = resource.get("valueString") or words(resource.get("valueCodeableConcept"))
    hours: float | None = None
    demands: list[Demand] = []
    issues: list[Issue] = []
    for number, component in enumerate(resource.get("component", ())):
        place = f"{at}.component[{number}]"
        if term(component["code"], {(fhir.JOB, "shift_hours")}):
            hours = amount(component, place, ("h",))
        elif code_in(component["code"], fhir.DEMAND):
            marks = [each for concept in component.get("interpretation", ()) for each in terms(concept)]
            critical = (fhir.CRITICAL, "critical") in marks
            demands.append(built(Demand, place, **demand(component, place), critical=critical))
        else:
            issues.append(left_out(place, "this component's code is no demand"))
    basis = code_in(resource.get("method"), fhir.JOB) or "employer"
    return built(DemandProfile, at, title=title, basis=basis, demands=tuple(demands), shift_hours=hours), issues


def _screening(parts: _Parts, each: Entry) -> list[Issue]:
    issues: list[Issue] = []
    for number, component in enumerate(each.resource.get("component", ())):
        place = f"{each.at}.component[{number}]"
        asked = code_in(component["code"], fhir.SCREENING) or ""
        if asked in QUESTIONS:
            if "dataAbsentReason" not in component:
                parts.answers[asked] = "yes" if said(component, place) else "no"
        elif asked == "tolerance_hours_per_day":
            parts.facts[asked] = amount(component, place, ("h",))
        elif asked == "tolerance_days_per_week":
            parts.facts[asked] = int(amount(component, place, ("d",)))
        elif asked == "red_flag":
            flag = code_in(component.get("valueCodeableConcept"), fhir.FINDING)
            parts.facts["red_flags"] = (*parts.facts.get("red_flags", ()), flag)
        else:
            issues.append(left_out(place, "a referral does not ask this"))
    return issues
