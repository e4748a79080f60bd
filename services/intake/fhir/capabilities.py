"""What the front door can do in FHIR's own words: a CapabilityStatement."""

from __future__ import annotations

from typing import Any

from services.intake.fhir.bundle import MODELS
from services.intake.fhir.reading import RANK

FHIR_VERSION = "4.0.1"
DATE = "2026-11-26"
"""When this statement was last changed."""


def capability_statement() -> dict[str, Any]:
    """The statement of this base: it takes in and shows nothing; what is shown is at the console's."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "implementation": {"description": "The Work Hardening Program's front door for clinics"},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "A clinic's API key as a bearer token"},
                "resource": [
                    {"type": kind, "versioning": "no-version", **_interactions(kind)} for kind in sorted(MODELS)
                ],
                "interaction": [{"code": "transaction"}],
            }
        ],
    }


def _interactions(kind: str) -> dict[str, Any]:
    if kind in RANK:
        return {"interaction": [{"code": "create"}], "updateCreate": False, "conditionalUpdate": False}
    return {"documentation": "only in a transaction, as a part of what names it"}
