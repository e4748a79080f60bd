"""The worker that tells employers: claims what is due, asks again whether it may be told, signs, sends, records.

A delivery is repeated until it was answered, under the same id: at least once on the wire, once in the disclosure log.
The disclosure is logged before the first attempt: whether an attempt without an answer was read nobody knows, and an
accounting that names a disclosure too many is a smaller wrong than one that lacks it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

import aiohttp
import structlog
from pydantic import TypeAdapter

from runtime import drill
from runtime.db import Connection, Pool, origin, queries, reduce_error
from runtime.relay import PublishFailed, transient
from runtime.running import Running
from services.notify.delivery import following, used_up, wait_s
from services.notify.disclosure import still_permitted
from services.notify.health import OPENS_AT, Health, after_failure, proven
from services.notify.in_flight import Row, keep_sending
from services.notify.state import State
from services.notify.wire import TIMEOUT_S, Result, open_session, post
from workhardening_contracts.envelope import read_structured

log = structlog.get_logger("sender")
SQL = queries("services.notify")
STATE: TypeAdapter[State] = TypeAdapter(State)

IN_FLIGHT = 256
"""Attempts at once, over all endpoints. One that hangs costs a socket and no thread, so there is room for 31 endpoints
that begin to hang together; each has one place from its first failure on."""
PER_ENDPOINT = 8
"""Attempts at once to one endpoint, so that one that hangs leaves room for the others."""
LEASE_S = 20.0
"""Above an attempt and its recording, and no longer: a killed sender's claims wait for its end. A sender that is slower
still is overtaken, which costs the employer a repeated id and nothing else."""
POLL_S = 0.1


async def deliver(running: Running) -> None:
    """Send what is due, until cancelled. Raises database errors; what was in hand comes back when its lease ends."""
    async with open_session(local=running.settings.mode == "local", limit=IN_FLIGHT) as session:
        await keep_sending(
            lambda busy: _claim(running.pool, Counter(row["employer"] for row in busy)),
            lambda row: _guarded(session, running, row),
            POLL_S,
        )


async def _claim(pool: Pool, busy: Mapping[str, int]) -> list[Row]:
    free = IN_FLIGHT - sum(busy.values())
    if free <= 0:
        return []
    rows = await pool.fetch(
        SQL["claim_deliveries"], list(busy), list(busy.values()), PER_ENDPOINT, free, lease := uuid4(), LEASE_S
    )
    return [{**row, "lease": lease} for row in rows]


async def _guarded(session: aiohttp.ClientSession, running: Running, row: Row) -> None:
    """A defect in one update is no reason to hold back the others: it is given up, visibly."""
    try:
        await _attempt(session, running, row)
    except Exception as error:
        if transient(error):
            raise
        log.error("update given up", update=row["event_id"], error=reduce_error(error), where=origin(error))
        reason = f"defect.{type(error).__name__}"
        await running.pool.execute(SQL["mark_failed"], row["id"], row["lease"], reason)


async def _attempt(session: aiohttp.ClientSession, running: Running, row: Row) -> None:
    state = STATE.validate_json(row["state"], extra="ignore") if row["state"] is not None else None
    if not still_permitted(state, row["employer"], row["scopes"], datetime.now(UTC).date()):
        await running.pool.execute(SQL["mark_withheld"], row["id"], row["lease"])
        return
    row = await _in_sequence(running.pool, row)
    await running.pool.execute(
        SQL["insert_disclosure"],
        *(row["employer"], row["case_ref"], row["event_id"], row["sequence"], row["kind"], row["scopes"], row["bases"]),
        hashlib.sha256(bytes(row["body"])).digest(),
    )
    drill.point("disclosed")
    started, began = datetime.now(UTC), time.monotonic()
    with running.telemetry.delivering(f"deliver {row['kind']}", row["traceparent"], str(row["case_ref"])):
        if row["kind"] == "kafka":
            result = await _publish(running, row)
        else:
            result = await post(session, row, local=running.settings.mode == "local")
    drill.point("answered")
    await _record(running, row, result, started, round((time.monotonic() - began) * 1000))


async def _in_sequence(pool: Pool, row: Row) -> Row:
    """At the first attempt, let the update name the one that was really sent before it: some may have been withheld."""
    body = following(bytes(row["body"]), row["previous_sequence"]) if row["attempts"] == 1 else row["body"]
    if body == row["body"]:
        return row
    await pool.execute(SQL["keep_body"], row["id"], body)
    return {**row, "body": body}


async def _publish(running: Running, row: Row) -> Result:
    try:
        # Within the lease, as a webhook is: a broker that hangs would keep the claim for longer.
        async with asyncio.timeout(TIMEOUT_S):
            await running.publish(row["topic"], read_structured(bytes(row["body"])))
    except PublishFailed:
        return Result("retry", error="publish_failed")
    except TimeoutError:
        return Result("retry", error="timeout")
    return Result("delivered")


async def _record(running: Running, row: Row, result: Result, started: datetime, took_ms: int) -> None:
    """Mark, and log the attempt, in one transaction: neither without the other."""
    employer, event_id, attempts = (
        cast("str", row["employer"]),
        cast("str", row["event_id"]),
        cast("int", row["attempts"]),
    )
    wait = wait_s(
        attempts,
        secrets.randbelow(1000) / 1000,
        retry_after=result.retry_after,
        scale=running.settings.wait_scale,
    )
    gave_up = False
    async with running.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            SQL["insert_attempt"],
            *(employer, event_id, attempts, started, took_ms, result.status, result.outcome, result.error),
        )
        # The endpoint's row before the update's, always: two that record do not wait for each other.
        if result.outcome == "delivered":
            was_open = await connection.fetchval(SQL["heal"], employer)
            await connection.execute(SQL["mark_delivered"], row["id"])
            if was_open:
                await connection.execute(SQL["release_retries"], employer)
                log.warning("endpoint is back", employer=employer)
        elif result.outcome == "gone":
            await connection.execute(SQL["disable_endpoint"], employer, "gone")
            await connection.execute(SQL["mark_retry"], row["id"], row["lease"], 0.0)
        else:
            works = await _failed(connection, employer, result.outcome == "permanent")
            gave_up = result.outcome == "retry" and used_up(attempts) and works
            if result.outcome == "permanent" or gave_up:
                reason = "retries_used_up" if gave_up else "refused"
                await connection.execute(SQL["mark_failed"], row["id"], row["lease"], reason)
            else:
                await connection.execute(SQL["mark_retry"], row["id"], row["lease"], wait)
    _report(employer, event_id, attempts, result, gave_up=gave_up)


async def _failed(connection: Connection, employer: str, answered: bool) -> bool:
    """Keep what one more failure says of the endpoint; whether it works all the same."""
    row = await connection.fetchrow(SQL["lock_health"], employer)
    if row is None:
        return False
    now = datetime.now(UTC)
    before = Health(row["failures"], row["failing_since"], row["open_until"])
    after = after_failure(before, now, answered=answered)
    await connection.execute(SQL["keep_health"], employer, after.failures, after.failing_since, after.open_until)
    if before.failures < OPENS_AT <= after.failures:
        log.error("endpoint failed time after time; it is left alone but for a probe", employer=employer)
    return proven(row["delivered_at"], now)


def _report(employer: str, event_id: str, attempts: int, result: Result, *, gave_up: bool) -> None:
    said = {
        "employer": employer,
        "update": event_id,
        "attempt": attempts,
        "status": result.status,
        "error": result.error,
    }
    if result.outcome == "gone":
        log.error("endpoint is gone and was disabled", **said)
    elif result.outcome == "permanent" or (result.outcome == "retry" and gave_up):
        log.error("update was not delivered and is not tried again; the employer can pull it", **said)
    elif result.error == "address_refused":
        log.error("the endpoint's name points at an address that is not public; nothing was sent", **said)
    elif result.outcome == "retry":
        log.info("update is tried again later", **said)
