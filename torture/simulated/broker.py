"""A model of Kafka: partitioned logs, one consumer group with generations, and a producer whose answers get lost.

Fetches are not fenced by the generation, commits are: a member that missed a rebalance reads on, and may not commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import CommitFailedError, RequestTimedOutError, TopicAuthorizationFailedError

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None


class Broker:
    """The logs and the group."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.logs: dict[Place, list[Entry]] = {(name, n): [] for name, count in topics.items() for n in range(count)}
        self.committed: dict[Place, int] = {}
        self.generation = 0
        self.owner: dict[int, str] = {}
        """Partition number -> member: the range assignor gives one member a number in every topic."""
        self.on_commit: Callable[[Place, int], None] = lambda place, offset: None

    def append(
        self, topic: str, partition: int, key: bytes | None, headers: Any, value: bytes | None, timestamp: int
    ) -> Entry:
        log = self.logs[topic, partition]
        entry = Entry(topic, partition, len(log), timestamp, key, tuple(headers), value)
        log.append(entry)
        return entry

    def commit(self, generation: int, offsets: Mapping[Place, int]) -> None:
        """Raises CommitFailedError for a member of an older generation."""
        if generation != self.generation:
            raise CommitFailedError
        for place, offset in offsets.items():
            self.committed[place] = offset
            self.on_commit(place, offset)


@dataclass
class Batch:
    """aiokafka's batch builder."""

    records: list[tuple[bytes, bytes, Any]] = field(default_factory=list[tuple[bytes, bytes, Any]])

    def append(self, *, key: bytes, value: bytes, timestamp: None, headers: Any) -> object:
        self.records.append((key, value, headers))
        return self

    def record_count(self) -> int:
        return len(self.records)


Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Producer:
    """An idempotent producer: a batch is appended once or not at all, and the answer may be lost either way."""

    def __init__(
        self,
        broker: Broker,
        gate: Callable[[str], Any],
        spawn: Spawn,
        fate: Callable[[Batch], str],
        now: Callable[[], int],
    ) -> None:
        self._broker = broker
        self._gate = gate
        self._spawn = spawn
        self._fate = fate
        self._now = now
        self._last: dict[Place, asyncio.Future[None]] = {}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def partitions_for(self, topic: str) -> set[int]:
        return {number for name, number in self._broker.logs if name == topic}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        await self._gate("send")
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.add_done_callback(lambda future: future.cancelled() or future.exception())
        previous = self._last.get((topic, partition))
        self._last[topic, partition] = acknowledged
        self._spawn(self._deliver(batch, (topic, partition), acknowledged, previous))
        return acknowledged

    async def _deliver(
        self, batch: Batch, place: Place, acknowledged: asyncio.Future[None], previous: asyncio.Future[None] | None
    ) -> None:
        if previous is not None and not previous.done():
            await asyncio.wait([previous])
        # On the network now: it goes on though the process that sent it may die.
        await self._gate("broker appends")
        fate = self._fate(batch)
        if fate in ("appended", "unanswered"):
            for key, value, headers in batch.records:
                self._broker.append(*place, key, headers, value, self._now())
        await self._gate("broker answers")
        if acknowledged.done():
            return
        if fate == "appended":
            acknowledged.set_result(None)
        elif fate == "refused":
            acknowledged.set_exception(TopicAuthorizationFailedError())
        else:
            acknowledged.set_exception(RequestTimedOutError())
