"""A clinic's receiver of its feed, and the worker that sends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiohttp import web

from runtime.db import Pool
from services.notify.feed_sender import send_feeds
from services.notify.subscriptions import Subscribed, add_subscription
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
    app = web.Application()
    app.router.add_post("/feed", clinic.receive)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    clinic.url = f"http://127.0.0.1:{runner.addresses[0][1]}/feed"
    async with pool.acquire() as connection:
        clinic.keys = await add_subscription(connection, clinic.name, clinic.url, from_start=from_start, local=True)
    try:
        yield clinic
    finally:
        await runner.cleanup()
        await pool.execute("DELETE FROM subscriptions WHERE clinic = $1", clinic.name)


@asynccontextmanager
async def sending(pool: Pool, **more: Any) -> AsyncGenerator[None]:
    """The worker beside the test. `more` are settings; a retry waits a thousandth unless they say so."""
    task = asyncio.create_task(send_feeds(running(pool, **more)))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
