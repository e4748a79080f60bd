"""The simulated world: consumers, relays and an operator on one database and one broker, and whose turn it is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from opentelemetry import trace
from pydantic import SecretStr

from runtime.consume import Consumer
from runtime.relay import Relay
from runtime.settings import Settings
from runtime.telemetry import Telemetry
from torture.simulated import toy
from torture.simulated.broker import Batch, Broker, Place, Producer
from torture.simulated.check import finished
from torture.simulated.loop import SeededLoop, Stuck
from torture.simulated.member import TOPICS, Member
from torture.simulated.operator import KEY, Operator
from torture.simulated.plan import PARTITIONS, Sent
from torture.simulated.store import START, Session, Store
from torture.simulated.storm import Storm

MEMBERS, RELAYS = ("consumer-1", "consumer-2"), ("relay-1", "relay-2")
# What one seed may take before it counts as a system that never comes to rest.
MAX_STEPS, MAX_RESTARTS = 20_000, 100

_OWNER: ContextVar[str] = ContextVar("owner")
_TELEMETRY = Telemetry("toy", trace.NoOpTracer(), False, 0.0)
_SETTINGS = Settings(
    kafka_bootstrap=SecretStr("simulated"), database_url=SecretStr("simulated"), digest_key=SecretStr(KEY)
)


@dataclass
class Process:
    """A process that can be killed and paused."""

    name: str
    task: asyncio.Task[None] | None = None
    paused: bool = False


@dataclass
class World:
    """One seed's run. `violations` is what the invariants that are checked on the way had to say."""

    seed: int
    say: Callable[[str], None] | None = None
    violations: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.loop = SeededLoop(self._step)
        self.loop.set_exception_handler(self._unexpected)
        self.store = Store(PARTITIONS)
        self.broker = Broker(dict.fromkeys((*TOPICS, toy.OUT), PARTITIONS))
        self.broker.on_commit = self._on_commit
        self.mended = False
        self.refusing: set[bytes] = set()
        self.calm = False
        self.steps = 0
        self.restarts = 0
        self.gates: list[tuple[str, str, asyncio.Future[None]]] = []
        self.processes = {name: Process(name) for name in (*MEMBERS, *RELAYS)}
        self.sent: dict[tuple[str, int, int], Sent] = {}
        self.storm = Storm(self)
        self.operator = Operator(self)
        self.news = asyncio.Event()
        self.handlers = toy.handlers(lambda: self.mended)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.operating: set[asyncio.Task[Any]] = set()
        self._checked: dict[Place, int] = {}
        # The runtime's own jitter.
        random.seed(self.seed)
        self.store.forced = self.rng.random() < 0.1
        self.slow_commits = self.rng.random() < 0.5
        """COMMIT waits for the disk, so that most of what others do overtakes it."""

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, asyncio.CancelledError):
            self.violations.append(f"error: {context.get('message')} {type(error).__name__}")

    # the schedule

    async def gate(self, label: str) -> None:
        """A point at which a process may be overtaken, paused or killed."""
        future: asyncio.Future[None] = self.loop.create_future()
        self.gates.append((_OWNER.get("operator"), label, future))
        await future

    def _step(self) -> bool:
        self.steps += 1
        if self.steps > MAX_STEPS or self.restarts > MAX_RESTARTS:
            raise Stuck("the system does not come to rest")
        open_gates = [gate for gate in self.gates if not gate[2].done() and not self._paused(gate[0])]
        if not self.calm and (not open_gates or self.rng.random() < 0.18):
            self.storm.disturb()
            return True
        if not open_gates:
            return False
        if self.slow_commits and self.rng.random() < 0.98:
            open_gates = [gate for gate in open_gates if gate[1] != "COMMIT"] or open_gates
        gate = open_gates[int(self.rng.random() * len(open_gates))]
        self.gates = [entry for entry in self.gates if entry is not gate and not entry[2].done()]
        if self.say:
            self.say(f"{gate[0]}: {gate[1]}")
        gate[2].set_result(None)
        return True

    def _paused(self, owner: str) -> bool:
        process = self.processes.get(owner)
        return process is not None and process.paused

    def wake(self) -> None:
        """There is something new to poll."""
        self.news.set()
        self.news = asyncio.Event()

    # what happens to processes

    def kill(self, process: Process) -> None:
        """As kill -9 does: the database rolls back, or had committed already; what is on the network goes on."""
        if self.say:
            self.say(f"-- kill {process.name}")
        for session in self._sessions(process.name):
            self.store.seen["killed in a transaction"] += session.in_transaction
            session.terminate(committed=self.rng.random() < 0.5)
        if process.task is not None:
            process.task.cancel()
            process.task = None
        process.paused = False

    def restart(self) -> None:
        for process in self.processes.values():
            if process.task is None:
                self.start(process)

    def rebalance(self) -> None:
        self.broker.generation += 1
        self.broker.owner = {number: self.rng.choice(MEMBERS) for number in range(PARTITIONS)}
        self.wake()

    # the processes

    def start(self, process: Process) -> None:
        """Start a consumer or a relay."""
        self.restarts += 1
        work = self._consume(process) if process.name in MEMBERS else self._relay(process)
        process.task = self.spawn(process.name, work)

    def spawn(self, owner: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task whose gates bear the owner's name."""
        token = _OWNER.set(owner)
        task = self.loop.create_task(work)
        _OWNER.reset(token)
        self.tasks.add(task)
        if owner == "operator":
            self.operating.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        self.operating.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.violations.append(f"error: {type(error).__name__}: {error}")

    async def _consume(self, process: Process) -> None:
        member = Member(self, process.name)
        consumer = Consumer(
            self.handlers, TOPICS, toy.WRITERS, self.pool(process.name), _SETTINGS, _TELEMETRY, lambda: None
        )
        task = process.task

        def exited(future: asyncio.Future[None]) -> None:
            future.exception()
            if self.say:
                self.say(f"-- {process.name} halts: {future.exception()}")
            if process.task is task:
                self.kill(process)
                if self.calm:
                    self.start(process)

        consumer.halted.add_done_callback(exited)
        consumer.attach(member)  # pyright: ignore[reportArgumentType]
        while True:
            news = self.news
            await self.gate("poll")
            if batch := await member.get_msg(member):
                await member.handle(batch)
            else:
                await news.wait()

    async def _relay(self, process: Process) -> None:
        await Relay("simulated", "toy", "simulated", _TELEMETRY).run()

    async def connect(self, *_: Any, **__: Any) -> Session:
        """In the place of asyncpg.connect."""
        await self.gate("connect")
        return Session(self.store, self.gate, _OWNER.get())

    def producer(self, *_: Any) -> Producer:
        """In the place of runtime.relay.new_producer."""
        return Producer(self.broker, self.gate, lambda work: self.spawn("network", work), self._fate, self.now_ms)

    def pool(self, owner: str) -> Any:
        """A pool of one owner's connections."""
        return _Pool(self, owner)

    def _sessions(self, owner: str) -> list[Session]:
        return [session for session in self.store.sessions if session.owner == owner and not session.is_closed()]

    def _fate(self, batch: Batch) -> str:
        if self.calm:
            return "appended"
        if any(key in self.refusing for key, _, _ in batch.records):
            fate = "refused"
        else:
            fate = self.rng.choices(("appended", "unanswered", "dropped"), (85, 9, 6))[0]
        self.store.seen[f"batch {fate} by the broker"] += 1
        return fate

    def now(self) -> datetime:
        """Virtual wall-clock time."""
        return START + timedelta(seconds=self.loop.time())

    def now_ms(self) -> int:
        """As Kafka stamps a record."""
        return int(self.now().timestamp() * 1000)

    # checked on the way

    def _on_commit(self, place: Place, offset: int) -> None:
        """I5: nothing below a committed offset is unfinished."""
        checked = self._checked.get(place, 0)
        for number in range(checked, offset):
            if not self.finished((*place, number)):
                self.violations.append(f"I5: offset {offset} of {place} is committed, {number} is unfinished")
                return
        self._checked[place] = max(checked, offset)

    def finished(self, at: tuple[str, int, int]) -> bool:
        """Whether the database holds, committed, what became of a record."""
        return finished(self.store.tables, self.sent[at], at)

    def drained(self) -> bool:
        """Whether every record was committed, every promise published, and nobody is at work."""
        ends = {place: len(log) for place, log in self.broker.logs.items() if place[0] in TOPICS}
        read = all(self.broker.committed.get(place, 0) == end for place, end in ends.items())
        working = self.operating or any(session.in_transaction for session in self.store.sessions)
        return read and not self.store.tables["outbox"] and not working


class _Pool:
    def __init__(self, world: World, owner: str) -> None:
        self._world = world
        self._owner = owner

    @asynccontextmanager
    async def acquire(self, timeout: float = 0) -> AsyncGenerator[Session]:
        session = Session(self._world.store, self._world.gate, self._owner)
        try:
            yield session
        finally:
            await session.close()
            self._world.store.sessions.remove(session)
