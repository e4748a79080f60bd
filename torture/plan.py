"""Which faults, how many, against what and in which order: all of it follows from the seed.

The amounts of the full gate are those that the promise is held to; each part of it gets an even share of each kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import Literal

from runtime.drill import PLACES
from torture.proxy import FAULTS as NETWORK

SERVICES = ("intake", "planning", "progress", "notify")
PUBLISHERS = ("intake", "planning", "progress")
"""Those with events of their own, and so with a relay that has work."""

Lane = Literal["intake", "planning", "progress", "notify", "postgres", "kafka", "deploy", "snapshot"]
Kind = Literal[
    "kill",
    "pause",
    "join",
    "two_relays",
    "rewind",
    "postmaster",
    "terminate",
    "network",
    "broker_kill",
    "broker_stop",
    "disk_full",
    "deploy",
    "snapshot",
]

STOPPED_S = 60.0
SNAPSHOT_S = 600.0
PARTS = 10
CASES = 50_000
SHORT_CASES = 2_000


@dataclass(frozen=True, slots=True)
class Step:
    """One fault. Steps of one lane come one after another, lanes side by side."""

    kind: Kind
    lane: Lane
    target: str
    """A service, `postgres` or `kafka`."""
    detail: str = ""
    """`PLACE:N` of a kill, the network's fault."""
    amount: float = 0.0
    """Seconds of a pause or an outage, records of a rewind."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How often a kind of fault is injected in the full gate and in the short run."""

    full: int
    short: int
    what: str


AMOUNTS: dict[Kind, Amount] = {
    "kill": Amount(25 * len(PLACES), 12, "kill -9 of a service, and of its successor at a named place"),
    "pause": Amount(50, 3, "SIGSTOP for 1 to 60 s, then SIGCONT"),
    "postmaster": Amount(20, 1, "kill -9 of the postmaster"),
    "terminate": Amount(100, 4, "pg_terminate_backend, in COMMIT where one is met there"),
    "snapshot": Amount(1, 0, "a repeatable-read and an idle transaction of an operator, 10 min each"),
    "broker_kill": Amount(10, 1, "kill -9 of the broker"),
    "broker_stop": Amount(10, 0, "broker stopped for 60 s"),
    "network": Amount(20 * len(NETWORK), 10, "latency, reset, slicer, half-open, lost response on a link"),
    "join": Amount(100, 4, "a second process joins a group and leaves it"),
    "two_relays": Amount(20, 1, "a second relay that ignores the lock"),
    "rewind": Amount(20, 2, "a group's offsets set back"),
    "disk_full": Amount(3, 1, "disk full under PostgreSQL and the broker"),
    "deploy": Amount(5, 1, "rolling deploy to the previous version and back, under load"),
}
TROUBLES = ("down", "busy", "hang", "redirect", "gone", "drip")
"""What employers' receivers do: 500, 429, no answer, a redirect, 410, an answer that comes byte by byte."""
TROUBLES_FULL, TROUBLES_SHORT = 50, 3
"""Of each kind."""

_SERVICE_OF_PLACE: dict[str, Sequence[str]] = {
    "relay_published": PUBLISHERS,
    "relay_deleted": PUBLISHERS,
    "produced": ("intake",),
    "disclosed": ("notify",),
    "answered": ("notify",),
}


def full(seed: int, part: int, parts: int = PARTS) -> list[Step]:
    """The steps of one part of the full gate, in the order of each lane."""
    random = Random(f"{seed}/order/{part}")
    steps = [step for kind in AMOUNTS for step in steps_of(seed, kind)[_offset(kind, part) % parts :: parts]]
    random.shuffle(steps)
    return steps


def short(seed: int) -> list[Step]:
    """The steps of the short run."""
    random = Random(f"{seed}/order/short")
    steps = [step for kind, amount in AMOUNTS.items() for step in steps_of(seed, kind)[: amount.short]]
    random.shuffle(steps)
    return steps


def troubles(part: int, parts: int = PARTS) -> int:
    """How often an employer's receiver does each of `TROUBLES` in one part."""
    return TROUBLES_FULL * (part + 1) // parts - TROUBLES_FULL * part // parts


def _offset(kind: Kind, part: int) -> int:
    # What comes less than once a part is not all put into the first.
    return part + list(AMOUNTS).index(kind)


def steps_of(seed: int, kind: Kind) -> list[Step]:
    """All steps of one kind, as many as the full gate has. Any first few of them are as varied as can be."""
    random = Random(f"{seed}/{kind}")
    count = AMOUNTS[kind].full
    match kind:
        case "kill":
            return [_kill(place, random) for place in islice(cycle(PLACES), count)]
        case "network":
            pairs = [(fault, link) for link in ("postgres", "kafka") for fault in NETWORK]
            return [Step(kind, link, link, fault) for fault, link in islice(cycle(pairs), count)]  # pyright: ignore[reportArgumentType]
        case "pause":
            return [
                _at_service(kind, random, SERVICES, round(math.exp(random.uniform(0, math.log(60))), 1))
                for _ in range(count)
            ]
        case "rewind":
            return [_at_service(kind, random, SERVICES, float(random.randint(200, 3000))) for _ in range(count)]
        case "join":
            return [_at_service(kind, random, SERVICES) for _ in range(count)]
        case "two_relays":
            return [_at_service(kind, random, PUBLISHERS) for _ in range(count)]
        case "postmaster" | "terminate" | "disk_full":
            return [Step(kind, "postgres", "postgres")] * count
        case "broker_kill":
            return [Step(kind, "kafka", "kafka")] * count
        case "broker_stop":
            return [Step(kind, "kafka", "kafka", amount=STOPPED_S)] * count
        case "deploy":
            return [Step(kind, "deploy", "all")] * count
        case "snapshot":
            return [Step(kind, "snapshot", "postgres", amount=SNAPSHOT_S)] * count


def _kill(place: str, random: Random) -> Step:
    service = random.choice(_SERVICE_OF_PLACE.get(place, SERVICES))
    return Step("kill", service, service, f"{place}:{random.randint(1, 12)}")  # pyright: ignore[reportArgumentType]


def _at_service(kind: Kind, random: Random, among: Sequence[str], amount: float = 0.0) -> Step:
    service = random.choice(among)
    return Step(kind, service, service, amount=amount)  # pyright: ignore[reportArgumentType]
