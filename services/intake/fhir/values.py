"""FHIR's data types as the contracts' values: codings, quantities, days. Each takes a checked element and its place."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.intake.fhir.outcome import Issue, error
from workhardening_contracts.contract import violation_of
from workhardening_contracts.fhir import UCUM, UNITS
from workhardening_contracts.quantity import Quantity

M = TypeVar("M", bound=BaseModel)
Json = Mapping[str, Any]
Term = tuple[str, str]
"""A code with its system."""


class Fault(Exception):
    """An element that refuses its resource."""

    def __init__(self, code: str, at: str, text: str) -> None:
        super().__init__(code)
        self.issue: Issue = error(code, at, text)


def terms(concept: Json | None) -> list[Term]:
    """The codings of a CodeableConcept that have a system and a code."""
    codings = (concept or {}).get("coding", ())
    return [(each["system"], each["code"]) for each in codings if "system" in each and "code" in each]


def term(concept: Json | None, known: Container[Term]) -> Term | None:
    """The first coding that is known."""
    return next((each for each in terms(concept) if each in known), None)


def code_in(concept: Json | None, system: str) -> str | None:
    """The first code of this system."""
    return next((code for of, code in terms(concept) if of == system), None)


def words(concept: Json | None) -> str | None:
    """A concept as a person wrote it, or as its first coding is displayed."""
    if concept is None:
        return None
    shown = (each["display"] for each in concept.get("coding", ()) if "display" in each)
    return concept.get("text") or next(shown, None)


def day(text: str, at: str) -> date:
    """The day that a FHIR dateTime names, where it was said. Raises Fault for a year or a month alone."""
    _text(text, at)
    if len(text) < len("2026-03-02"):
        raise Fault("value", at, "give the day at least")
    return date.fromisoformat(text[:10])


def moment(text: str, at: str) -> datetime:
    """A FHIR dateTime as a moment; a day alone is its beginning in UTC. Raises Fault."""
    _text(text, at)
    try:
        midnight = datetime.min.time()
        found = datetime.fromisoformat(text) if "T" in text else datetime.combine(day(text, at), midnight, UTC)
        found.astimezone(UTC)  # a time near year 1 or 9999 has no UTC
    except (ValueError, OverflowError):
        raise Fault("value", at, "give a time that a calendar has") from None
    return found


def _text(value: object, at: str) -> None:
    """FHIR's library takes a number for a moment since 1970, and words for truth; FHIR does not."""
    if not isinstance(value, str):
        raise Fault("value", at, "give it as a text, as FHIR's JSON does")


def effective(resource: Json, at: str) -> tuple[str, str]:
    """When something was observed, a period by its end, and where it says so. Raises Fault."""
    period = resource.get("effectivePeriod", {})
    for element, text in (
        ("effectiveDateTime", resource.get("effectiveDateTime")),
        ("effectivePeriod.end", period.get("end")),
        ("effectivePeriod.start", period.get("start")),
    ):
        if text is not None:
            return text, f"{at}.{element}"
    raise Fault("required", f"{at}.effective", "say when it was observed")


def amount(resource: Json, at: str, units: Sequence[str | None]) -> float:
    """The plain number of an Observation or a component, in one of these UCUM units. Raises Fault."""
    given: Json = resource.get("valueQuantity", {})
    value = given.get("value", resource.get("valueInteger"))
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Fault("value", f"{at}.value", "give the value as a Quantity, with a number")
    if given and (given.get("code") not in units or given.get("system", UCUM) != UCUM):
        raise Fault("value", f"{at}.valueQuantity.code", f"give a UCUM code among {' '.join(filter(None, units))}")
    return float(value)


def score(resource: Json, at: str) -> float:
    """The points of a rating or a questionnaire. Raises Fault."""
    return amount(resource, at, ("{score}", "1", "%", None))


def notes(resource: Json) -> str | None:
    """All that was noted, in one line."""
    return " ".join(note.get("text", "") for note in resource.get("note", ())) or None


def quantity(resource: Json, at: str) -> Quantity:
    """The value of an Observation or a component, with its unit. Raises Fault."""
    value = amount(resource, at, tuple(UNITS))
    return built(Quantity, f"{at}.valueQuantity", amount=value, unit=UNITS[resource["valueQuantity"]["code"]])


def said(resource: Json, at: str) -> bool:
    """The value of an Observation or a component that is true or false. Raises Fault."""
    given = resource.get("valueBoolean")
    if not isinstance(given, bool):
        raise Fault("value", f"{at}.value", "give the value as a boolean")
    return given


def built(model: type[M], at: str, **fields: Any) -> M:
    """A contract's model of these fields. Raises Fault, which names the field and not its value."""
    try:
        return model(**fields)
    except ValidationError as refused:
        found = violation_of(refused)
        raise Fault("value", at, f"{found.field.lstrip('/') or 'it'}: {found.detail}") from None
