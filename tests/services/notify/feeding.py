"""A clinic's receiver of its feed, the worker that sends it, and what is known of the subscription."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
from aiohttp import web

from runtime.db import Pool
from services.notify.feed_sender import LEASE_S, SQL, send_feeds
from services.notify.subscriptions import Subscribed, add_subscription
from tests.services.notify.receiving import beside, served, until
from tests.services.notify.stored import running
from workhardening_contracts.envelope import read_structured
from workhardening_contracts.webhook import CHALLENGE_TYPE, PING_TYPE, challenge_answer, verify_v1, verify_v1a


@dataclass
class Clinic:
    """A clinic's system: verifies, drops ids it has taken, and answers as it is told to."""

    name: str
    url: str = ""
    keys: Subscribed | None = None
    answers: list[int] = field(default_factory=list[int])
    """Statuses of the first answers; 204 from then on."""
    down: bool = False
    """Answers 503 to every event."""
    hold: asyncio.Event | None = None
    came: list[str] = field(default_factory=list[str])
    """Each `webhook-id`, taken or not, as it came."""
    taken: dict[str, Any] = field(default_factory=dict[str, Any])
    """The events that it took, by id, in the order in which they were taken first."""
    at_once: int = 0
    most_at_once: int = 0

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert self.keys is not None
        assert verify_v1a(body, request.headers, self.keys.public_key)
        assert verify_v1(body, request.headers, self.keys.hmac_secret)
        event = json.loads(body)
        if event["type"] in (PING_TYPE, CHALLENGE_TYPE):
            return web.Response(status=self.answers.pop(0) if self.answers else 200, body=challenge_answer(body))
        identity = request.headers["webhook-id"]
        assert identity == read_structured(body).id.replace(".", "-")
        self.came.append(identity)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.at_once -= 1
        status = 503 if self.down else self.answers.pop(0) if self.answers else 204
        if status == 204:
            self.taken.setdefault(event["id"], event)
        return web.Response(status=status)

    def events(self) -> list[Any]:
        return list(self.taken.values())


@asynccontextmanager
async def receiving(pool: Pool, *, from_start: bool = False, name: str = "", **more: Any) -> AsyncGenerator[Clinic]:
    """A clinic that has subscribed; its row goes with it, so that no later test sends to it."""
    clinic = Clinic(name or f"c-{uuid4().hex[:8]}", **more)
    async with served(clinic.receive) as clinic.url:
        async with pool.acquire() as connection:
            clinic.keys = await add_subscription(connection, clinic.name, clinic.url, from_start=from_start, local=True)
        try:
            yield clinic
        finally:
            await pool.execute("DELETE FROM subscriptions WHERE clinic = $1", clinic.name)


@asynccontextmanager
async def sending(pool: Pool, **more: Any) -> AsyncGenerator[None]:
    """The worker beside the test. `more` are settings; a retry waits a thousandth unless they say so."""
    async with beside(send_feeds(running(pool, **more))):
        yield


async def row_of(pool: Pool, clinic: Clinic) -> asyncpg.Record:
    found = await pool.fetchrow("SELECT * FROM subscriptions WHERE clinic = $1", clinic.name)
    assert found is not None
    return found


def is_so(pool: Pool, clinic: Clinic, what: str) -> Callable[[], Awaitable[bool]]:
    """Whether it is true of the clinic's subscription `s`."""

    async def ask() -> bool:
        return await pool.fetchval(f"SELECT {what} FROM subscriptions s WHERE s.clinic = $1", clinic.name)

    return ask


async def at_end(pool: Pool, clinic: Clinic) -> None:
    """Wait until the clinic has all of its feed."""
    nothing_left = "NOT EXISTS (SELECT FROM feed f WHERE f.clinic = s.clinic AND (f.xid, f.id) > (s.xid, s.id))"
    await until(is_so(pool, clinic, f"s.lease IS NULL AND {nothing_left}"))


async def came(clinic: Clinic, count: int) -> None:
    async def so_many() -> bool:
        return len(clinic.came) >= count

    await until(so_many)


async def tell(connection: Any, clinic: Clinic, count: int = 1) -> list[str]:
    """Events of cases of their own in a clinic's feed; their ids."""
    ids: list[str] = []
    for _ in range(count):
        case = uuid4()
        said = {
            "specversion": "1.0",
            "id": f"{case}.{uuid4().hex[:16]}",
            "source": "/services/planning",
            "type": "org.workhardening.planning.plan.issued.v1",
            "subject": str(case),
            "time": "2026-03-02T12:00:00Z",
            "datacontenttype": "application/json",
            "data": {"clinic": clinic.name},
        }
        await connection.execute(
            SQL["insert_feed"], [clinic.name], [case], [said["source"]], [said["id"]], [json.dumps(said)]
        )
        ids.append(str(said["id"]))
    return ids


async def claim(pool: Pool) -> list[asyncpg.Record]:
    return await pool.fetch(SQL["claim_subscriptions"], 10, uuid4(), LEASE_S)


async def let_pass(pool: Pool, clinic: Clinic, time: timedelta) -> None:
    """As if it were later: every time that is kept of this subscription lies further back."""
    await pool.execute(
        "UPDATE subscriptions SET next_attempt_at = next_attempt_at - $2::interval, failing_since = failing_since - $2,"
        " leased_until = leased_until - $2 WHERE clinic = $1",
        *(clinic.name, time),
    )
