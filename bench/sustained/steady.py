"""The four services on one machine at a steady rate: memory, lag, CPU by part, and how long an answer takes.

Open loop: arrivals are Poisson and wait for nobody. The clinics' events go straight into their topic, as the front door
writes them; the employers are told by webhook and answer at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any, NoReturn
from urllib.parse import urlsplit

from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.accounting import rss_mb
from bench.expected import Output, differences, output_of
from bench.harness import Say
from bench.latency import cause_of, reference
from bench.sample import Failed, Reading, read
from bench.stories import EMPLOYERS, SERVICES
from bench.sustained.figures import Arrival, Look, by_part, growth, quantiles, waits
from bench.sustained.plan import Plan
from bench.sustained.services import Replica, all_live, lag, running
from bench.wire import Looker, connected, started
from deploy.local import stack as local
from deploy.local.ports import HOST
from services.notify.employers import add_endpoint
from workhardening_contracts.registry import (
    CLINIC_TOPIC,
    INTAKE_TOPIC,
    PLANNING_TOPIC,
    PROGRESS_TOPIC,
    REJECTIONS_TOPIC,
)

ANSWERS = (INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC)
LOOK_S = 5.0
SAY_EVERY = 12
"""Looks."""
WARM = 0.15
"""Of the records: CPU and waits count from there on."""
SETTLE_S = 120.0
"""How long the chain may take for what is left when the last record was sent."""


@dataclass
class Seen:
    """What is noted while the run is under way."""

    due: dict[str, float] = field(default_factory=dict[str, float])
    """Of the events that count: when the first sending of each was due."""
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    outputs: Counter[Output] = field(default_factory=Counter[Output])
    looks: list[Look] = field(default_factory=list[Look])
    sent: int = 0
    told: int = 0
    """Webhooks."""


@dataclass(frozen=True)
class Steady:
    """What was found."""

    rate: float
    sent: int
    lives: int
    seconds: float
    """From the first record to the last."""
    settled_s: float
    """From the last record until nothing was left to do."""
    lag_at_end: Mapping[str, int]
    """By service, when the run was over."""
    taken: Mapping[str, int]
    """Rows in each service's event log."""
    published: int
    told: int
    """Webhooks that employers were sent."""
    cpu_us: Mapping[str, float]
    """Per clinic event, by part: the four services, postgres, kafka."""
    waits: Mapping[str, Mapping[str, float]]
    """By the answer's topic."""
    memory_mb: Mapping[str, tuple[float, float] | None]
    """By service: in the third minute and in the last."""
    wrong: Sequence[str]
    """What did not come, or came too often; a sentence each."""
    looks: Sequence[Look]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def run(stack: local.Stack, plan: Plan, rate: float, seed: int, say: Say) -> Steady:
    """Send the plan to a fresh stack. Raises Failed where a service ends, or work is left some time after the last
    record: the machine does not hold the rate."""
    seen, database = Seen(), urlsplit(stack.database).path[1:]
    async with (
        Looker(stack.kafka) as looker,
        Looker(stack.kafka) as other,
        _employers(stack, seen),
        running(stack, looker, SERVICES, database, {}) as replicas,
    ):
        since = await looker.ends(ANSWERS)
        roots = {replica.service: replica.child.pid for replica in replicas}
        servers = {part: stack.pids[part] for part in ("postgres", "kafka")}
        began = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(_listen(stack.kafka, since, seen))
                watching = tasks.create_task(_watch(other, replicas, began, len(plan.records), seen, say))
                first, last = await _send(stack.kafka, plan, rate, Random(f"{seed}/arrivals"), roots | servers, seen)
                ended = time.perf_counter()
                behind = await _settled(stack, looker, since, seen)
                listening.cancel()
                watching.cancel()
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        settled = time.perf_counter()
        taken = await _taken(stack)
    used = {part: last.cpu[part] - first.cpu[part] for part in last.cpu}
    return Steady(
        rate=rate,
        sent=seen.sent,
        lives=plan.lives,
        seconds=round(ended - began, 1),
        settled_s=round(settled - ended, 1),
        lag_at_end=behind,
        taken=taken,
        published=seen.outputs.total(),
        told=seen.told,
        cpu_us=by_part(used, last.records - first.records),
        waits=quantiles(waits(seen.due, seen.arrivals)),
        memory_mb={service: growth(seen.looks, service, ended - began) for service in SERVICES},
        wrong=[*differences(plan.outputs, seen.outputs), *uneven(plan.taken, taken)],
        looks=seen.looks,
    )


@asynccontextmanager
async def _employers(stack: local.Stack, seen: Seen) -> AsyncGenerator[None]:
    """All employers of the stories, at one address that takes everything."""

    async def take(_: web.Request) -> web.Response:
        seen.told += 1
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{employer}", take)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        address = f"http://{HOST}:{runner.addresses[0][1]}"
        async with connected(stack.services["notify"].database) as connection:
            for employer in EMPLOYERS:
                await add_endpoint(connection, employer, f"{address}/{employer}", kafka=False, local=True)
        yield
    finally:
        await runner.cleanup()


async def _send(
    bootstrap: str, plan: Plan, rate: float, draw: Random, roots: Mapping[str, int], seen: Seen
) -> tuple[Reading, Reading]:
    """Send everything; clock and CPU when it counts from, and at the end."""
    first = read(0, roots)
    warm = int(len(plan.records) * WARM)
    async with started(AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)) as producer:
        at = time.perf_counter()
        for record in plan.records:
            if seen.sent == warm:
                first = read(warm, roots)
            at += draw.expovariate(rate)
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            if seen.sent >= warm:
                seen.due.setdefault(reference(record.headers), at)
            await producer.send(CLINIC_TOPIC, record.value, key=record.key, headers=list(record.headers))
            seen.sent += 1
    return first, read(seen.sent, roots)


async def _listen(bootstrap: str, since: Mapping[TopicPartition, int], seen: Seen) -> NoReturn:
    """Read all that is published, until cancelled."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    async with started(consumer):
        consumer.assign(list(since))
        for place, offset in since.items():
            consumer.seek(place, offset)
        while True:
            for found in (await consumer.getmany(timeout_ms=1000)).values():
                now = time.perf_counter()
                for raw in found:
                    seen.arrivals.append(Arrival(reference(raw.headers), cause_of(raw), raw.topic, now))
                    seen.outputs[output_of(raw.topic, raw.headers)] += 1


async def _watch(
    looker: Looker, replicas: Sequence[Replica], began: float, records: int, seen: Seen, say: Say
) -> NoReturn:
    """Look every few seconds, until cancelled. Raises Failed where a service has ended."""
    while True:
        all_live(replicas)
        at, sent = time.perf_counter() - began, seen.sent
        memory = {replica.service: round(rss_mb(replica.child.pid), 1) for replica in replicas}
        behind = {replica.service: await lag(looker, replica.service) for replica in replicas}
        seen.looks.append(Look(round(at, 1), sent, memory, behind))
        if len(seen.looks) % SAY_EVERY == 0:
            told = ", ".join(f"{name} {memory[name]:.0f} MB and {behind[name]} behind" for name in memory)
            say(f"{at:.0f} s: {sent} of {records} sent; {told}")
        await asyncio.sleep(LOOK_S - (time.perf_counter() - began - at))


async def _settled(
    stack: local.Stack, looker: Looker, since: Mapping[TopicPartition, int], seen: Seen
) -> dict[str, int]:
    """Wait until no group lags, no outbox has a row and all that was published is read, twice; the lag then. Raises
    Failed."""
    quiet, behind = 0, dict[str, int]()
    try:
        async with asyncio.timeout(SETTLE_S), connected(stack.database) as connection:
            while quiet < 2:
                await asyncio.sleep(0.5)
                unsent = [await connection.fetchval(f"SELECT count(*) FROM {name}.outbox") for name in SERVICES]  # noqa: S608
                behind = {name: await lag(looker, name) for name in SERVICES}
                unread = sum((await looker.ends(ANSWERS)).values()) - sum(since.values()) - seen.outputs.total()
                quiet = 0 if any(unsent) or any(behind.values()) or unread else quiet + 1
    except TimeoutError:
        raise Failed(f"{SETTLE_S:.0f} s after the last record, records are left: {behind}") from None
    return behind


async def _taken(stack: local.Stack) -> dict[str, int]:
    """Rows in each service's event log; its key keeps an event from being there twice."""
    async with connected(stack.database) as connection:
        return {name: await connection.fetchval(f"SELECT count(*) FROM {name}.event_log") for name in SERVICES}  # noqa: S608


def uneven(wanted: Mapping[str, int], taken: Mapping[str, int]) -> list[str]:
    """Services that took more or fewer events than they must; a sentence each."""
    return [f"{name} took {taken[name]} events, not {wanted[name]}" for name in wanted if taken[name] != wanted[name]]
