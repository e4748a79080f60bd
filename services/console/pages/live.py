"""Server-sent events: that something changed, never what. The page then asks for itself anew, as its visitor may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse

from services.console.access import Console, console_of
from services.console.views import Tick

pages = APIRouter(include_in_schema=False)

Asked = Annotated[Console, Depends(console_of)]

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@pages.get("/live")
async def caseload(console: Asked) -> StreamingResponse:
    """One `tick` for each change of a case that the visitor may see."""
    return StreamingResponse(_events(console.ticks()), media_type="text/event-stream", headers=_HEADERS)


@pages.get("/cases/{ref}/live")
async def case(ref: UUID, console: Asked) -> StreamingResponse:
    """One `tick` for each change of this case."""
    return StreamingResponse(_events(console.ticks(ref)), media_type="text/event-stream", headers=_HEADERS)


async def _events(ticks: AsyncIterator[Tick | None]) -> AsyncIterator[str]:
    async for tick in ticks:
        yield ": still here\n\n" if tick is None else f"event: tick\ndata: {tick.case}\n\n"
