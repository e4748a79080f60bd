"""An Encounter with its Observations and Procedures as a Session; a missed Appointment as one that was not held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from services.intake.fhir.assessments import FINAL, NOT_FINAL, Rounded, demand, findings, phq9_item9, pulse
from services.intake.fhir.bundle import Entry
from services.intake.fhir.outcome import Issue, left_out
from services.intake.fhir.values import Fault, Json, Term, amount, built, code_in, day, moment, said, score, term, terms
from workhardening_contracts import fhir
from workhardening_contracts.clinic import BlockMinutes, Performed, Session

ATTENDANCE = {"finished": "attended", "cancelled": "excused"}
"""By an Encounter's status, unless its type says otherwise."""
MISSED = {"noshow": "absent", "cancelled": "excused"}
"""By an Appointment's status."""
HOURS = {"h": 1.0, "min": 1 / 60}

OBSERVED: Mapping[Term, tuple[str, Callable[[Json, str], Any]]] = {
    (fhir.SESSION, "pain_before"): ("pain_before", score),
    (fhir.SESSION, "pain_after"): ("pain_after", score),
    (fhir.SESSION, "pain_next_day"): ("pain_next_day", score),
    (fhir.SESSION, "exertion"): ("exertion", score),
    (fhir.SESSION, "confidence"): ("confidence", score),
    (fhir.SESSION, "safety_stop"): ("safety_stop", said),
    fhir.HEART_RATE_PEAK: ("heart_rate_peak", pulse),
    fhir.PHQ9_ITEM9: ("phq9_item9", phq9_item9),
}
"""Codes of what is observed in a session: the field, and how it is read."""


def session(encounter: Entry, parts: Iterable[Entry]) -> tuple[Session | None, list[Issue]]:
    """The session; None when a fault is among the issues, or it has not ended."""
    resource, at = encounter.resource, encounter.at
    kinds = resource.get("type", ())
    attended = next((code for kind in kinds if (code := code_in(kind, fhir.ATTENDANCE))), None)
    attendance = attended or ATTENDANCE.get(resource.get("status", ""))
    if attendance is None:
        return None, [left_out(f"{at}.status", "the session has not ended: send it when it has")]
    found: dict[str, Any] = {"attendance": attendance}
    issues: list[Issue] = []
    for part in parts:
        try:
            issues += _observed(found, part) if part.kind == "Observation" else _spent(found, part)
        except Fault as fault:
            issues.append(fault.issue)
    if any(issue.severity == "error" for issue in issues):
        return None, issues
    try:
        found |= {"held_on": held_on(encounter), "hours": hours(encounter)}
        minutes = found.pop("minutes", None)
        blocks = None if minutes is None else built(BlockMinutes, at, **minutes)
        return built(Session, at, minutes=blocks, **found), issues
    except Fault as fault:
        return None, [*issues, fault.issue]


def missed(appointment: Entry) -> tuple[Session | None, list[Issue]]:
    """A session that did not take place; None for an appointment that is to come or was kept."""
    attendance = MISSED.get(appointment.resource.get("status", ""))
    if attendance is None:
        text = "only a missed session is taken in: booking is the clinic's, and a session that was held is an Encounter"
        return None, [left_out(f"{appointment.at}.status", text)]
    start = appointment.resource.get("start")
    if start is None:
        return None, [Fault("required", f"{appointment.at}.start", "say on which day the session was missed").issue]
    return Session(held_on=day(start, appointment.at), attendance=attendance, hours=0.0), []  # pyright: ignore[reportArgumentType]


def held_on(encounter: Entry) -> date:
    """The day of the session. Raises Fault."""
    start = encounter.resource.get("period", {}).get("start")
    if start is None:
        raise Fault("required", f"{encounter.at}.period.start", "say when the session began")
    return day(start, f"{encounter.at}.period.start")


def hours(encounter: Entry) -> float:
    """The session's length, h: as stated, else by its period. Raises Fault."""
    resource, at = encounter.resource, encounter.at
    length: Json | None = resource.get("length")
    if length is not None:
        return amount({"valueQuantity": length}, f"{at}.length", tuple(HOURS)) * HOURS[length["code"]]
    if resource.get("status") == "cancelled":
        return 0.0
    return _between(resource["period"], f"{at}.period") / timedelta(hours=1)


def _between(period: Json, at: str) -> timedelta:
    if "end" not in period or "start" not in period:
        raise Fault("required", f"{at}.end", "say how long it took")
    return moment(period["end"], f"{at}.end") - moment(period["start"], f"{at}.start")


def _observed(found: dict[str, Any], part: Entry) -> list[Issue]:
    resource, at = part.resource, part.at
    if resource.get("status") not in FINAL:
        return [left_out(f"{at}.status", NOT_FINAL)]
    known = term(resource["code"], OBSERVED)
    if known is not None:
        name, reader = OBSERVED[known]
        if name in found:
            raise Fault("business-rule", at, f"{name} is observed twice in one session")
        value = reader(resource, at)
        found[name] = int(value) if isinstance(value, Rounded) else value
        if isinstance(value, Rounded):
            return [left_out(f"{at}.value", f"rounded to a whole number: {name}")]
    elif code_in(resource["code"], fhir.DEMAND):
        found["performed"] = (*found.get("performed", ()), built(Performed, at, **demand(resource, at)))
    elif (fhir.SESSION, "red_flag") in terms(resource["code"]):
        found["red_flags"] = (*found.get("red_flags", ()), *findings(resource, at))
    else:
        return [left_out(f"{at}.code", "none of its codes is observed in a session")]
    return []


def _spent(found: dict[str, Any], part: Entry) -> list[Issue]:
    block = code_in(part.resource.get("code"), fhir.BLOCK)
    if block is None or block not in BlockMinutes.model_fields:
        return [left_out(f"{part.at}.code", "none of its codes is a block of a session")]
    if part.resource.get("status") != "completed":
        return [left_out(f"{part.at}.status", "it was not completed: no time is counted")]
    spent = _between(part.resource.get("performedPeriod", {}), f"{part.at}.performedPeriod") / timedelta(minutes=1)
    minutes: dict[str, float] = found.setdefault("minutes", {})
    minutes[block] = minutes.get(block, 0.0) + spent
    return []
