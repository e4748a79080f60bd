"""FastStream's shell around one consumer: a member of the group, which learns late of what happens to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaConnectionError
from faststream import AckPolicy

from torture.simulated import toy
from torture.simulated.broker import Entry, Place

if TYPE_CHECKING:
    from torture.simulated.world import World

TOPICS = (toy.CLINIC, toy.INTERNAL)
"""What the toy consumes."""


class Member:
    """FastStream's shell around one Consumer: what `Consumer.attach` needs of a broker, and polling."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._generation = -1
        self._positions: dict[Place, int] = {}
        self._ack_first = False
        self.get_msg: Any = None
        """FastStream's way to the next batch, which `attach` sets."""
        self.handle: Any = None
        self.consumer = self

    def subscriber(self, *topics: Any, ack_policy: AckPolicy, **settings: Any) -> Member:
        self._ack_first = ack_policy is AckPolicy.ACK_FIRST
        return self

    def __call__(self, handle: Any) -> None:
        self.handle = handle

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[Place, list[Entry]]:
        """aiokafka's: the next records of some of the assigned partitions."""
        world, broker, rng = self._world, self._world.broker, self._world.rng
        # A member learns late of a rebalance, and reads on with its old assignment until then.
        if self._generation != broker.generation and (world.calm or self._generation < 0 or rng.random() < 0.5):
            self._generation = broker.generation
            mine = sorted(number for number, name in broker.owner.items() if name == self._name)
            self._positions = {(t, n): broker.committed.get((t, n), 0) for t in TOPICS for n in mine}
        room = rng.randrange(1, 9)
        batch: dict[Place, list[Entry]] = {}
        for place in rng.sample(sorted(self._positions), len(self._positions)):
            start = self._positions[place]
            taken = broker.logs[place][start : start + room]
            self._positions[place] = start + len(taken)
            room -= len(taken)
            batch[place] = taken
            world.store.seen["record read again"] += sum(
                world.finished((entry.topic, entry.partition, entry.offset)) for entry in taken
            )
            world.store.seen["record read by a zombie"] += len(taken) * (self._generation != broker.generation)
        if any(batch.values()) and self._ack_first and self._generation == broker.generation:
            broker.commit(self._generation, dict(self._positions))
        return batch

    async def commit(self, offsets: dict[Place, int]) -> None:
        """aiokafka's commit. Its answer, or the request itself, may be lost."""
        world = self._world
        await world.gate("commit offsets")
        lost = not world.calm and world.rng.random() < 0.1
        world.store.seen["offsets of a zombie refused"] += self._generation != world.broker.generation
        if lost and world.rng.random() < 0.5:
            raise KafkaConnectionError
        world.broker.commit(self._generation, {(place[0], place[1]): offset for place, offset in offsets.items()})
        if lost:
            raise KafkaConnectionError

    def assignment(self) -> Iterable[Any]:
        return ()

    def pause(self, *places: Any) -> None: ...
