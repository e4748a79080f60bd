"""The outbox: reads over dead rows, and a backlog drained by the real relay."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiokafka import AIOKafkaConsumer
from opentelemetry import trace

from deploy.local import stack as local
from runtime import relay
from runtime.floor import Floor, looked
from runtime.outbox import look, next_rows
from runtime.relay import Relay
from runtime.telemetry import Telemetry
from torture.growth.measure import at, connected, owner_of, spread, timed

SCHEMA = "planning"
TOPIC, OTHER_TOPIC = "planning.events.v1", "progress.events.v1"
CASES = 10_000
DEAD = 300_000
BACKLOG = 1_000_000
_TELEMETRY = Telemetry("growth", trace.NoOpTracer(), False, 0.0)

_FILL = """
INSERT INTO outbox (topic, case_ref, headers, value)
SELECT $1, md5((n % $3)::text)::uuid, $4, convert_to(rpad((n / $3)::text, 700, ' '), 'UTF8')
FROM generate_series(0, $2::int - 1) AS n
"""
_HEADERS = {
    f"ce_{name}": text
    for name, text in {
        "specversion": "1.0",
        "id": "0197c6f2-0000-7000-8000-000000000000",
        "source": "/services/planning",
        "type": "org.workhardening.planning.plan.revised.v1",
        "subject": "0197c6f2-0000-7000-8000-000000000000",
        "time": "2026-01-05T09:00:00+00:00",
        "datacontenttype": "application/json",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }.items()
}


async def fill(connection: Any, rows: int, topic: str = TOPIC, cases: int = CASES) -> None:
    """Promise so many events of so many cases, each about as large as a plan's revision and numbered in its case."""
    await connection.execute(_FILL, topic, rows, cases, json.dumps(_HEADERS))


async def floor(stack: local.Stack, scale: float) -> Sequence[str]:
    """One read of the relay over dead rows that a held snapshot keeps, with and without the floor."""
    owner, holder = await owner_of(stack, SCHEMA), await owner_of(stack, SCHEMA)
    dead = int(DEAD * scale)
    async with connected(stack.services[SCHEMA].database) as (own,):
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
        await fill(owner, dead)
        await owner.execute("DELETE FROM outbox")
        await fill(owner, 500)
        where = Floor()
        looks: list[float] = []
        for _ in range(4):
            lowest, writers = await timed(look(own, where.at), looks)
            where = looked(where, lowest, writers, dead)
        without: list[float] = []
        with_it: list[float] = []
        for _ in range(200):
            await timed(next_rows(own, relay.CYCLE_ROWS, 0), without)
            await timed(next_rows(own, relay.CYCLE_ROWS, where.at), with_it)
        for _ in range(100):
            await timed(look(own, where.at), looks)
    for connection in (owner, holder):
        connection.terminate()
    return [
        f"{dead} dead rows under a held snapshot, a read of 500 rows, 200 each, interleaved",
        f"without a floor {spread(without)}",
        f"with the floor  {spread(with_it)}; moving it, once a second, {spread(looks[4:])}",
        f"ratio of p95: {at(0.95, without) / at(0.95, with_it):.1f}",
    ]


@dataclass
class Drained:
    """What a drain was seen to do."""

    reads: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])
    """When a read ended (s), how long it took (ms), how many rows it brought."""
    rss: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Rows published so far, and the resident memory in KiB."""

    def rate(self, first: int, last: int) -> float:
        """Rows a second while these rows (by their place in the drain) were published."""
        done = 0
        began = ended = self.reads[0][0]
        for when, _, count in self.reads:
            done += count
            if done <= first:
                began = when
            if done <= last:
                ended = when
        return (last - first) / (ended - began)


async def run_relay(stack: local.Stack, rows: int) -> Drained:
    """The real relay in this process, until the outbox is empty."""
    seen = Drained()
    read: Callable[..., Awaitable[list[Any]]] = relay.next_rows
    published = 0
    empty = asyncio.Event()

    async def watched(connection: Any, limit: int, start: int) -> list[Any]:
        nonlocal published
        began = time.perf_counter()
        found = await read(connection, limit, start)
        now = time.perf_counter()
        seen.reads.append((now, (now - began) * 1000, len(found)))
        published += len(found)
        if len(seen.reads) % 20 == 0 or not found:
            seen.rss.append((published, _rss()))
        if not found and published >= rows:
            empty.set()
        return found

    with patch.object(relay, "next_rows", watched):
        task = asyncio.create_task(Relay(stack.services[SCHEMA].database, SCHEMA, stack.kafka, _TELEMETRY).run())
        await empty.wait()
        task.cancel()
        await asyncio.wait([task])
    return seen


def _rss() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@dataclass(frozen=True, slots=True)
class Backlog:
    """A backlog that the real relay drained, and what it did before with an outbox that was small."""

    rows: int
    small: Drained
    seen: Drained
    warm: int
    """Resident memory before the backlog, KiB."""
    wrong: Mapping[str, int]
    """Rows that were lost, out of order (`inverted`), or there `twice`."""

    @property
    def tenths(self) -> list[float]:
        """Rows a second in each tenth, the first drained first."""
        tenth = self.rows // 10
        return [self.seen.rate(nth * tenth, (nth + 1) * tenth) for nth in range(10)]

    @property
    def small_rate(self) -> float:
        """Rows a second out of the small outbox."""
        return self.small.rate(0, small_of(self.rows))


def small_of(rows: int) -> int:
    """How small an outbox is put beside a backlog of so many rows."""
    return rows // 20


async def drain_backlog(stack: local.Stack, rows: int) -> Backlog:
    """Fill the outbox with few rows and drain it, then with all and drain it; read the topic back."""
    owner = await owner_of(stack, SCHEMA)
    await fill(owner, 2000, OTHER_TOPIC)
    await run_relay(stack, 2000)  # code, metadata and buffers are warm
    await fill(owner, small_of(rows), OTHER_TOPIC)
    small = await run_relay(stack, small_of(rows))
    warm = _rss()
    await fill(owner, rows)
    await owner.execute("ANALYZE outbox")
    owner.terminate()
    seen = await run_relay(stack, rows)
    return Backlog(rows, small, seen, warm, await out_of_order(stack.kafka, rows))


async def drain(stack: local.Stack, scale: float) -> Sequence[str]:
    """A backlog of a million rows: rate and memory from its start to its end; order and completeness of the topic."""
    found = await drain_backlog(stack, int(BACKLOG * scale))
    rows, seen, wrong = found.rows, found.seen, found.wrong
    times = [took for _, took, _ in seen.reads]
    first, *_, last = found.tenths
    early = next(memory for published, memory in seen.rss if published >= min(10_000, rows // 2))
    tenths = spread(times[: len(times) // 10]), spread(times[-len(times) // 10 :])
    warm, most = found.warm, max(memory for _, memory in seen.rss)
    return [
        f"{rows} rows of {CASES} cases, 700 bytes each, drained in {seen.reads[-1][0] - seen.reads[0][0]:.0f} s",
        f"rows/s in the first tenth {first:.0f}, in the last {last:.0f}: ratio {last / first:.2f}",
        f"out of an outbox of {small_of(rows)} rows before, {found.small_rate:.0f} rows/s",
        f"a read of 500 rows: in the first tenth {tenths[0]}; in the last {tenths[1]}",
        f"memory: warm {warm >> 10} MiB, after 10,000 rows {early >> 10}, at most {most >> 10}: {most / early:.2f}",
        f"lost {wrong['lost']}, out of order {wrong['inverted']}, twice {wrong['twice']}",
    ]


@dataclass(frozen=True, slots=True)
class Held:
    """A drain behind an operator's open transaction: rows a second in its first and its last part."""

    seen: Drained
    part: int
    first: float
    last: float


async def drain_held(stack: local.Stack, rows: int, look_s: float = relay.LOOK_S) -> Held:
    """Drain so many rows while a snapshot is held that still sees them; the floor is looked for so often."""
    owner, holder = await owner_of(stack, SCHEMA), await owner_of(stack, SCHEMA)
    await owner.execute("VACUUM outbox")
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox")
    await fill(owner, rows)
    with patch.object(relay, "LOOK_S", look_s):
        seen = await run_relay(stack, rows)
    await holder.execute("ROLLBACK")
    for connection in (owner, holder):
        connection.terminate()
    part = min(20_000, rows // 4)
    return Held(seen, part, seen.rate(0, part), seen.rate(rows - part, rows))


async def drain_under_a_held_snapshot(stack: local.Stack, scale: float) -> Sequence[str]:
    """The same behind an operator's open transaction, with the floor and without."""
    rows = int(DEAD * scale)
    found: list[str] = []
    for name, look_s in (("with the floor", relay.LOOK_S), ("without", math.inf)):
        held = await drain_held(stack, rows, look_s)
        times = [took for _, took, _ in held.seen.reads]
        found.append(
            f"{name}: {rows} rows, rows/s in the first {held.part} {held.first:.0f}, in the last {held.last:.0f}:"
            f" ratio {held.last / held.first:.2f}; reads p95 {at(0.95, times):.1f} ms,"
            f" in the last tenth {spread(times[-len(times) // 10 :])}"
        )
    return found


async def out_of_order(bootstrap: str, rows: int) -> Counter[str]:
    """Each case's numbers in the topic must be 0, 1, 2 ... in their first occurrences."""
    consumer: Any = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_partition_fetch_bytes=4_000_000
    )
    await consumer.start()
    wrong: Counter[str] = Counter()
    next_of: dict[bytes, int] = {}
    try:
        left = sum((await consumer.end_offsets(consumer.assignment())).values())
        while left > 0:
            for batch in (await consumer.getmany(timeout_ms=5000, max_records=20_000)).values():
                left -= len(batch)
                for record in batch:
                    number, due = int(record.value), next_of.get(record.key, 0)
                    wrong["twice"] += number < due
                    wrong["inverted"] += number > due
                    next_of[record.key] = max(due, number + 1)
    finally:
        await consumer.stop()
    wrong["lost"] = rows - sum(next_of.values())
    return wrong
