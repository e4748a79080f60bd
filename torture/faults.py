"""The faults: each does its harm, waits until it is done, and leaves the rest to the program.

A fault that cannot be done at this moment (what it would harm is down already) is tried again by the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from deploy.local import kafka, postgres
from deploy.local.provision import DECIDING as SERVICES
from ops.target import in_schema
from runtime.relay import Relay
from runtime.telemetry import set_up_traces
from torture.ground import Ground
from torture.keeper import Keeper
from torture.plan import Kind, Step
from torture.proxy import Fault

NETWORK_S: dict[str, float] = {"latency": 8.0, "reset": 0.0, "slicer": 6.0, "half_open": 10.0, "lost_response": 3.0}
STRUCK = 0.5
"""Share of the connections that a network's fault strikes."""
DRILL_S = 20.0
"""How long a kill waits for its successor to die at the named place; the drill stays armed after that."""
JOINED_S = 4.0
"""A start takes half of it; the rest is spent in the group."""
TWO_RELAYS_S = 5.0
FULL_S = 6.0
EXPELLED_S = 6.0
"""A group's session timeout: who is silent for longer is no member any more."""


class NotNow(Exception):
    """The fault cannot be done at this moment."""


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that was injected."""

    kind: Kind
    target: str
    detail: str
    began: float
    """Seconds since 1970."""
    ended: float


@dataclass
class Fire:
    """What the faults work on."""

    ground: Ground
    keeper: Keeper
    previous: Path | None
    """A checkout of the version before; None where there is none."""
    done: list[Done] = field(default_factory=list[Done])
    impossible: dict[Kind, str] = field(default_factory=dict["Kind", str])
    """What the machine does not permit, and why."""
    postgres_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    kafka_lock: asyncio.Lock = field(default_factory=asyncio.Lock)


async def inject(fire: Fire, step: Step) -> None:
    """One step. Raises NotNow, and what a lost database or broker raises; then nothing was counted."""
    began = time.time()
    try:
        detail = await _FAULTS[step.kind](fire, step)
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        KafkaError,
    ) as error:
        raise NotNow(f"{step.kind}: {type(error).__name__}") from error
    if detail is not None:
        fire.done.append(Done(step.kind, step.target, detail, began, time.time()))


async def _kill(fire: Fire, step: Step) -> str:
    keeper = fire.keeper
    fired = keeper.fired.total()
    keeper.drills[step.target].append(step.detail)
    if keeper.kill(step.target) is None:
        keeper.drills[step.target].remove(step.detail)
        raise NotNow("it does not run")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRILL_S):
            while keeper.fired.total() == fired:  # noqa: ASYNC110 - of any service: lanes run side by side
                await asyncio.sleep(0.2)
    return step.detail


async def _pause(fire: Fire, step: Step) -> str:
    async with contextlib.AsyncExitStack() as stack:
        if step.amount > EXPELLED_S:
            await stack.enter_async_context(fire.keeper.companion(step.target))
        if fire.keeper.signal(step.target, signal.SIGSTOP) is None:
            raise NotNow("it does not run")
        await asyncio.sleep(step.amount)
        fire.keeper.signal(step.target, signal.SIGCONT)
    return f"{step.amount:.0f} s"


async def _join(fire: Fire, step: Step) -> str:
    async with fire.keeper.companion(step.target):
        await asyncio.sleep(JOINED_S)
    return ""


async def _two_relays(fire: Fire, step: Step) -> str:
    stack = fire.ground.stack
    # The lock's name is the schema's: under another name this one never waits for it.
    relay = Relay(
        stack.services[step.target].database, f"{step.target}-twin", stack.kafka, set_up_traces(step.target, 1.0)
    )
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(relay.run(), TWO_RELAYS_S)
    return f"{TWO_RELAYS_S:.0f} s"


async def _rewind(fire: Fire, step: Step) -> str:
    group = f"whp.{step.target}"
    async with fire.kafka_lock:
        if not await _committed(fire, group, empty=False):
            raise NotNow("nothing is committed yet")
        async with fire.keeper.down(step.target):
            found = await _committed(fire, group, empty=True)
            back = {place: OffsetAndMetadata(max(0, at.offset - int(step.amount)), "") for place, at in found.items()}
            consumer: Any = AIOKafkaConsumer(
                bootstrap_servers=fire.ground.stack.kafka, group_id=group, enable_auto_commit=False
            )
            await asyncio.wait_for(consumer.start(), 10)
            try:
                consumer.assign(list(back))
                await asyncio.wait_for(consumer.commit(back), 10)
            finally:
                await _closed(consumer.stop())
    return f"{step.amount:.0f} records in each partition"


async def _committed(fire: Fire, group: str, *, empty: bool) -> dict[Any, Any]:
    """What a group has committed; `empty`: once nobody is in it, as the broker takes offsets from outside only then."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=fire.ground.stack.kafka)
    await asyncio.wait_for(admin.start(), 10)
    try:
        if empty:
            await asyncio.wait_for(_empty(admin, group), 30)
        return await asyncio.wait_for(admin.list_consumer_group_offsets(group), 10)
    finally:
        await _closed(admin.close())


async def _closed(closing: Awaitable[None]) -> None:
    """A client of a broker that was killed may close for ever."""
    with contextlib.suppress(OSError, TimeoutError, KafkaError):
        await asyncio.wait_for(closing, 5)


async def _empty(admin: Any, group: str) -> None:
    """Wait until nobody is in a group: the broker takes offsets from outside only then."""
    while True:
        (described,) = await admin.describe_consumer_groups([group])
        (found,) = [entry for entry in described.groups if entry[1] == group]
        if found[2] in ("Empty", "Dead"):
            return
        await asyncio.sleep(0.3)


async def _postmaster(fire: Fire, step: Step) -> str:
    async with fire.postgres_lock:
        fire.ground.kill(postgres.PART)
        await fire.ground.start_postgres()
    return ""


async def _terminate(fire: Fire, step: Step) -> str:
    connection = await asyncpg.connect(fire.ground.stack.database, timeout=5)
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = any($1::text[])"
    try:
        for _ in range(200):
            caught = await connection.fetchval(f"{ended} AND state = 'active' AND query ILIKE 'commit%'", SERVICES)
            if caught:
                return f"{caught} in COMMIT"
            await asyncio.sleep(0.005)
        return f"{await connection.fetchval(f'{ended} AND random() < 0.5', SERVICES)} of them"
    finally:
        await connection.close(timeout=5)


async def _network(fire: Fire, step: Step) -> str:
    link = fire.ground.postgres_link if step.target == "postgres" else fire.ground.kafka_link
    fault: Fault = step.detail  # pyright: ignore[reportAssignmentType] - a plan has no others
    struck = await link.strike(fault, STRUCK, NETWORK_S[step.detail])
    if not struck:
        raise NotNow("nobody was connected")
    return f"{step.detail}, {struck} connections"


async def _broker_kill(fire: Fire, step: Step) -> str:
    async with fire.kafka_lock:
        fire.ground.kill(kafka.PART)
        await asyncio.sleep(0.5)
        await fire.ground.start_kafka()
    return ""


async def _broker_stop(fire: Fire, step: Step) -> str:
    async with fire.kafka_lock:
        await fire.ground.stop_kafka()
        await asyncio.sleep(step.amount)
        await fire.ground.start_kafka()
    return f"{step.amount:.0f} s"


async def _disk_full(fire: Fire, step: Step) -> str | None:
    if not fire.ground.can_fill:
        fire.impossible["disk_full"] = "no tmpfs could be mounted"
        return None
    async with fire.postgres_lock, fire.kafka_lock:
        ballast = await asyncio.to_thread(fire.ground.fill)
        await asyncio.sleep(FULL_S)
        ballast.unlink()
        ended = [part for part in (postgres.PART, kafka.PART) if not fire.ground.runs(part)]
        await fire.ground.mend()
    return f"{FULL_S:.0f} s; it ended {' and '.join(ended) or 'nobody'}"


async def _deploy(fire: Fire, step: Step) -> str | None:
    if fire.previous is None:
        fire.impossible["deploy"] = "no earlier version is in this checkout's history"
        return None
    current = dict(fire.keeper.code)
    for code in (dict.fromkeys(SERVICES, fire.previous), current):
        for service in SERVICES:
            # The new process first: for a while both versions are in the group and at the same tables.
            async with fire.keeper.companion(service, code[service]):
                await asyncio.sleep(JOINED_S)
                fire.keeper.code[service] = code[service]
                fire.keeper.signal(service, signal.SIGTERM)
                await asyncio.sleep(1.0)
                await fire.keeper.ready(service)
    return "previous and back"


async def _snapshot(fire: Fire, step: Step) -> str:
    """An operator's open transactions, without our time-outs; opened again when the server dies under them."""
    held = 0.0
    while held < step.amount:
        began = time.monotonic()
        with contextlib.suppress(
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
        ):
            await _hold(in_schema(fire.ground.stack.database, "progress"), step.amount - held)
        held += time.monotonic() - began
        await asyncio.sleep(0.5)
    return f"{held:.0f} s"


async def _hold(url: str, seconds: float) -> None:
    reader, idler = [await asyncpg.connect(url, timeout=5) for _ in range(2)]
    try:
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await idler.execute("BEGIN")
        end = time.monotonic() + seconds
        await idler.execute("SELECT count(*) FROM outbox")
        while time.monotonic() < end:
            await reader.execute("SELECT count(*) FROM outbox")
            await asyncio.sleep(2)
    finally:
        for connection in (reader, idler):
            with contextlib.suppress(
                OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
            ):
                await connection.close(timeout=5)


_FAULTS: dict[Kind, Callable[[Fire, Step], Awaitable[str | None]]] = {
    "kill": _kill,
    "pause": _pause,
    "join": _join,
    "two_relays": _two_relays,
    "rewind": _rewind,
    "postmaster": _postmaster,
    "terminate": _terminate,
    "network": _network,
    "broker_kill": _broker_kill,
    "broker_stop": _broker_stop,
    "disk_full": _disk_full,
    "deploy": _deploy,
    "snapshot": _snapshot,
}
