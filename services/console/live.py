"""What changes, as it changes: PostgreSQL tells every process what any of them folded, and each tells its browsers."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg

from runtime.running import Running
from services.console.effects import CHANGED
from services.console.views import Tick

# What a browser that reads slowly may lack; beyond it ticks are dropped, and the next one brings its page up to date.
_MOST_UNREAD = 500
PING_S = 15.0
"""How often a connection is asked whether it is still there: a silent one would say nothing for ever."""


class Hub:
    """Who listens in this process."""

    def __init__(self) -> None:
        self._browsers: set[asyncio.Queue[Tick]] = set()

    @contextmanager
    def subscribed(self) -> Generator[asyncio.Queue[Tick]]:
        """What changes from now on, until the block ends."""
        queue: asyncio.Queue[Tick] = asyncio.Queue(_MOST_UNREAD)
        self._browsers.add(queue)
        try:
            yield queue
        finally:
            self._browsers.discard(queue)

    def tell(self, tick: Tick) -> None:
        """Pass it on to all."""
        for queue in self._browsers:
            if not queue.full():
                queue.put_nowait(tick)

    async def listen(self, running: Running) -> None:
        """A worker: hear what is folded anywhere. Raises what a lost connection raises."""
        dsn = running.settings.database_url.get_secret_value()
        connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "console-live"})
        try:
            await connection.add_listener(CHANGED, self._heard)
            while True:
                await connection.execute("SELECT 1", timeout=PING_S)
                await asyncio.sleep(PING_S)
        finally:
            await connection.close(timeout=5)

    def _heard(self, connection: Any, pid: int, channel: str, payload: Any) -> None:
        case, _, clinic = str(payload).partition(" ")
        self.tell(Tick(UUID(case), clinic))
