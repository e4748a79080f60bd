"""Employers' receivers that are down, busy, hanging, gone, slow to the byte or elsewhere, as often as planned."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

import asyncpg
from aiohttp import web

from ops.target import CommandError, Target, connected
from services.notify.employers import add_endpoint, change_url, list_endpoints
from simulator.employer import HOST, Employer, EmployerConfig
from torture.plan import TROUBLES

NAMES = ("fire-one", "fire-two", "fire-three")
HANG_S = 17.0
"""Longer than an attempt may take."""
DRIP_S = 1.0
"""A byte a second."""
ENABLED_AGAIN_S = 3.0


class FireEmployer(Employer):
    """A receiver whose next updates meet the planned troubles, each update one of them at most."""

    def __init__(self, name: str, config: EmployerConfig, troubles: Sequence[str]) -> None:
        super().__init__(name, config, name)
        self.planned = deque(troubles)
        self.met: Counter[str] = Counter()
        self.quiet = False
        """No further trouble: the fire is over."""

    async def _receive(self, request: web.Request) -> web.StreamResponse:  # pyright: ignore[reportIncompatibleMethodOverride]
        first = request.headers.get("webhook-id", "") not in self._attempts
        # Not each update meets trouble: those of one case come in order, and most of them should come.
        if not first or self.quiet or not self.planned or len(self._attempts) % 5:
            return await super()._receive(request)
        trouble = self.planned.popleft()
        self.met[trouble] += 1
        self._attempts[request.headers.get("webhook-id", "")] = 1
        return await self._trouble_with(trouble, request)

    async def _trouble_with(self, trouble: str, request: web.Request) -> web.StreamResponse:
        match trouble:
            case "down":
                return web.Response(status=500)
            case "busy":
                return web.Response(status=429, headers={"Retry-After": "1"})
            case "hang":
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(HANG_S)
                return web.Response(status=204)
            case "redirect":
                return web.Response(status=302, headers={"Location": f"http://{HOST}:{self.port}/elsewhere"})
            case "gone":
                return web.Response(status=410)
            case _:
                return await self._drip(request)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        """It takes the update and says so, in a body that never ends by itself."""
        response = web.StreamResponse(status=(await super()._receive(request)).status)
        response.content_length = 64 * 1024
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await response.prepare(request)
            while not self.quiet:
                await response.write(b".")
                await asyncio.sleep(DRIP_S)
        return response


@asynccontextmanager
async def receiving(target: Target, each: int, seed: int) -> AsyncGenerator[dict[str, FireEmployer]]:
    """The torture's employers with their endpoints; each trouble is planned `each` times over all of them.

    An endpoint that was disabled for being gone is enabled again after a while, as a person would.
    """
    planned = [trouble for trouble in TROUBLES for _ in range(each)]
    Random(f"{seed}/troubles").shuffle(planned)
    async with AsyncExitStack() as stack:
        employers: dict[str, FireEmployer] = {}
        for index, name in enumerate(NAMES):
            employer = FireEmployer(name, EmployerConfig(secret="unused"), planned[index :: len(NAMES)])  # noqa: S106
            await stack.enter_async_context(employer)
            employers[name] = employer
            async with connected(target.database, "notify") as connection:
                added = await add_endpoint(connection, name, _url(employer), kafka=False, local=True)
            employer.config = EmployerConfig(port=employer.port, public_key=added.public_key, trouble=0.0)
        enabling = asyncio.create_task(_enable(target, employers))
        stack.callback(enabling.cancel)
        yield employers


def _url(employer: Employer) -> str:
    return f"http://{HOST}:{employer.port}/work-status"


async def _enable(target: Target, employers: dict[str, FireEmployer]) -> None:
    while True:
        await asyncio.sleep(ENABLED_AGAIN_S)
        with contextlib.suppress(
            CommandError,
            OSError,
            TimeoutError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ):
            async with connected(target.database, "notify") as connection:
                for entry in await list_endpoints(connection):
                    if not entry.enabled and entry.employer in employers:
                        await change_url(connection, entry.employer, _url(employers[entry.employer]), local=True)
