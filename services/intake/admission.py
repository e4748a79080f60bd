"""The one way in for clinic events, by HTTP and by a clinic's own topic: screened, receipted, produced.

Nothing else is decided here; the judges decide behind Kafka. A receipt is `pending` until the broker has the event, so
a crash or an outage in between leaves something that a retry completes. A retry produces again: the event log absorbs
the second record, and an event whose first record was lost before its acknowledgement is not lost.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from runtime import drill
from runtime.fold import Position
from runtime.relay import Publish
from services.intake.receipts import Held, Key, Receipt
from services.intake.screening import ALL_CASES, Claim, Refused, claim, expand, screen
from workhardening_contracts import registry
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import Envelope

# Records of one expansion in flight at a time: different cases, so their order among each other does not matter.
IN_FLIGHT = 100


class Receipts(Protocol):
    """What admission needs of the receipts' store; see PostgresReceipts."""

    async def claim(self, claims: Sequence[Claim]) -> Mapping[Key, Held]: ...

    async def accept(self, places: Mapping[Key, Position | None]) -> None: ...

    async def open_cases(self, clinic: str) -> Sequence[UUID]: ...

    async def find(self, source: str, id_: str) -> Receipt | None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What taking in an event needs."""

    receipts: Receipts
    publish: Publish
    digest_key: bytes
    receiving: Callable[[Envelope], AbstractContextManager[Envelope]]
    """The span of an event at our door; gives the event with the context to go on with."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An event that the broker has."""

    source: str
    id: str
    events: int
    """Records produced: one, or one for each open case when a day was closed for all."""
    repeated: int
    """How many of them had been accepted before."""


async def admit(desk: Desk, clinic: str, envelope: Envelope, now: datetime) -> Admitted:
    """Take in one event of `clinic`. Returns when the broker has it.

    Raises Refused, PublishFailed (the receipt stays pending: send it again), and what a lost database raises.
    """
    event = screen(envelope, clinic, now)
    taken = event.envelope
    if isinstance(event.data, DayClosed) and taken.subject == ALL_CASES:
        produced = expand(taken, event.data.through, await desk.receipts.open_cases(clinic), now)
        claimed = [taken, *produced]
    else:
        claimed = produced = [taken]
    claims = [claim(each, desk.digest_key) for each in claimed]
    held = await desk.receipts.claim(claims)
    if any(held[each.source, each.id].digest != each.digest for each in claims):
        raise _reused()
    places: dict[Key, Position | None] = {(taken.source, taken.id): None}
    for start in range(0, len(produced), IN_FLIGHT):
        places |= await _produce(desk, produced[start : start + IN_FLIGHT])
    drill.point("produced")
    await desk.receipts.accept(places)
    repeated = sum(held[each.source, each.id].status != "pending" for each in produced)
    return Admitted(taken.source, taken.id, len(produced), repeated)


async def admit_batch(
    desk: Desk, clinic: str, envelopes: Sequence[Envelope], now: datetime
) -> list[Envelope | Refused]:
    """Take in several events of `clinic`, each for itself; the answers stand in their order. Returns when the broker
    has all that were let in. One claim and one acceptance for all of them is what makes a batch cheap.

    Raises PublishFailed, and what a lost database raises: then any of them may have been taken in; send all again.
    """
    answers: list[Envelope | Refused] = []
    for envelope in envelopes:
        answers.append(_alone(envelope, clinic, now))
        await asyncio.sleep(0)  # other callers are served in between: a batch must not hold up a single event
    claimed = [claim(each, desk.digest_key) if isinstance(each, Envelope) else None for each in answers]
    # Of two with one id the first is the event, and the second its repetition or another event.
    claims: dict[Key, Claim] = {}
    for each in claimed:
        if each is not None:
            claims.setdefault((each.source, each.id), each)
    held = await desk.receipts.claim(list(claims.values()))
    cases: dict[UUID, dict[Key, Envelope]] = defaultdict(dict)
    for index, (answer, asked) in enumerate(zip(answers, claimed, strict=True)):
        if isinstance(answer, Refused) or asked is None:
            continue
        key = answer.source, answer.id
        if held[key].digest == asked.digest:
            cases[answer.subject][key] = answer
        else:
            answers[index] = _reused()
    lines = [_produce_in_order(desk, list(line.values())) for line in cases.values()]
    # All are awaited before one failure is raised, as in `_produce`.
    results = await asyncio.gather(*lines, return_exceptions=True)
    places: dict[Key, Position | None] = {}
    for result in results:
        if isinstance(result, BaseException):
            raise result
        places |= result
    drill.point("produced")
    if places:
        await desk.receipts.accept(places)
    return answers


def _alone(envelope: Envelope, clinic: str, now: datetime) -> Envelope | Refused:
    """One event of a batch, as it is let in or refused."""
    try:
        event = screen(envelope, clinic, now)
    except Refused as refused:
        return refused
    if envelope.subject == ALL_CASES:
        return Refused(
            422, "nil_subject", "a day is closed for all cases by itself", "send it behind the batch", "/subject"
        )
    return event.envelope


def _reused() -> Refused:
    return Refused(
        409,
        "id_reused",
        "this id was used for another event",
        "send a new event with a new id, a correction with supersedes",
        "/id",
    )


async def _produce_in_order(desk: Desk, line: Sequence[Envelope]) -> dict[Key, Position | None]:
    """The events of one case, each behind the acknowledgement of the one before."""
    return {(envelope.source, envelope.id): await _publish(desk, envelope) for envelope in line}


async def _produce(desk: Desk, envelopes: Sequence[Envelope]) -> dict[Key, Position | None]:
    sent = (_publish(desk, envelope) for envelope in envelopes)
    # All are awaited before one failure is raised: a send left behind could come after a retry of a later event.
    results = await asyncio.gather(*sent, return_exceptions=True)
    places: dict[Key, Position | None] = {}
    for envelope, result in zip(envelopes, results, strict=True):
        if isinstance(result, BaseException):
            raise result
        places[envelope.source, envelope.id] = result
    return places


async def _publish(desk: Desk, envelope: Envelope) -> Position:
    with desk.receiving(envelope) as received:
        return await desk.publish(registry.CLINIC_TOPIC, received)
