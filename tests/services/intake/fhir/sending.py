"""What a clinic sends in FHIR, for the tests: the documents' examples, changed as a test wants them."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from services.intake.fhir.bundle import Entry, Resource, checked, entries_of
from services.intake.fhir.outcome import Issue
from services.intake.fhir.reading import Said, read
from workhardening_contracts.contract import EventData
from workhardening_contracts.registry import open_closed

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples" / "fhir"
REFERRAL = {
    "type": "ServiceRequest",
    "identifier": {"system": "https://clinic.example/referrals", "value": "R-2025-0117"},
}
"""A reference to the examples' referral, by its identifier."""
WORKER = {"reference": "Patient/7f3a91", "identifier": {"system": "urn:workhardening:worker", "value": "w-7f3a91"}}


def example(name: str) -> dict[str, Any]:
    """One of the examples: `referral`, `assessment` or `session`."""
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def resource_of(bundle: dict[str, Any], kind: str, nth: int = 0) -> dict[str, Any]:
    """The nth resource of this type, to be changed."""
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind][nth]


def updating(bundle: dict[str, Any], kind: str, version: str | None = None) -> dict[str, Any]:
    """The bundle as a correction of its resource of this type."""
    changed = deepcopy(bundle)
    for each in changed["entry"]:
        if each["resource"]["resourceType"] == kind:
            each["request"] = {"method": "PUT", "url": kind, **({"ifMatch": f'W/"{version}"'} if version else {})}
    return changed


def read_bundle(bundle: dict[str, Any], clinic: str = "north") -> tuple[list[Said], list[Issue]]:
    return read(clinic, *entries_of(bundle))


def read_one(resource: dict[str, Any], clinic: str = "north") -> tuple[list[Said], list[Issue]]:
    kind = resource["resourceType"]
    return read(clinic, [Entry(kind, Resource(resource))], checked(resource, kind))


def data_of(said: Said) -> EventData:
    return open_closed(said.envelope).data


def errors(issues: list[Issue]) -> list[tuple[str, str]]:
    """Code and place of each error."""
    return [(issue.code, issue.at) for issue in issues if issue.severity == "error"]
