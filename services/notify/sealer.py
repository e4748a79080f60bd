"""The worker that seals disclosures, and looks whether what was sealed is still so.

One process seals at a time, in a transaction for each batch; who is killed leaves whole batches. A row is sealed when
it is seen, so it does not matter in which order transactions commit. What this process knows of how far it has come is
lost with it and costs one look over the table.

It keeps the ends of the chains that it has seen: who rewrites a chain whole, from a changed row to a new end,
contradicts them, and the log lines of other days as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from runtime.db import Pool
from runtime.running import Running
from services.notify.audit import Anchor, Fault, Seal, faults
from services.notify.chain import SQL, START, Place, check_page, contradictions, note_faults, read_newest, seal_window

log = structlog.get_logger("sealer")

EVERY_S = 5.0
"""How long a row may be without its seal: an owner could change it unseen for that long."""
LOOK_EVERY_S = 60.0
PAGES = 10
"""Checked each minute, besides the newest: 10,000 rows are some 0.3 s, and a million are through in under two hours."""
SETTLED_S = 60.0
"""A transaction of ours lives for 30 s at most (`transaction_timeout`); after twice that no lower id is expected."""
HOUR_S = 3600.0
"""All the same, one looks over the whole table each hour: a row that comes later still is sealed later, not never. And
the ends of the chains are told: a line an hour for each employer that was told something."""


@dataclass
class Progress:
    """How far this process has come."""

    floor: int = 0
    """Below it every disclosure has a seal."""
    reached: tuple[float, int] = (0.0, 0)
    """The highest id seen at a time: where the floor rises to when that is long enough ago."""
    place: Place = START
    """What was checked last, going round."""
    heads: dict[str, Anchor] = field(default_factory=dict[str, Anchor])
    """The ends of the chains, as far as this process has seen them."""
    told: dict[str, int] = field(default_factory=dict[str, int])
    """Of these, what was written to the log."""


async def seal(running: Running) -> None:
    """Seal and look, until cancelled. Raises database errors."""
    progress = Progress()
    looked = hour = float("-inf")
    while True:
        now = time.monotonic()
        full = now - hour >= HOUR_S
        if full:
            hour, progress.floor = now, 0
        await seal_new(running.pool, progress, now)
        if now - looked >= LOOK_EVERY_S:
            looked = now
            await look(running.pool, progress)
        if full:
            tell_heads(progress)
        await asyncio.sleep(EVERY_S)


async def seal_new(pool: Pool, progress: Progress, now: float) -> int:
    """Seal what has none from the floor on; how many. Ends early where another process is sealing."""
    last, count = progress.floor, 0
    while True:
        async with pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(SQL["try_sealing"]):
                return count
            end, seals = await seal_window(connection, last)
        if end is None:
            break
        await _went_on(pool, progress, seals)
        last, count = end, count + len(seals)
    # What had been seen a while ago was looked over again just now, with all that has come below it since.
    since, reached = progress.reached
    if now - since >= SETTLED_S:
        progress.floor, progress.reached = max(progress.floor, reached), (now, last)
    return count


async def _went_on(pool: Pool, progress: Progress, seals: Sequence[Seal]) -> None:
    """Remember the new ends, once it is clear that the old ones are still in their chains."""
    ends = {one.employer: one.anchor for one in seals}
    known = [progress.heads[employer] for employer in ends if employer in progress.heads]
    if known:
        _report(await note_faults(pool, await contradictions(pool, known)))
    progress.heads |= ends


async def look(pool: Pool, progress: Progress) -> None:
    """Check the newest, the next pages, and the ends that were seen before."""
    found = await contradictions(pool, list(progress.heads.values()))
    found += faults(await read_newest(pool))
    for _ in range(PAGES):
        links, here = await check_page(pool, progress.place)
        found += here
        if not links:
            progress.place = START
            break
        for link in links:
            known = progress.heads.get(link.seal.employer)
            if known is None or known.number < link.seal.number:
                progress.heads[link.seal.employer] = link.seal.anchor
        progress.place = (links[-1].seal.employer, links[-1].seal.number)
    _report(await note_faults(pool, found))


def tell_heads(progress: Progress) -> None:
    """Write the ends of the chains that went on to the log, which the owner of the database does not keep."""
    for employer, head in progress.heads.items():
        if progress.told.get(employer) != head.number:
            log.info("end of a disclosure chain", employer=employer, number=head.number, hash=head.hash.hex())
            progress.told[employer] = head.number


def _report(found: Sequence[Fault]) -> None:
    for fault in sorted(found, key=lambda each: (each.employer, each.number)):
        log.critical(
            "the disclosure log is not what was sealed",
            employer=fault.employer,
            number=fault.number,
            disclosure=fault.disclosure_id,
            what=fault.what,
        )
