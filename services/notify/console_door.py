"""The doors of the console: what a signature would tell employers, what was told of a case, and how endpoints are.

The first two are for the console's own key: it asks for a clinician, and has looked whose case it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict

from runtime.cases import load_cases
from runtime.db import queries
from runtime.http import Problem, body_of, console_caller, operations_caller, problems, read_body, running
from services.notify.employers import list_endpoints
from services.notify.preview import preview
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.envelope import read_structured

SQL = queries("services.notify")

console = APIRouter(prefix="/v1", tags=["console"], dependencies=[Depends(console_caller)])
operations = APIRouter(prefix="/v1/operations", tags=["operations"], dependencies=[Depends(operations_caller)])


class WouldSign(BaseModel):
    """A signature that was not sent."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    signed: ReadinessSigned
    final: bool
    """The assessment is the program's last."""


class PreviewedUpdate(BaseModel):
    """What one employer would be told."""

    employer: str
    update: dict[str, Any] | None
    why_not: str | None
    scopes: list[str]
    bases: list[str]


class Previews(BaseModel):
    employers: list[PreviewedUpdate]


class DisclosedUpdate(BaseModel):
    """A line of the disclosure log, with what was told as long as it is kept."""

    employer: str
    event_id: str
    sequence: int
    channel: str
    scopes: list[str]
    bases: list[str]
    disclosed_at: datetime
    update: dict[str, Any] | None


class Disclosures(BaseModel):
    disclosures: list[DisclosedUpdate]


class EndpointStanding(BaseModel):
    """An employer's endpoint."""

    employer: str
    status: str
    breaker: str
    failing_since: datetime | None
    pending: int
    oldest_s: float | None


class Endpoints(BaseModel):
    endpoints: list[EndpointStanding]


@console.post(
    "/preview/{ref}",
    response_model=Previews,
    responses=problems(401, 403, 404, 413, 422, 503),
    openapi_extra=body_of(WouldSign),
)
async def preview_of(request: Request, ref: UUID) -> dict[str, Any]:
    """What employers would be told if this was signed now. Nothing is kept or sent."""
    it, would = running(request), await read_body(request, WouldSign)
    handlers = it.consumer.handlers
    async with it.pool.acquire(timeout=10) as connection:
        case = (await load_cases(connection, [ref], handlers)).get(ref)
    if case is None or case.state is None:
        raise Problem(404, "not_found", "there is no such case here")
    told = preview(case, would.signed, would.final, datetime.now(UTC), handlers)
    return {"employers": [asdict(each) for each in told]}


@console.get("/disclosures/{ref}", response_model=Disclosures, responses=problems(401, 403, 422, 503))
async def disclosures_of(request: Request, ref: UUID) -> dict[str, Any]:
    """Who was told what of this case, by the disclosure log, newest first."""
    async with running(request).pool.acquire(timeout=10) as connection:
        rows = await connection.fetch(SQL["disclosures_of_case"], ref)
    return {"disclosures": [{**dict(row), "update": _update(row["body"])} for row in rows]}


@operations.get("/endpoints", response_model=Endpoints, responses=problems(401, 403, 503))
async def endpoints_of(request: Request) -> dict[str, Any]:
    """How employers' endpoints are, and what they are owed."""
    async with running(request).pool.acquire(timeout=10) as connection:
        listed = await list_endpoints(connection)
        waits = {row["employer"]: row["seconds"] for row in await connection.fetch(SQL["longest_due"])}
    return {
        "endpoints": [
            {
                "employer": each.employer,
                "status": "active" if each.enabled else f"disabled: {each.disabled_reason}",
                "breaker": "open" if each.open else "closed",
                "failing_since": each.failing_since,
                "pending": each.pending,
                "oldest_s": waits.get(each.employer),
            }
            for each in listed
        ]
    }


def _update(body: bytes | None) -> dict[str, Any] | None:
    return None if body is None else json.loads(read_structured(bytes(body)).data)
