"""What stands behind an update that waits for its retry: left alone until then, and never longer than that."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from runtime.db import Pool
from services.notify.sender import SQL

pytestmark = pytest.mark.stack

HOUR = 3600.0


async def endpoint(pool: Pool, cases: int = 1) -> tuple[str, list[UUID]]:
    """An employer of these tests' own, and cases of it."""
    employer, refs = f"e-{uuid4().hex[:8]}", [uuid4() for _ in range(cases)]
    await pool.execute("UPDATE endpoints SET enabled = false")
    await pool.execute("INSERT INTO endpoints (employer, kind, topic) VALUES ($1, 'kafka', $1)", employer)
    await pool.execute("INSERT INTO cases (case_ref, partition, version) SELECT unnest($1::uuid[]), 0, 1", refs)
    return employer, refs


async def tell(pool: Pool, employer: str, ref: UUID, sequence: int) -> None:
    """An update that no newer one takes the place of."""
    await pool.execute(
        SQL["insert_deliveries"],
        *([employer], [ref], [str(uuid4())], [sequence], [b"{}"], ['["work_status"]'], ['["worker_consent"]']),
        *([datetime(2026, 1, 5, tzinfo=UTC)], [date(2026, 1, 5)], [None], [False], [None]),
    )


async def claim(pool: Pool, places: int = 8) -> Sequence[Any]:
    lease = uuid4()
    rows = await pool.fetch(SQL["claim_deliveries"], [], [], places, places, lease, 20.0)
    return [{**row, "lease": lease} for row in rows]


async def withhold(pool: Pool, employer: str, ref: UUID, through: int) -> None:
    await pool.execute(SQL["withhold"], [employer], [ref], [through])


async def retried(pool: Pool, employer: str, ref: UUID) -> Any:
    """Two updates, of which the first was tried and waits for an hour."""
    await tell(pool, employer, ref, 1)
    await tell(pool, employer, ref, 2)
    (row,) = await claim(pool)
    await pool.execute(SQL["mark_retry"], row["id"], row["lease"], HOUR)
    return row


async def out_of_range(pool: Pool, employer: str) -> int:
    """How many pending updates a claim does not even look at."""
    return await pool.fetchval(
        "SELECT count(*) FROM deliveries WHERE employer = $1 AND status = 'pending'"
        " AND greatest(next_attempt_at, behind_until) > now()",
        employer,
    )


async def test_what_stands_behind_a_retry_is_not_looked_at_before_it(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    await retried(pool, employer, ref)
    await tell(pool, employer, ref, 3)
    assert await out_of_range(pool, employer) == 3
    assert await claim(pool) == []


async def test_what_stands_behind_a_retry_that_is_withheld_goes_out_at_once(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    await retried(pool, employer, ref)
    await withhold(pool, employer, ref, 1)
    assert [row["sequence"] for row in await claim(pool)] == [2]


async def test_what_stands_behind_a_retry_that_had_arrived_after_all_goes_out_at_once(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    row = await retried(pool, employer, ref)
    await pool.execute(SQL["mark_delivered"], row["id"])
    assert [row["sequence"] for row in await claim(pool)] == [2]


async def test_the_day_on_which_consent_begins_is_kept_when_there_is_nothing_to_wait_behind(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    await retried(pool, employer, ref)
    await pool.execute(
        "UPDATE deliveries SET next_attempt_at = now() + interval '1 day' WHERE case_ref = $1 AND sequence = 2", ref
    )
    await withhold(pool, employer, ref, 1)
    assert await claim(pool) == []


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_the_first_of_a_case_waits_for_its_own_turn_only(pool: Pool, seed: int) -> None:
    rng = random.Random(seed)
    employer, refs = await endpoint(pool, 3)
    last = dict.fromkeys(refs, 0)
    held: list[Any] = []
    for _ in range(80):
        ref = rng.choice(refs)
        match rng.choice(
            ["tell", "tell", "claim", "claim", "delivered", "retry", "retry", "failed", "withhold", "slow"]
        ):
            case "tell":
                last[ref] += 1
                await tell(pool, employer, ref, last[ref])
            case "claim":
                held += await claim(pool, 2)
            case "delivered" if held:  # it may be overtaken by another's retry
                await pool.execute(SQL["mark_delivered"], rng.choice(held)["id"])
            case "retry" if held:
                row = held.pop()
                await pool.execute(SQL["mark_retry"], row["id"], row["lease"], rng.choice([0.0, HOUR]))
            case "failed" if held:
                row = held.pop(rng.randrange(len(held)))
                await pool.execute(SQL["mark_failed"], row["id"], row["lease"], "refused")
            case "withhold" if last[ref]:
                await withhold(pool, employer, ref, rng.randint(1, last[ref]))
            case "slow":
                await pool.execute("UPDATE deliveries SET leased_until = now() WHERE employer = $1", employer)
            case _:
                pass
        waits = await pool.fetchval(
            "SELECT count(*) FROM deliveries d WHERE employer = $1 AND status = 'pending'"
            " AND behind_until > greatest(next_attempt_at, now()) AND NOT EXISTS ("
            "SELECT FROM deliveries e WHERE e.employer = d.employer AND e.case_ref = d.case_ref"
            " AND e.sequence < d.sequence AND e.status = 'pending')",
            employer,
        )
        assert waits == 0


async def test_a_claim_reads_no_more_pages_when_more_stands_behind_retries(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    await retried(pool, employer, ref)
    few = await pages(pool)
    for sequence in range(3, 400):
        await tell(pool, employer, ref, sequence)
    assert await pages(pool) <= few + 5


async def pages(pool: Pool) -> int:
    """Pages that one claim touches."""
    text = SQL["claim_deliveries"]
    for place, value in enumerate(("'{}'", "'{}'", "8", "32", f"'{uuid4()}'", "20")):
        text = text.replace(f"${place + 1}::", f"{value}::")
    async with pool.acquire() as connection, connection.transaction():
        # When the server has just counted it, a table of some hundred rows is rather read whole.
        await connection.execute("SET LOCAL enable_seqscan = off")
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) {text}")
    line = next(row[0] for row in rows if "Buffers: shared" in row[0])
    return sum(int(part.split("=")[1]) for part in line.split() if part.startswith(("hit=", "read=")))
