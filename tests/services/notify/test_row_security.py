"""An employer's door and the database: even a query that forgot to ask shows one employer's rows and no other's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog

from runtime.db import Connection, Pool, open_pool
from services.notify import door
from tests.conftest import Database
from tests.services.notify.cases import consent, grant, opened, plan
from tests.services.notify.stored import fold
from tests.services.notify.test_doors import caller

pytestmark = pytest.mark.stack

DISCLOSE = (
    "INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)"
    " VALUES ($1, gen_random_uuid(), gen_random_uuid(), 1, 'pull', '{work_status}', '{worker_consent}', '')"
)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    # One connection: what a door leaves behind on it, the next user would find.
    opened_pool = await open_pool(database.dsn("notify"), "notify-test", size=1)
    yield opened_pool
    await opened_pool.close()


@pytest.fixture
async def told(pool: Pool) -> dict[str, UUID]:
    """Two employers with an update each, which was disclosed; employer -> its case."""
    cases = dict[str, UUID]()
    for employer in (f"e-{uuid4().hex[:8]}", f"e-{uuid4().hex[:8]}"):
        cases[employer] = await fold(pool, [opened(), consent(grant(employer=employer)), plan()])
        await pool.execute(DISCLOSE, employer)
    return cases


@asynccontextmanager
async def acting_for(pool: Pool, employer: str | None) -> AsyncGenerator[Connection]:
    """As the door acts; None takes the role and names nobody."""
    async with pool.acquire() as connection, connection.transaction():
        if employer is None:
            await connection.execute("SET LOCAL ROLE notify_employer")
        else:
            await connection.execute(door.SQL["act_for_employer"], employer)
        yield connection


async def test_a_query_without_where_sees_the_rows_of_the_employer_that_asks(pool: Pool, told: dict[str, UUID]) -> None:
    for employer, case in told.items():
        async with acting_for(pool, employer) as connection:
            rows = await connection.fetch("SELECT employer, case_ref FROM deliveries")
            assert [(row["employer"], row["case_ref"]) for row in rows] == [(employer, case)]
            assert [row["case_ref"] for row in await connection.fetch("SELECT * FROM employer_cases")] == [case]
            assert [row["employer"] for row in await connection.fetch("SELECT employer FROM disclosures")] == [employer]


@pytest.mark.parametrize("employer", [None, "", "e-nobody"])
async def test_where_no_employer_or_an_unknown_one_is_named_there_is_no_row(
    pool: Pool, told: dict[str, UUID], employer: str | None
) -> None:
    assert told
    async with acting_for(pool, employer) as connection:
        for table in ("deliveries", "employer_cases", "disclosures"):
            assert await connection.fetchval(f"SELECT count(*) FROM (SELECT FROM {table}) AS any_row") == 0


async def test_a_disclosure_is_noted_for_the_employer_that_asks_and_for_no_other(
    pool: Pool, told: dict[str, UUID]
) -> None:
    mine, other = told
    async with acting_for(pool, mine) as connection:
        await connection.execute(DISCLOSE, mine)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with connection.transaction():
                await connection.execute(DISCLOSE, other)
    assert await pool.fetchval("SELECT count(*) FROM disclosures WHERE employer = $1", mine) == 2
    assert await pool.fetchval("SELECT count(*) FROM disclosures WHERE employer = $1", other) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT state FROM cases",
        "SELECT * FROM deliveries",
        "SELECT body_sha256 FROM disclosures",
        "SELECT hmac_secret FROM endpoints",
        "SELECT body FROM event_log",
        "SELECT event FROM feed",
        "SELECT body FROM messages",
        "SELECT hash FROM access.api_keys",
        "UPDATE deliveries SET status = 'delivered'",
        "DELETE FROM deliveries",
        "INSERT INTO deliveries (employer, case_ref, event_id, sequence, body, scopes, bases, occurred_at)"
        " VALUES ('acme', gen_random_uuid(), 'x', 1, '', '{}', '{}', now())",
        "INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256,"
        " disclosed_at) VALUES ('acme', gen_random_uuid(), 'x', 1, 'pull', '{}', '{}', '', 'epoch')",
        "UPDATE disclosures SET employer = 'acme'",
        "DELETE FROM disclosures",
        "DELETE FROM employer_cases",
        "CREATE TABLE mine ()",
    ],
)
async def test_the_door_has_no_right_that_it_does_not_need(pool: Pool, statement: str) -> None:
    async with acting_for(pool, "acme") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await connection.execute(statement)


async def test_rows_are_guarded_in_every_table_that_the_door_may_use(database: Database) -> None:
    admin = await asyncpg.connect(database.admin)
    try:
        usable = await admin.fetch(
            "SELECT relname, CASE WHEN relkind = 'v' THEN 'security_barrier=true' = any(reloptions)"
            " ELSE relrowsecurity AND relforcerowsecurity END AS guarded"
            " FROM pg_class WHERE relnamespace = 'notify'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"
            " AND (has_any_column_privilege('notify_employer', oid, 'SELECT, INSERT, UPDATE')"
            " OR has_table_privilege('notify_employer', oid, 'DELETE, TRUNCATE, REFERENCES, TRIGGER, MAINTAIN'))"
        )
    finally:
        await admin.close()
    assert {row["relname"]: row["guarded"] for row in usable} == {
        "deliveries": True,
        "disclosures": True,
        "employer_cases": True,
    }


async def test_a_connection_that_a_door_gives_back_is_notifys_again(pool: Pool, told: dict[str, UUID]) -> None:
    mine, _ = told
    async with acting_for(pool, mine) as connection:
        assert await connection.fetchval("SELECT current_user") == "notify_employer"
    with pytest.raises(ZeroDivisionError):
        async with acting_for(pool, mine):
            _ = 1 / 0
    assert await pool.fetchval("SELECT current_user") == "notify"
    assert not await pool.fetchval("SELECT current_setting('whp.employer', true)")


async def test_workers_and_the_door_of_the_previous_release_see_all_rows_as_notify(
    pool: Pool, told: dict[str, UUID]
) -> None:
    rows = await pool.fetch(
        "SELECT d.employer FROM deliveries d JOIN cases c ON c.case_ref = d.case_ref AND c.parked = 0 AND NOT c.erased"
    )
    assert told.keys() <= {row["employer"] for row in rows}


async def test_a_migration_of_the_owner_reaches_all_rows(database: Database, pool: Pool, told: dict[str, UUID]) -> None:
    count = await pool.fetchval("SELECT count(*) FROM deliveries")
    admin = await asyncpg.connect(database.admin)
    try:
        await admin.execute("SET ROLE whp_owner")
        assert await admin.execute("UPDATE notify.deliveries SET reason = reason") == f"UPDATE {count}"
    finally:
        await admin.close()
    assert count >= len(told)


async def test_a_door_that_forgot_to_ask_for_its_employer_tells_nothing_of_anothers_case(
    database: Database, pool: Pool, told: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = told
    forgetful = {
        name: door.SQL[name].replace("d.employer = $1", "$1::text <> ''") for name in ("read_status", "read_deliveries")
    }
    assert all("d.employer =" not in query for query in forgetful.values())
    monkeypatch.setattr(door, "SQL", {**door.SQL, **forgetful})
    async with caller(database, pool, "employer", mine) as client:
        with structlog.testing.capture_logs() as logs:
            refused = await client.get(f"/v1/cases/{told[other]}/status")
        found = await client.get(f"/v1/cases/{told[mine]}/status")
        listed = await client.get("/v1/deliveries")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert [(entry["case"], entry["employer"]) for entry in logs if entry["event"] == "status refused"] == [
        (str(told[other]), mine)
    ]
    assert found.status_code == 200
    assert [item["event"]["subject"] for item in listed.json()["items"]] == [str(told[mine])]


async def test_a_page_looks_its_cases_up_by_their_key(pool: Pool, told: dict[str, UUID]) -> None:
    mine, _ = told
    async with acting_for(pool, mine) as connection:
        # The tables of a test are too small for an index to pay.
        await connection.execute("SET LOCAL enable_seqscan = off")
        lines = await connection.fetch("EXPLAIN (COSTS OFF) " + door.SQL["read_deliveries"], mine, "0", 0, 100)
    assert "Index Cond: (case_ref = d.case_ref)" in [line[0].strip() for line in lines]
