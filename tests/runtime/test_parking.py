"""Parked cases, their retry, and what the log keeps of it all, on a real PostgreSQL without Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
import structlog

from runtime import parking, retry, service
from runtime.batch import apply
from runtime.cases import add_partitions, lock_partitions
from runtime.db import Pool, open_pool
from runtime.fold import Handlers, Outcome, Position
from runtime.records import Record, open_record
from runtime.retry import NotNow, discard_first, retry_case
from tests.runtime.toy import (
    DIGEST_KEY,
    WRITERS,
    Added,
    Noted,
    Opened,
    Policy,
    Sum,
    added,
    enveloped,
    eventually,
    toy_handlers,
)
from workhardening_contracts.envelope import Envelope, write_kafka

pytestmark = pytest.mark.stack

KEY = bytes.fromhex(DIGEST_KEY)
HANDLERS = toy_handlers("in", "out")
WAITING = toy_handlers("in", "out", needs_opening=True)


def on_erase(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
    return Outcome(None, erase=True)


ERASING = replace(HANDLERS, on={**HANDLERS.on, Opened: on_erase}, erasures=frozenset({Opened}))


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "parking")
    async with opened.acquire() as connection:
        await add_partitions(connection, 1)
    yield opened
    await opened.close()


async def take(pool: Pool, *envelopes: Envelope, handlers: Handlers[Sum, Policy] = HANDLERS) -> None:
    """Take these events as one batch."""
    async with pool.acquire() as connection, connection.transaction():
        await lock_partitions(connection, [0])
        start = await connection.fetchval("SELECT count(*) FROM event_log")
        items: list[Any] = []
        for nth, envelope in enumerate(envelopes):
            key, headers, value = write_kafka(envelope)
            record = Record(Position("in", 0, start + nth), datetime.now(UTC), key, tuple(headers), value)
            items.append(open_record(record, handlers, KEY))
        await apply(connection, items, handlers, WRITERS, {})


async def results(pool: Pool) -> dict[str, str]:
    return {row["id"]: row["result"] for row in await pool.fetch("SELECT id, result FROM event_log")}


async def test_an_erasure_deletes_the_queue_that_it_passes(pool: Pool) -> None:
    case = uuid.uuid4()
    await take(pool, added(case, "1", 1), added(case, "2", 13), added(case, "3", 3), handlers=ERASING)
    await take(pool, enveloped(case, "4", Opened()), handlers=ERASING)
    assert await pool.fetchval("SELECT erased AND parked = 0 AND state IS NULL FROM cases")
    assert await pool.fetchval("SELECT count(*) FROM parked") == 0
    assert await pool.fetchval("SELECT count(*) FROM event_log WHERE body IS NOT NULL") == 0
    assert await results(pool) == {"1": "folded", "2": "discarded", "3": "discarded", "4": "folded"}


async def test_an_erasure_that_shares_its_batch_with_what_it_passes_leaves_as_little(pool: Pool) -> None:
    case = uuid.uuid4()
    events = [added(case, "1", 1), added(case, "2", 13), enveloped(case, "3", Opened()), added(case, "4", 4)]
    await take(pool, *events, handlers=ERASING)
    assert await pool.fetchval("SELECT count(*) FROM parked") == 0
    assert await results(pool) == {"1": "folded", "2": "discarded", "3": "folded", "4": "rejected"}


async def test_each_version_of_a_case_belongs_to_one_log_row_also_the_one_that_a_person_made(pool: Pool) -> None:
    case = uuid.uuid4()
    await take(pool, added(case, "1", 1), added(case, "2", 13), added(case, "3", 3))
    assert await discard_first(pool, case, HANDLERS, "entered twice")
    await retry_case(pool, case, HANDLERS, WRITERS, KEY)
    rows = await pool.fetch("SELECT case_version, retried_version, discarded_version FROM event_log ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, None, None), (2, None, 4), (3, 5, None)]
    assert await pool.fetchval("SELECT version FROM cases") == 5


async def test_what_the_database_refuses_again_stays_parked_with_its_new_reason(pool: Pool) -> None:
    sick = uuid.uuid4()
    await take(pool, added(sick, "1", 1), added(sick, "2", 13), added(sick, "3", 3))

    def mended_badly(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        return Outcome(state, effects=[Noted(event.case, 99)])

    bad = replace(HANDLERS, on={Added: mended_badly})
    done = await retry_case(pool, sick, bad, WRITERS, KEY)
    assert (done.folded, done.left, done.reason) == (0, 2, "write.sql.23514.noted_amount_check")
    reasons = await pool.fetch("SELECT reason FROM parked WHERE resolved_at IS NULL ORDER BY id")
    assert [row["reason"] for row in reasons] == ["write.sql.23514.noted_amount_check", "behind_parked"]
    assert await pool.fetchval("SELECT parked FROM cases") == 2
    assert (await retry_case(pool, sick, replace(HANDLERS, on={Added: fine}), WRITERS, KEY)).reason is None


def fine(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
    return Outcome(state)


async def test_a_retry_that_the_database_cannot_take_now_says_so_and_has_done_nothing_by_half(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = uuid.uuid4()
    await take(pool, added(case, "1", 1), added(case, "2", 13), added(case, "3", 3))
    write, mended = retry.write, replace(HANDLERS, on={Added: fine})
    calls = 0

    async def killed_at_the_second(connection: Any, *args: Any) -> None:
        nonlocal calls
        calls += 1
        await write(connection, *args)
        if calls == 2:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(retry, "write", killed_at_the_second)
    with pytest.raises(NotNow, match=r"after 1 records \(.*\): run it again"):
        await retry_case(pool, case, mended, WRITERS, KEY)
    assert await pool.fetchval("SELECT parked FROM cases") == 1
    assert (await retry_case(pool, case, mended, WRITERS, KEY)).folded == 1


async def test_a_defect_that_is_nobodys_record_is_not_laid_to_one(pool: Pool) -> None:
    case = uuid.uuid4()
    await take(pool, added(case, "1", 13))

    async def no_right(connection: Any, rows: Any) -> None:
        raise asyncpg.InsufficientPrivilegeError("permission denied")

    def noting(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        return Outcome(state, effects=[Noted(event.case, 1)])

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await retry_case(pool, case, replace(HANDLERS, on={Added: noting}), {Noted: no_right}, KEY)
    assert await pool.fetchval("SELECT reason FROM parked") == "handler.RuntimeError"


async def test_the_log_tells_what_became_of_an_event_that_waited_over_several_batches(pool: Pool) -> None:
    case = uuid.uuid4()
    await take(pool, added(case, "1", 1), added(case, "2", 7), handlers=WAITING)
    assert await results(pool) == {"1": "waiting", "2": "waiting"}
    await take(pool, enveloped(case, "0", Opened()), handlers=WAITING)
    assert await results(pool) == {"0": "folded", "1": "folded", "2": "rejected"}


async def test_what_waited_is_settled_by_a_retry_too(pool: Pool) -> None:
    def fails(state: Sum | None, event: Any, policy: Policy) -> Outcome[Sum]:
        raise RuntimeError

    case = uuid.uuid4()
    failing = replace(WAITING, on={**WAITING.on, Opened: fails})
    await take(pool, added(case, "1", 1), enveloped(case, "0", Opened()), handlers=failing)
    assert await results(pool) == {"1": "waiting", "0": "parked"}
    await retry_case(pool, case, WAITING, WRITERS, KEY)
    assert await results(pool) == {"1": "folded", "0": "folded"}


async def test_the_log_keeps_the_senders_own_time_since_handlers_decide_by_its_date(pool: Pool) -> None:
    there = datetime(2026, 1, 6, 8, tzinfo=timezone(timedelta(hours=9)))
    case = uuid.uuid4()
    await take(pool, replace(added(case, "1", 1), time=there), added(case, "2", 2))
    rows = await pool.fetch("SELECT time, utc_offset FROM event_log ORDER BY id")
    kept = [row["time"].astimezone(timezone(timedelta(seconds=row["utc_offset"]))) for row in rows]
    assert [time.isoformat() for time in kept] == ["2026-01-06T08:00:00+09:00", "2026-01-05T09:00:00+00:00"]


# What is erased without an erasure that folds, and what expires


async def test_a_case_that_never_came_about_is_forgotten_for_the_partner_whose_case_it_was(pool: Pool) -> None:
    case = uuid.uuid4()
    mine = [added(case, "1", 1), added(case, "2", 7)]
    await take(pool, *mine, added(case, "3", 3, "/clinics/b"), handlers=WAITING)
    assert await retry.forget_waiting(pool, case, "/clinics/a", WAITING, WRITERS, "/clinics/a") == 2
    rows = await pool.fetch("SELECT id, result, body FROM event_log WHERE source LIKE '/clinics/%' ORDER BY id")
    assert [(row["id"], row["result"], row["body"] is None) for row in rows] == [
        ("1", "rejected", True),
        ("2", "rejected", True),
        ("3", "waiting", False),
    ]
    waiting = await pool.fetchval("SELECT waiting::text FROM cases")
    assert '"3"' in waiting
    assert '"1"' not in waiting
    version = await pool.fetchval("SELECT version FROM cases")
    await take(pool, *mine, handlers=WAITING)
    assert await pool.fetchval("SELECT version FROM cases") == version, "a replay is absorbed"


async def test_a_case_with_a_state_is_not_forgotten_that_way(pool: Pool) -> None:
    case = uuid.uuid4()
    await take(pool, added(case, "1", 1))
    assert await retry.forget_waiting(pool, case, "/clinics/a", HANDLERS, WRITERS, "/clinics/a") == 0
    assert await retry.forget_waiting(pool, uuid.uuid4(), "/clinics/a", HANDLERS, WRITERS, "/clinics/a") == 0
    assert await pool.fetchval("SELECT count(*) FROM event_log WHERE body IS NULL") == 0


async def test_dead_letters_are_kept_as_long_as_their_topics_records_and_no_longer(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "_AT_ONCE", 2)
    async with pool.acquire() as connection:
        for offset in range(7):
            await parking.write_dead_letter(connection, Position("t", 0, offset), b"k", b"v", (), "envelope.id")
    old = 'UPDATE dead_letter SET received_at = now() - $1::interval WHERE "offset" < 5'
    await pool.execute(old, timedelta(days=30, hours=23))
    assert await parking.expire_dead_letters(pool) == 0
    await pool.execute(old, timedelta(days=31, minutes=1))
    assert await parking.expire_dead_letters(pool) == 5
    assert [row[0] for row in await pool.fetch('SELECT "offset" FROM dead_letter ORDER BY 1')] == [5, 6]


async def test_what_is_too_old_is_expired_by_the_hour_though_one_kind_of_it_fails(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any) -> int:
        raise asyncpg.LockNotAvailableError("canary")

    monkeypatch.setattr(service, "expire_waiting", fails)
    async with pool.acquire() as connection:
        await parking.write_dead_letter(connection, Position("t", 0, 0), b"k", b"v", (), "envelope.id")
    await pool.execute("UPDATE dead_letter SET received_at = now() - interval '32 days'")
    running: Any = SimpleNamespace(pool=pool)
    with structlog.testing.capture_logs() as logs:

        async def both() -> bool:
            return len(logs) == 2

        hourly = asyncio.create_task(service.expire_hourly(running, HANDLERS, WRITERS))
        await eventually(both)
        hourly.cancel()
    assert await pool.fetchval("SELECT count(*) FROM dead_letter") == 0
    assert [(line["what"], line["log_level"]) for line in logs] == [
        ("waiting events", "warning"),
        ("dead letters", "info"),
    ]
