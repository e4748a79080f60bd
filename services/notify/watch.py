"""The worker that watches endpoints: warns of those that fail, disables the dead, lets old backlogs and keys go."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import cast

import structlog

from runtime.db import Pool, queries
from runtime.running import Running
from services.notify.health import BACKLOG_KEPT, is_dead, warning

log = structlog.get_logger("watch")
SQL = queries("services.notify")

EVERY_S = 60.0
"""The steps are hours; a minute is near enough, and costs one look at a small table."""


async def watch(running: Running) -> None:
    """Look every minute, until cancelled. Raises database errors."""
    while True:
        await look(running.pool, datetime.now(UTC))
        await asyncio.sleep(EVERY_S)


async def look(pool: Pool, now: datetime) -> None:
    """What is to be done at `now`, once."""
    for row in await pool.fetch(SQL["failing_endpoints"]):
        employer, since = cast("str", row["employer"]), cast("datetime", row["failing_since"])
        if is_dead(since, now):
            if await pool.fetchval(SQL["disable_dead"], employer, since, now) is not None:
                log.error("endpoint is dead and was disabled; its backlog is kept", employer=employer, since=str(since))
        elif (hours := warning(since, row["warned_hours"], now)) is not None and await pool.fetchval(
            SQL["mark_warned"], employer, hours
        ):
            log.error("endpoint takes nothing", employer=employer, hours=hours, since=str(since))
    await pool.execute(SQL["forget_keys"], now)
    expired = Counter(row["employer"] for row in await pool.fetch(SQL["expire_backlog"], now - BACKLOG_KEPT))
    for employer, updates in expired.items():
        log.error(
            "updates waited too long for a disabled endpoint; they can be pulled", employer=employer, count=updates
        )
