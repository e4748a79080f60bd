"""The clinics' FHIR door: `POST /fhir` takes a transaction Bundle, `POST /fhir/{type}` one resource.

Each event that is read from them goes the way of `POST /v1/events`. A transaction is all or nothing up to there: it is
mapped whole and each event is screened before the first is taken in. Then they are taken in one by one; a transaction
that was cut short is sent again as it was, and what was taken in already counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from runtime.http import problems
from runtime.relay import transient
from services.intake.admission import Desk, admit
from services.intake.door import RETRY_AFTER_S, AtDesk, Caller, read_body
from services.intake.fhir.bundle import Entry, Resource, checked, entries_of
from services.intake.fhir.capabilities import capability_statement
from services.intake.fhir.outcome import Issue, error, operation_outcome, refused
from services.intake.fhir.reading import RANK, Said, read
from services.intake.screening import FINDINGS, Refused, screen
from workhardening_contracts.envelope import Unreadable, strict_json

log = structlog.get_logger("fhir")

FHIR = "application/fhir+json"


class FhirResponse(JSONResponse):
    """A resource as FHIR's JSON."""

    media_type = FHIR


MAX_BUNDLE = 256 * 1024
"""Bytes. A referral with a whole assessment, or a week's sessions, stays below half of it."""

_CODES = {403: "forbidden", 409: "conflict", 413: "too-costly", 503: "transient"}
"""FHIR's issue types of the front door's own refusals; of all others `business-rule`."""

router = APIRouter()


class Answer(Exception):
    """An OperationOutcome that ends the request."""

    def __init__(self, status: int, issues: Sequence[Issue], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.response = _fhir(operation_outcome(issues), status, headers)


def _said(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a door's description says of its answers in FHIR; what comes before the door itself is a problem."""
    resource = {FHIR: {"schema": {"type": "object", "required": ["resourceType"]}}}
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": "a FHIR resource", "content": resource} for status in statuses if status < 400
    }
    for status, problem in problems(*(status for status in statuses if status >= 400)).items():
        described[status] = {**problem, "content": {**problem["content"], **resource}}
    return described


_RESOURCE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {FHIR: {"schema": {"type": "object", "required": ["resourceType"]}}},
    }
}


@router.get("/fhir/metadata", response_class=FhirResponse, responses={**problems(401, 403), **_said(200)})
async def metadata(clinic: Caller) -> FhirResponse:
    """What this door can do."""
    return _fhir(capability_statement())


@router.post(
    "/fhir",
    response_class=FhirResponse,
    responses={**problems(401, 403), **_said(200, 409, 413, 422, 503)},
    openapi_extra=_RESOURCE,
)
async def post_transaction(request: Request, clinic: Caller, desk: AtDesk) -> FhirResponse:
    """Take in a transaction Bundle. Answered by a Bundle that says of each entry what became of it."""
    try:
        bundle = await _document(request)
        if bundle.get("resourceType") != "Bundle":
            raise Answer(
                422, [error("structure", "resourceType", "send a Bundle here, and one resource to /fhir/{type}")]
            )
        entries, issues = entries_of(bundle)
        said, issues = _events(clinic, entries, issues, "Bundle")
        await _take_in(desk, clinic, said)
        return _fhir(_response(bundle, said, issues))
    except Answer as answer:
        return answer.response


@router.post(
    "/fhir/{kind}",
    response_class=FhirResponse,
    status_code=202,
    responses={**problems(401, 403), **_said(202, 404, 409, 413, 422, 503)},
    openapi_extra=_RESOURCE,
)
async def post_resource(request: Request, kind: str, clinic: Caller, desk: AtDesk) -> FhirResponse:
    """Take in one resource. What an event is made of more than one goes in a transaction Bundle."""
    try:
        if kind not in RANK:
            text = f"send one of {', '.join(RANK)}; others only in a Bundle"
            raise Answer(404, [error("not-supported", "resourceType", text)])
        resource = await _document(request)
        if resource.get("resourceType") != kind:
            raise Answer(422, [error("structure", "resourceType", "the resource's type is not that of the address")])
        said, issues = _events(clinic, [Entry(kind, Resource(resource))], checked(resource, kind), kind)
        await _take_in(desk, clinic, said)
        return _fhir(operation_outcome([_taken(said[0]), *issues]), 202, _place(said[0]))
    except Answer as answer:
        return answer.response


async def _document(request: Request) -> dict[str, Any]:
    try:
        document = strict_json(await read_body(request, MAX_BUNDLE))
    except Refused as found:
        # A body that is too large was not read to its end, so nothing can follow it on this connection.
        raise Answer(found.status, [error("too-costly", "Bundle", found.detail)], {"connection": "close"}) from None
    except Unreadable as found:
        raise Answer(422, [error("structure", "Bundle", found.detail)]) from None
    if not isinstance(document, dict):
        raise Answer(422, [error("structure", "Bundle", "a resource is a JSON object")])
    return cast("dict[str, Any]", document)


def _events(
    clinic: str, entries: Sequence[Entry], issues: Sequence[Issue], root: str
) -> tuple[list[Said], list[Issue]]:
    """The events, each as the front door would let it in. Raises Answer when there is an error, or no event."""
    said, told = read(clinic, entries, issues)
    now = datetime.now(UTC)
    for each in said:
        try:
            screen(each.envelope, clinic, now)
        except Refused as found:
            told.append(error("business-rule", each.entry.at, f"{found.detail}; {found.mend}"))
    if not said and not refused(told):
        told.append(error("not-supported", root, "nothing in it is an event of the program"))
    if refused(told):
        log.info("refused", clinic=clinic, issues=len(told))
        raise Answer(422, told)
    return said, told


async def _take_in(desk: Desk, clinic: str, said: Sequence[Said]) -> None:
    for number, each in enumerate(said):
        try:
            await admit(desk, clinic, each.envelope, datetime.now(UTC))
        except Refused as found:
            if found.code in FINDINGS:
                log.warning("security", finding=found.code, clinic=clinic)
            text = "another content was sent of this resource before: send a correction as PUT"
            detail = text if found.code == "id_reused" else f"{found.detail}; {found.mend}"
            before = f"; {number} events before it were taken in" if number else ""
            issue = error(_CODES.get(found.status, "business-rule"), each.entry.at, f"{detail}{before}")
            raise Answer(found.status, [issue]) from None
        except Exception as failure:
            if not transient(failure):
                raise
            text = "it may not have been taken in: send the same again"
            raise Answer(503, [error("transient", each.entry.at, text)], {"retry-after": RETRY_AFTER_S}) from None


def _taken(said: Said) -> Issue:
    text = f"taken in as the event {said.envelope.id} of the case {said.envelope.subject}"
    return Issue("information", "informational", said.entry.at, text)


def _place(said: Said) -> dict[str, str]:
    """Where to ask what became of the event, and the version that a correction names in `ifMatch`."""
    return {"location": f"/v1/events/{quote(said.envelope.id, safe='')}", "etag": f'W/"{said.envelope.id}"'}


def _response(bundle: Mapping[str, Any], said: Sequence[Said], issues: Sequence[Issue]) -> dict[str, Any]:
    """A transaction-response: an entry for each of the request's, in its order."""
    events = {each.entry.at: each for each in said}
    entries: list[dict[str, Any]] = []
    for number in range(len(bundle["entry"])):
        at = f"Bundle.entry[{number}]"
        told = [issue for issue in issues if issue.at == at or issue.at.startswith(f"{at}.")]
        event = events.get(f"{at}.resource")
        answer: dict[str, Any] = {"status": "200" if event is None else "202"}
        if event is not None:
            answer |= _place(event)
            told.insert(0, _taken(event))
        entries.append({"response": {**answer, **({"outcome": operation_outcome(told)} if told else {})}})
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


def _fhir(resource: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> FhirResponse:
    return FhirResponse(resource, status, dict(headers or {}))
