"""Signing in and out."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from services.console import access
from services.console.pages.drawing import draw
from services.console.pages.forms import form_of, one

pages = APIRouter(include_in_schema=False)


@pages.get("/login")
async def login() -> Response:
    """The form."""
    return draw("login.html", None, refused=False)


@pages.post("/login", dependencies=[Depends(access.same_origin)])
async def signed_in(request: Request) -> Response:
    """To the visitor's first page; or the form again, with what is wrong."""
    onwards = RedirectResponse("/", 303)
    if not await access.sign_in(request, onwards, one(await form_of(request), "key")):
        return draw("login.html", None, status=401, refused=True)
    return onwards


@pages.post("/logout", dependencies=[Depends(access.same_origin)])
async def signed_out() -> Response:
    """Back to the form."""
    onwards = RedirectResponse("/login", 303)
    access.sign_out(onwards)
    return onwards
