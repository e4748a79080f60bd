"""The worker that tells clinics whom to remind, and forgets who was here long ago."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from runtime.running import Running
from services.intake.consultations import store

EVERY_S = 10.0
"""A reminder is for a day ahead: ten seconds are nothing there, and the two statements are nothing to the database."""


async def remind(running: Running) -> None:
    """Tell what is due and delete what is over, until cancelled. Raises database errors."""
    while True:
        await look(running, datetime.now(UTC))
        await asyncio.sleep(EVERY_S)


async def look(running: Running, now: datetime) -> None:
    """Tell all that is due by `now`. Raises database errors."""
    async with running.pool.acquire(timeout=10) as connection:
        while True:
            async with connection.transaction():
                count = await store.remind(connection, now)
            if not count:
                break
            running.relay.wake()
        await store.forget(connection, now)
