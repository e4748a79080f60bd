"""The worker that sends clinics their feed: of each clinic one event at a time, in the feed's order.

A subscription is a cursor in the feed, which moves in the transaction that records what came of the attempt: nothing is
lost, and an event may come again under its id. Nothing is passed over, either: what stands first waits until it is
taken, and all behind it. The clinic can pull meanwhile, since the feed stays.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

import aiohttp
import structlog

from runtime.db import Pool, origin, queries, reduce_error
from runtime.relay import transient
from runtime.running import Running
from services.notify.delivery import wait_s
from services.notify.health import OPENS_AT, Health, after_failure, is_dead, warning
from services.notify.in_flight import Row, keep_sending
from services.notify.wire import Result, open_session, post

log = structlog.get_logger("feed_sender")
SQL = queries("services.notify")

IN_FLIGHT = 64
"""Clinics that are sent to at once. One that hangs has its place for 15 s, and then waits as below: 64 would have to
begin to hang together before another waits."""
LEASE_S = 20.0
"""Above an attempt and its recording, as for employers: a killed sender's lines wait for its end."""
POLL_S = 0.2
"""A clinic has tens of events a minute; none of them is in such a hurry that this is noticed."""
STEPS = 2
"""Of the schedule: 5 s, then every 5 min until the breaker's probes are rarer. The longer steps are for one update
among others; here the first in line is the probe for all behind it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What one more failure means for a clinic's line."""

    failures: int
    failing_since: datetime
    wait_s: float
    warned_hours: int
    disabled: Literal["gone", "dead"] | None


def failed(row: Row, result: Result, now: datetime, random: float, scale: float = 1.0) -> Failed:
    """Judge by the subscription's `row` and its attempt's `result`; `random` and `scale` as in `delivery.wait_s`.

    A refusal (4xx) is a failure like any other: the line waits for it, so the endpoint takes nothing.
    """
    health = after_failure(Health(row["failures"], row["failing_since"]), now, answered=False)
    since = health.failing_since or now
    probe = 0.0 if health.open_until is None else (health.open_until - now).total_seconds()
    step = wait_s(min(health.failures, STEPS), random, retry_after=result.retry_after, scale=scale)
    return Failed(
        failures=health.failures,
        failing_since=since,
        wait_s=max(step, probe),
        warned_hours=warning(since, row["warned_hours"], now) or row["warned_hours"],
        disabled="gone" if result.outcome == "gone" else "dead" if is_dead(since, now) else None,
    )


def webhook_id(event_id: str) -> str:
    """The event's id as a header: a full stop would end it in what is signed.

    It is unique without the source: the feed holds what our services decided, whose ids are derived from the service
    and the cause, and stay apart with hyphens, too.
    """
    return event_id.replace(".", "-")


async def send_feeds(running: Running) -> None:
    """Send what is due, until cancelled. Raises database errors; what was in hand comes back when its lease ends."""
    async with open_session(local=running.settings.mode == "local", limit=IN_FLIGHT) as session:
        await keep_sending(
            lambda busy: _claim(running.pool, IN_FLIGHT - len(busy)),
            lambda row: _guarded(session, running, row),
            POLL_S,
        )


async def _claim(pool: Pool, free: int) -> list[Row]:
    if free <= 0:
        return []
    rows = await pool.fetch(SQL["claim_subscriptions"], free, lease := uuid4(), LEASE_S)
    return [{**row, "lease": lease} for row in rows]


async def _guarded(session: aiohttp.ClientSession, running: Running, row: Row) -> None:
    """A defect in one clinic's line is no reason to hold back the others; it is tried again when its lease ends."""
    try:
        await _attempt(session, running, row)
    except Exception as error:
        if transient(error):
            raise
        log.error("feed is held", clinic=row["clinic"], error=reduce_error(error), where=origin(error))


async def _attempt(session: aiohttp.ClientSession, running: Running, row: Row) -> None:
    request = {**row, "event_id": webhook_id(row["event_id"]), "body": row["event"].encode()}
    with running.telemetry.delivering("deliver feed", row["traceparent"], str(row["case_ref"])):
        result = await post(session, request, local=running.settings.mode == "local")
    if result.outcome == "delivered":
        await running.pool.execute(
            SQL["move_cursor"], row["clinic"], row["lease"], row["xid"], row["id"], result.status
        )
        if row["failures"] >= OPENS_AT:
            log.warning("clinic's webhook is back", clinic=row["clinic"])
        return
    after = failed(row, result, datetime.now(UTC), secrets.randbelow(1000) / 1000, running.settings.wait_scale)
    kept = await running.pool.fetchval(
        SQL["keep_failure"],
        *(row["clinic"], row["lease"], after.wait_s, after.failures, after.failing_since, after.warned_hours),
        *(after.disabled, result.status, result.error),
    )
    if kept is not None:
        _report(row, result, after)


def _report(row: Row, result: Result, after: Failed) -> None:
    said = {
        "clinic": row["clinic"],
        "event_id": row["event_id"],
        "status": result.status,
        "error": result.error,
        "failures": after.failures,
        "since": str(after.failing_since),
    }
    if after.disabled is not None:
        log.error(f"clinic's webhook is {after.disabled} and was disabled; its feed can be pulled", **said)
    elif result.error == "address_refused":
        log.error("the webhook's name points at an address that is not public; nothing was sent", **said)
    elif after.warned_hours > row["warned_hours"]:
        log.error("clinic's webhook takes nothing", hours=after.warned_hours, **said)
    else:
        log.info("feed is tried again later", **said)
