"""What operations ask a service and have it do, at its own door: how it is, what is parked, and to fold it again.

`whp` does the same from beside the services, with the administrator's rights; whoever asks here needs a key of the role
`operations` and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from runtime.cases import SQL
from runtime.http import Problem, body_of, operations_caller, problems, read_body, running
from runtime.retry import NotNow, discard_first, retry_case
from workhardening_contracts.contract import Line

log = structlog.get_logger("operations")

# What a person looks through; `whp parked list` and `whp dead-letters list` go further.
_SHOWN = 50
_FIGURES: Mapping[str, str] = {
    "outbox_rows": SQL["count_unpublished"],
    "outbox_held": SQL["count_held"],
    "parked_cases": SQL["count_parked_cases"],
    "dead_letters": SQL["count_all_dead_letters"],
}

router = APIRouter(prefix="/v1/operations", tags=["operations"], dependencies=[Depends(operations_caller)])


class Parked(BaseModel):
    """A case that waits behind a record that fails."""

    case: UUID
    records: int
    since: datetime
    reason: str


class Dead(BaseModel):
    """A record that names no readable case."""

    topic: str
    partition: int
    offset: int
    received_at: datetime
    reason: str


class Standing(BaseModel):
    """How a service is, by one of its processes."""

    live: bool
    ready: bool
    why: str
    figures: dict[str, float]
    """`lag`: records of this process's partitions; the others: of the service's tables, each counted to 10,000."""
    parked: list[Parked]
    dead_letters: list[Dead]


class Retried(BaseModel):
    """How far a case's parked records were folded."""

    folded: int
    left: int
    reason: str | None = None


class Discard(BaseModel):
    """Why the first of a case's parked records is given up."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    reason: Annotated[Line, Field(description="Kept for the audit. Nothing of a patient belongs here.")]
    by: Line
    """Who decided it."""


@router.get("", response_model=Standing, responses=problems(401, 403, 503))
async def standing(request: Request) -> dict[str, Any]:
    """How this service is, and what of it waits for a person."""
    it = running(request)
    health = it.health()
    async with it.pool.acquire(timeout=10) as connection:
        figures = {name: float(await connection.fetchval(query)) for name, query in _FIGURES.items()}
        figures["outbox_age_s"] = float(await connection.fetchval(SQL["oldest_unpublished"], it.relay.floor))
        parked = await connection.fetch(SQL["list_parked"], _SHOWN)
        dead = await connection.fetch(SQL["list_dead_letters"], _SHOWN)
    figures["lag"] = float(sum((await it.consumer.lag()).values()))
    return {
        "live": health.live,
        "ready": health.ready,
        "why": health.why,
        "figures": figures,
        "parked": [{"case": row["case_ref"], **dict(row)} for row in parked],
        "dead_letters": [dict(row) for row in dead],
    }


@router.post("/parked/{ref}/retry", response_model=Retried, responses=problems(401, 403, 404, 409, 422, 503))
async def retry(request: Request, ref: UUID) -> dict[str, Any]:
    """Fold a parked case's records in order, to the end or the first that fails again."""
    it = running(request)
    key = bytes.fromhex(it.settings.digest_key.get_secret_value())
    try:
        retried = await retry_case(it.pool, ref, it.consumer.handlers, it.consumer.writers, key)
    except NotNow:
        raise Problem(409, "interrupted", "the database could not take it now; retry again") from None
    if not retried.folded and not retried.left:
        raise _not_parked()
    it.relay.wake()  # what was folded may have to be published
    log.info("parked case retried", case=str(ref), folded=retried.folded, left=retried.left)
    return {"folded": retried.folded, "left": retried.left, "reason": retried.reason}


@router.post(
    "/parked/{ref}/discard",
    status_code=204,
    responses=problems(401, 403, 404, 413, 422, 503),
    openapi_extra=body_of(Discard),
)
async def discard(request: Request, ref: UUID) -> None:
    """Give up the first of a parked case's records, for good; who and why are kept. `retry` folds the rest."""
    it, why = running(request), await read_body(request, Discard)
    if not await discard_first(it.pool, ref, it.consumer.handlers, f"{why.reason} (by {why.by})"):
        raise _not_parked()
    log.warning("parked record discarded", case=str(ref), by=why.by)


def add_operations(app: FastAPI) -> None:
    """Serve them."""
    app.include_router(router)


def _not_parked() -> Problem:
    return Problem(404, "not_parked", "nothing of this case is parked here")
