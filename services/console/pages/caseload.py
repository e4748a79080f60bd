"""The caseload and one case: what a clinician reads."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.console.access import Console, console_of
from services.console.pages.drawing import draw
from services.console.views import CaseloadFilter, Phase, Risk
from workhardening_contracts.planning import Verdict

pages = APIRouter(include_in_schema=False)

Asked = Annotated[Console, Depends(console_of)]

# An option that is not chosen is sent as an empty text.
_Optional = BeforeValidator(lambda value: value or None)


class Wanted(BaseModel):
    """The filter as the address holds it."""

    model_config = ConfigDict(extra="forbid")

    clinic: Annotated[Annotated[str, Field(max_length=64)] | None, _Optional] = None
    week: Annotated[Annotated[int, Field(ge=1, le=52)] | None, _Optional] = None
    verdict: Annotated[Verdict | None, _Optional] = None
    risk: Annotated[Risk | None, _Optional] = None
    phase: Annotated[Phase | None, _Optional] = None
    after: Annotated[Annotated[str, Field(max_length=200)] | None, _Optional] = None


class Sent(BaseModel):
    """What a case's page is told by the page before it."""

    model_config = ConfigDict(extra="forbid")

    sent: Literal["signature"] | None = None


@pages.get("/")
async def start(console: Asked) -> Response:
    """To what the visitor works with."""
    return RedirectResponse("/cases" if console.visitor.role == "clinician" else "/operations", 303)


@pages.get("/cases")
async def caseload(console: Asked, wanted: Annotated[Wanted, Query()]) -> Response:
    """Cases, those that a clinician must decide first."""
    page = await console.caseload(CaseloadFilter(**wanted.model_dump()))
    chosen = {name: value for name, value in wanted.model_dump(exclude={"after"}).items() if value is not None}
    # A filter that was chosen is in the address, so that it can be kept, sent and gone back to.
    here = {"hx-replace-url": _address(chosen, after=wanted.after)}
    return draw("caseload.html", console.visitor, headers=here, page=page, chosen=chosen, address=_address)


@pages.get("/cases/{ref}")
async def case(ref: UUID, console: Asked, told: Annotated[Sent, Query()]) -> Response:
    """Everything of one case."""
    return draw("case.html", console.visitor, page=await console.case(ref), sent=told.sent)


@pages.get("/cases/{ref}/timeline")
async def timeline(request: Request, ref: UUID, console: Asked, after: str) -> Response:
    """Older entries: as rows for the table that asks for more, else as a page of its own."""
    page = await console.timeline(ref, after)
    part = "hx-request" in request.headers
    return draw("timeline_rows.html" if part else "timeline.html", console.visitor, ref=ref, page=page)


def _address(chosen: dict[str, object], **more: object) -> str:
    """The caseload's address for a filter."""
    query = urlencode({name: value for name, value in (chosen | more).items() if value is not None})
    return f"/cases?{query}" if query else "/cases"
