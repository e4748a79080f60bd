"""The doors: a clinic reads what happened in its cases, an employer pulls what it may be told.

Positions are opaque: `xid.id`. An answer's `next` is where to go on; when it equals `after`, that was all for now.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from runtime.db import Connection, Pool, queries
from runtime.http import Problem, clinic_caller, employer_caller, problems, running
from services.notify.delivery import following
from services.notify.disclosure import still_permitted
from services.notify.sender import STATE
from workhardening_contracts.envelope import BINARY, STRUCTURED

audit = structlog.get_logger("audit")
SQL = queries("services.notify")

Row = asyncpg.Record | Mapping[str, Any]

clinics = APIRouter(prefix="/v1/clinic", tags=["clinics"])
employers = APIRouter(prefix="/v1", tags=["employers"])

START = "0.0"
POLL_S = 0.1
_POSITION = re.compile(r"(0|[1-9][0-9]{0,18})\.(0|[1-9][0-9]{0,17})")
_NO_STORE = {"cache-control": "no-store"}


class Page(BaseModel):
    """Where to go on, and how much at once. A parameter that does not exist is refused: it would be a wish unheard."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[str, Field(max_length=40, json_schema_extra={"pattern": f"^{_POSITION.pattern}$"})] = START
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class FeedPage(Page):
    """As Page; `wait` holds the answer back for up to so many seconds while there is nothing to read."""

    wait: Annotated[float, Field(ge=0, le=20)] = 0


class _Structured(Response):
    """A CloudEvent, structured mode."""

    media_type = STRUCTURED


class Placed(BaseModel):
    """An event and its place."""

    position: str
    event: dict[str, Any]
    """Structured mode."""


class Read(BaseModel):
    """A page."""

    items: list[Placed]
    next: str
    """The `after` of the next page; the same as this one's when that was all for now."""


def position(after: str) -> tuple[str, int]:
    """The transaction and the row of an opaque position. Raises Problem 422 for one that we never gave."""
    found = _POSITION.fullmatch(after)
    if found is None or int(found[1]) >= 2**63:
        raise Problem(422, "position.invalid", "give the `next` of an earlier answer", field="/query/after")
    return found[1], int(found[2])


def _no_parameters(request: Request) -> None:
    if request.query_params:
        raise Problem(422, "query.unknown", "this address takes no query parameters", field="/query")


@clinics.get("/feed", response_model=Read, responses=problems(401, 403, 422, 503))
async def feed(
    request: Request, clinic: Annotated[str, Depends(clinic_caller)], page: Annotated[FeedPage, Query()]
) -> Response:
    """What happened in the caller's own cases, in the order in which it was decided."""
    pool, until = running(request).pool, time.monotonic() + page.wait
    after = position(page.after)
    rows = await pool.fetch(SQL["read_feed"], clinic, *after, page.limit)
    while not rows and time.monotonic() < until and not await request.is_disconnected():
        await asyncio.sleep(POLL_S)
        rows = await pool.fetch(SQL["read_feed"], clinic, *after, page.limit)
    items = ",".join(f'{{"position":"{_place(row)}","event":{row["event"]}}}' for row in rows)
    return _page(items, rows, page.after)


@employers.get("/deliveries", response_model=Read, responses=problems(401, 403, 422, 503))
async def deliveries(
    request: Request, employer: Annotated[str, Depends(employer_caller)], page: Annotated[Page, Query()]
) -> Response:
    """The caller's updates, delivered or not, as far as they may still be told today: to repair gaps of the push."""
    after = position(page.after)
    async with _acting_for(employer, running(request).pool) as connection:
        rows = await connection.fetch(SQL["read_deliveries"], employer, *after, page.limit)
        told = [_in_sequence(row) for row in rows if _may_be_told(row, employer)]
        await _disclose(connection, employer, told)
    items = ",".join(f'{{"position":"{_place(row)}","event":{bytes(row["body"]).decode()}}}' for row in told)
    return _page(items, rows, page.after)


@employers.get(
    "/cases/{ref}/status",
    dependencies=[Depends(_no_parameters)],
    response_class=_Structured,
    responses=problems(401, 403, 404, 422, 503),
)
async def status(request: Request, ref: UUID, employer: Annotated[str, Depends(employer_caller)]) -> Response:
    """The latest update of one case. 404 says nothing: not the caller's case, no consent, or no such case."""
    async with _acting_for(employer, running(request).pool) as connection:
        row = await connection.fetchrow(SQL["read_status"], employer, ref)
        if row is None or row["status"] == "withheld" or not _may_be_told(row, employer):
            audit.warning("status refused", employer=employer, case=str(ref), known=row is not None)
            raise Problem(404, "not_found", "there is no work status that you may be told for this case")
        told = _in_sequence(row)
        await _disclose(connection, employer, [told])
    return _Structured(bytes(told["body"]), headers=_NO_STORE)


@asynccontextmanager
async def _acting_for(employer: str, pool: Pool) -> AsyncGenerator[Connection]:
    """A transaction that the database shows this employer's rows only, should a query ever forget to ask for them.

    What was disclosed in it is kept when it ends, so the answer is given after that.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(SQL["act_for_employer"], employer)
        yield connection


def _may_be_told(row: Row, employer: str) -> bool:
    state = STATE.validate_json(row["state"], extra="ignore") if row["state"] is not None else None
    return still_permitted(state, employer, row["scopes"], datetime.now(UTC).date())


def _in_sequence(row: Row) -> Row:
    """Until it is tried, an update's body does not say which one goes before it: others may yet be left out."""
    if row["attempts"] > 0:
        return row
    return {**row, "body": following(bytes(row["body"]), row["previous_sequence"])}


async def _disclose(connection: Connection, employer: str, rows: Sequence[Row]) -> None:
    """Before the answer is given: a pull that could not be recorded is not answered."""
    if not rows:
        return
    await connection.execute(
        SQL["insert_pulled"],
        [employer] * len(rows),
        [row["case_ref"] for row in rows],
        [row["event_id"] for row in rows],
        [row["sequence"] for row in rows],
        [json.dumps(row["scopes"]) for row in rows],
        [json.dumps(row["bases"]) for row in rows],
        [hashlib.sha256(bytes(row["body"])).digest() for row in rows],
    )


def _place(row: Row) -> str:
    return f"{row['xid']}.{row['id']}"


def _page(items: str, rows: Sequence[Row], after: str) -> Response:
    """The events are JSON already; they are not parsed only to be written again."""
    following = json.dumps(_place(rows[-1]) if rows else after)
    return Response(f'{{"items":[{items}],"next":{following}}}', media_type=BINARY, headers=_NO_STORE)
