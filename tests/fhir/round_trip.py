"""There and back: what became of each field of a Bundle that was sent.

A field is kept when the events, or the FHIR that is read back from them, hold the same value; told when an issue of the
answer points at it; or it is in the table of what is not kept inside of elements that are read (`NESTED`). All else is
lost without a word, and must not be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from services.console.fhir.observations import observations
from services.console.story import Logged, read_story
from services.intake.fhir.bundle import case_of
from services.intake.fhir.elements import NESTED
from services.intake.fhir.outcome import Issue, refused
from services.intake.fhir.reading import Said
from services.intake.fhir.referrals import worker_ref
from tests.services.intake.fhir.sending import data_of, read_bundle
from workhardening_contracts import fhir
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    BlockMinutes,
    CaseWithdrawn,
    Criteria,
    Referral,
    ReferralReceived,
    Session,
    SessionRecorded,
)

Json = dict[str, Any]
CLINIC = "north"
HALF = 0.5
"""What rounding to a whole number takes away at most."""


@dataclass
class Fate:
    """What became of the fields of many bundles, by path."""

    kept: Counter[str] = field(default_factory=Counter[str])
    told: Counter[str] = field(default_factory=Counter[str])
    """The issue pointed at the element or at one around it."""
    nested: Counter[str] = field(default_factory=Counter[str])
    types: Counter[str] = field(default_factory=Counter[str])
    """Resources of which something was kept, by type."""
    left: Counter[str] = field(default_factory=Counter[str])
    """Resources that were left out whole, by type."""
    events: Counter[str] = field(default_factory=Counter[str])
    lost: Counter[str] = field(default_factory=Counter[str])


@dataclass(frozen=True)
class Back:
    """What can be had back of a bundle."""

    case: Any
    referral: Referral
    referred_at: datetime
    assessed: AssessmentRecorded | None
    sessions: Sequence[Session]
    withdrawn: CaseWithdrawn | None
    observed: Sequence[Json]
    """Observations as the console shows them."""
    taken: frozenset[str]
    """Names of the resources that were taken in, as references call them."""


def follow(bundle: Json, fate: Fate) -> list[Issue]:
    """Send a bundle, read back what became of it, and add up. Returns the issues."""
    said, issues = read_bundle(bundle, CLINIC)
    if refused(issues):
        return issues
    fate.events.update(type(data_of(each)).__name__ for each in said)
    places = {issue.at for issue in issues}
    whole = {issue.at for issue in issues if not issue.text.startswith("not kept")}
    resources = [(f"Bundle.entry[{n}].resource", each) for n, each in enumerate(bundle["entry"])]
    out = {at for at, _ in resources if whole & {at, f"{at}.code", f"{at}.type", f"{at}.status"}}
    back = _back(said, frozenset(name for at, each in resources if at not in out for name in _names(each)))
    for at, entry in resources:
        resource: Json = entry["resource"]
        kind = resource["resourceType"]
        (fate.left if at in out else fate.types)[kind] += 1
        for path, value in leaves(resource, kind):
            element = f"{at}.{path.split('.')[1]}" if "." in path else at
            if at in out or element in places:
                fate.told[path] += 1
            elif (same := KEPT.get(path)) is not None and same(value, resource, back):
                fate.kept[path] += 1
            elif same is None and explained(path):
                fate.nested[path] += 1
            else:
                fate.lost[path] += 1
    return issues


def leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each value of a resource with its path, which counts no lists."""
    if isinstance(node, dict):
        for name, value in cast("Json", node).items():
            if name != "resourceType":
                yield from leaves(value, f"{path}.{name}")
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            yield from leaves(value, path)
    else:
        yield path, node


def explained(path: str) -> bool:
    """Whether the table of nested elements says why this is not kept."""
    inner = path.partition(".")[2]
    return any(path == name or inner.endswith(name) or inner.startswith(f"{name}.") for name in NESTED)


def _back(said: Sequence[Said], taken: frozenset[str]) -> Back:
    data = [data_of(each) for each in said]
    (opened,) = [each for each in said if isinstance(data_of(each), ReferralReceived)]
    received = data_of(opened)
    assert isinstance(received, ReferralReceived)
    log = [
        Logged(each.source, each.id, each.type, each.time, number, "", each.data)
        for number, each in enumerate((each.envelope for each in said), 1)
    ]
    return Back(
        case=opened.envelope.subject,
        referral=received.referral,
        referred_at=opened.envelope.time,
        assessed=next((each for each in data if isinstance(each, AssessmentRecorded)), None),
        sessions=[each.session for each in data if isinstance(each, SessionRecorded)],
        withdrawn=next((each for each in data if isinstance(each, CaseWithdrawn)), None),
        observed=observations(read_story(log, CLINIC), {}),
        taken=taken,
    )


def _names(entry: Json) -> list[str]:
    resource: Json = entry["resource"]
    named = [entry["fullUrl"]] if "fullUrl" in entry else []
    return [*named, f"{resource['resourceType']}/{resource.get('id', '')}"]


# Whether a value came back: of the value, its resource, and what can be had back.
Same = Callable[[Any, Json, Back], bool]


def _always(_: Any, __: Json, ___: Back) -> bool:
    """It was read to find the event or its parts, and without it there would be none."""
    return True


def _of_case(_: Any, resource: Json, back: Back) -> bool:
    return case_of(CLINIC, resource["identifier"], "") == back.case


def _based(_: Any, resource: Json, back: Back) -> bool:
    references = resource.get("basedOn") or [resource["focus"]]
    return case_of(CLINIC, [references[0]["identifier"]], "") == back.case


def _worker(reference: str, _: Json, back: Back) -> bool:
    return worker_ref(CLINIC, {"reference": reference}) == back.referral.worker_ref


def _taken(reference: str, _: Json, back: Back) -> bool:
    return reference in back.taken


def _day(value: str) -> str:
    return value[:10]


def _shown(resource: Json) -> set[tuple[str, str]]:
    return {(each["system"], each["code"]) for each in resource["code"]["coding"]}


ALIKE: Mapping[tuple[str, str], tuple[str, str]] = {fhir.HEART_RATE_RESTING: fhir.HEART_RATE}
"""Codes that come back as another."""


def _observed(resource: Json, back: Back) -> list[Json]:
    codes = _shown(resource)
    codes |= {ALIKE[code] for code in codes & set(ALIKE)}
    return [each for each in back.observed if codes & _shown(each)]


def _code(_: Any, resource: Json, back: Back) -> bool:
    panel = [each for component in resource.get("component", ()) for each in _observed(component, back)]
    return bool(_observed(resource, back) or panel) or _part_of_referral(resource)


def _part_of_referral(resource: Json) -> bool:
    return bool(_shown(resource) & {(fhir.SCREENING, "screening"), fhir.OCCUPATION})


def _code_of_component(value: str, resource: Json, back: Back) -> bool:
    return _code_asked(value, back) if _part_of_referral(resource) else _code(value, resource, back)


def _value(value: float, resource: Json, back: Back) -> bool:
    return any(abs(each["valueQuantity"]["value"] - value) <= HALF for each in _observed(resource, back))


def _unit(value: str, resource: Json, back: Back) -> bool:
    return any(each["valueQuantity"]["code"] == value for each in _observed(resource, back))


def _component(field: str, same: Same, asked: Callable[[Any, Back], bool]) -> Same:
    """Of a panel each component comes back as an Observation; the referral's are answers and demands."""

    def either(value: Any, resource: Json, back: Back) -> bool:
        if _part_of_referral(resource):
            return asked(value, back)
        return any(
            same(value, each, back) for each in resource["component"] if each["valueQuantity"].get(field) == value
        )

    return either


def _number_asked(value: float, back: Back) -> bool:
    referral, job = back.referral, back.referral.job
    demands = [each.amount.amount for each in job.demands] if job else []
    hours = job.shift_hours if job else None
    return value in (*demands, hours, referral.tolerance_hours_per_day, referral.tolerance_days_per_week)


def _code_asked(value: str, back: Back) -> bool:
    keys = {each.key for each in back.referral.job.demands} if back.referral.job else set[str]()
    return value in keys | {"shift_hours"} | set(Referral.model_fields) | set(Criteria.model_fields)


def _job(value: Any, _: Json, back: Back) -> bool:
    return back.referral.job is not None and value in (back.referral.job.title, back.referral.job.basis)


def _critical(value: str, resource: Json, back: Back) -> bool:
    marked = sum("interpretation" in each for each in resource["component"])
    return back.referral.job is not None and marked == sum(each.critical for each in back.referral.job.demands)


def _held(value: str, resource: Json, back: Back) -> bool:
    return any(each.held_on.isoformat() == _day(value) for each in back.sessions)


def _took(_: Any, resource: Json, back: Back) -> bool:
    period = resource["period"]
    length = datetime.fromisoformat(period["end"]) - datetime.fromisoformat(period["start"])
    return any(abs(timedelta(hours=each.hours) - length) < timedelta(seconds=1) for each in back.sessions)


def _spent(_: Any, resource: Json, back: Back) -> bool:
    period = resource["performedPeriod"]
    spent = datetime.fromisoformat(period["end"]) - datetime.fromisoformat(period["start"])
    return any(each.minutes and abs(each.minutes.endurance * 60 - spent.total_seconds()) < 1 for each in back.sessions)


def _authorised(name: str) -> Same:
    def same(value: str, _: Json, back: Back) -> bool:
        authorisation = back.referral.authorisation
        return authorisation is not None and getattr(authorisation, name).isoformat() == _day(value)

    return same


_TYPES = ("ServiceRequest", "DiagnosticReport", "Observation", "Encounter", "Procedure", "Appointment", "Task")
_SUBJECTS = ("ServiceRequest", "Condition", "Observation", "DiagnosticReport", "Encounter", "Procedure")
_REFERENCES = ("type", "identifier.system", "identifier.value")

KEPT: Mapping[str, Same] = {
    "ServiceRequest.identifier.system": _of_case,
    "ServiceRequest.identifier.value": _of_case,
    **{f"{kind}.basedOn.{part}": _based for kind in _TYPES for part in _REFERENCES},
    **{f"Task.focus.{part}": _based for part in _REFERENCES},
    **{f"{kind}.subject.reference": _worker for kind in _SUBJECTS},
    "Coverage.beneficiary.reference": _worker,
    "ServiceRequest.reasonReference.reference": _taken,
    "ServiceRequest.supportingInfo.reference": _taken,
    "ServiceRequest.insurance.reference": _taken,
    "DiagnosticReport.result.reference": _taken,
    "Observation.encounter.reference": _taken,
    "Procedure.encounter.reference": _taken,
    # The id makes the event's; of the status and the kind of service, that there is an event tells that they are so.
    **{f"{kind}.id": _always for kind in ("ServiceRequest", "DiagnosticReport", "Encounter", "Appointment", "Task")},
    **{f"{kind}.status": _always for kind in _TYPES},
    "ServiceRequest.code.coding.system": _always,
    "ServiceRequest.code.coding.code": _always,
    "Condition.verificationStatus.coding.system": _always,
    "Condition.verificationStatus.coding.code": _always,
    "ServiceRequest.authoredOn": lambda value, _, back: datetime.fromisoformat(value) == back.referred_at,
    "Condition.onsetDateTime": lambda value, _, back: back.referral.injury.occurred_on.isoformat() == _day(value),
    "Condition.code.coding.display": lambda value, _, back: back.referral.injury.body_part == value,
    "Coverage.period.start": _authorised("valid_from"),
    "Coverage.period.end": _authorised("valid_through"),
    "Observation.code.coding.system": _code,
    "Observation.code.coding.code": _code,
    "Observation.valueQuantity.value": _value,
    "Observation.valueQuantity.code": _unit,
    "Observation.valueQuantity.system": _always,
    "Observation.component.code.coding.system": _always,
    "Observation.component.code.coding.code": _code_of_component,
    "Observation.component.valueQuantity.value": _component("value", _value, _number_asked),
    "Observation.component.valueQuantity.code": _component("code", _unit, lambda _, __: True),
    "Observation.component.valueQuantity.system": _always,
    "Observation.component.valueBoolean": lambda value, _, back: (back.referral.medical_clearance == "yes") == value,
    "Observation.component.interpretation.coding.system": _critical,
    "Observation.component.interpretation.coding.code": _critical,
    "Observation.valueString": _job,
    "Observation.method.coding.system": _always,
    "Observation.method.coding.code": _job,
    "DiagnosticReport.effectiveDateTime": lambda value, _, back: (
        back.assessed is not None and back.assessed.assessed_on.isoformat() == _day(value)
    ),
    "Encounter.type.coding.system": _always,
    "Encounter.type.coding.code": _always,
    "Encounter.period.start": _held,
    "Encounter.period.end": _took,
    "Procedure.code.coding.system": _always,
    "Procedure.code.coding.code": lambda value, _, __: value in BlockMinutes.model_fields,
    "Procedure.performedPeriod.start": _spent,
    "Procedure.performedPeriod.end": _spent,
    "Appointment.start": _held,
    "Task.lastModified": lambda value, _, back: (
        back.withdrawn is not None and back.withdrawn.withdrawn_on.isoformat() == _day(value)
    ),
}
"""The table of fields: each that is kept, and how it is told that it was."""
