"""What operations ask a service and have it do by HTTP: the same as `whp`, and nobody else may."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from runtime.batch import apply
from runtime.cases import add_partitions
from runtime.db import Pool, open_pool
from runtime.fold import Outcome, Position
from runtime.http import make_app, operations_caller
from runtime.operations import add_operations
from runtime.records import Record, open_record
from runtime.running import Health
from tests.runtime.toy import DIGEST_KEY, WRITERS, Added, Policy, Sum, added, toy_handlers
from workhardening_contracts.envelope import write_kafka

pytestmark = pytest.mark.stack

HANDLERS = toy_handlers("in", "out")


def fine(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
    return Outcome(state)


MENDED = replace(HANDLERS, on={Added: fine})


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "operations")
    async with opened.acquire() as connection:
        await add_partitions(connection, 1)
    yield opened
    await opened.close()


async def park(pool: Pool) -> uuid.UUID:
    """A case of which the second of three events fails: 13 is what the toy cannot add."""
    case = uuid.uuid4()
    items: list[Any] = []
    async with pool.acquire() as connection, connection.transaction():
        for nth, amount in enumerate((1, 13, 3)):
            key, headers, value = write_kafka(added(case, str(nth), amount))
            record = Record(Position("in", 0, nth), datetime.now(UTC), key, tuple(headers), value)
            items.append(open_record(record, HANDLERS, bytes.fromhex(DIGEST_KEY)))
        await apply(connection, items, HANDLERS, WRITERS, {})
    return case


class Relay:
    """Counts how often it was woken."""

    woken = 0
    floor = 0

    def wake(self) -> None:
        self.woken += 1


@asynccontextmanager
async def operator(
    pool: Pool, handlers: Any = HANDLERS, relay: Relay | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    async def lag() -> dict[str, int]:
        return {"in/0": 4, "in/1": 3}

    app = make_app("toy")
    app.state.running = SimpleNamespace(
        pool=pool,
        relay=relay or Relay(),
        consumer=SimpleNamespace(handlers=handlers, writers=WRITERS, lag=lag),
        settings=SimpleNamespace(digest_key=SimpleNamespace(get_secret_value=lambda: DIGEST_KEY)),
        health=lambda: Health(True, True, "ok"),
    )
    app.dependency_overrides[operations_caller] = lambda: None  # who may: tests/services/test_every_door_is_locked.py
    add_operations(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        yield client


async def test_a_service_tells_how_it_is_and_what_waits_for_a_person(pool: Pool) -> None:
    case = await park(pool)
    await pool.execute(
        "INSERT INTO dead_letter (topic, partition, \"offset\", headers, reason) VALUES ('in', 0, 9, '[]', 'json')"
    )
    async with operator(pool) as client:
        answer = await client.get("/v1/operations")
    told = answer.json()
    assert answer.status_code == 200, told
    assert (told["live"], told["ready"], told["why"]) == (True, True, "ok")
    figures = told["figures"]
    assert (figures["lag"], figures["parked_cases"], figures["dead_letters"]) == (7, 1, 1)
    assert (figures["outbox_rows"], figures["outbox_held"]) == (1, 0)
    assert figures["outbox_age_s"] >= 0
    assert [(row["case"], row["records"], row["reason"]) for row in told["parked"]] == [
        (str(case), 2, "handler.RuntimeError")
    ]
    assert [(row["topic"], row["offset"], row["reason"]) for row in told["dead_letters"]] == [("in", 9, "json")]


async def test_a_parked_case_is_folded_again_when_its_cause_is_mended_and_what_follows_is_published(pool: Pool) -> None:
    case, relay = await park(pool), Relay()
    async with operator(pool) as client:
        first = (await client.post(f"/v1/operations/parked/{case}/retry")).json()
    assert first == {"folded": 0, "left": 2, "reason": "handler.RuntimeError"}
    async with operator(pool, MENDED, relay) as client:
        assert (await client.post(f"/v1/operations/parked/{case}/retry")).json()["folded"] == 2
        again = await client.post(f"/v1/operations/parked/{case}/retry")
    assert relay.woken == 1
    assert (again.status_code, again.json()["code"]) == (404, "not_parked")


async def test_a_record_is_given_up_with_who_and_why_and_the_rest_goes_on(pool: Pool) -> None:
    case = await park(pool)
    why = {"reason": "entered twice", "by": "whp_0123456789ab"}
    async with operator(pool) as client:
        assert (await client.post(f"/v1/operations/parked/{case}/discard", json=why)).status_code == 204
        assert (await client.post(f"/v1/operations/parked/{case}/retry")).json() == {
            "folded": 1, "left": 0, "reason": None
        }  # fmt: skip
        gone = await client.post(f"/v1/operations/parked/{case}/discard", json=why)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_parked")
    kept = await pool.fetchrow("SELECT resolution, resolution_reason FROM parked ORDER BY id LIMIT 1")
    assert kept is not None
    assert tuple(kept) == ("discarded", "entered twice (by whp_0123456789ab)")


@pytest.mark.parametrize("why", [{}, {"reason": "x"}, {"reason": "", "by": "y"}, {"reason": "a\nb", "by": "y"}])
async def test_nothing_is_given_up_without_saying_why_and_who(pool: Pool, why: dict[str, str]) -> None:
    case = await park(pool)
    async with operator(pool) as client:
        assert (await client.post(f"/v1/operations/parked/{case}/discard", json=why)).status_code == 422
    assert await pool.fetchval("SELECT count(*) FROM parked WHERE resolved_at IS NULL") == 2


async def test_no_more_of_a_body_is_read_than_a_door_takes(pool: Pool) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b" " * 8192

    async with operator(pool) as client:
        answer = await client.post(f"/v1/operations/parked/{uuid.uuid4()}/discard", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
