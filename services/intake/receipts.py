"""Receipts and the caseload in PostgreSQL: what the front door remembers of what it took in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from runtime.db import Pool, queries
from runtime.fold import Position
from services.intake.screening import Claim

Key = tuple[str, str]
"""Source and id of an event."""

# A pool without a free connection answers as an outage does, instead of holding the caller.
WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Held:
    """A receipt as it stands after it was claimed."""

    digest: bytes
    status: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a clinic is told of one event."""

    status: str
    """`pending`, `accepted` or `rejected`."""
    reason: Mapping[str, Any] | None


class PostgresReceipts:
    """Each method is one statement, outside any other transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sql = queries("services.intake")

    async def claim(self, claims: Sequence[Claim]) -> Mapping[Key, Held]:
        """Insert a pending receipt for each, or find the one that is there."""
        async with self._pool.acquire(timeout=WAIT_S) as connection:
            rows = await connection.fetch(
                self._sql["claim_receipts"],
                [claim.source for claim in claims],
                [claim.id for claim in claims],
                [claim.digest for claim in claims],
                [claim.case for claim in claims],
                [claim.type for claim in claims],
            )
        return {(row["source"], row["id"]): Held(row["digest"], row["status"]) for row in rows}

    async def accept(self, places: Mapping[Key, Position | None]) -> None:
        """The broker has these events. A record that was expanded into others has no place of its own."""
        async with self._pool.acquire(timeout=WAIT_S) as connection:
            await connection.execute(
                self._sql["accept_receipts"],
                [source for source, _ in places],
                [id_ for _, id_ in places],
                [place and place.topic for place in places.values()],
                [place and place.partition for place in places.values()],
                [place and place.offset for place in places.values()],
            )

    async def open_cases(self, clinic: str) -> Sequence[UUID]:
        """The clinic's open cases, as far as intake has folded."""
        async with self._pool.acquire(timeout=WAIT_S) as connection:
            rows = await connection.fetch(self._sql["open_cases"], clinic)
        return [UUID(str(row["case_ref"])) for row in rows]

    async def find(self, source: str, id_: str) -> Receipt | None:
        """One event's receipt."""
        async with self._pool.acquire(timeout=WAIT_S) as connection:
            row = await connection.fetchrow(self._sql["receipt"], source, id_)
        if row is None:
            return None
        return Receipt(row["status"], None if row["reason"] is None else json.loads(row["reason"]))
