"""The person who mends a simulated world, and the hourly job that gives up what waits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from runtime.cases import Conflict
from runtime.fold import Defect
from runtime.outbox import release_rows
from runtime.retry import NotNow, discard_first, expire_waiting, retry_case
from torture.simulated import toy

if TYPE_CHECKING:
    from torture.simulated.world import World

KEY = "00" * 32


class Operator:
    """Each method is what a command of `whp` does; an outage is no answer, and the person tries again later."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def retry(self, ref: UUID) -> bool:
        """Retry a parked case; whether all of it was folded."""
        try:
            pool, handlers = self._world.pool("operator"), self._world.handlers
            done = await retry_case(pool, ref, handlers, toy.WRITERS, bytes.fromhex(KEY))
            return done.reason is None
        except NotNow:
            return False

    async def discard(self, ref: UUID) -> None:
        """Give up a parked case's first record."""
        try:
            await discard_first(self._world.pool("operator"), ref, self._world.handlers, "simulated")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, Conflict):
            return

    async def release(self) -> None:
        """Let the relay try again what the broker refused."""
        try:
            async with self._world.pool("operator").acquire() as connection:
                await release_rows(connection, None)
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            return

    async def expire(self) -> None:
        """Let fifteen days pass for whatever waits."""
        now = self._world.now() + timedelta(days=15)
        try:
            await expire_waiting(self._world.pool("operator"), self._world.handlers, toy.WRITERS, now)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, Conflict, Defect):
            return
