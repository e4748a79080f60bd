"""The resources of one request: checked against FHIR, found by reference, and which case and which event each is.

A case is named by the ServiceRequest that opened it, an event by the resource that it is read from. Both are derived
from identifiers that the clinic minted, so the same resource gives the same event whenever it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID, uuid5

from fhir.resources.R4B.appointment import Appointment
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.condition import Condition
from fhir.resources.R4B.coverage import Coverage
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.encounter import Encounter
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.procedure import Procedure
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task
from pydantic import BaseModel, ValidationError

from services.intake.fhir.elements import OTHER_TYPE, TYPES
from services.intake.fhir.outcome import Issue, error, left_out
from services.intake.fhir.values import Fault, Json, term
from workhardening_contracts.fhir import CASE, PROGRAM

MODELS: Mapping[str, type[BaseModel]] = {
    model.__name__: cast("type[BaseModel]", model)
    for model in (
        ServiceRequest, Task, Appointment, Condition, Coverage, Observation, DiagnosticReport, Encounter, Procedure
    )
}  # fmt: skip
"""The types that are read."""

DEEPEST = 40
"""Levels of JSON in a resource. Extensions within extensions have no end, and the library has."""

_CASE = UUID("0b2a3c1e-5d4f-5a6b-8c7d-9e0f1a2b3c4d")
"""The name space of case references, of clinic and identifier."""
_EVENT = UUID("1c3b4d2f-6e5a-5b7c-9d8e-0f1a2b3c4d5e")
"""The name space of event ids, of clinic, type of resource and identity."""


class Resource(Mapping[str, Any]):
    """A resource that knows which of its elements were read: the others are told to who sent them."""

    def __init__(self, elements: Json) -> None:
        self._elements = elements
        self._read = {"resourceType", "id", "meta"}

    @property
    def unread(self) -> list[str]:
        return [name for name in self._elements if name not in self._read]

    def __getitem__(self, name: str) -> Any:
        found = self._elements[name]
        self._read.add(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._elements

    def __iter__(self) -> Iterator[str]:
        return iter(self._elements)

    def __len__(self) -> int:
        return len(self._elements)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One resource of a request."""

    at: str
    """Its FHIRPath."""
    resource: Resource
    full_url: str | None = None
    update: bool = False
    """It replaces what was sent of this resource before (PUT)."""
    version: str | None = None
    """The event that it replaces, as the `etag` of an earlier answer named it; None: the resource's first."""

    @property
    def kind(self) -> str:
        return str(self.resource["resourceType"])

    @property
    def identifiers(self) -> list[Json]:
        return [each for each in self.resource.get("identifier", ()) if each.get("value")]


@dataclass(frozen=True)
class Entries:
    """The resources that are read, findable by what a reference may call them."""

    all: Sequence[Entry]
    _named: Mapping[str, Entry] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {name: each for each in reversed(self.all) for name in _names(each)})

    def find(self, reference: Json | None, kind: str) -> Entry | None:
        """The resource of this type that is meant, if it was sent along."""
        given = reference or {}
        identifier: Json = given.get("identifier", {})
        found = self._named.get(given.get("reference", "")) or self._named.get(f"{kind}?{_token(identifier)}")
        return found if found is not None and found.kind == kind else None


def entries_of(document: Json) -> tuple[list[Entry], list[Issue]]:
    """The entries of a transaction Bundle that are of types which are read, and what is to be said of the rest."""
    issues = faults(Bundle, {**document, "entry": _without_resources(document.get("entry", []))}, "Bundle")
    if not issues and document.get("type") != "transaction":
        issues = [error("not-supported", "Bundle.type", "send a Bundle of type transaction")]
    if issues:
        return [], issues
    found: list[Entry] = []
    for number, each in enumerate(document.get("entry", ())):
        at = f"Bundle.entry[{number}].resource"
        request: Json = each.get("request", {})
        method = request.get("method")
        resource: Any = each.get("resource")
        if not isinstance(resource, dict) or method not in ("POST", "PUT"):
            place = at.removesuffix(".resource")
            issues.append(error("not-supported", place, "each entry has a resource and a request of POST or PUT"))
            continue
        tag = str(request.get("ifMatch", "")).removeprefix("W/").strip('"') or None
        read = cast("Json", resource)
        issues += checked(read, at)
        if read.get("resourceType") in tuple(MODELS):  # what is sent there may be anything
            found.append(Entry(at, Resource(read), each.get("fullUrl"), method == "PUT", tag))
    return found, issues


def checked(resource: Json, at: str) -> list[Issue]:
    """What FHIR itself has to say against a resource, or the program to one of another type."""
    kind: Any = resource.get("resourceType")
    if not isinstance(kind, str):
        return [error("structure", f"{at}.resourceType", "say the resource's type")]
    model = MODELS.get(kind)
    return [left_out(at, TYPES.get(kind, OTHER_TYPE))] if model is None else faults(model, resource, at)


def faults(model: Any, resource: Json, at: str) -> list[Issue]:
    """Each breach of FHIR. What the library says of it may hold what was sent, so it is said in our words."""
    if (malformed := _malformed(resource)) is not None:
        return [error("structure", at, malformed)]
    try:
        model.model_validate(resource)
    except ValidationError as refused:
        return [
            _fault(each, at) for each in refused.errors(include_input=False, include_url=False, include_context=False)
        ]
    return []


def _malformed(value: Any, depth: int = 0) -> str | None:
    """What FHIR's JSON forbids and its library lets through, or fails on."""
    if value is None:
        return "FHIR's JSON has no null: leave it out"
    if depth > DEEPEST:
        return "it is nested too deeply"
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value).values()
    elif isinstance(value, list):
        parts = cast("list[Any]", value)
    return next((found for each in parts if (found := _malformed(each, depth + 1)) is not None), None)


def _fault(found: Any, at: str) -> Issue:
    place: list[str | int] = list(found["loc"])
    if found["type"] == "extra_forbidden":  # its name is the sender's own text
        return error("structure", _path(at, place[:-1]), "it has an element that FHIR R4 does not know here")
    if "missing" in found["type"]:
        return error("required", _path(at, place), "FHIR R4 requires this element")
    return error("value", _path(at, place), "this is not as FHIR R4 has it")


def _path(at: str, place: Iterable[str | int]) -> str:
    return at + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)


def identity(entry: Entry) -> str:
    """What a clinic's system calls a resource: its first identifier, or its id. Raises Fault."""
    if entry.identifiers:
        return _token(entry.identifiers[0])
    name = entry.resource.get("id") or entry.full_url
    if name is None:
        raise Fault("required", f"{entry.at}.identifier", "give the resource an identifier or an id, and keep it")
    return str(name)


def event_id(clinic: str, entry: Entry) -> str:
    """The id of the event that is read from a resource. Raises Fault.

    A correction's follows from the event that it replaces, so that it may itself be corrected.
    """
    first = first_id(clinic, entry)
    return f"fhir-{uuid5(_EVENT, f'{first}|{replaced(clinic, entry)}')}" if entry.update else first


def first_id(clinic: str, entry: Entry) -> str:
    """The id of the first event of a resource. Raises Fault."""
    return f"fhir-{uuid5(_EVENT, f'{clinic}|{entry.kind}|{identity(entry)}')}"


def replaced(clinic: str, entry: Entry) -> str | None:
    """The id of the event that this resource replaces; None for a new one. Raises Fault."""
    return (entry.version or first_id(clinic, entry)) if entry.update else None


def case_of(clinic: str, identifiers: Iterable[Json], at: str) -> UUID:
    """The case that a ServiceRequest's identifiers name: one of the system `urn:workhardening:case` is the reference
    itself; else it is derived from the first. Raises Fault."""
    given = list(identifiers)
    for each in given:
        if each.get("system") == CASE:
            try:
                return UUID(each["value"])
            except ValueError:
                raise Fault("value", at, f"an identifier of {CASE} is a UUID") from None
    if not given:
        raise Fault("required", at, "give the ServiceRequest an identifier, and refer to it by that: it names the case")
    return uuid5(_CASE, f"{clinic}|{_token(given[0])}")


def case_named(clinic: str, references: Iterable[Json], entries: Entries, at: str) -> UUID | None:
    """The case that one of these references to a ServiceRequest names, or None. Raises Fault."""
    for reference in references:
        request = entries.find(reference, "ServiceRequest")
        identifier: Json = reference.get("identifier", {})
        if request is not None:
            if term(request.resource.get("code"), PROGRAM) is not None:
                return case_of(clinic, request.identifiers, f"{request.at}.identifier")
        elif identifier.get("value"):
            return case_of(clinic, [identifier], at)
    return None


def _names(entry: Entry) -> list[str]:
    named = [f"{entry.kind}?{_token(each)}" for each in entry.identifiers]
    named += [entry.full_url] if entry.full_url else []
    return named + ([f"{entry.kind}/{entry.resource['id']}"] if "id" in entry.resource else [])


def _token(identifier: Json) -> str:
    return f"{identifier.get('system', '')}|{identifier.get('value', '')}"


def _without_resources(entries: Any) -> Any:
    """The entries as FHIR's model of a Bundle checks them: each resource is checked by itself."""
    if not isinstance(entries, list):
        return entries
    return [_frame(cast("Json", each)) if isinstance(each, dict) else each for each in cast("list[Any]", entries)]


def _frame(entry: Json) -> Json:
    return {name: part for name, part in entry.items() if name != "resource"}
