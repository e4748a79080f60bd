"""The clinics' HTTP door: events in, their receipts out, and days closed for all cases at once."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from runtime.http import Problem, ProblemBody, clinic_caller, console_caller, problem_body, problems, running
from runtime.keys import NAME
from runtime.relay import transient
from services.intake.admission import Admitted, Desk, admit, admit_batch
from services.intake.receipts import PostgresReceipts
from services.intake.screening import FINDINGS, MAX_BATCH, MAX_BATCH_BODY, MAX_BODY, Refused, close_all, violated
from workhardening_contracts import registry
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.envelope import (
    BATCHED,
    BINARY,
    MENDS,
    PATTERNS,
    REQUIRED,
    STRUCTURED,
    Envelope,
    Violation,
    clinic_source,
    media_type,
    read_batch,
    read_http,
)

log = structlog.get_logger("door")

RETRY_AFTER_S = "5"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

router = APIRouter()

_sending: set[str] = set()
"""Clinics of which this process is taking in a batch."""


class Taken(BaseModel):
    """Kafka has the event."""

    id: str
    source: str
    status: Literal["accepted"]
    status_url: str
    """Where to ask what became of it."""


class NotTaken(BaseModel):
    """An event of a batch that was refused."""

    status: Literal["refused"]
    problem: ProblemBody
    """What a request of its own would have been answered with."""


class BatchTaken(BaseModel):
    """What came of a batch, event by event, in the order of the batch."""

    events: Annotated[list[Taken | NotTaken], Field(max_length=MAX_BATCH)]


class Standing(BaseModel):
    """What became of an event."""

    id: str
    source: str
    status: Literal["pending", "accepted", "rejected"]
    reason: dict[str, Any] | None = None
    """Of a rejection: its code, its sentence and the field."""


class DayTaken(BaseModel):
    """A day is closed."""

    through: date
    cases: int
    """Open cases for which it was said."""
    repeated: int
    """Those of them for which it had been said before."""


def _attribute(name: str) -> dict[str, Any]:
    """How an attribute is described to those who send one."""
    if name == "type":
        return {
            "type": "string",
            "enum": [entry.type for entry in registry.ENTRIES if registry.from_clinic(entry.type)],
        }
    kind = {"type": "string", "description": MENDS[name]}
    return {**kind, "format": "date-time"} if name == "time" else {**kind, "pattern": f"^{PATTERNS[name].pattern}$"}


# The body and the `ce-` headers are read from the request itself, so what they hold is described here. The data of each
# type is described by the contracts (contracts/schemas, contracts/asyncapi.yaml).
_DATA = {"type": "object", "description": "the data of this type, as its contract describes it"}
_STRUCTURED: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", *REQUIRED, "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        **{name: _attribute(name) for name in REQUIRED},
        "data": _DATA,
    },
}


def _described(**more: dict[str, Any]) -> dict[str, Any]:
    """A door for events: one as the whole body or with its attributes as headers, and what `more` media types carry."""
    content = {STRUCTURED: {"schema": _STRUCTURED}, BINARY: {"schema": _DATA}, **more}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [
            {
                "name": f"ce-{name}",
                "in": "header",
                "required": False,
                "description": "with a body of application/json",
                "schema": {"const": "1.0"} if name == "specversion" else _attribute(name),
            }
            for name in ("specversion", *REQUIRED)
        ],
    }


_BATCH: dict[str, Any] = {"schema": {"type": "array", "maxItems": MAX_BATCH, "items": _STRUCTURED}}


def front_desk(request: Request) -> Desk:
    """What this service takes events in with."""
    service = running(request)
    return Desk(
        PostgresReceipts(service.pool),
        service.publish,
        bytes.fromhex(service.settings.digest_key.get_secret_value()),
        service.telemetry.receiving,
    )


Caller = Annotated[str, Depends(clinic_caller)]
AtDesk = Annotated[Desk, Depends(front_desk)]


@router.post(
    "/v1/events",
    status_code=202,
    response_model=Taken | BatchTaken,
    responses={
        207: {"model": BatchTaken, "description": "A batch of which not every event was taken in"},
        **problems(401, 403, 409, 413, 422, 503),
    },
    openapi_extra=_described(**{BATCHED: _BATCH}),
)
async def post_event(request: Request, clinic: Caller, desk: AtDesk) -> dict[str, Any] | JSONResponse:
    """Take in one CloudEvent, binary or structured, or a batch of them. 202 once Kafka has all; whether an event is
    accepted by its judge is told at `status_url` and in the clinic's feed. 207: some of a batch were refused."""
    if media_type(request.headers.get("content-type", "")) == BATCHED:
        return await _post_batch(request, clinic, desk)
    return _taken(await _admit(desk, clinic, await _read(request, clinic)))


@router.post(
    "/v1/clinics/{clinic}/signatures",
    status_code=202,
    response_model=Taken,
    responses=problems(401, 403, 409, 413, 422, 503),
    openapi_extra=_described(),
    dependencies=[Depends(console_caller)],
)
async def post_signature(
    request: Request, clinic: Annotated[str, Path(pattern=f"^{NAME.pattern}$")], desk: AtDesk
) -> dict[str, Any]:
    """Take in a signature that a clinician of this clinic gave at the console. It is a clinic's event like any other;
    of all that clinics say the console may say only this."""
    envelope = await _read(request, clinic)
    if envelope.type != ReadinessSigned.TYPE:
        refused = Refused(422, "type_not_allowed", "the console signs and says nothing else", "send it as the clinic")
        raise _refusal(clinic, refused)
    return _taken(await _admit(desk, clinic, envelope))


async def _read(request: Request, clinic: str) -> Envelope:
    """The one event of a request. Raises Problem."""
    try:
        envelope = read_http(request.headers.items(), await read_body(request))
    except Violation as error:
        raise _refusal(clinic, violated(error)) from None
    except Refused as refused:
        raise _refusal(clinic, refused) from None
    return _traced(request, envelope)


def _traced(request: Request, envelope: Envelope) -> Envelope:
    """Clients with automatic tracing put the context into the HTTP header, not into the event."""
    header = request.headers.get("traceparent", "")
    if envelope.traceparent is None and _TRACEPARENT.fullmatch(header):
        return replace(envelope, traceparent=header)
    return envelope


async def _post_batch(request: Request, clinic: str, desk: Desk) -> JSONResponse:
    """Raises Problem for a batch that cannot be read, or was not taken in as a whole."""
    if clinic in _sending:
        # What a batch costs is not counted by the key's bucket. One at a time, a clinic goes as fast as it is served.
        detail = "wait for the answer to your last batch, then send the next"
        raise Problem(429, "rate_limited", detail, headers={"retry-after": "1"})
    _sending.add(clinic)
    try:
        read = read_batch(await read_body(request, MAX_BATCH_BODY))
        if len(read) > MAX_BATCH:
            raise Refused(413, "too_large", f"a batch has at most {MAX_BATCH} events", "send the rest in another")
        sent = [_traced(request, each) for each in read if isinstance(each, Envelope)]
        answers = iter(await admit_batch(desk, clinic, sent, datetime.now(UTC)))
    except Violation as error:
        raise _refusal(clinic, violated(error)) from None
    except Refused as refused:
        raise _refusal(clinic, refused) from None
    except Exception as error:
        raise _unavailable(error) from None
    finally:
        _sending.discard(clinic)
    told = [violated(each) if isinstance(each, Violation) else next(answers) for each in read]
    all_taken = all(isinstance(each, Envelope) for each in told)
    return JSONResponse({"events": [_told(clinic, each) for each in told]}, 202 if all_taken else 207)


def _told(clinic: str, answer: Envelope | Refused) -> dict[str, Any]:
    if isinstance(answer, Envelope):
        return _taken(answer)
    return {"status": "refused", "problem": problem_body(_refusal(clinic, answer))}


def _taken(admitted: Admitted | Envelope) -> dict[str, Any]:
    return {
        "id": admitted.id,
        "source": admitted.source,
        "status": "accepted",
        "status_url": f"/v1/events/{quote(admitted.id, safe='')}",
    }


@router.get(
    "/v1/events/{event_id:path}",
    response_model=Standing,
    response_model_exclude_none=True,
    responses=problems(401, 403, 404, 422, 503),
)
async def get_event(event_id: str, clinic: Caller, desk: AtDesk) -> dict[str, Any]:
    """What became of one of the clinic's own events: pending, accepted, or rejected with the reason."""
    source = clinic_source(clinic)
    if not PATTERNS["id"].fullmatch(event_id):  # no event can bear it, and PostgreSQL takes no NUL
        raise Problem(404, "event_unknown", "no event with this id was taken in from this clinic")
    try:
        receipt = await desk.receipts.find(source, event_id)
    except Exception as error:
        raise _unavailable(error) from None
    if receipt is None:
        raise Problem(404, "event_unknown", "no event with this id was taken in from this clinic")
    told = {"id": event_id, "source": source, "status": receipt.status}
    return told if receipt.reason is None else {**told, "reason": receipt.reason}


@router.post(
    "/v1/days/{day}/close",
    status_code=202,
    response_model=DayTaken,
    responses=problems(401, 403, 404, 409, 422, 503),
)
async def close_day(
    day: Annotated[str, Path(json_schema_extra={"format": "date"})], clinic: Caller, desk: AtDesk
) -> dict[str, Any]:
    """Everything up to and including this date is reported, for every open case of the clinic: one DayClosed for each,
    behind whatever was answered before."""
    try:
        through = date.fromisoformat(day) if _DAY.fullmatch(day) else None
    except ValueError:
        through = None
    if through is None:
        raise Problem(422, "path.day", "name the day as YYYY-MM-DD", field="/day")
    admitted = await _admit(desk, clinic, close_all(clinic, through))
    return {"through": day, "cases": admitted.events, "repeated": admitted.repeated}


async def read_body(request: Request, most: int = MAX_BODY) -> bytes:
    """The body, read no further than the cap: a length that is not told, or told wrongly, is counted.

    Raises Refused.
    """
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if not declared.isdecimal() or int(declared[:20]) <= most:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                break
        else:
            return bytes(body)
    raise Refused(413, "too_large", f"a request has at most {most} bytes", "send less")


async def _admit(desk: Desk, clinic: str, envelope: Envelope) -> Admitted:
    try:
        return await admit(desk, clinic, envelope, datetime.now(UTC))
    except Refused as refused:
        raise _refusal(clinic, refused) from None
    except Exception as error:
        raise _unavailable(error) from None


def _refusal(clinic: str, refused: Refused) -> Problem:
    """The answer to what is not let in, and the one line about it in the log: the code, and nothing that was sent."""
    if refused.code in FINDINGS:
        log.warning("security", finding=refused.code, clinic=clinic)
    else:
        log.info("refused", code=refused.code, clinic=clinic)
    # A body that is too large was not read to its end, so nothing can follow it on this connection.
    headers = {"connection": "close"} if refused.status == 413 else None
    return Problem(
        refused.status, refused.code, f"{refused.detail}; {refused.mend}", field=refused.field, headers=headers
    )


def _unavailable(error: Exception) -> Exception:
    """An outage as the clinic should hear it; any other error is a defect and goes on as it is."""
    if not transient(error):
        return error
    return Problem(
        503,
        "unavailable",
        "the event may not have been taken in; send it again with the same id",
        headers={"retry-after": RETRY_AFTER_S},
    )
