"""Clinics and employers at their doors: each sees its own, all of it, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import structlog

from runtime.db import Pool
from runtime.http import Problem, make_app
from runtime.keys import Kind, issue_key
from services.notify.door import clinics, employers, position
from tests.conftest import Database
from tests.services.notify.cases import CORRECTED, consent, grant, opened, plan, ready, revoke, withdraw_case
from tests.services.notify.stored import fold, fold_in, running
from workhardening_contracts.envelope import read_structured


@pytest.mark.parametrize(
    "after", ["", "1", "1.2.3", "-1.0", "01.1", "a.b", "1.x", "9999999999999999999.1", "1.1 ", "١.١"]
)
def test_a_position_that_we_never_gave_is_refused(after: str) -> None:
    with pytest.raises(Problem) as refused:
        position(after)
    assert (refused.value.status, refused.value.code) == (422, "position.invalid")


def test_a_position_is_a_transaction_and_a_row() -> None:
    assert position("0.0") == ("0", 0)
    assert position("7421.99") == ("7421", 99)


@asynccontextmanager
async def caller(database: Database, pool: Pool, kind: Kind, name: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client that bears a key of this clinic or employer."""
    admin = await asyncpg.connect(database.admin)
    try:
        key = await issue_key(admin, kind, name)
    finally:
        await admin.close()
    app = make_app("notify")
    app.state.running = running(pool)
    app.include_router(clinics)
    app.include_router(employers)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://notify.example",
        headers={"authorization": f"Bearer {key}"},
    ) as client:
        yield client


async def read_all(client: httpx.AsyncClient, path: str, limit: int = 100) -> list[Any]:
    """Page after page until `next` no longer moves."""
    items: list[Any] = []
    after = "0.0"
    while True:
        answer = await client.get(path, params={"after": after, "limit": limit})
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next"] == after:
            return items
        after = answer.json()["next"]


def cases_of(items: list[Any]) -> set[UUID]:
    return {UUID(item["event"]["subject"]) for item in items}


@pytest.mark.stack
async def test_a_clinic_reads_its_own_cases_page_by_page_and_nobody_elses(database: Database, pool: Pool) -> None:
    ref = await fold(pool, [opened(), consent(grant()), plan()])
    async with caller(database, pool, "clinic", "north") as north, caller(database, pool, "clinic", "south") as south:
        items = await read_all(north, "/v1/clinic/feed", limit=1)
        assert await read_all(south, "/v1/clinic/feed") == []
    mine = [item["event"]["type"].split(".")[-2] for item in items if item["event"]["subject"] == str(ref)]
    assert mine == ["opened", "changed", "issued"]
    assert len({item["position"] for item in items}) == len(items)


@pytest.mark.stack
async def test_a_transaction_that_commits_late_is_not_skipped(database: Database, pool: Pool) -> None:
    async with caller(database, pool, "clinic", "north") as north:
        before = await read_all(north, "/v1/clinic/feed")
        late = uuid4()
        async with pool.acquire() as connection, connection.transaction():
            await fold_in(connection, [opened()], late)
            early = await fold(pool, [opened()])
            # Its row is there, but one of an older transaction may still come: neither is served yet.
            assert cases_of(await read_all(north, "/v1/clinic/feed")) == cases_of(before)
        after = await read_all(north, "/v1/clinic/feed")
    assert cases_of(after) - cases_of(before) == {late, early}


@pytest.mark.stack
async def test_a_waiting_reader_is_answered_as_soon_as_something_happens(database: Database, pool: Pool) -> None:
    async with caller(database, pool, "clinic", "north") as north:
        page = (await north.get("/v1/clinic/feed", params={"limit": 500})).json()
        waiting = asyncio.create_task(north.get("/v1/clinic/feed", params={"after": page["next"], "wait": 20}))
        ref = await fold(pool, [opened()])
        answer = await asyncio.wait_for(waiting, 10)
    assert cases_of(answer.json()["items"]) == {ref}


@pytest.mark.stack
@pytest.mark.parametrize(
    "query", ["fields=diagnosis", "limit=0", "limit=501", "limit=x", "wait=21", "wait=-1", "after=zzz", "clinic=south"]
)
async def test_a_parameter_that_is_unknown_or_out_of_range_is_refused(
    database: Database, pool: Pool, query: str
) -> None:
    async with caller(database, pool, "clinic", "north") as north:
        answer = await north.get(f"/v1/clinic/feed?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "diagnosis" not in answer.json()["detail"]


@pytest.mark.stack
async def test_each_door_opens_to_its_own_kind_of_key_only(database: Database, pool: Pool) -> None:
    async with caller(database, pool, "employer", "acme") as acme, caller(database, pool, "clinic", "north") as north:
        assert (await acme.get("/v1/clinic/feed")).status_code == 403
        assert (await north.get("/v1/deliveries")).status_code == 403
        assert (await north.get(f"/v1/cases/{uuid4()}/status")).status_code == 403
        assert (await north.get("/v1/clinic/feed", headers={"authorization": "Bearer x"})).status_code == 401


@pytest.mark.stack
async def test_an_employer_pulls_the_latest_status_and_it_is_logged_once(database: Database, pool: Pool) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    ref = await fold(pool, [opened(), consent(grant(employer=employer)), plan(), ready()])
    async with caller(database, pool, "employer", employer) as client:
        first, again = [await client.get(f"/v1/cases/{ref}/status") for _ in range(2)]
        refused = await client.get(f"/v1/cases/{ref}/status?fields=diagnosis")
    assert first.content == again.content
    assert first.headers["cache-control"] == "no-store"
    assert b'"sequence":2' in read_structured(first.content).data
    assert refused.status_code == 422
    assert await pool.fetchval("SELECT count(*) FROM disclosures WHERE case_ref = $1 AND channel = 'pull'", ref) == 1


@pytest.mark.stack
async def test_another_employers_case_is_not_found_and_the_question_is_audited(database: Database, pool: Pool) -> None:
    ref = await fold(pool, [opened(), consent(grant(employer=f"e-{uuid4().hex[:8]}")), plan()])
    async with caller(database, pool, "employer", f"e-{uuid4().hex[:8]}") as stranger:
        with structlog.testing.capture_logs() as logs:
            answer = await stranger.get(f"/v1/cases/{ref}/status")
        missing = await stranger.get(f"/v1/cases/{uuid4()}/status")
        assert await read_all(stranger, "/v1/deliveries") == []
    assert (answer.status_code, answer.json()) == (404, missing.json())
    assert [entry["case"] for entry in logs if entry["event"] == "status refused"] == [str(ref)]


@pytest.mark.stack
@pytest.mark.parametrize("what", ["revoked", "withdrawn", "parked", "ended"])
async def test_what_may_not_be_pushed_may_not_be_pulled(database: Database, pool: Pool, what: str) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    given = grant(employer=employer, end=date(2026, 3, 31) if what == "ended" else None)
    ref = await fold(pool, [opened(), consent(given), plan()])
    if what == "revoked":
        await fold(pool, [revoke(employer=employer)], ref)
    elif what == "withdrawn":
        await fold(pool, [withdraw_case()], ref)
    elif what == "parked":
        await pool.execute("UPDATE cases SET parked = 1 WHERE case_ref = $1", ref)
    async with caller(database, pool, "employer", employer) as client:
        assert (await client.get(f"/v1/cases/{ref}/status")).status_code == 404
        assert await read_all(client, "/v1/deliveries") == []
    assert await pool.fetchval("SELECT count(*) FROM disclosures WHERE case_ref = $1", ref) == 0


@pytest.mark.stack
async def test_deliveries_repair_a_gap_with_the_bytes_that_were_or_will_be_sent(database: Database, pool: Pool) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    ref = await fold(pool, [opened(), consent(grant(employer=employer)), plan(), *CORRECTED])
    async with caller(database, pool, "employer", employer) as client:
        items = await read_all(client, "/v1/deliveries", limit=1)
        latest = (await client.get(f"/v1/cases/{ref}/status")).json()
    data = [item["event"]["data"] for item in items]
    assert [(each["sequence"], each["previous_sequence"]) for each in data] == [(3, 0), (4, 3)], "1 and 2 were replaced"
    assert latest["data"] == data[-1]
    assert await pool.fetchval("SELECT count(*) FROM disclosures WHERE case_ref = $1", ref) == 2
