"""The tables hold what the folds decided: feed, messages, deliveries, erasure, and a log that only grows."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest

from runtime.db import Pool
from services.notify.clinics import set_mailbox
from services.notify.employers import EndpointRefused, add_endpoint, change_url, list_endpoints
from tests.conftest import Database
from tests.services.notify.cases import consent, event, grant, opened, plan, readiness_revoked, ready, revoke
from tests.services.notify.stored import fold
from workhardening_contracts.clinic import CaseErased

pytestmark = pytest.mark.stack

IN_PROGRAM = [opened(), consent(grant()), plan()]


async def test_a_batch_fills_feed_messages_and_deliveries_and_repeating_it_adds_nothing(pool: Pool) -> None:
    ref = await fold(pool, IN_PROGRAM)
    await fold(pool, IN_PROGRAM, ref)
    for table, count in (("feed", 3), ("messages", 1), ("deliveries", 1)):
        assert await pool.fetchval(f"SELECT count(*) FROM {table} WHERE case_ref = $1", ref) == count
    row = await pool.fetchrow("SELECT * FROM deliveries WHERE case_ref = $1", ref)
    assert row is not None
    assert (row["status"], row["sequence"], row["scopes"], row["bases"]) == (
        "pending",
        1,
        ["work_status"],
        ["worker_consent"],
    )


async def test_revoked_consent_withholds_in_the_same_batch_what_it_had_allowed(pool: Pool) -> None:
    ref = await fold(pool, [*IN_PROGRAM, revoke(id="r1"), consent(id="c2", cause="/clinics/north#r1")])
    assert await pool.fetchval("SELECT status FROM deliveries WHERE case_ref = $1", ref) == "withheld"
    await fold(pool, [consent(grant(), id="c3")], ref)
    rows = await pool.fetch("SELECT sequence, status FROM deliveries WHERE case_ref = $1 ORDER BY sequence", ref)
    assert [tuple(row) for row in rows] == [(1, "withheld"), (2, "pending")]


async def test_a_revocation_takes_the_place_of_the_unsent_ready_and_of_nothing_that_was_tried(pool: Pool) -> None:
    ref = await fold(pool, IN_PROGRAM)
    await pool.execute("UPDATE deliveries SET attempts = 1 WHERE case_ref = $1", ref)
    await fold(pool, [ready(), readiness_revoked()], ref)
    rows = await pool.fetch("SELECT sequence, status FROM deliveries WHERE case_ref = $1 ORDER BY sequence", ref)
    assert [tuple(row) for row in rows] == [(1, "pending"), (2, "coalesced"), (3, "pending")]


async def test_an_erased_case_leaves_no_row_but_its_disclosures_even_in_one_batch(pool: Pool) -> None:
    erased = event(CaseErased(reason_code="worker_request"), "erased")
    ref = await fold(pool, [*IN_PROGRAM, erased])
    for table in ("feed", "messages", "deliveries"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table} WHERE case_ref = $1", ref) == 0
    assert await pool.fetchval("SELECT state IS NULL AND erased FROM cases WHERE case_ref = $1", ref)
    await fold(pool, [ready()], ref)
    assert await pool.fetchval("SELECT count(*) FROM feed WHERE case_ref = $1", ref) == 0


async def test_messages_are_held_until_their_clinic_has_a_mailbox(pool: Pool) -> None:
    await pool.execute("DELETE FROM clinics")
    ref = await fold(pool, IN_PROGRAM)
    assert await pool.fetchval("SELECT status FROM messages WHERE case_ref = $1", ref) == "held"
    async with pool.acquire() as connection:
        await set_mailbox(connection, "north", "rehab@north.example")
        with pytest.raises(ValueError, match="mailbox"):
            await set_mailbox(connection, "north", "rehab@north.example\r\nBcc: x@y.example")
    assert await pool.fetchval("SELECT status FROM messages WHERE case_ref = $1", ref) == "pending"


@pytest.mark.parametrize("change", ["UPDATE disclosures SET employer = 'x'", "DELETE FROM disclosures"])
async def test_the_disclosure_log_only_grows(pool: Pool, change: str) -> None:
    await pool.execute(
        "INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)"
        " VALUES ('acme', $1, $2, 1, 'pull', '{work_status}', '{worker_consent}', '')",
        uuid4(),
        str(uuid4()),
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(change)


async def test_not_even_the_owner_changes_the_disclosure_log(database: Database) -> None:
    owner = await asyncpg.connect(database.admin)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute("TRUNCATE notify.disclosures")
    finally:
        await owner.close()


async def test_an_endpoint_is_added_once_and_shows_its_secret_once(pool: Pool) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    async with pool.acquire() as connection:
        endpoint = await add_endpoint(connection, employer, "https://hr.example/hook", False)
        with pytest.raises(EndpointRefused):
            await add_endpoint(connection, employer, "https://hr.example/other", False)
        with pytest.raises(EndpointRefused, match="approved by another"):
            await change_url(connection, employer, "https://hr.example/moved")
        listed = next(entry for entry in await list_endpoints(connection) if entry.employer == employer)
    assert endpoint.hmac_secret is not None
    assert endpoint.hmac_secret.startswith("whsec_")
    assert listed.public_key == endpoint.public_key
    assert (listed.target, listed.enabled, listed.pending) == ("https://hr.example/hook", False, 0)
    assert endpoint.hmac_secret not in repr(listed)


async def test_an_employer_has_a_webhook_or_a_topic_of_its_own(pool: Pool) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    async with pool.acquire() as connection:
        with pytest.raises(EndpointRefused):
            await add_endpoint(connection, employer, None, False)
        with pytest.raises(EndpointRefused):
            await add_endpoint(connection, employer, "https://hr.example/", True)
        endpoint = await add_endpoint(connection, employer, None, True)
    assert (endpoint.target, endpoint.public_key) == (f"employer.{employer}.readiness.v1", None)
