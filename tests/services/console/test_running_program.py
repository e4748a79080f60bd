"""The console beside the whole program: what was simulated is there, is signed, and is told as it was shown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from runtime.db import Pool, open_pool
from runtime.http import Problem
from services.console.effects import CHANGED
from services.console.live import Hub
from services.console.looking import Looking
from services.console.settings import ConsoleSettings
from services.console.views import CaseloadFilter, Visitor
from tests.e2e.place import PATIENCE_S, Place
from tests.services.console.site import SECRET

pytestmark = pytest.mark.stack


@pytest.fixture
async def pool(steady: Place) -> AsyncIterator[Pool]:
    opened = await open_pool(steady.stack().services["console"].database, "console-test")
    yield opened
    await opened.close()


def looking(place: Place, pool: Pool, visitor: Visitor) -> Looking:
    """The console as its process has it, for this visitor."""
    stack = place.stack()
    settings = ConsoleSettings.model_validate(
        {
            "session_secret": SECRET,
            "services": {name: f"http://127.0.0.1:{service.port}" for name, service in stack.services.items()},
            "key": SecretStr(stack.keys.roles["console"]),
            "operations_key": SecretStr(stack.keys.roles["operations"]),
        }
    )

    async def still() -> bool:
        return True

    return Looking(visitor, pool, settings, Fernet(Fernet.generate_key()), Hub(), still)


def doctor(clinic: str) -> Visitor:
    return Visitor("whp_0123456789ab", "clinician", clinic, (clinic,))


async def told_of(console: Looking, ref: UUID, count: int) -> Any:
    """The employers' page when it has so many updates."""
    async with asyncio.timeout(PATIENCE_S):
        while len((page := await console.employer(ref)).disclosed) < count:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.1)
    return page


async def test_every_case_of_the_demonstration_is_in_some_clinics_caseload(steady: Place, pool: Pool) -> None:
    open_or_closed = set(await pool.fetch("SELECT case_ref FROM cases WHERE state IS NOT NULL AND NOT erased"))
    seen: set[UUID] = set()
    for clinic in steady.stack().keys.clinics:
        page = await looking(steady, pool, doctor(clinic)).caseload(CaseloadFilter())
        while True:
            seen |= {line.ref for line in page.lines}
            if page.next is None:
                break
            page = await looking(steady, pool, doctor(clinic)).caseload(CaseloadFilter(after=page.next))
    ours = await pool.fetch("SELECT case_ref FROM caseload WHERE clinic = any($1)", list(steady.stack().keys.clinics))
    assert {row["case_ref"] for row in ours} == seen
    assert seen <= {row["case_ref"] for row in open_or_closed}


async def test_what_is_shown_before_a_signature_is_what_the_employer_is_told_after_it(
    steady: Place, pool: Pool
) -> None:
    row = await pool.fetchrow(
        "SELECT c.case_ref, c.clinic FROM caseload c WHERE c.outcome = 'ready' AND c.clinic IN ('north', 'harbour')"
        " ORDER BY c.case_ref LIMIT 1"
    )
    assert row is not None, "somebody ended ready"
    ref, console = row["case_ref"], looking(steady, pool, doctor(row["clinic"]))
    before = await console.employer(ref)
    page = await console.sign_off(ref)
    assert page.signature is not None
    form = {
        "role": ["physician"],
        "decision": ["ready_with_restrictions"],
        "effective_from": [page.readiness.assessed_through.isoformat()],
        "effective_through": ["2030-01-01"],
        "reason_code": ["new_finding"],
        "activity": ["lift"],
        "zone": ["overhead"],
        "frequency": ["occasional"],
        "limit": ["5"],
        "unit": ["kg"],
    }
    preview = await console.preview(ref, form)
    would = [each for each in preview.employers if each.update is not None]
    assert would, "the employer of a ready case may be told"
    with pytest.raises(Problem, match="not_as_shown"):
        await console.sign(ref, {**form, "limit": ["6"]}, preview.shown)
    sent = await console.sign(ref, form, preview.shown)
    with contextlib.suppress(Problem):  # a second click: the same event again, or no longer what was shown
        assert await console.sign(ref, form, preview.shown) == sent
    after = await told_of(console, ref, len(before.disclosed) + len(would))
    newest = after.disclosed[: len(would)]
    assert {each.employer: each.update for each in newest} == {each.employer: each.update for each in would}
    signatures = await pool.fetch("SELECT id FROM event_log WHERE case_ref = $1 AND id LIKE 'console-%'", ref)
    assert [row["id"] for row in signatures] == [sent.event_id]
    assert [each.what for each in (await console.case(ref)).seen if each.what == "sign"] == ["sign"] * 3


async def test_operations_see_each_service_and_mend_nothing_that_is_not_broken(steady: Place, pool: Pool) -> None:
    console = looking(steady, pool, Visitor("whp_ba9876543210", "operations", None))
    page = await console.operations()
    assert {each.name for each in page.services} == set(steady.stack().services)
    assert all(each.live and each.ready and each.lag is not None for each in page.services)
    assert {each.employer for each in page.endpoints} >= {"acme-logistics"}
    for call in (console.retry("planning", uuid4()), console.discard("planning", uuid4(), "no such thing")):
        with pytest.raises(Problem) as refused:
            await call
        assert (refused.value.status, refused.value.code) == (404, "not_parked")


async def test_a_service_that_does_not_answer_is_shown_as_that(steady: Place, pool: Pool) -> None:
    console = looking(steady, pool, Visitor("whp_ba9876543210", "operations", None))
    gone = {**console.settings.services, "planning": "http://127.0.0.1:1"}
    away = console.settings.model_copy(update={"services": gone})
    page = await Looking(console.visitor, pool, away, console.sealer, console.hub, console.still).operations()
    assert {each.name: each.live for each in page.services}["planning"] is None
    assert {each.name: each.live for each in page.services}["intake"] is True


@pytest.mark.parametrize(("who", "path"), [("clinician", "/cases"), ("operations", "/operations")])
async def test_who_signs_in_with_a_key_gets_their_page(steady: Place, who: str, path: str) -> None:
    stack = steady.stack()
    key = stack.keys.clinicians["north"] if who == "clinician" else stack.keys.roles["operations"]
    async with httpx.AsyncClient(base_url=stack.console, timeout=30, trust_env=False) as browser:
        assert (await browser.get(path)).status_code == 303
        entered = await browser.post("/login", data={"key": key}, headers={"origin": stack.console})
        assert (entered.status_code, "set-cookie" in entered.headers) == (303, True)
        page = await browser.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert (await browser.get("/healthz")).status_code == 200


async def test_an_open_page_hears_of_its_clinics_cases_and_of_no_others(steady: Place) -> None:
    stack = steady.stack()
    theirs, mine = uuid4(), uuid4()
    admin = await asyncpg.connect(stack.database)
    try:
        async with httpx.AsyncClient(base_url=stack.console, timeout=30, trust_env=False) as browser:
            key = stack.keys.clinicians["north"]
            await browser.post("/login", data={"key": key}, headers={"origin": stack.console})
            async with browser.stream("GET", "/live") as stream:
                lines = stream.aiter_lines()
                await anext(lines)  # the stream is open
                for ref, clinic in ((theirs, "harbour"), (mine, "north")):
                    await admin.execute("SELECT pg_notify($1, $2)", CHANGED, f"{ref} {clinic}")
                async for line in lines:
                    assert str(theirs) not in line
                    if line == f"data: {mine}":
                        break
    finally:
        await admin.close()
