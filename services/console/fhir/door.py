"""The read-only FHIR door: what a clinic's own case shows of plan, targets, observations and readiness.

By the clinic's key, its own cases only. Each look is recorded before anything is shown, as a look at a page is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse

from runtime.http import Bearer, Problem, clinic_caller, problems, running
from services.console.effects import SQL
from services.console.fhir.observations import Json, observations
from services.console.fhir.plans import care_plans, goals
from services.console.fhir.readiness import compositions, provenances, readiness_observations
from services.console.story import Story, logged, read_story
from workhardening_contracts import fhir

FHIR = "application/fhir+json"


class FhirResponse(JSONResponse):
    """A resource as FHIR's JSON, which nobody between us and the clinic keeps."""

    media_type = FHIR


SHOWN = ("CarePlan", "Composition", "Goal", "Observation", "Provenance")
DATE = "2026-11-26"
"""When the CapabilityStatement was last changed."""

Caller = Annotated[str, Depends(clinic_caller)]
Case = Annotated[UUID, Query(alias="case", description="the case reference")]

router = APIRouter()

_IN_FHIR: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a FHIR resource",
        "content": {FHIR: {"schema": {"type": "object", "required": ["resourceType"]}}},
    }
}


@router.get("/fhir/metadata", response_class=FhirResponse, responses={**problems(401, 403), **_IN_FHIR})
async def metadata(clinic: Caller) -> FhirResponse:
    """What this door can do."""
    search = [{"name": "case", "type": "token", "documentation": "the case reference; required"}]
    resources = [{"type": each, "interaction": [{"code": "search-type"}], "searchParam": search} for each in SHOWN]
    return _fhir(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": DATE,
            "kind": "instance",
            "implementation": {"description": "The Work Hardening Program: what a case shows to its clinic"},
            "fhirVersion": "4.0.1",
            "format": [FHIR],
            "rest": [
                {
                    "mode": "server",
                    "security": {"description": "A clinic's API key as a bearer token"},
                    "resource": resources,
                }
            ],
        }
    )


@router.get("/fhir/CarePlan", response_class=FhirResponse, responses={**problems(401, 403, 404, 422, 503), **_IN_FHIR})
async def get_care_plan(request: Request, clinic: Caller, key: Bearer, case: Case) -> FhirResponse:
    """The plan in force."""
    story, subject = await _look(request, clinic, key, case)
    return _found(request, care_plans(story, subject))


@router.get("/fhir/Goal", response_class=FhirResponse, responses={**problems(401, 403, 404, 422, 503), **_IN_FHIR})
async def get_goals(request: Request, clinic: Caller, key: Bearer, case: Case) -> FhirResponse:
    """The plan's targets, demand by demand."""
    story, subject = await _look(request, clinic, key, case)
    return _found(request, goals(story, subject))


@router.get(
    "/fhir/Observation", response_class=FhirResponse, responses={**problems(401, 403, 404, 422, 503), **_IN_FHIR}
)
async def get_observations(request: Request, clinic: Caller, key: Bearer, case: Case) -> FhirResponse:
    """What was reported of assessments and sessions, and the latest readiness."""
    story, subject = await _look(request, clinic, key, case)
    return _found(request, [*observations(story, subject), *readiness_observations(story, subject)])


@router.get(
    "/fhir/Composition", response_class=FhirResponse, responses={**problems(401, 403, 404, 422, 503), **_IN_FHIR}
)
async def get_composition(request: Request, clinic: Caller, key: Bearer, case: Case) -> FhirResponse:
    """Readiness as it was assessed last, and signed."""
    story, subject = await _look(request, clinic, key, case)
    return _found(request, compositions(story, subject))


@router.get(
    "/fhir/Provenance", response_class=FhirResponse, responses={**problems(401, 403, 404, 422, 503), **_IN_FHIR}
)
async def get_provenance(request: Request, clinic: Caller, key: Bearer, case: Case) -> FhirResponse:
    """Whose word the readiness is."""
    story, _ = await _look(request, clinic, key, case)
    return _found(request, provenances(story))


async def _look(request: Request, clinic: str, key: Bearer, case: UUID) -> tuple[Story, Json]:
    """The case's story and its subject, once the look is recorded. Raises Problem 404 for a case of another clinic."""
    who = "_".join(key.credentials.strip().split("_")[:2]) if key else clinic
    async with running(request).pool.acquire(timeout=10) as connection, connection.transaction():
        row = await connection.fetchrow(SQL["read_line"], case)
        if row is None or row["clinic"] != clinic:
            raise Problem(404, "not_found", "there is no such case among yours")
        await connection.execute(SQL["add_view"], case, clinic, who, "clinic", "case")
        rows = await connection.fetch(SQL["read_log"], case, f"/clinics/{clinic}")
    worker = {"system": fhir.WORKER, "value": row["worker_ref"] or "unknown"}
    return read_story(logged(rows), clinic), {"type": "Patient", "identifier": worker}


def _found(request: Request, resources: list[Json]) -> FhirResponse:
    base = f"{request.base_url}fhir"
    entries = [
        {"fullUrl": f"{base}/{each['resourceType']}/{each['id']}", "resource": each, "search": {"mode": "match"}}
        for each in resources
    ]
    found = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return _fhir({**found, "entry": entries} if entries else found)


def _fhir(resource: Mapping[str, Any]) -> FhirResponse:
    return FhirResponse(resource, headers={"cache-control": "no-store"})
