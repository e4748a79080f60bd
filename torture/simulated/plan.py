"""What partners and another service send in one seed: cases, duplicates, and records of every bad kind."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from aiokafka.partitioner import DefaultPartitioner

from torture.simulated import toy
from torture.simulated.store import START
from workhardening_contracts.envelope import Envelope, EventData, write_kafka

PARTITIONS = 2

Headers = list[tuple[str, bytes | None]]

_PARTITIONER: Any = DefaultPartitioner()


def partition_of(key: bytes) -> int:
    """Where Kafka puts a key."""
    numbers = list(range(PARTITIONS))
    return _PARTITIONER(key, numbers, numbers)


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
    sent = [sent_of(_draw(rng, nth), case, nth) for nth in range(rng.randrange(3, 9))]
    sent.insert(rng.randrange(0, 3), sent_of("open", case, 0))
    if rng.random() < 0.12:
        sent.insert(rng.randrange(1, len(sent) + 1), sent_of("erase", case, 0))
    return sent


_WEIGHTS = {
    "add": 46, "fail": 5, "refuse": 4, "unwritable": 2, "check": 32, "unread": 2, "dead": 2, "broken": 2, "foreign": 2,
    "reused": 3,
}  # fmt: skip


def _draw(rng: random.Random, nth: int) -> str:
    what = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    # The opening, whose id is used again, stands before the third record at the latest.
    return "add" if what == "reused" and nth < 2 else what


_AMOUNTS = {"fail": toy.FAILS, "refuse": toy.REFUSED, "unwritable": toy.UNWRITABLE}


def sent_of(what: str, case: UUID, nth: int) -> Sent:
    """The `nth` record of a case: `open`, `erase`, `add` or `check` a number, or one of the bad kinds."""
    if what in ("open", "reused"):
        opening = _event(case, "open", toy.Opened(), toy.CLINIC)
        return opening if what == "open" else replace(opening, kind="reused", value=b"{ }")
    if what == "erase":
        return _event(case, "erase", toy.Erased(), toy.CLINIC)
    if what in ("check", "unread"):
        sent = _event(case, f"c{nth}", toy.Checked(amount=20 + nth), toy.INTERNAL, "/services/other")
        return sent if what == "check" else replace(sent, kind="unread", headers=[("ce_id", None)])
    if what == "foreign":
        return _event(case, f"f{nth}", toy.Added(amount=20), toy.CLINIC, "/clinics/b")
    sent = _event(case, f"a{nth}", toy.Added(amount=_AMOUNTS.get(what, 20 + nth)), toy.CLINIC)
    if what == "dead":
        return replace(sent, kind="dead", headers=[*sent.headers, ("ce_id", b"\xff")])
    if what == "broken":
        return replace(sent, kind="broken", value=json.dumps({"amount": "many"}).encode())
    return sent


def _event(case: UUID, id: str, data: EventData, topic: str, source: str = "/clinics/a") -> Sent:
    body = data.model_dump_json().encode()
    envelope = Envelope(id, source, data.TYPE, case, START - timedelta(hours=1), body)
    key, headers, value = write_kafka(envelope)
    return Sent("event", case, envelope.reference, topic, key, [*headers], value)
