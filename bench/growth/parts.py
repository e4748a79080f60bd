"""The parts by their goals; those of the relay and of the sender are what `torture.growth` does, told as figures."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from bench.growth.backlog import memory
from bench.growth.report import Measured
from bench.growth.tables import cases, inbox
from bench.harness import Say
from bench.sample import Failed
from deploy.local import stack as local
from torture.growth import hanging, outbox

Part = Callable[[local.Stack, float, int, Say], Coroutine[Any, Any, list[Measured]]]
"""Measures on a stack of its own, at a scale, in so many rounds."""

HELD_ROWS = 100_000
FEWEST_HELD = 20_000
EACH = 40
"""Webhooks to each endpoint: a burst then takes some seconds."""
BURSTS = 3
"""For each round: a burst is short, and its rate a matter of chance."""


async def relay_backlog(stack: local.Stack, scale: float, rounds: int, say: Say) -> list[Measured]:
    """P11: the last tenth of a backlog of 1,000,000 rows, over a small outbox before. One round, whatever `rounds` is:
    its ten tenths say how much chance there is in it, and a drain takes minutes."""
    found = await outbox.drain_backlog(stack, int(outbox.BACKLOG * scale))
    if any(found.wrong.values()):
        raise Failed(f"the relay did not publish what it should: {dict(found.wrong)}")
    tenths = [round(rate) for rate in found.tenths]
    say(f"{found.rows} rows, rows/s by tenths {tenths}; out of a small outbox {found.small_rate:.0f}")
    return [
        Measured(
            "P11", 1, found.tenths[-1] / found.small_rate, {"small_rows_s": found.small_rate, "tenths_rows_s": tenths}
        )
    ]


async def relay_held(stack: local.Stack, scale: float, rounds: int, say: Say) -> list[Measured]:
    """P12: the last 20,000 of 100,000 rows that a held snapshot sees, over the first."""
    measured: list[Measured] = []
    for round_ in range(1, rounds + 1):
        held = await outbox.drain_held(stack, max(FEWEST_HELD, int(HELD_ROWS * scale)))
        say(f"round {round_}: rows/s in the first {held.part} {held.first:.0f}, in the last {held.last:.0f}")
        more = {"rows": held.part, "first_rows_s": held.first, "last_rows_s": held.last}
        measured.append(Measured("P12", round_, held.last / held.first, more))
    return measured


async def webhooks(stack: local.Stack, scale: float, rounds: int, say: Say) -> list[Measured]:
    """P15: webhooks a second to the endpoints that never hang, where one of the fifty does, over none."""
    waits = await hanging.waits_beside_hanging(stack, (0, 1), max(1, int(EACH * scale)), BURSTS * rounds)
    measured: list[Measured] = []
    for nth, rate in enumerate(hanging.rates(waits, 1)):
        more = {"none_s": max(waits[0][nth]), "one_s": max(waits[1][nth]), "webhooks": len(waits[1][nth])}
        measured.append(Measured("P15", nth + 1, rate, more))
    say(f"{len(waits[0][0])} webhooks in each burst, {len(measured)} pairs of bursts")
    return measured


PARTS: Mapping[str, Part] = {
    "P9": inbox,
    "P10": cases,
    "P11": relay_backlog,
    "P12": relay_held,
    "P13": memory,
    "P15": webhooks,
}
