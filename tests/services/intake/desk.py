"""A front desk without Kafka and PostgreSQL, for the tests of what is decided and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from uuid import UUID

from runtime.fold import Position
from runtime.relay import PublishFailed
from services.intake.admission import Desk
from services.intake.receipts import Held, Key, Receipt
from services.intake.screening import Claim
from workhardening_contracts.envelope import Envelope

KEY = bytes(range(32))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class MemoryReceipts:
    """The receipts' table as a dictionary."""

    rows: dict[Key, Held] = field(default_factory=dict[Key, Held])
    places: dict[Key, Position | None] = field(default_factory=dict[Key, Position | None])
    reasons: dict[Key, Mapping[str, str]] = field(default_factory=dict[Key, Mapping[str, str]])
    open: dict[str, list[UUID]] = field(default_factory=dict[str, list[UUID]])

    async def claim(self, claims: Sequence[Claim]) -> Mapping[Key, Held]:
        found: dict[Key, Held] = {}
        for claim in claims:
            key = claim.source, claim.id
            found[key] = self.rows.setdefault(key, Held(claim.digest, "pending"))
        return found

    async def accept(self, places: Mapping[Key, Position | None]) -> None:
        for key, place in places.items():
            held = self.rows[key]
            self.rows[key] = Held(held.digest, "accepted" if held.status == "pending" else held.status)
            self.places.setdefault(key, place)

    async def open_cases(self, clinic: str) -> Sequence[UUID]:
        return self.open.get(clinic, [])

    async def find(self, source: str, id_: str) -> Receipt | None:
        held = self.rows.get((source, id_))
        return None if held is None else Receipt(held.status, self.reasons.get((source, id_)))


@dataclass
class MemoryBroker:
    """What was produced, in order; fails as often as it is told to."""

    sent: list[tuple[str, Envelope]] = field(default_factory=list[tuple[str, Envelope]])
    failures: int = 0

    async def publish(self, topic: str, envelope: Envelope) -> Position:
        if self.failures:
            self.failures -= 1
            raise PublishFailed("KafkaTimeoutError")
        self.sent.append((topic, envelope))
        return Position(topic, 0, len(self.sent) - 1)


def desk_of(receipts: MemoryReceipts, broker: MemoryBroker) -> Desk:
    """A desk over these two."""
    return Desk(receipts, broker.publish, KEY, nullcontext)
