"""The sealer on a real PostgreSQL: each disclosure is sealed once, in one chain, and a change by the owner is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import structlog

from runtime.db import Connection, Pool
from services.notify import chain
from services.notify.audit import Fault, faults
from services.notify.chain import all_links, contradictions, read_heads
from services.notify.gauges import GAUGES
from services.notify.sealer import SETTLED_S, Progress, look, seal, seal_new, tell_heads
from services.notify.sender import SQL
from tests.conftest import Database
from tests.services.notify.receiving import until
from tests.services.notify.stored import running

pytestmark = pytest.mark.stack

TOLD = {gauge.name: gauge.query for gauge in GAUGES}
Owner = Callable[..., Awaitable[Any]]


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Owner]:
    """A statement by the administrator of the database, who has switched the triggers off."""
    connection = await asyncpg.connect(database.admin)

    async def change(sql: str, *arguments: Any) -> Any:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("SET LOCAL search_path = notify")
            return await connection.fetchval(sql, *arguments)

    yield change
    await connection.close()


@pytest.fixture
def employer() -> str:
    return f"e-{uuid4().hex[:8]}"


async def disclose(on: Connection | Pool, employer: str, count: int = 1) -> None:
    for sequence in range(1, count + 1):
        await on.execute(
            SQL["insert_disclosure"],
            *(employer, uuid4(), uuid4().hex, sequence, "webhook", ["work_status"], ["worker_consent"], bytes(32)),
        )


async def chain_of(pool: Pool, employer: str) -> tuple[list[int], list[Fault]]:
    """The numbers of an employer's chain, and what does not hold."""
    async with pool.acquire() as connection:
        links = [link async for page in all_links(connection, employer) for link in page]
    return [link.seal.number for link in links], list(faults(links))


async def found_of(pool: Pool, employer: str) -> list[tuple[int, str]]:
    rows = await pool.fetch("SELECT number, what FROM disclosure_faults WHERE employer = $1 ORDER BY 1", employer)
    return [(row["number"], row["what"]) for row in rows]


async def looked(pool: Pool, progress: Progress | None = None) -> Sequence[Any]:
    """One look; what it logged."""
    with structlog.testing.capture_logs() as logs:
        await look(pool, progress or Progress())
    return logs


@pytest.mark.parametrize("table", ["disclosures", "disclosure_seals"])
@pytest.mark.parametrize("change", ["UPDATE {} SET employer = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_service_changes_neither_the_log_nor_its_seals(
    pool: Pool, employer: str, table: str, change: str
) -> None:
    await disclose(pool, employer)
    await seal_new(pool, Progress(), 0)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(change.format(table))
    for switch in (f"ALTER TABLE {table} DISABLE TRIGGER USER", "SET session_replication_role = replica"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(switch)


async def test_what_was_disclosed_is_sealed_in_batches_once(
    pool: Pool, employer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "BATCH", 3)
    progress = Progress()
    await disclose(pool, employer, 7)
    assert await pool.fetchval(TOLD["whp_disclosures_unsealed_oldest_seconds"]) > 0
    assert await seal_new(pool, progress, 0) >= 7
    assert await seal_new(pool, progress, 1) == 0
    assert await chain_of(pool, employer) == ([*range(1, 8)], [])
    assert await pool.fetchval(TOLD["whp_disclosures_unsealed_oldest_seconds"]) == 0


async def test_two_sealers_at_once_make_one_chain(pool: Pool, employer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BATCH", 2)
    await disclose(pool, employer, 9)
    while await pool.fetchval("SELECT count(*) FROM disclosures d WHERE employer = $1", employer) > len(
        (await chain_of(pool, employer))[0]
    ):
        await asyncio.gather(*(seal_new(pool, Progress(), 0) for _ in range(3)))
    assert await chain_of(pool, employer) == ([*range(1, 10)], [])


async def test_a_sealer_that_is_killed_in_a_batch_leaves_whole_ones_and_the_next_goes_on(
    pool: Pool, database: Database, employer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seal_new(pool, Progress(), 0)
    monkeypatch.setattr(chain, "BATCH", 3)
    await disclose(pool, employer, 8)
    after = await pool.fetchval("SELECT min(id) - 1 FROM disclosures WHERE employer = $1", employer)
    killed = await asyncpg.connect(database.dsn("notify"))
    for end in ("COMMIT", "killed"):
        await killed.execute("BEGIN")
        assert await killed.fetchval(chain.SQL["try_sealing"])
        after, _ = await chain.seal_window(killed, after)
        assert after is not None
        if end == "COMMIT":
            await killed.execute(end)
    assert await seal_new(pool, Progress(), 0) == 0, "it has the right to seal in hand"
    pid = killed.get_server_pid()
    await pool.fetchval("SELECT pg_terminate_backend($1)", pid)
    killed.terminate()

    async def gone() -> bool:
        return not await pool.fetchval("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", pid)

    await until(gone)
    assert await chain_of(pool, employer) == ([1, 2, 3], [])
    assert await seal_new(pool, Progress(), 0) == 5
    assert await chain_of(pool, employer) == ([*range(1, 9)], [])


async def test_a_row_that_commits_behind_later_ones_is_sealed(pool: Pool, employer: str) -> None:
    progress = Progress()
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await disclose(slow, employer)
        await disclose(pool, employer, 2)
        await seal_new(pool, progress, 0)
        await seal_new(pool, progress, SETTLED_S - 1)
        await transaction.commit()
    await seal_new(pool, progress, SETTLED_S)
    await seal_new(pool, progress, 3 * SETTLED_S)
    assert progress.floor == await pool.fetchval("SELECT max(id) FROM disclosures")
    assert await chain_of(pool, employer) == ([1, 2, 3], [])


async def test_the_worker_seals_by_itself(pool: Pool, employer: str) -> None:
    await disclose(pool, employer)

    async def sealed() -> bool:
        return await chain_of(pool, employer) == ([1], [])

    worker = asyncio.create_task(seal(running(pool)))
    try:
        await until(sealed)
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE disclosures SET scopes = '{demands_met}' WHERE id = $1", "changed"),
        ("UPDATE disclosures SET disclosed_at = disclosed_at - interval '1 day' WHERE id = $1", "changed"),
        ("DELETE FROM disclosures WHERE id = $1", "row_missing"),
        ("UPDATE disclosure_seals SET hash = sha256('x') WHERE disclosure_id = $1", "changed"),
        ("DELETE FROM disclosure_seals WHERE disclosure_id = $1", "seal_missing"),
    ],
)
async def test_a_change_by_the_owner_is_found_named_and_alarmed_once(
    pool: Pool, owner: Owner, employer: str, change: str, what: str
) -> None:
    await disclose(pool, employer, 4)
    await seal_new(pool, Progress(), 0)
    before = await pool.fetchval(TOLD["whp_disclosure_chain_broken"])
    id = await pool.fetchval("SELECT disclosure_id FROM disclosure_seals WHERE employer = $1 AND number = 2", employer)
    await owner(change, id)
    logs = await looked(pool)
    assert (2, what) in await found_of(pool, employer)
    assert await pool.fetchval(TOLD["whp_disclosure_chain_broken"]) > before
    mine = [log for log in logs if log["employer"] == employer]
    assert (mine[0]["log_level"], mine[0]["number"], mine[0]["what"]) == ("critical", 2, what)
    assert [log for log in await looked(pool) if log["employer"] == employer] == []


async def test_a_row_that_is_put_back_as_it_was_ends_the_alarm(pool: Pool, owner: Owner, employer: str) -> None:
    await disclose(pool, employer, 2)
    await seal_new(pool, Progress(), 0)
    id = await pool.fetchval("SELECT min(id) FROM disclosures WHERE employer = $1", employer)
    for channel, found in (("pull", [(1, "changed")]), ("webhook", [])):
        await owner("UPDATE disclosures SET channel = $2 WHERE id = $1", id, channel)
        await looked(pool)
        assert await found_of(pool, employer) == found


async def test_going_round_a_change_is_found_far_from_the_newest(
    pool: Pool, owner: Owner, employer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await disclose(pool, employer, 3)
    await disclose(pool, f"later-{employer}", 4)
    await seal_new(pool, Progress(), 0)
    monkeypatch.setattr(chain, "BATCH", 2)
    await owner("UPDATE disclosures SET channel = 'pull' WHERE employer = $1 AND sequence = 3", employer)
    progress = Progress()
    for _ in range(await pool.fetchval("SELECT count(*) FROM disclosure_seals")):
        await looked(pool, progress)
    assert await found_of(pool, employer) == [(3, "changed")]


@pytest.mark.parametrize("more", [0, 3])
async def test_a_chain_that_is_cut_at_its_end_contradicts_what_the_sealer_has_seen(
    pool: Pool, owner: Owner, employer: str, more: int
) -> None:
    progress = Progress()
    await disclose(pool, employer, 3)
    await seal_new(pool, progress, 0)
    await owner("DELETE FROM disclosures WHERE employer = $1 AND sequence >= 2", employer)
    await owner("DELETE FROM disclosure_seals WHERE employer = $1 AND number >= 2", employer)
    await disclose(pool, employer, more)
    await seal_new(pool, progress, 1)
    await looked(pool, progress)
    assert await found_of(pool, employer) == [(3, "rewritten")]
    await looked(pool)
    assert await found_of(pool, employer) == [(3, "rewritten")], "a fresh process does not forget it"


async def test_a_chain_that_is_rewritten_whole_holds_in_itself_and_contradicts_its_ends_in_the_log(
    pool: Pool, owner: Owner, employer: str
) -> None:
    progress = Progress()
    await disclose(pool, employer, 3)
    await seal_new(pool, progress, 0)
    with structlog.testing.capture_logs() as logs:
        tell_heads(progress)
        tell_heads(progress)
    (told,) = [log for log in logs if log["employer"] == employer]
    async with pool.acquire() as connection:
        (head,) = await read_heads(connection, [employer])
    assert (told["number"], told["hash"]) == (head.number, head.hash.hex())
    await owner("DELETE FROM disclosure_seals WHERE employer = $1", employer)
    await owner("UPDATE disclosures SET channel = 'pull' WHERE employer = $1 AND sequence = 1", employer)
    await seal_new(pool, Progress(), 0)
    assert await chain_of(pool, employer) == ([1, 2, 3], [])
    assert [fault.what for fault in await contradictions(pool, [head])] == ["rewritten"]
