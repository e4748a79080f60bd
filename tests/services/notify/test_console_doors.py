"""What the console asks of notify: what would be told, what was told, and how endpoints are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import asyncpg
import httpx
import pytest

from runtime.db import Pool
from runtime.http import console_caller, make_app, operations_caller
from services.notify.console_door import console, operations
from services.notify.employers import add_endpoint
from tests.conftest import Database
from tests.services.notify.cases import EMPLOYER, IN_PROGRAM, TABLE
from tests.services.notify.stored import fold, running

pytestmark = pytest.mark.stack

SIGNED = {
    "readiness_event": "assessed-1",
    "role": "physician",
    "decision": "ready_with_restrictions",
    "restrictions": [{"activity": "lift", "limit": {"amount": 5, "unit": "kg"}}],
    "effective_from": "2026-03-09",
    "effective_through": "2026-05-01",
}


@pytest.fixture
async def asking(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """The console and operations at the doors; whose keys open them: tests/services/test_every_door_is_locked.py."""
    app = make_app("notify")
    app.state.running = running(pool)
    cast("Any", app.state.running).consumer = SimpleNamespace(handlers=TABLE)
    for router, caller in ((console, console_caller), (operations, operations_caller)):
        app.include_router(router)
        app.dependency_overrides[caller] = lambda: None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notify.example") as client:
        yield client


async def test_what_would_be_told_is_shown_and_nothing_is_kept_of_it(pool: Pool, asking: httpx.AsyncClient) -> None:
    ref = await fold(pool, IN_PROGRAM)
    before = await pool.fetch("SELECT event_id FROM deliveries WHERE case_ref = $1", ref)
    answer = await asking.post(f"/v1/preview/{ref}", json={"signed": SIGNED, "final": True})
    (shown,) = answer.json()["employers"]
    assert (shown["employer"], shown["why_not"], shown["scopes"]) == (EMPLOYER, None, ["work_status"])
    assert (shown["update"]["status"], shown["update"]["certifier_role"]) == ("with_restrictions", "physician")
    assert shown["update"]["restrictions"] == [{"activity": "lift", "limit": {"amount": 5.0, "unit": "kg"}}]
    assert await pool.fetch("SELECT event_id FROM deliveries WHERE case_ref = $1", ref) == before


@pytest.mark.parametrize(
    ("signed", "field"),
    [({}, "/signed/readiness_event"), ({**SIGNED, "effective_from": 5}, "/signed/effective_from")],
)
async def test_what_cannot_be_signed_cannot_be_previewed(
    asking: httpx.AsyncClient, signed: dict[str, Any], field: str
) -> None:
    answer = await asking.post(f"/v1/preview/{uuid4()}", json={"signed": signed, "final": True})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_a_case_that_is_not_here_has_no_preview(asking: httpx.AsyncClient) -> None:
    answer = await asking.post(f"/v1/preview/{uuid4()}", json={"signed": SIGNED, "final": True})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_log_says_who_was_told_what_as_long_as_the_text_is_kept(
    pool: Pool, asking: httpx.AsyncClient
) -> None:
    ref = await fold(pool, IN_PROGRAM)
    for event, sequence in (("gone", 1), (None, 2)):
        await pool.execute(
            "INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)"
            " SELECT employer, case_ref, coalesce($2, event_id), $3, 'webhook', scopes, bases, sha256(body)"
            " FROM deliveries WHERE case_ref = $1",
            *(ref, event, sequence),
        )
    newest, oldest = (await asking.get(f"/v1/disclosures/{ref}")).json()["disclosures"]
    assert (newest["employer"], newest["channel"], newest["bases"]) == (EMPLOYER, "webhook", ["worker_consent"])
    assert newest["update"]["case_ref"] == str(ref)
    assert oldest["update"] is None
    assert (await asking.get(f"/v1/disclosures/{uuid4()}")).json() == {"disclosures": []}


async def test_operations_see_how_endpoints_are(database: Database, pool: Pool, asking: httpx.AsyncClient) -> None:
    admin = await asyncpg.connect(f"{database.admin}?search_path=notify")
    await add_endpoint(admin, "depot", "http://127.0.0.1:9/work", kafka=False, local=True)
    await admin.execute("UPDATE endpoints SET open_until = now(), failures = 12 WHERE employer = 'depot'")
    await admin.close()
    told = {each["employer"]: each for each in (await asking.get("/v1/operations/endpoints")).json()["endpoints"]}
    assert (told["depot"]["status"], told["depot"]["breaker"], told["depot"]["pending"]) == ("active", "open", 0)
