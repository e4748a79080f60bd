"""The stored chain of disclosures: reading it link by link, continuing it, and noting where it does not hold."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from runtime.db import Connection, Pool, queries
from services.notify.audit import Anchor, Fault, Link, Row, Seal, chained, faults

SQL = queries("services.notify")

BATCH = 1_000
"""Rows hashed and written, or checked, in one go: some 15 ms during which the process does nothing else."""

Place = tuple[str, int]
"""An employer and a number: a place in the order of all chains."""
START: Place = ("", 0)


@dataclass(frozen=True, slots=True)
class Told:
    """A disclosure, and its seal where it has one."""

    row: Row
    link: Link | None


async def seal_window(connection: Connection, after: int) -> tuple[int | None, Sequence[Seal]]:
    """Seal what is not sealed of the next disclosures after an id; the last id that was looked at, None at the end.

    In the caller's transaction, which has the right to seal (`try_sealing`).
    """
    last = await connection.fetchval(SQL["end_of_window"], after, BATCH)
    if last is None:
        return None, ()
    rows = [_row(row, row["employer"]) for row in await connection.fetch(SQL["read_unsealed"], after, last)]
    if not rows:
        return last, ()
    heads = await read_heads(connection, {row.employer for row in rows})
    seals = chained(rows, {head.employer: head for head in heads}, datetime.now(UTC))
    await connection.execute(
        SQL["insert_seals"],
        [seal.employer for seal in seals],
        [seal.number for seal in seals],
        [seal.disclosure_id for seal in seals],
        [seal.sealed_at for seal in seals],
        [seal.hash for seal in seals],
    )
    return last, seals


async def read_heads(connection: Connection, employers: Iterable[str]) -> list[Anchor]:
    """Where the chains of these employers end."""
    rows = await connection.fetch(SQL["read_heads"], sorted(employers))
    return [Anchor(row["employer"], row["number"], bytes(row["hash"])) for row in rows]


async def read_links(on: Connection | Pool, after: Place) -> list[Link]:
    """The next links after a place; none at the end."""
    return [_link(row) for row in await on.fetch(SQL["read_links"], *after, BATCH)]


async def read_newest(on: Connection | Pool) -> list[Link]:
    """The links of the newest disclosures, in no order that matters."""
    return [_link(row) for row in await on.fetch(SQL["read_newest_links"], BATCH)]


async def all_links(connection: Connection, employer: str | None) -> AsyncGenerator[list[Link]]:
    """All links of one employer or of all, in pages. It only grows, so pages need no common snapshot."""
    place = START if employer is None else (employer, 0)
    while links := await read_links(connection, place):
        mine = [link for link in links if employer in (None, link.seal.employer)]
        if mine:
            yield mine
        if len(mine) < len(links):
            return
        place = (links[-1].seal.employer, links[-1].seal.number)


async def contradictions(on: Connection | Pool, anchors: Sequence[Anchor]) -> list[Fault]:
    """Of seals that were kept, those that the chains do not hold any more."""
    rows = await on.fetch(
        SQL["contradicted"],
        [anchor.employer for anchor in anchors],
        [anchor.number for anchor in anchors],
        [anchor.hash for anchor in anchors],
    )
    return [Fault(row["employer"], row["number"], row["disclosure_id"], "rewritten") for row in rows]


async def note_faults(pool: Pool, found: Sequence[Fault]) -> list[Fault]:
    """Keep what was found for the figures and for people; those that nobody knew of before."""
    rows = await pool.fetch(
        SQL["record_faults"],
        [fault.employer for fault in found],
        [fault.number for fault in found],
        [fault.disclosure_id for fault in found],
        [fault.what for fault in found],
    )
    return [Fault(row["employer"], row["number"], row["disclosure_id"], row["what"]) for row in rows]


async def check_page(pool: Pool, after: Place) -> tuple[Sequence[Link], list[Fault]]:
    """Check the next links after a place, and forget the faults of places that hold again. No links at the end."""
    links = await read_links(pool, after)
    found = list(faults(links))
    last = links[-1].seal if links else None
    await pool.execute(
        SQL["forget_faults"],
        *(*after, last and last.employer, last and last.number),
        [fault.employer for fault in found],
        [fault.number for fault in found],
    )
    return links, found


async def read_accounting(
    connection: Connection, cases: Sequence[UUID], since: datetime, until: datetime
) -> list[Told]:
    """What was told of cases in a time, oldest first. It does not need the cases to be there any more."""
    rows = await connection.fetch(SQL["read_accounting"], cases, since, until)
    return [Told(_row(row, row["told"]), None if row["number"] is None else _link(row)) for row in rows]


def _link(row: Any) -> Link:
    employer = str(row["employer"])
    before = row["number_before"]
    return Link(
        Seal(employer, row["number"], row["disclosure_id"], row["sealed_at"], bytes(row["hash"])),
        None if row["id"] is None else _row(row, row["told"]),
        None if before is None else Anchor(employer, before, bytes(row["hash_before"])),
    )


def _row(row: Any, employer: str) -> Row:
    return Row(
        id=row["id"],
        employer=employer,
        case_ref=str(row["case_ref"]),
        event_id=row["event_id"],
        sequence=row["sequence"],
        channel=row["channel"],
        scopes=tuple(row["scopes"]),
        bases=tuple(row["bases"]),
        body_sha256=bytes(row["body_sha256"]),
        disclosed_at=row["disclosed_at"],
    )
