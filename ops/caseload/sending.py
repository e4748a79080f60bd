"""Sending a checked file through the front door, batch behind batch, for as long as the door is away or busy.

A clinic has one batch in hand at a time, so the next one goes out when the last is answered: the door sets the pace.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx

from ops.caseload.events import said
from ops.caseload.fault import Fault
from ops.caseload.reading import read
from ops.target import CommandError
from services.intake.screening import MAX_BATCH, MAX_BATCH_BODY
from workhardening_contracts.envelope import BATCHED

PATIENCE_S = 600.0
"""How long a door may be away: a restart takes seconds, a database that moves takes minutes."""
SLOWEST_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines, as many as the door takes at once."""

    body: bytes
    lines: tuple[int, ...]
    """The line of each event."""

    @property
    def through(self) -> int:
        """The last line of the file that is in it."""
        return self.lines[-1]


@dataclass(frozen=True, slots=True)
class Answered:
    """What the door said of a batch."""

    batch: Batch
    refused: tuple[Fault, ...]


def batches(file: Path, clinic: str, now: datetime, leave_out: set[int], after: int) -> Iterator[Batch]:
    """The lines behind line `after`, in their order. Raises Unusable and OSError."""
    documents: list[bytes] = []
    numbers: list[int] = []
    with file.open("rb") as content:
        for line in read(content).lines:
            if line.number <= after or line.number in leave_out:
                continue
            more = [json.dumps(each, separators=(",", ":")).encode() for each in said(line, clinic, now).documents]
            # With a comma behind each and two brackets around all.
            size = 2 + sum(len(each) + 1 for each in (*documents, *more))
            if documents and (len(documents) + len(more) > MAX_BATCH or size > MAX_BATCH_BODY):
                yield _batch(documents, numbers)
                documents, numbers = [], []
            documents += more
            numbers += [line.number] * len(more)
    if documents:
        yield _batch(documents, numbers)


def _batch(documents: list[bytes], numbers: list[int]) -> Batch:
    return Batch(b"[" + b",".join(documents) + b"]", tuple(numbers))


async def send(door: str, key: str, wanted: Iterator[Batch]) -> AsyncIterator[Answered]:
    """Send batch by batch. Raises CommandError for what no repetition mends, and for a door that stays away."""
    headers = {"authorization": f"Bearer {key}", "content-type": BATCHED}
    async with httpx.AsyncClient(base_url=door, headers=headers, timeout=60, trust_env=False) as client:
        for batch in wanted:
            answer = await answer_to(client, batch.body)
            events = cast("list[dict[str, Any]]", answer.json()["events"])
            faults = [
                _fault(line, each["problem"])
                for line, each in zip(batch.lines, events, strict=True)
                if "problem" in each
            ]
            yield Answered(batch, tuple(faults))


def _fault(line: int, problem: dict[str, Any]) -> Fault:
    if problem["code"] == "id_reused":
        mend = "this case was imported before with other values: publish a correction instead"
        return Fault(line, "", "already_imported", mend)
    return Fault(line, str(problem.get("field", "")), str(problem["code"]), str(problem["detail"]))


async def answer_to(client: httpx.AsyncClient, body: bytes) -> httpx.Response:
    """The answer to a batch, sent again until there is one: the door knows again what it has. Raises CommandError."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    delay = 0.25
    while True:
        wait, why = delay, "does not answer"
        try:
            answer = await client.post("/v1/events", content=body)
        except httpx.TransportError:
            pass
        else:
            if answer.status_code in (202, 207):
                return answer
            why = f"answers {answer.status_code}"
            if answer.status_code != 429 and answer.status_code < 500:
                raise CommandError(f"the front door {why}: {_detail(answer)}")
            wait = max(wait, _retry_after(answer))
        if loop.time() + wait > until:
            raise CommandError(f"the front door {why} for {PATIENCE_S / 60:.0f} minutes: import again when it does")
        await asyncio.sleep(wait * random.uniform(1, 1.2))  # noqa: S311 - jitter
        delay = min(delay * 2, SLOWEST_RETRY_S)


def _retry_after(answer: httpx.Response) -> float:
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else 0.0


def _detail(answer: httpx.Response) -> str:
    try:
        problem = cast("dict[str, Any]", answer.json())
        return f"{problem['code']}, {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return "and that is no door of this program; is the address right?"
