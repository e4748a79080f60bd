"""What befalls a simulated world: productions and faults, drawn from its seed, until the storm has spent itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from torture.simulated.plan import partition_of, plan_of

if TYPE_CHECKING:
    from torture.simulated.world import World


class Storm:
    """One seed's storm."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._to_send = plan_of(world.rng)
        self.left = len(self._to_send) + world.rng.randrange(30, 90)
        """Faults and productions that are left."""
        self.over: asyncio.Event = asyncio.Event()

    def disturb(self) -> None:
        """Let the next thing happen: a production, a fault, or the end of the storm."""
        self.left -= 1
        if self.left <= 0:
            self._world.calm = True
            self.over.set()
            return
        if self._to_send and self._world.rng.random() < 0.6:
            self._produce()
            return
        faults: dict[Callable[[], None], int] = {
            self._crash: 4,
            self._world.restart: 8,
            self._world.rebalance: 3,
            self._rewind: 2,
            self._pause: 3,
            self._resume: 5,
            self._terminate: 4,
            self._retry: 3,
            self._discard: 1,
            self._refuse: 1,
            self._release: 2,
            self._expire: 1,
            self._mend: 1,
            self._time: 6,
        }
        fault = self._world.rng.choices(list(faults), list(faults.values()))[0]
        if self._world.say:
            self._world.say(f"-- {fault.__name__.strip('_')}")
        fault()

    def _produce(self) -> None:
        for _ in range(min(len(self._to_send), self._world.rng.randrange(1, 5))):
            sent = self._to_send.pop(0)
            now = self._world.now_ms()
            partition = partition_of(sent.key)
            entry = self._world.broker.append(sent.topic, partition, sent.key, sent.headers, sent.value, now)
            self._world.sent[entry.topic, entry.partition, entry.offset] = sent
            if self._world.say:
                place = f"{entry.topic}/{entry.partition}/{entry.offset}"
                self._world.say(f"-- produce {sent.kind} {sent.reference} of {sent.case} at {place}")
        self._world.wake()

    def _crash(self) -> None:
        running = [process for process in self._world.processes.values() if process.task is not None]
        if running:
            self._world.kill(self._world.rng.choice(running))

    def _rewind(self) -> None:
        places = sorted(place for place, offset in self._world.broker.committed.items() if offset > 0)
        if places:
            place = self._world.rng.choice(places)
            self._world.broker.committed[place] = self._world.rng.randrange(self._world.broker.committed[place])
            self._world.rebalance()

    def _pause(self) -> None:
        self._world.rng.choice(list(self._world.processes.values())).paused = True

    def _resume(self) -> None:
        for process in self._world.processes.values():
            process.paused = False

    def _terminate(self) -> None:
        live = [session for session in self._world.store.sessions if not session.is_closed()]
        if live:
            self._world.rng.choice(live).terminate(committed=self._world.rng.random() < 0.5)

    def _retry(self) -> None:
        if ref := self._parked_case():
            self._world.spawn("operator", self._world.operator.retry(ref))

    def _discard(self) -> None:
        if ref := self._parked_case():
            self._world.spawn("operator", self._world.operator.discard(ref))

    def _refuse(self) -> None:
        """From now on the broker refuses what is said of one case, until the operator has mended that."""
        keys = sorted({sent.key for sent in self._world.sent.values()})
        if keys:
            self._world.refusing = {self._world.rng.choice(keys)}

    def _release(self) -> None:
        self._world.refusing = set()
        self._world.spawn("operator", self._world.operator.release())

    def _expire(self) -> None:
        self._world.spawn("operator", self._world.operator.expire())

    def _mend(self) -> None:
        self._world.mended = True

    def _time(self) -> None:
        self._world.loop.advance(self._world.rng.choice((0.05, 1.0, 6.0)))

    def _parked_case(self) -> UUID | None:
        refs = sorted(ref for ref, case in self._world.store.tables["cases"].items() if case["parked"])
        return self._world.rng.choice(refs) if refs else None

    def finish(self) -> None:
        """The end of the storm: the rest is sent, the defect mended, everything runs."""
        while self._to_send:
            self._produce()
        self._world.mended = True
        self._world.refusing = set()
        self._resume()
        self._world.rebalance()
        self._world.restart()
