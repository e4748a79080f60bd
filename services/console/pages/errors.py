"""Problems as pages, for those who asked for a page: what is wrong, and the mend."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.responses import Response

from services.console.pages.drawing import draw

Answer = Callable[[Request, Exception], Response | Awaitable[Response]]

_HEADINGS = {
    401: "Sign in first",
    403: "This page is for another role",
    404: "Nothing here",
    409: "That does not fit any more",
    413: "That is too much",
    422: "Something is not right in what was sent",
    429: "Too many requests",
    503: "Not available now",
}
_MENDS = {
    401: "Sign in with a key of your own. Operations issues keys.",
    403: "Sign out and sign in with a key of that role, or ask whoever gave you yours.",
    404: "Check the case's reference. A case of another clinic is not shown, and neither is one that was erased.",
    409: "Go back, load the page anew and look at what has changed.",
    413: "Send less at once.",
    422: "Go back and correct it.",
    429: "Wait a little, then go on.",
    503: "Try again in some seconds. If it stays so, operations sees on its page which service does not answer.",
}


def add_error_pages(app: FastAPI) -> None:
    """Let the problems that this application answers so far be pages for a browser; programs get what they got."""
    for kind, answer in list(app.exception_handlers.items()):
        if kind is not WebSocketRequestValidationError:
            app.add_exception_handler(kind, _page_of(answer))


def _page_of(answer: Any) -> Any:
    async def page(request: Request, error: Exception) -> Response:
        plain: Response = await answer(request, error)
        if "hx-request" in request.headers and "location" in plain.headers:
            # A redirect would be followed unseen, and the sign-in page put where a part of this one belongs.
            return Response(headers={"hx-redirect": plain.headers["location"], "cache-control": "no-store"})
        if plain.status_code < 400 or not _for_a_browser(request):
            return plain
        return _drawn(request, plain)

    return page


def _for_a_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def _drawn(request: Request, plain: Response) -> Response:
    problem: dict[str, Any] = json.loads(bytes(plain.body))
    status = plain.status_code
    headers = {name: value for name, value in plain.headers.items() if not name.startswith("content-")}
    shown = {
        "heading": _HEADINGS.get(status, "Something went wrong"),
        "mend": _MENDS.get(status, "Go back and try again. If it stays so, tell operations the code below."),
        "problem": problem,
    }
    if "hx-request" in request.headers:
        # A part of a page was asked for: the page stays, and says above what it could not do.
        here = {"hx-retarget": "#notice", "hx-reswap": "innerHTML", "hx-reselect": "#problem"}
        return draw("notice.html", None, status=status, headers=headers | here, **shown)
    return draw("error.html", None, status=status, headers=headers, **shown)
