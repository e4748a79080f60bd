"""Each door of each service opens to one kind of key and to no other; only the two health probes open without, and
what anybody may look at and book."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx import ASGITransport, AsyncClient, Response

from ops.target import SERVICES
from runtime.guard import Guard, guard_of
from runtime.keys import digest
from runtime.limits import Buckets, Rate
from runtime.service import doors
from runtime.settings import Settings

CONSULTATIONS = "/v1/consultations"
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", f"{CONSULTATIONS}/services"),
    ("GET", f"{CONSULTATIONS}/therapists"),
    ("GET", f"{CONSULTATIONS}/therapists/{{therapist}}/slots"),
    ("POST", f"{CONSULTATIONS}/bookings"),
    ("GET", f"{CONSULTATIONS}/appointments/{{token}}"),
    ("DELETE", f"{CONSULTATIONS}/appointments/{{token}}"),
}
BEARERS = [
    ("clinic", "north"),
    ("clinician", "north"),
    ("employer", "acme"),
    ("role", "console"),
    ("role", "operations"),
]
KEYS = {bearer: f"whp_{number:012x}_{'A' * 43}" for number, bearer in enumerate(BEARERS)}


class Table:
    """The keys' table, and nothing else of a database: whoever gets past a door finds it broken."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.valid = dict(KEYS)

    @asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncGenerator[Table]:
        if self.away:
            raise ConnectionRefusedError
        yield self

    async def fetchrow(self, query: str, prefix: str) -> dict[str, Any] | None:
        self.asked += 1
        for (kind, name), key in self.valid.items():
            if key.split("_")[1] == prefix:
                return {"hash": digest(key), "kind": kind, "name": name, "fresh": True}
        return None


def opened(service: str, table: Table, guard: Guard | None = None) -> FastAPI:
    """A service's doors, as in production."""
    app = doors(import_module(f"services.{service}.__main__").SERVICE)
    app.state.guard = guard or Guard(Buckets(Rate(1000, 1000)), Buckets(Rate(1000, 1000)))
    app.state.running = SimpleNamespace(pool=table, settings=SimpleNamespace(mode="production"))
    return app


def client(app: FastAPI, address: str = "192.0.2.7") -> AsyncClient:
    transport = ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))
    return AsyncClient(transport=transport, base_url="http://door")


def routes(of: Any) -> Iterator[APIRoute]:
    """Every door, those of included routers too."""
    for route in of.routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            yield from routes(route.original_router)


DOORS = [
    (service, method, route.path)
    for service in SERVICES
    for route in routes(doors(import_module(f"services.{service}.__main__").SERVICE))
    if route.include_in_schema  # the console's pages are for sessions: tests/services/console/test_access.py
    for method in sorted(route.methods or ())
]
KEYED = [door for door in DOORS if door[1:] not in OPEN]


def bearing(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def ask(app: FastAPI, method: str, path: str, headers: dict[str, str]) -> Response:
    async with client(app) as asking:
        return await asking.request(method, re.sub(r"\{[^}]+\}", str(uuid4()), path), headers=headers)


def test_the_walk_finds_every_door() -> None:
    for service in SERVICES:
        described = doors(import_module(f"services.{service}.__main__").SERVICE).openapi()["paths"]
        walked = {re.sub(r":\w+}", "}", path) for name, _, path in DOORS if name == service}
        assert walked == set(described)
    assert {path for _, _, path in KEYED} >= {"/metrics", "/v1/events", "/v1/clinic/feed", "/v1/deliveries"}


@pytest.mark.parametrize(("service", "method", "path"), KEYED)
async def test_without_a_valid_key_a_door_stays_shut(service: str, method: str, path: str) -> None:
    app = opened(service, Table())
    unknown = f"whp_{'f' * 12}_{'A' * 43}"
    other_end = KEYS[BEARERS[0]][:-1] + "B"
    for headers in ({}, {"authorization": "Basic x"}, bearing("x"), bearing(unknown), bearing(other_end)):
        answer = await ask(app, method, path, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), headers
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("service", "method", "path"), KEYED)
async def test_a_door_opens_to_one_kind_of_key_and_to_no_other(service: str, method: str, path: str) -> None:
    app = opened(service, Table())
    answers = {bearer: await ask(app, method, path, bearing(KEYS[bearer])) for bearer in BEARERS}
    shut = {bearer for bearer, answer in answers.items() if answer.status_code == 403}
    assert len(set(BEARERS) - shut) == 1, "whoever is not shut out comes in"
    for bearer in shut:
        assert answers[bearer].json()["code"] == "forbidden"
        assert answers[bearer].headers["content-type"] == "application/problem+json"
    assert all(answers[bearer].status_code != 401 for bearer in BEARERS)


@pytest.mark.parametrize("service", SERVICES)
async def test_on_the_local_stack_who_is_on_the_machine_may_read_the_figures_and_nobody_else(service: str) -> None:
    app = opened(service, Table())
    app.state.running.settings.mode = "local"
    for address, shut in (("127.0.0.1", False), ("::1", False), ("192.0.2.7", True), ("", True), ("testclient", True)):
        async with client(app, address) as asking:
            assert ((await asking.get("/metrics")).status_code == 401) == shut, address
    app.state.running.settings.mode = "production"
    async with client(app, "127.0.0.1") as asking:
        assert (await asking.get("/metrics")).status_code == 401


async def test_the_figures_are_still_told_to_a_known_key_while_the_database_is_away() -> None:
    table = Table()
    app = opened("planning", table)
    scrape = {name: ("GET", "/metrics", bearing(KEYS["role", name])) for name in ("operations", "console")}
    for name in scrape:
        await ask(app, *scrape[name])
    table.away = True
    assert (await ask(app, *scrape["operations"])).json()["code"] == "internal", "it came in: there are no figures here"
    for stranger in (scrape["console"], ("GET", "/metrics", bearing(f"whp_{'e' * 12}_{'A' * 43}"))):
        assert (await ask(app, *stranger)).json()["code"] == "unavailable"


# Limits


def limited(answer: Response) -> int:
    """The seconds to wait, of an answer that says: too many."""
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["content-type"] == "application/problem+json"
    return int(answer.headers["retry-after"])


async def test_a_key_that_asks_too_much_is_told_when_to_go_on_and_no_other_key_waits() -> None:
    table = Table()
    slow = Guard(Buckets(Rate(1 / 3600, 3)), Buckets(Rate(1, 1)))
    app = opened("notify", table, slow)
    table.valid["clinic", "south"] = other = f"whp_{'c' * 12}_{'A' * 43}"
    feed = "GET", "/v1/clinic/feed"
    first = [(await ask(app, *feed, bearing(KEYS["clinic", "north"]))).status_code for _ in range(3)]
    assert 429 not in first
    looked_up = table.asked
    waits = [limited(await ask(app, *feed, bearing(KEYS["clinic", "north"]))) for _ in range(3)]
    assert all(3590 <= wait <= 3600 for wait in waits)
    assert table.asked == looked_up, "a flood does not reach the database"
    for key in (other, KEYS["employer", "acme"]):
        assert (await ask(app, *feed, bearing(key))).status_code != 429


async def test_who_guesses_keys_is_no_longer_looked_up_and_shuts_nobody_else_out() -> None:
    table = Table()
    app = opened("intake", table, Guard(Buckets(Rate(100, 100)), Buckets(Rate(1 / 3600, 3))))
    known, door = KEYS["clinic", "north"], ("GET", "/v1/events/{id}")
    assert (await ask(app, *door, bearing(known))).status_code not in (401, 429)
    guesses = [f"whp_{number:012x}_{'B' * 43}" for number in range(20)]
    answers = [await ask(app, *door, bearing(guess)) for guess in guesses]
    assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 17
    assert table.asked == 4
    assert limited(await ask(app, *door, {})) > 3500
    assert (await ask(app, *door, bearing(known))).status_code not in (401, 429), "at the guesser's own address"
    async with client(app, "192.0.2.8") as elsewhere:
        assert (await elsewhere.get("/v1/events/x")).status_code == 401


async def test_a_key_that_was_revoked_counts_as_a_guess() -> None:
    table = Table()
    app = opened("intake", table, Guard(Buckets(Rate(100, 100)), Buckets(Rate(1 / 3600, 1))))
    key, door = KEYS["clinic", "north"], ("GET", "/v1/events/{id}")
    assert (await ask(app, *door, bearing(key))).status_code not in (401, 429)
    del table.valid["clinic", "north"]
    assert (await ask(app, *door, bearing(key))).status_code == 401
    limited(await ask(app, *door, bearing(key)))


async def test_an_ipv6_customer_is_one_however_many_addresses_he_has() -> None:
    app = opened("intake", Table(), Guard(Buckets(Rate(1, 1)), Buckets(Rate(1 / 3600, 2))))
    statuses: list[int] = []
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8:0:1::1"):
        async with client(app, address) as asking:
            statuses.append((await asking.get("/v1/events/x")).status_code)
    assert statuses == [401, 401, 429, 401]


async def test_ipv4_callers_at_an_ipv6_socket_are_not_one() -> None:
    app = opened("intake", Table(), Guard(Buckets(Rate(1, 1)), Buckets(Rate(1 / 3600, 1))))
    statuses: list[int] = []
    for address in ("::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1"):
        async with client(app, address) as asking:
            statuses.append((await asking.get("/v1/events/x")).status_code)
    assert statuses == [401, 401, 429]


async def test_without_settings_the_limits_are_those_of_the_settings_defaults() -> None:
    given = Settings.model_validate({"kafka_bootstrap": "", "database_url": "", "digest_key": "0" * 32})
    assert guard_of(given) == Guard()
