"""An employer's receiver, the sender beside it, and waiting until something is so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web
from standardwebhooks import Webhook

from runtime.db import Pool
from services.notify.employers import Endpoint, add_endpoint
from services.notify.sender import deliver
from tests.services.notify.stored import running
from workhardening_contracts.envelope import read_structured
from workhardening_contracts.readiness import ReadinessUpdated
from workhardening_contracts.webhook import CHALLENGE_TYPE, PING_TYPE, challenge_answer, verify_v1, verify_v1a


@dataclass
class Receiver:
    """An employer's system: verifies, keeps what it took, and answers as it is told to."""

    employer: str
    answers: list[int] = field(default_factory=list[int])
    """Statuses of the first answers; 204 from then on."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    endpoint: Endpoint | None = None
    taken: list[ReadinessUpdated] = field(default_factory=list[ReadinessUpdated])
    ids: list[str] = field(default_factory=list[str])
    hold: asyncio.Event | None = None
    down: bool = False
    """Answers 503 to every update."""
    asked: list[tuple[bytes, dict[str, str]]] = field(default_factory=list[tuple[bytes, dict[str, str]]])
    """Pings and challenges, with their headers."""
    says: bytes | None = None
    """What it answers to those instead of the right thing."""

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert self.endpoint is not None
        assert verify_v1a(body, request.headers, self.endpoint.public_key or "")
        assert verify_v1(body, request.headers, self.endpoint.hmac_secret or "")
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert Webhook(self.endpoint.hmac_secret or "").verify(body, headers)
        if json.loads(body)["type"] in (PING_TYPE, CHALLENGE_TYPE):
            return self._answer(body, request)
        envelope = read_structured(body)
        assert envelope.id == request.headers["webhook-id"]
        self.ids.append(envelope.id)
        if self.hold is not None:
            await self.hold.wait()
        status = 503 if self.down else self.answers.pop(0) if self.answers else 204
        if status == 204:
            self.taken.append(ReadinessUpdated.model_validate_json(envelope.data, extra="forbid"))
        return web.Response(status=status, headers=self.headers)

    def _answer(self, body: bytes, request: web.Request) -> web.Response:
        self.asked.append((body, dict(request.headers)))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, body=self.says or challenge_answer(body))

    def sequences(self) -> list[int]:
        """Of what it took, in order."""
        return [each.sequence for each in self.taken]

    def use(self, public_key: str | None, hmac_secret: str | None) -> None:
        """Verify by other keys from now on."""
        assert self.endpoint is not None
        self.endpoint = replace(self.endpoint, public_key=public_key, hmac_secret=hmac_secret)


@asynccontextmanager
async def receiving(pool: Pool, **more: Any) -> AsyncGenerator[Receiver]:
    receiver = Receiver(f"e-{uuid4().hex[:8]}", **more)
    async with served(receiver.receive) as url:
        async with pool.acquire() as connection:
            receiver.endpoint = await add_endpoint(connection, receiver.employer, url, False, local=True)
        yield receiver


@asynccontextmanager
async def served(receive: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncGenerator[str]:
    """The URL on this machine at which what is posted is received."""
    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sending(pool: Pool, publish: Any = None, **more: Any) -> AsyncGenerator[asyncio.Task[None]]:
    """The sender's worker beside the test. `more` are settings; a retry waits a thousandth unless they say so."""
    async with beside(deliver(running(pool, publish, **more))) as task:
        yield task


@asynccontextmanager
async def beside(worker: Coroutine[Any, Any, None]) -> AsyncGenerator[asyncio.Task[None]]:
    """A worker beside the test, until the block ends."""
    task = asyncio.create_task(worker)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], Awaitable[Any]]) -> None:
    """Poll until it holds; ten seconds is far more than any of it takes."""
    async with asyncio.timeout(10):
        while not await true():  # noqa: ASYNC110 - the database raises no event
            await asyncio.sleep(0.02)


def status_of(pool: Pool, ref: UUID, sequence: int, status: str) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        query = "SELECT status FROM deliveries WHERE case_ref = $1 AND sequence = $2"
        return await pool.fetchval(query, ref, sequence) == status

    return is_so
