"""Server-sent events: that something changed, never what. The page then asks for itself anew, as its visitor may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse

from services.console.access import Console, console_of
from services.console.views import Tick

pages = APIRouter(include_in_schema=False)

Asked = Annotated[Console, Depends(console_of)]
LastHeard = Annotated[str | None, Header(alias="last-event-id")]

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@pages.get("/live")
async def caseload(console: Asked, last_heard: LastHeard = None) -> StreamingResponse:
    """One `tick` for each change of a case that the visitor may see."""
    return _stream(console.ticks(), last_heard)


@pages.get("/cases/{ref}/live")
async def case(ref: UUID, console: Asked, last_heard: LastHeard = None) -> StreamingResponse:
    """One `tick` for each change of this case."""
    return _stream(console.ticks(ref), last_heard)


def _stream(ticks: AsyncIterator[Tick | None], last_heard: str | None) -> StreamingResponse:
    return StreamingResponse(_events(ticks, last_heard), media_type="text/event-stream", headers=_HEADERS)


async def _events(ticks: AsyncIterator[Tick | None], last_heard: str | None) -> AsyncIterator[str]:
    """What a stream says. A page that comes back after it was away, e.g. in the background, is told at once."""
    yield "id: heard\n\n"
    if last_heard is not None:
        yield "event: tick\ndata: back\n\n"
    async for tick in ticks:
        yield ": still here\n\n" if tick is None else f"event: tick\ndata: {tick.case}\n\n"
