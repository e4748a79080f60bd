"""What partners and another service send in one seed: cases, duplicates, and records of every bad kind."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from torture.simulated import toy
from torture.simulated.store import START
from workhardening_contracts.envelope import Envelope, EventData, write_kafka

PARTITIONS = 2

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True)
class Sent:
    """One record, and what it is: the ledger against which a run is checked."""

    kind: str
    """`event` (it must have one outcome), `broken` (a partner's event that breaks its contract: one rejection),
    `unread` (ours, unreadable: parks its case), `reused` (an id with another body) or `dead` (a dead letter)."""
    case: UUID
    reference: str
    topic: str
    key: bytes
    headers: Headers
    value: bytes | None


def plan_of(rng: random.Random) -> list[Sent]:
    """All records of a seed, in the order in which they are appended."""
    queues = [_case(rng, UUID(int=rng.getrandbits(128), version=4)) for _ in range(rng.randrange(2, 5))]
    merged: list[Sent] = []
    while queues := [queue for queue in queues if queue]:
        merged.append(rng.choice(queues).pop(0))
    again = [sent for sent in merged if rng.random() < 0.15]
    for sent in again:
        first = merged.index(sent)
        merged.insert(rng.randrange(first + 1, len(merged) + 1), sent)
    return merged


def _case(rng: random.Random, case: UUID) -> list[Sent]:
    """One case: its opening comes first or late, and a few are erased."""
    sent: list[Sent] = []
    for nth in range(rng.randrange(3, 9)):
        sent.append(_record(rng, case, nth))
    sent.insert(rng.randrange(0, 3), _event(case, "open", toy.Opened(), toy.CLINIC, "/clinics/a"))
    if rng.random() < 0.12:
        sent.insert(rng.randrange(1, len(sent) + 1), _event(case, "erase", toy.Erased(), toy.CLINIC, "/clinics/a"))
    return sent


def _record(rng: random.Random, case: UUID, nth: int) -> Sent:
    amount = rng.choices((rng.randrange(20, 90), toy.FAILS, toy.REFUSED, toy.UNWRITABLE), (80, 9, 6, 3))[0]
    if rng.random() < 0.35:
        sent = _event(case, f"c{nth}", toy.Checked(amount=20 + nth), toy.INTERNAL, "/services/other")
        if rng.random() < 0.06:
            return replace(sent, kind="unread", headers=[("ce_id", None)])
        return sent
    sent = _event(case, f"a{nth}", toy.Added(amount=amount), toy.CLINIC, "/clinics/a")
    draw = rng.random()
    if draw < 0.03:
        return replace(sent, kind="dead", headers=[*sent.headers, ("ce_id", b"\xff")])
    if draw < 0.06:
        return replace(sent, kind="broken", value=json.dumps({"amount": "many"}).encode())
    if draw < 0.09:
        opening = _event(case, "open", toy.Opened(), toy.CLINIC, "/clinics/a")
        # The opening stands before the third record at the latest.
        return replace(opening, kind="reused", value=b"{ }") if nth >= 2 else opening
    if draw < 0.12:
        return _event(case, f"f{nth}", toy.Added(amount=20), toy.CLINIC, "/clinics/b")
    return sent


def _event(case: UUID, id: str, data: EventData, topic: str, source: str) -> Sent:
    body = data.model_dump_json().encode()
    envelope = Envelope(id, source, data.TYPE, case, START - timedelta(hours=1), body)
    key, headers, value = write_kafka(envelope)
    return Sent("event", case, envelope.reference, topic, key, [*headers], value)
