"""P9 and P10: the hop beside a log of millions of rows, and beside a million cases.

Two databases are fed the same share of the load, one after the other, round by round. One holds the load's cases and
no log; the other holds in addition what `growth` has put into it. Each round has a share of its own, so that in both
each case and each page of an index is met for the first time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.growth.cohorts import cohort, multiply, renamed
from bench.growth.report import Measured
from bench.growth.service import Share, drain, shares
from bench.harness import CACHE, Say
from bench.load import SERVICE, Load, load_of
from bench.partitions import partition_of
from bench.sample import Failed, Sample
from bench.wire import connected, make_template, on
from deploy.local import stack as local

LIVED = 2500
FEWEST = 100
"""Cases that are lived, at a small scale: with fewer, a share is one batch."""
COHORTS = 4
"""So often do they come in the load, under other references: 10,000 cases, of which a quarter had to be lived."""
SEED = 1
LOG_ROWS = 4_000_000
CASE_ROWS = 1_000_000
BODY = 100
"""Bytes of a body in the log that is filled: no statement of a batch reads one, and whole ones are gigabytes more."""
SMALL, LARGE = "growth_small", "growth_large"

_STATE = r"(MERGE INTO cases AS c|FROM cases WHERE case_ref = any\()"
_STATE_MS = """
SELECT s.query, s.total_exec_time AS ms FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE d.datname = $1 AND s.query ~ $2 AND s.userid = $3::regrole
"""


@dataclass(frozen=True)
class Ground:
    """Both databases as `growth` finds them: alike."""

    stack: local.Stack
    load: Load
    shares: Sequence[Share]
    """The first is for whoever needs rows that the service itself wrote; then one for each round."""
    folder: Path


Growth = Callable[[Ground, Any], Awaitable[str]]
"""Fills the large database, through its owner's connection; says with how much."""


def load_at(scale: float) -> Load:
    """The load at a scale: 10,000 cases at 1, in cohorts a week apart. Kept where `make bench` keeps what was lived."""
    lived = load_of(max(FEWEST, int(LIVED * scale)), SEED, CACHE)
    cohorts = [lived, *(cohort(lived, -nth) for nth in range(1, COHORTS))]
    return Load(
        [case for each in cohorts for case in each.cases], [record for each in cohorts for record in each.records]
    )


async def inbox(stack: local.Stack, scale: float, rounds: int, say: Say) -> list[Measured]:
    """P9: PostgreSQL's CPU per event beside 4,000,000 rows of other cases, over that beside none."""

    async def grow(ground: Ground, owner: Any) -> str:
        await drain(ground.stack, LARGE, ground.shares[0], 0, ground.folder)
        await owner.execute("CREATE TABLE lived AS TABLE event_log")
        await owner.execute("UPDATE lived SET body = substr(body, 1, $1)", BODY)
        rows: int = await owner.fetchval("SELECT count(*) FROM lived")
        refs = [case.ref for case in ground.shares[0].load.cases]
        for nth in range(round(LOG_ROWS * scale / rows), 0, -1):  # as they would have come: the oldest first
            await multiply(owner, "event_log", renamed(refs, nth))
        count: int = await owner.fetchval("SELECT count(*) FROM event_log")
        return f"a log of {count} rows beside none"

    measured: list[Measured] = []
    async with _grown(stack, scale, rounds, grow, say) as ground:
        async for round_, small, large in _pairs(ground, [SMALL], say):
            costs = [_postgres_us(sample) for sample, _ in (large, small)]
            measured.append(Measured("P9", round_, costs[0] / costs[1], _told(small, large)))
    return measured


async def cases(stack: local.Stack, scale: float, rounds: int, say: Say) -> list[Measured]:
    """P10: the time in which PostgreSQL loads and saves a batch's cases out of 1,000,000, over that out of the load's.

    The load's cases lie evenly among the others, so that hardly two of a batch share a page: the worst that can be.
    """

    async def grow(ground: Ground, owner: Any) -> str:
        refs = [case.ref for case in ground.load.cases]
        own = [(ref, ref, partition_of(str(ref).encode())) for ref in refs]
        more = max(1, round(CASE_ROWS * scale / len(refs)) - 1)
        await owner.execute("CREATE TABLE lived AS TABLE cases; TRUNCATE cases")
        for nth in range(more):
            await multiply(owner, "cases", renamed(refs, nth) + own[nth::more])
        count: int = await owner.fetchval("SELECT count(*) FROM cases")
        return f"{count} cases beside {len(refs)}"

    measured: list[Measured] = []
    async with _grown(stack, scale, rounds, grow, say) as ground:
        async for round_, small, large in _pairs(ground, [SMALL, LARGE], say):
            measured.append(Measured("P10", round_, large[1] / small[1], _told(small, large)))
    return measured


@asynccontextmanager
async def _grown(stack: local.Stack, scale: float, rounds: int, growth: Growth, say: Say) -> AsyncGenerator[Ground]:
    load = load_at(scale)
    async with connected(on(stack.database, "postgres")) as system:
        await system.execute("CREATE EXTENSION pg_stat_statements")
    with tempfile.TemporaryDirectory(prefix="whp-bench-") as folder:
        for name in (SMALL, LARGE):
            await make_template(stack.database, name, SERVICE, load.cases)
        ground = Ground(stack, load, shares(load, rounds + 1), Path(folder))
        async with _owner(stack, LARGE) as owner:
            began = time.monotonic()
            rows = await growth(ground, owner)
            await owner.execute("DROP TABLE lived")
            await owner.execute("VACUUM ANALYZE")
            say(f"{rows}, filled in {time.monotonic() - began:.0f} s")
        yield ground


Timed = tuple[Sample, float]
"""A sample, and us per event in which PostgreSQL loaded and saved cases."""


async def _pairs(ground: Ground, emptied: Collection[str], say: Say) -> AsyncGenerator[tuple[int, Timed, Timed]]:
    """Each round's samples of the small and the large database, by turns the one or the other first; the log of those
    in `emptied` holds nothing before."""
    for round_, share in enumerate(ground.shares[1:], 1):
        taken: dict[str, Timed] = {}
        for name in (SMALL, LARGE) if round_ % 2 else (LARGE, SMALL):
            async with _owner(ground.stack, name) as owner:
                if name in emptied:
                    await owner.execute("TRUNCATE event_log")
                await owner.execute("CHECKPOINT")
            taken[name] = await _timed(ground, name, share, round_)
            sample, state = taken[name]
            say(
                f"round {round_} {name}: {sample.events} events, {sample.rate:.0f}/s,"
                f" PostgreSQL {_postgres_us(sample):.0f} us, of these cases {state:.0f} us"
            )
        yield round_, taken[SMALL], taken[LARGE]


async def _timed(ground: Ground, name: str, share: Share, round_: int) -> Timed:
    async with connected(on(ground.stack.database, "postgres")) as system:
        await system.execute("SELECT pg_stat_statements_reset()")
        sample = await drain(ground.stack, name, share, round_, ground.folder)
        rows = await system.fetch(_STATE_MS, name, _STATE, SERVICE)
    if len(rows) != 2:
        raise Failed(f"{len(rows)} statements load and save cases instead of two: {[row['query'] for row in rows]}")
    return sample, sum(row["ms"] for row in rows) * 1000 / len(share.load.records)


@asynccontextmanager
async def _owner(stack: local.Stack, name: str) -> AsyncGenerator[Any]:
    async with connected(on(stack.database, name)) as connection:
        await connection.execute(f"SET search_path = {SERVICE}")
        yield connection


def _postgres_us(sample: Sample) -> float:
    return sample.cpu_s["postgres"] / sample.events * 1e6


def _told(small: Timed, large: Timed) -> dict[str, Any]:
    return {
        name: sample.as_json() | {"state_us": round(state, 2)}
        for name, (sample, state) in (("small", small), ("large", large))
    }
