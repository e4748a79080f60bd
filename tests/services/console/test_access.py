"""Who is let in to the console, for how long, and what each may see."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest

from runtime.db import Pool
from runtime.keys import Kind, revoke_key
from services.console import access
from tests.conftest import Database
from tests.services.console.cases import fold_into
from tests.services.console.site import PROXY, application, browser, entered, key_of
from tests.services.notify.cases import opened

pytestmark = pytest.mark.stack


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_told_nothing(pool: Pool) -> None:
    async with browser(application(pool)) as client:
        for path in ("/who", "/cases", f"/cases/{uuid4()}"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
            assert answer.headers["hx-redirect"] == "/login"


async def test_a_clinicians_key_opens_the_cases_of_its_clinic_and_no_others(database: Database, pool: Pool) -> None:
    ref = await fold_into(pool, [opened()])
    app = application(pool)
    for clinic, status in (("north", 200), ("south", 404)):
        key = await key_of(database, "clinician", clinic)
        async with browser(app) as client:
            assert await entered(client, key)
            who = (await client.get("/who")).json()
            assert who == {"name": key.rpartition("_")[0][:16], "role": "clinician", "clinics": [clinic]}
            assert (await client.get(f"/cases/{ref}")).status_code == status
    unknown = await client_answer(app, database, f"/cases/{uuid4()}")
    assert unknown == (404, "not_found"), "not there and not yours are one answer"


async def client_answer(app: object, database: Database, path: str) -> tuple[int, str]:
    async with browser(app) as client:  # pyright: ignore[reportArgumentType]
        assert await entered(client, await key_of(database, "clinician", "south"))
        answer = await client.get(path)
        return answer.status_code, answer.json()["code"]


async def test_operations_see_no_case(database: Database, pool: Pool) -> None:
    ref = await fold_into(pool, [opened()])
    async with browser(application(pool)) as client:
        assert await entered(client, await key_of(database, "role", "operations"))
        assert (await client.get("/who")).json()["role"] == "operations"
        for path in ("/cases", f"/cases/{ref}"):
            assert (await client.get(path)).status_code == 403
    assert await pool.fetchval("SELECT count(*) FROM views WHERE case_ref = $1", ref) == 0


@pytest.mark.parametrize(("kind", "name"), [("clinic", "north"), ("employer", "acme"), ("role", "console")])
async def test_other_keys_open_nothing_here(database: Database, pool: Pool, kind: Kind, name: str) -> None:
    async with browser(application(pool)) as client:
        assert not await entered(client, await key_of(database, kind, name))
        assert not await entered(client, "whp_" + "0" * 12 + "_" + "A" * 43)
        assert not await entered(client, "anything")
        assert (await client.get("/who")).status_code == 303


async def test_a_key_that_is_revoked_ends_its_sessions_at_once(database: Database, pool: Pool) -> None:
    key = await key_of(database, "clinician", "north")
    async with browser(application(pool)) as client:
        assert await entered(client, key)
        assert (await client.get("/who")).status_code == 200
        admin = await asyncpg.connect(database.admin)
        await revoke_key(admin, key.split("_")[1], "left the clinic")
        await admin.close()
        assert (await client.get("/who")).status_code == 303


async def test_a_session_ends_after_a_working_day_and_when_it_is_left(
    database: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await key_of(database, "clinician", "north")
    async with browser(application(pool)) as client:
        assert await entered(client, key)
        monkeypatch.setattr(access, "SESSION_S", -1)
        assert (await client.get("/who")).status_code == 303
        monkeypatch.undo()
        assert (await client.get("/who")).status_code == 200
        await client.post("/leave")
        assert (await client.get("/who")).status_code == 303


async def test_a_cookie_holds_no_key_is_out_of_reach_of_scripts_and_cannot_be_made_elsewhere(
    database: Database, pool: Pool
) -> None:
    key = await key_of(database, "clinician", "north")
    async with browser(application(pool, "production")) as client:
        answer = await client.post("/enter", json={"key": key}, headers={"origin": "https://console.example"})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-whp_session=")
        assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/", "Max-Age=28800"} <= set(cookie.split("; "))
        assert key.split("_", 2)[2] not in cookie
        assert (await client.get("/who")).status_code == 200
        client.cookies.set("__Host-whp_session", "gAAAA" + "A" * 90, domain="console.example")
    async with browser(application(pool, "production", key=None)) as client:
        client.cookies.set("__Host-whp_session", "x" * 100)
        assert (await client.get("/who")).status_code == 303


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "https://console.example.evil.example"])
async def test_a_change_that_another_site_asks_for_is_refused(pool: Pool, origin: str | None) -> None:
    async with browser(application(pool)) as client:
        headers = {} if origin is None else {"origin": origin}
        answer = await client.post("/enter", json={"key": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin")


def by_proxy(**changed: str) -> dict[str, str]:
    given = {
        "x-whp-proxy-secret": PROXY,
        "x-forwarded-user": "dr.who@north.example",
        "x-forwarded-groups": "staff,whp:clinician:north,whp:clinician:south",
    }
    return given | {name.replace("_", "-"): value for name, value in changed.items()}


async def test_a_proxy_that_knows_the_secret_signs_people_in_by_name_and_groups(pool: Pool) -> None:
    app = application(pool, proxy_secret=PROXY)
    async with browser(app, **by_proxy()) as client:
        who = (await client.get("/who")).json()
        assert who == {"name": "dr.who@north.example", "role": "clinician", "clinics": ["north", "south"]}
    async with browser(app, **by_proxy(x_forwarded_groups="whp:operations")) as client:
        assert (await client.get("/who")).json()["role"] == "operations"


@pytest.mark.parametrize(
    "headers",
    [
        by_proxy(x_whp_proxy_secret="q" * 40),
        by_proxy(x_whp_proxy_secret=""),
        by_proxy(x_forwarded_user=" "),
        by_proxy(x_forwarded_groups="staff"),
    ],
)
async def test_headers_that_anybody_can_write_let_nobody_in(pool: Pool, headers: dict[str, str]) -> None:
    async with browser(application(pool, proxy_secret=PROXY), **headers) as client:
        assert (await client.get("/who")).status_code == 303


async def test_without_a_secret_no_proxy_is_believed(pool: Pool) -> None:
    async with browser(application(pool), **by_proxy(x_whp_proxy_secret="")) as client:
        assert (await client.get("/who")).status_code == 303
