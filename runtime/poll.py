"""Polling that survives a record which the Kafka client itself cannot decode."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import TopicPartition

from runtime.fold import Position
from runtime.records import Record
from runtime.within import within

IDLE_MS = 500
"""How long one looks where nothing comes: far less than the watchdog waits for a poll to come back."""


@dataclass(slots=True)
class Undecodable:
    """Stands for a record that the Kafka client cannot decode: its place is all that is known of it."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    value: bytes | None = None


async def next_records(consumer: Any, most: int) -> tuple[Any, ...]:
    """What has come of all partitions, as soon as there is anything; at most so many records."""
    found: Mapping[TopicPartition, Sequence[Any]] = await consumer.getmany(timeout_ms=IDLE_MS, max_records=most)
    return tuple(record for records in found.values() for record in records)


class Poll:
    """The next records that a consumer has, with a way round one bad record.

    A header's name that is not UTF-8 makes aiokafka's `getmany` raise and forget what it had gathered, of other
    partitions too, with the positions moved on. So the positions are moved back to what was processed, and records are
    read one by one until the bad one is found; its place alone stands for it, and it becomes a dead letter.

    `fetch` gives the next records of all partitions; `done` is where processing stands, for its owner to keep.
    """

    def __init__(self, fetch: Callable[[Any], Awaitable[tuple[Any, ...]]], done: Mapping[TopicPartition, int]) -> None:
        self._fetch = fetch
        self._done = done
        self._searched: set[TopicPartition] | None = None
        """The assignment that is being searched for a bad record."""
        self.last = time.monotonic()
        """When a poll last came back."""

    async def __call__(self, consumer: Any) -> tuple[Any, ...]:
        if self._searched is not None and self._searched != consumer.assignment():
            self._searched = None
        try:
            found = await (self._fetch(consumer) if self._searched is None else self._singly(consumer))
        except UnicodeDecodeError:
            for place in consumer.assignment():
                consumer.seek(place, await self._resume_at(consumer, place))
            self._searched = set(consumer.assignment())
            return ()
        self.last = time.monotonic()
        return found

    async def _singly(self, consumer: Any) -> tuple[Any, ...]:
        """One record of each partition."""
        found: list[Any] = []
        for place in sorted(consumer.assignment()):
            offset: int = await within(10, consumer.position(place))
            try:
                taken = await consumer.getmany(place, timeout_ms=100, max_records=1)
            except UnicodeDecodeError:
                consumer.seek(place, offset + 1)
                self._searched = None
                found.append(Undecodable(place.topic, place.partition, offset))
                break
            found += taken.get(place, ())
        return tuple(found)

    async def _resume_at(self, consumer: Any, place: TopicPartition) -> int:
        if place in self._done:
            return self._done[place]
        committed: int | None = await within(10, consumer.committed(place))
        if committed is not None:
            return committed
        first: Mapping[TopicPartition, int] = await within(10, consumer.beginning_offsets([place]))
        return first[place]


def record_of(raw: Any) -> Record:
    """The runtime's record for aiokafka's."""
    return Record(
        Position(raw.topic, raw.partition, raw.offset),
        # The broker takes any time of the past, also one that Python has no date for.
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=max(raw.timestamp, 0)),
        raw.key,
        tuple(raw.headers),
        raw.value,
    )
