"""`whp reconcile`: is anything lost, doubled or out of order in a system that goes on?

It runs the checker's own checks of the invariants I1 to I4 and I9, which share no code with what they judge. Memory is
bounded by one partition number of all topics with the rows of its cases (and, at the end, by clinics' own topics):
125,000 records in 12 partitions took 230 MB and 46 s of one core.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError
from rich.table import Table

from ops.app import Json, answer, app, console
from ops.target import CannotLook, CommandError, Target, as_json, target
from torture.checks.violation import Violation
from torture.live import judge, parts, tally

FATES = {
    "effects": ("folded", "ignored"),
    "waiting": ("waiting",),
    "parked": ("parked",),
    "given_up": ("discarded",),
    "rejected": ("rejected",),
    "dead_lettered": ("dead-lettered",),
    "in_flight": ("in flight",),
    "lost": ("lost",),
}
"""What may become of an accepted event at a consumer, and what the checker's tally calls it."""
SHOWN = 50
"""Findings that a person reads; `--json` has all."""


@dataclass
class Found:
    """What one look at the whole system came to."""

    records: int = 0
    consumers: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    """Consumer -> `accepted` and each of FATES."""
    violations: list[Violation] = field(default_factory=list[Violation])
    seconds: float = 0.0

    @property
    def accepted(self) -> int:
        """Events at all consumers."""
        return self.total("accepted")

    def total(self, name: str) -> int:
        """`accepted` or a fate, over all consumers."""
        return sum(fates[name] for fates in self.consumers.values())


@app.command
def reconcile(*, json: Json = False) -> int:
    """Hold the running system against its promises: nothing lost, nothing twice, nothing out of order (I1-I4, I9).

    Safe and meant to be run while the system works: it only reads, and what is in flight is counted as such. It reads
    all topics and logs, one partition at a time. Exits with 0 when everything holds, 1 on a violation, and 2 when it
    cannot look.
    """
    try:
        found = asyncio.run(look(target()))
    except CommandError as error:
        raise CannotLook(str(error)) from None
    except (KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise CannotLook(f"cannot look ({type(error).__name__}): are Kafka and PostgreSQL up?") from None
    if not found.accepted:
        raise CannotLook("no topic holds an event: there is nothing to reconcile, which proves nothing")
    if json:
        answer(as_json(_document(found)))
    else:
        _print(found)
    return 1 if found.violations else 0


async def look(at: Target) -> Found:
    """Read and judge everything, a part at a time. Raises CommandError, and what Kafka and PostgreSQL raise."""
    began = time.monotonic()
    found = Found()
    async for part in parts(at):
        found.records += len(part.evidence.records)
        for consumer, counted in tally(part).items():
            mine = found.consumers.setdefault(consumer, Counter())
            mine["accepted"] += counted["accepted"]
            for fate, names in FATES.items():
                mine[fate] += sum(counted[name] for name in names)
        found.violations += judge(part)
        del part  # before the next is read: one at a time is what bounds the memory
    found.violations.sort(key=lambda each: (int(each.invariant[1:]), each.case or "", each.text))
    found.seconds = time.monotonic() - began
    return found


def _document(found: Found) -> dict[str, Any]:
    names = ("accepted", *FATES)
    return {
        "holds": not found.violations,
        "records": found.records,
        "seconds": round(found.seconds, 1),
        "total": {name: found.total(name) for name in names},
        "consumers": {consumer: {name: fates[name] for name in names} for consumer, fates in found.consumers.items()},
        "violations": [asdict(violation) for violation in found.violations],
    }


def _print(found: Found) -> None:
    table = Table(title="what became of each event at each consumer", title_justify="left")
    table.add_column("consumer")
    for name in ("accepted", *FATES):
        table.add_column(name.replace("_", " "), justify="right")
    for consumer, fates in found.consumers.items():
        table.add_row(consumer, *(str(fates[name]) for name in ("accepted", *FATES)))
    table.add_row("all", *(str(found.total(name)) for name in ("accepted", *FATES)), style="bold")
    console.print(table)
    for violation in found.violations[:SHOWN]:
        answer(str(violation))
    if len(found.violations) > SHOWN:
        answer(f"... and {len(found.violations) - SHOWN} more: see --json")
    sums = " + ".join(f"{found.total(name)} {name.replace('_', ' ')}" for name in FATES)
    verdict = f"{len(found.violations)} violations" if found.violations else "holds"
    answer(f"reconciliation {verdict}: {found.accepted} accepted = {sums} ({found.seconds:.1f} s)")
