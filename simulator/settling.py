"""When employers hold what they should: what each was sent, beside what it is told when it asks.

A push is a hint, the pull is the truth: `GET /v1/cases/{ref}/status` names the last update of a case (`sequence`), and
a receiver that holds that one holds everything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp

from simulator.doors import TRY_AGAIN
from simulator.employer import Book

ASKING_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A case of which an employer lacks the last update."""

    employer: str
    case_ref: str
    expected: int | None
    """The last update's sequence; None where the door gave no answer."""
    held: int
    """The last sequence that was received; 0 for none."""


async def settle(
    http: aiohttp.ClientSession,
    stack: Mapping[str, Any],
    told: Mapping[UUID, str],
    books: Mapping[str, Book],
    *,
    within_s: float,
) -> list[Unsettled]:
    """Wait until each case of `told` (case -> its employer) has reached its employer; what has not, after `within_s`.

    A case of which the employer may be told nothing is settled.
    """
    deadline = time.monotonic() + within_s
    pending = dict(told)
    places = asyncio.Semaphore(ASKING_AT_ONCE)

    async def lacking(ref: UUID, employer: str) -> Unsettled | None:
        async with places:
            expected = await _expected(http, stack, str(ref), employer)
        held = max((update.sequence for update in books[employer].of(str(ref))), default=0)
        return None if expected is not None and held >= expected else Unsettled(employer, str(ref), expected, held)

    while True:
        found = await asyncio.gather(*(lacking(ref, employer) for ref, employer in pending.items()))
        unsettled = [entry for entry in found if entry is not None]
        if not unsettled or time.monotonic() >= deadline:
            return unsettled
        pending = {UUID(entry.case_ref): entry.employer for entry in unsettled}
        await asyncio.sleep(1.0)  # each question is a disclosure that is written down


async def _expected(http: aiohttp.ClientSession, stack: Mapping[str, Any], ref: str, employer: str) -> int | None:
    """The sequence of the last update that the employer may know, 0 for none; None where there is no clear answer."""
    bearer = {"Authorization": f"Bearer {stack['keys']['employers'][employer]}"}
    try:
        async with http.get(f"{stack['employer_door']}/v1/cases/{ref}/status", headers=bearer) as answer:
            if answer.status in TRY_AGAIN:
                return None
            if answer.status != 200:
                return 0
            return sequence_of(await answer.json())
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


def sequence_of(status: Mapping[str, Any]) -> int:
    """The `sequence` of a status: a structured event whose data has it."""
    return int(status.get("data", status)["sequence"])
