"""Who is let in to the console: by an API key that a browser gave once, or by a proxy that signs people in.

A key is exchanged for a session: a sealed cookie that names the key and holds nothing else. Each request looks the key
up, so that a key which is revoked ends its sessions at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import cast
from urllib.parse import urlsplit

import structlog
from cryptography.fernet import Fernet, InvalidToken
from fastapi import Request
from starlette.responses import Response

from runtime.cases import SQL
from runtime.guard import Limited
from runtime.http import Problem, guard_of, running
from services.console.live import Hub
from services.console.looking import Looking
from services.console.settings import ConsoleSettings, console_settings
from services.console.views import Console, Visitor

audit = structlog.get_logger("audit")

COOKIE = "whp_session"
SECURE_COOKIE = "__Host-whp_session"
"""In production: a browser takes a `__Host-` cookie over TLS and from this very host only."""
SESSION_S = 8 * 3600
"""One working day. A screen that was left open is nobody's the next morning."""


def settings_of(request: Request) -> ConsoleSettings:
    """The console's settings; tests set their own on the application."""
    return cast("ConsoleSettings", getattr(request.app.state, "console_settings", None) or console_settings())


def sealer(settings: ConsoleSettings) -> Fernet:
    """Seals what a browser keeps for us, so that it can neither be read nor made there."""
    secret = settings.session_secret.get_secret_value().encode()
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret).digest()))


async def visitor_of(request: Request) -> Visitor | None:
    """Who asks; None for nobody who is signed in."""
    settings = settings_of(request)
    return visitor_by_proxy(request, settings) or await _visitor_by_session(request, settings)


def visitor_by_proxy(request: Request, settings: ConsoleSettings) -> Visitor | None:
    """Whom the proxy has signed in. Headers count only beside its secret: anybody can write the others."""
    if settings.proxy_secret is None:
        return None
    given = request.headers.get(settings.proxy_secret_header, "")
    if not hmac.compare_digest(given.encode(), settings.proxy_secret.get_secret_value().encode()):
        return None
    name = request.headers.get(settings.user_header, "").strip()
    groups = {group.strip() for group in request.headers.get(settings.groups_header, "").split(",")}
    clinics = sorted(group.removeprefix("whp:clinician:") for group in groups if group.startswith("whp:clinician:"))
    if not name or not name.isprintable() or len(name) > 200:
        return None
    if clinics:
        return Visitor(name, "clinician", clinics[0], tuple(clinics))
    return Visitor(name, "operations", None) if "whp:operations" in groups else None


async def _visitor_by_session(request: Request, settings: ConsoleSettings) -> Visitor | None:
    token = request.cookies.get(_cookie(request), "")
    try:
        prefix = json.loads(sealer(settings).decrypt(token, ttl=SESSION_S))["prefix"]
    except (InvalidToken, ValueError, KeyError, TypeError):
        return None
    async with running(request).pool.acquire(timeout=10) as connection:
        row = await connection.fetchrow(SQL["find_key"], prefix)
    return None if row is None else _visitor(prefix, row["kind"], row["name"])


def _visitor(prefix: str, kind: str, name: str) -> Visitor | None:
    """Of the kinds of keys, a clinician's and that of operations open the console."""
    if kind == "clinician":
        return Visitor(f"whp_{prefix}", "clinician", name, (name,))
    return Visitor(f"whp_{prefix}", "operations", None) if (kind, name) == ("role", "operations") else None


async def sign_in(request: Request, response: Response, key: str) -> bool:
    """Begin a session for the bearer of this key. False for a key that does not open the console.

    Raises Problem 429 for an address that tries too many.
    """
    address = "" if request.client is None else request.client.host
    try:
        found = await guard_of(request).identify(running(request).pool, key.strip(), address, time.monotonic())
    except Limited as limited:
        wait = {"retry-after": str(max(1, round(limited.wait_s)))}
        raise Problem(429, "rate_limited", "wait as long as retry-after says", headers=wait) from None
    if found is None:
        return False
    prefix = key.strip().split("_")[1]
    visitor = _visitor(prefix, found.kind, found.name)
    if visitor is None:
        return False
    token = sealer(settings_of(request)).encrypt(json.dumps({"prefix": prefix}).encode()).decode()
    response.set_cookie(
        _cookie(request), token, max_age=SESSION_S, path="/", secure=_secure(request), httponly=True, samesite="strict"
    )
    audit.info("signed in", who=visitor.name, role=visitor.role)
    return True


def sign_out(response: Response) -> None:
    """Take the session's cookie away, by whichever name it goes here."""
    for name in (COOKIE, SECURE_COOKIE):
        response.delete_cookie(name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="strict")


def _secure(request: Request) -> bool:
    return running(request).settings.mode == "production"


def _cookie(request: Request) -> str:
    return SECURE_COOKIE if _secure(request) else COOKIE


async def same_origin(request: Request) -> None:
    """Whether a change was asked for by one of our own pages. Raises Problem 403."""
    origin = request.headers.get("origin")
    ours = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    if not ours:
        raise Problem(403, "cross_origin", "ask for it on a page of the console")


async def console_of(request: Request) -> Console:
    """What the visitor may ask for. Raises Problem 303 to /login for one who is not signed in."""
    visitor = await visitor_of(request)
    if visitor is None:
        to = {"location": "/login", "hx-redirect": "/login", "cache-control": "no-store"}
        raise Problem(303, "sign_in", "sign in first", headers=to)
    settings = settings_of(request)
    hub = cast("Hub", request.app.state.hub)

    async def still() -> bool:
        return await visitor_of(request) == visitor

    return Looking(visitor, running(request).pool, settings, sealer(settings), hub, still)
