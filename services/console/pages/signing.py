"""Sign-off in two steps, and what employers were told. Nothing is sent before its reader has seen what will be told."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from runtime.http import Problem
from services.console.access import Console, console_of, same_origin
from services.console.pages.drawing import draw
from services.console.pages.forms import Draft, asked, begun, drafted, form_of, one

pages = APIRouter(include_in_schema=False)

Asked = Annotated[Console, Depends(console_of)]


@pages.get("/cases/{ref}/sign-off")
async def sign_off(ref: UUID, console: Asked) -> Response:
    """The form, filled in with the recommendation."""
    page = await console.sign_off(ref)
    return draw("sign_off.html", console.visitor, page=page, draft=begun(page), problem=None)


@pages.post("/cases/{ref}/sign-off/preview", dependencies=[Depends(same_origin)])
async def preview(request: Request, ref: UUID, console: Asked) -> Response:
    """What each employer would be told; or the form again, with what is wrong in it."""
    form = await form_of(request)
    draft = drafted(form)
    if one(form, "then") == "change":
        return await _again(ref, console, draft, None)
    try:
        shown = await console.preview(ref, asked(form))
    except Problem as problem:
        if problem.status != 422:
            raise
        return await _again(ref, console, draft, problem)
    return draw("preview.html", console.visitor, ref=ref, draft=draft, preview=shown, changed=False)


@pages.post("/cases/{ref}/sign-off", dependencies=[Depends(same_origin)])
async def sign(request: Request, ref: UUID, console: Asked) -> Response:
    """Send it. When employers would be told something else by now, it is shown again instead."""
    form = await form_of(request)
    try:
        await console.sign(ref, asked(form), one(form, "shown"))
    except Problem as problem:
        if problem.status == 422:
            return await _again(ref, console, drafted(form), problem)
        if problem.code != "not_as_shown":
            raise
        shown = await console.preview(ref, asked(form))
        return draw(
            "preview.html", console.visitor, status=409, ref=ref, draft=drafted(form), preview=shown, changed=True
        )
    return RedirectResponse(f"/cases/{ref}?sent=signature", 303)


@pages.get("/cases/{ref}/employers")
async def employers(ref: UUID, console: Asked) -> Response:
    """What each employer was told, and when."""
    return draw("employers.html", console.visitor, page=await console.employer(ref))


async def _again(ref: UUID, console: Console, draft: Draft, problem: Problem | None) -> Response:
    page = await console.sign_off(ref)
    status = 200 if problem is None else 422
    return draw("sign_off.html", console.visitor, status=status, page=page, draft=draft, problem=problem)
