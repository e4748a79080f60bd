"""Pages to look at services and therapists, and to book and cancel a consultation: HTML that needs no script.

They ask what the open doors ask, and are counted with them. A page that holds a token is neither kept nor told on.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from hashlib import sha256
from itertools import groupby
from typing import Any, Concatenate, ParamSpec
from urllib.parse import parse_qs
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import ValidationError

from runtime.http import MAX_BODY, Problem
from services.intake.consultations import asking, store
from services.intake.consultations.booking import Wish
from services.intake.consultations.callers import looking, wishing
from services.intake.consultations.slots import ZONES
from workhardening_contracts.envelope import violation_of

P = ParamSpec("P")

_PAGES = Environment(
    loader=PackageLoader("services.intake.consultations"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = _PAGES.get_template("style.css").render()
_HEADERS = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "x-content-type-options": "nosniff",
    # An appointment's address holds its token.
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_MOST_FIELDS = 20
_SAID = {
    "name": "Please say your name, in one line.",
    "contact": "Please say how the clinic reaches you, in one line.",
    "starts_at": "Please choose a time.",
    "zone": "Please choose a time zone from the list.",
}

router = APIRouter(include_in_schema=False)


def drawn(
    page: Callable[Concatenate[Request, P], Awaitable[Response]],
) -> Callable[Concatenate[Request, P], Awaitable[Response]]:
    """What is refused is a page as well."""

    @wraps(page)
    async def answer(request: Request, *args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return await page(request, *args, **kwargs)
        except Problem as problem:
            return _draw("refused.html", problem.status, dict(problem.headers or {}), problem=problem)

    return answer


@router.get("/consultations")
@drawn
async def look(request: Request) -> Response:
    """All services and therapists."""
    await looking(request)
    async with asking.at_the_tables(request) as connection:
        services = await store.list_services(connection, None)
        therapists = await store.list_therapists(connection, None)
    return _draw("services.html", services=services, therapists=therapists)


@router.get("/consultations/therapists/{therapist}")
@drawn
async def times(request: Request, therapist: str) -> Response:
    """A week of a therapist's free times, and the form to book one."""
    await looking(request)
    zone, first = request.query_params.get("zone") or None, request.query_params.get("from")
    if zone is not None and zone not in ZONES:
        raise Problem(422, "zone_unknown", _SAID["zone"])
    found = await asking.free_times(request, _uuid(therapist), _day(first), asking.WEEK, zone)
    async with asking.at_the_tables(request) as connection:
        services = await store.list_services(connection, found.therapist.clinic)
    clock = ZoneInfo(found.zone)
    shown = [(slot.starts.isoformat(), slot.starts.astimezone(clock)) for slot in found.slots]
    today = datetime.now(UTC).astimezone(clock).date()
    begin = max(_day(first) or today, today)
    return _draw(
        "times.html",
        therapist=found.therapist,
        zone=found.zone,
        zones=sorted(name for name in ZONES if "/" in name and not name.startswith("Etc/")),
        days=[(day, list(slots)) for day, slots in groupby(shown, key=lambda one: one[1].date())],
        begin=begin,
        earlier=max(begin - timedelta(days=asking.WEEK), today) if begin > today else None,
        later=begin + timedelta(days=asking.WEEK) if begin.year < date.max.year else None,
        services=services,
        key=str(uuid4()),
    )


@router.post("/consultations/bookings")
@drawn
async def book(request: Request) -> Response:
    """Book what the form says, and show the appointment; the form bears the idempotency key, so sending it twice books
    once."""
    await wishing(request)
    form = await _form(request)
    key = str(_uuid(form.pop("key", "")))
    try:
        wish = Wish.model_validate_json(json.dumps(form))
    except ValidationError as error:
        field = violation_of(error).field.removeprefix("/")
        raise Problem(422, "form.invalid", _SAID.get(field, "Send the form as the page has it.")) from None
    _, token = await asking.book(request, wish, key)
    return RedirectResponse(f"/consultations/appointments/{token}", 303, _HEADERS)


@router.get("/consultations/appointments/{token}")
@drawn
async def appointment(request: Request, token: str) -> Response:
    """An appointment, and the button to cancel it."""
    await looking(request)
    found = await asking.appointment(request, token)
    clock = ZoneInfo(found.zone)
    return _draw(
        "appointment.html",
        booking=found,
        token=token,
        starts=found.starts_at.astimezone(clock),
        until=found.cancel_until.astimezone(clock),
        can_cancel=found.status == "booked" and datetime.now(UTC) <= found.cancel_until,
    )


@router.post("/consultations/appointments/{token}/cancel")
@drawn
async def cancel(request: Request, token: str) -> Response:
    """Cancel, and show that it is."""
    await looking(request)
    await asking.cancel(request, token)
    return RedirectResponse(f"/consultations/appointments/{token}", 303, _HEADERS)


def _draw(template: str, status: int = 200, headers: dict[str, str] | None = None, **shown: Any) -> HTMLResponse:
    html = _PAGES.get_template(template).render(style=_STYLE, **shown)
    return HTMLResponse(html, status, _HEADERS | (headers or {}))


async def _form(request: Request) -> dict[str, str]:
    """A urlencoded form without its empty fields. Raises Problem 413 and 422."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Problem(413, "too_large", "Send the form as the page has it.", headers={"connection": "close"})
    try:
        read = parse_qs(body.decode(), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Problem(422, "form.invalid", "Send the form as the page has it.") from None
    return {name: values[0].strip() for name, values in read.items() if values[0].strip()}


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise asking.problem_of(store.therapist_unknown()) from None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Problem(422, "query.from", "Name a day as YYYY-MM-DD.") from None
