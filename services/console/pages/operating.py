"""Operations: how each service is, what is stuck, and the two things that can be done about a parked case."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from runtime.http import Problem
from services.console.access import Console, console_of, same_origin
from services.console.pages.drawing import draw
from services.console.pages.forms import form_of, one
from services.console.views import ParkedCase, Retried

pages = APIRouter(include_in_schema=False)

Asked = Annotated[Console, Depends(console_of)]


class Done(BaseModel):
    """What the page before it did."""

    model_config = ConfigDict(extra="forbid")

    done: Literal["retried", "discarded"] | None = None


@pages.get("/operations")
async def operations(console: Asked, told: Annotated[Done, Query()]) -> Response:
    """Everything that a person may have to mend, on one page."""
    return draw("operations.html", console.visitor, page=await console.operations(), done=told.done)


@pages.get("/operations/parked/{service}/{ref}")
async def parked(service: str, ref: UUID, console: Asked) -> Response:
    """Why one case is stuck, and what to do."""
    return await _cause(console, service, ref)


@pages.post("/operations/parked/{service}/{ref}/retry", dependencies=[Depends(same_origin)])
async def retry(service: str, ref: UUID, console: Asked) -> Response:
    """Fold its records again."""
    outcome = await console.retry(service, ref)
    if outcome.left == 0:
        return RedirectResponse("/operations?done=retried", 303)
    return await _cause(console, service, ref, outcome=outcome)


@pages.post("/operations/parked/{service}/{ref}/discard", dependencies=[Depends(same_origin)])
async def discard(request: Request, service: str, ref: UUID, console: Asked) -> Response:
    """Give up the first of its records, for a reason that is kept."""
    reason = one(await form_of(request), "reason")
    try:
        await console.discard(service, ref, reason)
    except Problem as problem:
        if problem.status != 422:
            raise
        return await _cause(console, service, ref, problem=problem, reason=reason)
    return RedirectResponse("/operations?done=discarded", 303)


async def _cause(
    console: Console,
    service: str,
    ref: UUID,
    *,
    outcome: Retried | None = None,
    problem: Problem | None = None,
    reason: str = "",
) -> Response:
    found = _found((await console.operations()).parked, service, ref)
    status = 422 if problem else 200
    return draw(
        "parked.html", console.visitor, status=status, parked=found, outcome=outcome, problem=problem, reason=reason
    )


def _found(all_parked: tuple[ParkedCase, ...], service: str, ref: UUID) -> ParkedCase:
    found = next((each for each in all_parked if (each.service, each.case) == (service, ref)), None)
    if found is None:
        raise Problem(404, "not_parked", "the case is not parked any more: its records were folded or given up")
    return found
