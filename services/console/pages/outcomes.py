"""Outcomes: what became of the clinic's cases, beside the published benchmark, and whom to ask how it went."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.console.access import Console, console_of
from services.console.outcomes import LEAST
from services.console.pages.drawing import draw

pages = APIRouter(include_in_schema=False)


@pages.get("/outcomes")
async def outcomes(console: Annotated[Console, Depends(console_of)]) -> Response:
    """Figures by clinic and over all; for clinicians also the follow-ups that are due."""
    return draw("outcomes.html", console.visitor, page=await console.outcomes(), least=LEAST)
