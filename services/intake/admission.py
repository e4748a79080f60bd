"""The one way in for clinic events, by HTTP and by a clinic's own topic: screened, receipted, produced.

Nothing else is decided here; the judges decide behind Kafka. A receipt is `pending` until the broker has the event, so
a crash or an outage in between leaves something that a retry completes. A retry produces again: the event log absorbs
the second record, and an event whose first record was lost before its acknowledgement is not lost.
"""

from __future__ import annotations

import asyncio
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
        raise Refused(
            409,
            "id_reused",
            "this id was used for another event",
            "send a new event with a new id, a correction with supersedes",
            "/id",
        )
    places: dict[Key, Position | None] = {(taken.source, taken.id): None}
    for start in range(0, len(produced), IN_FLIGHT):
        places |= await _produce(desk, produced[start : start + IN_FLIGHT])
    drill.point("produced")
    await desk.receipts.accept(places)
    repeated = sum(held[each.source, each.id].status != "pending" for each in produced)
    return Admitted(taken.source, taken.id, len(produced), repeated)


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
