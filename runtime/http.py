"""The HTTP shell of a service: problems as problem+json, callers by API key, health by progress, metrics.

Errors follow RFC 9457 with a stable `code` and the field's path, and never hold the offending value. Every door but
/healthz and /readyz asks for a key; a service that opens one to strangers counts them by address.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar, cast

import asyncpg
import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from runtime.db import is_transient, origin, reduce_error
from runtime.guard import Guard, Limited
from runtime.running import Running
from workhardening_contracts.envelope import violation_of

log = structlog.get_logger("http")

PROBLEM = "application/problem+json"
MAX_BODY = 64 * 1024
"""Bytes that a door reads of a body."""

M = TypeVar("M", bound=BaseModel)

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "content_type"}

_KEY = HTTPBearer(scheme_name="key", description="An API key.", auto_error=False)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_KEY)]


class Problem(Exception):
    """An answer that is not a success. `detail` says the mend and is written by us, never echoed."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.headers = headers


class ProblemBody(BaseModel):
    """How every answer that is not a success looks."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    code: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)?$")]
    """Stable: what programs go by."""
    detail: str
    """The mend, for people. It never repeats what was sent."""
    field: str = ""
    """The path of what is wrong; left out where there is none."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a door's description says of its answers that are problems, for its `responses`.

    A door that asks for a key counts its requests, so where there is 401 there is 429.
    """
    if 401 in statuses and 429 not in statuses:
        statuses = (*statuses, 429)
    content = {PROBLEM: {"schema": ProblemBody.model_json_schema()}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def running(request: Request) -> Running:
    """The service that answers this request."""
    return cast("Running", request.app.state.running)


def guard_of(request: Request) -> Guard:
    """Who of this service's callers is known, and how much each may ask."""
    return cast("Guard", request.app.state.guard)


async def clinic_caller(request: Request, given: Bearer) -> str:
    """The clinic whose key this request bears.

    Raises Problem 401 without a valid key, 403 with another kind's, 429 for one that asks too much.
    """
    return await _caller(request, given, "clinic")


async def employer_caller(request: Request, given: Bearer) -> str:
    """The employer whose key this request bears. Raises Problem 401, 403 and 429 likewise."""
    return await _caller(request, given, "employer")


async def operations_caller(request: Request, given: Bearer) -> None:
    """Lets in a key of the role `operations`. Raises Problem 401, 403 and 429 likewise."""
    await _in_role(request, given, "operations")


async def console_caller(request: Request, given: Bearer) -> None:
    """Lets in a key of the role `console`. Raises Problem 401, 403 and 429 likewise."""
    await _in_role(request, given, "console")


async def _in_role(request: Request, given: Bearer, role: str) -> None:
    if await _caller(request, given, "role") != role:
        raise Problem(403, "forbidden", f"this door is for keys of the role {role}")


async def _caller(request: Request, given: Bearer, kind: str) -> str:
    key = None if given is None else given.credentials.strip()
    address = "" if request.client is None else request.client.host
    try:
        found = await guard_of(request).identify(running(request).pool, key, address, time.monotonic())
    except Limited as limited:
        who = "" if limited.bearer is None else f"{limited.bearer.kind} {limited.bearer.name}"
        log.info("rate limited", path=_template(request), who=who or "no valid key")
        raise Problem(
            429,
            "rate_limited",
            "wait as long as retry-after says, then go on more slowly",
            headers={"retry-after": str(max(1, math.ceil(limited.wait_s)))},
        ) from None
    if found is None:
        raise Problem(
            401,
            "unauthorized",
            "send a valid API key as 'Authorization: Bearer <key>'",
            headers={"www-authenticate": "Bearer"},
        )
    if found.kind != kind:
        raise Problem(403, "forbidden", f"this door is for {kind} keys")
    return found.name


async def read_body(request: Request, model: type[M]) -> M:
    """The request's JSON body, read by the door itself: only then is the key looked at before a byte of the body is.

    Raises Problem 413 for more than 64 KiB, and 422 for what the model refuses.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            # It was not read to its end, so nothing can follow it on this connection.
            raise Problem(413, "too_large", f"a request has at most {MAX_BODY} bytes", headers={"connection": "close"})
    try:
        return model.model_validate_json(bytes(body))
    except ValidationError as error:
        found = violation_of(error)
        raise Problem(422, found.code, found.detail, field=found.field) from None


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """What a door's description says of a body that `read_body` reads, for its `openapi_extra`.

    A part with a model of its own is described as an object: its contract says the rest.
    """
    schema = model.model_json_schema()
    schema.pop("$defs", None)
    parts = schema["properties"]
    schema["properties"] = {name: {"type": "object"} if "$ref" in parts[name] else parts[name] for name in parts}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def problem_body(problem: Problem) -> dict[str, Any]:
    """What is said of a problem, as ProblemBody describes it."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.code.replace("_", " ").replace(".", ": "),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.field is not None:
        body["field"] = problem.field
    return body


def problem_response(problem: Problem) -> JSONResponse:
    """The answer to a problem."""
    return JSONResponse(problem_body(problem), problem.status, dict(problem.headers or {}), PROBLEM)


def _template(request: Request) -> str:
    """The path as the door declares it: the one that was asked for is the caller's text."""
    return str(getattr(request.scope.get("route"), "path", ""))


class Live(BaseModel):
    """Answered by /healthz."""

    live: bool
    why: str


class Ready(BaseModel):
    """Answered by /readyz."""

    ready: bool
    why: str


def make_app(service: str, guard: Guard | None = None) -> FastAPI:
    """An application with health and the problem answers; the service adds its doors. `guard`: by default's limits."""
    app = FastAPI(title=f"Work Hardening Program: {service}", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.guard = guard or Guard()

    async def on_problem(_: Request, error: Exception) -> JSONResponse:
        return problem_response(cast("Problem", error))

    async def on_http(_: Request, error: Exception) -> JSONResponse:
        status = cast("HTTPException", error).status_code
        return problem_response(Problem(status, _CODES.get(status, "http_error"), "see the service's documentation"))

    async def on_validation(_: Request, error: Exception) -> JSONResponse:
        first = cast("RequestValidationError", error).errors()[0]
        path = "".join(f"/{part}" for part in first["loc"] if str(part).isidentifier() or isinstance(part, int))
        return problem_response(Problem(422, f"request.{first['type']}", str(first["msg"])[:200], field=path))

    async def on_defect(request: Request, error: Exception) -> JSONResponse:
        if is_transient(error):
            log.warning("answered unavailable", path=_template(request), error=reduce_error(error))
            return problem_response(Problem(503, "unavailable", "try again", headers={"retry-after": "5"}))
        log.error("request failed", path=_template(request), error=type(error).__name__, where=origin(error))
        return problem_response(Problem(500, "internal", "a defect of ours; send the request again later"))

    async def on_hang_up(request: Request, _: Exception) -> JSONResponse:
        """The caller left in the middle of the request: nobody hears the answer, and nothing is wrong with us."""
        log.info("caller left", path=_template(request))
        return problem_response(Problem(400, "hung_up", "send the request again"))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(Exception, on_defect)
    # By name as well: what is found under Exception only is answered and then raised again, as a defect should be.
    for passing in (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        app.add_exception_handler(passing, on_defect)
    app.add_exception_handler(ClientDisconnect, on_hang_up)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)

    async def healthz(request: Request) -> JSONResponse:
        """Whether the process gets on with its work; one that does not is to be started again."""
        health = running(request).health()
        return JSONResponse({"live": health.live, "why": health.why}, 200 if health.live else 503)

    async def readyz(request: Request) -> JSONResponse:
        """Whether the process may be sent work."""
        health = running(request).health()
        return JSONResponse({"ready": health.ready, "why": health.why}, 200 if health.ready else 503)

    app.add_api_route("/healthz", healthz, methods=["GET"], response_model=Live, responses={503: {"model": Live}})
    app.add_api_route("/readyz", readyz, methods=["GET"], response_model=Ready, responses={503: {"model": Ready}})
    return app
