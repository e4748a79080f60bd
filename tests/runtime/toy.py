"""A service of two decisions, for tests of the runtime: it adds numbers and says each sum; some input makes it fail."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

import asyncpg
from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker
from opentelemetry import trace
from pydantic import BaseModel, SecretStr

from runtime.cases import add_partitions
from runtime.consume import Consumer
from runtime.db import Connection, Pool, open_pool
from runtime.fold import Handlers, Outcome, Refusal, Rejected
from runtime.migrate import OWNER, apply_service
from runtime.relay import Relay
from runtime.service import security_of
from runtime.settings import Settings
from runtime.telemetry import Telemetry
from workhardening_contracts.envelope import Envelope, Event, EventData, write_kafka
from workhardening_contracts.kafka import client_options, read_address

T = TypeVar("T")
DIGEST_KEY = "00" * 32
TELEMETRY = Telemetry("toy", trace.NoOpTracer(), False, 0.0)


class Added(EventData):
    """A partner adds a number; 13 makes the handler fail, 7 is refused, 99 writes an effect that the table refuses."""

    TYPE: ClassVar[str] = "org.workhardening.test.added.v1"

    amount: int


class Opened(EventData):
    """The premise of every addition when `needs_opening` is set."""

    TYPE: ClassVar[str] = "org.workhardening.test.opened.v1"


class Summed(EventData):
    """What the toy emits."""

    TYPE: ClassVar[str] = "org.workhardening.test.summed.v1"

    total: int


class Refused(EventData):
    """The toy's rejection."""

    TYPE: ClassVar[str] = "org.workhardening.test.refused.v1"

    code: str


class Sum(BaseModel):
    """The toy's state."""

    owner: str = ""
    total: int = 0


class Policy(BaseModel):
    """The toy's policy."""

    version: str = "toy-1"


@dataclass(frozen=True)
class Noted:
    """The toy's effect row."""

    case: uuid.UUID
    amount: int


def on_added(state: Sum | None, event: Event[Added], policy: Policy) -> Outcome[Sum]:
    """Add, fail or refuse."""
    amount = event.data.amount
    if amount == 13:
        raise RuntimeError("patient text that must not be shown")
    if amount == 7:
        return Outcome(state, reject=Refusal("unlucky", "seven is refused", "send another number"))
    state = state or Sum(owner=event.source)
    after = Sum(owner=state.owner, total=state.total + amount)
    return Outcome(after, emit=[Summed(total=after.total)], effects=[Noted(event.case, amount)])


def on_added_when_opened(state: Sum | None, event: Event[Added], policy: Policy) -> Outcome[Sum]:
    """The same, behind a premise."""
    return Outcome(state, wait=True) if state is None else on_added(state, event, policy)


def on_opened(state: Sum | None, event: Event[Opened], policy: Policy) -> Outcome[Sum]:
    """The premise has come."""
    return Outcome(Sum(owner=event.source))


def toy_handlers(
    topic: str, out: str, *, service: str = "toy", needs_opening: bool = False, partner: bool = True
) -> Handlers[Sum, Policy]:
    """The toy's table."""

    def rejection(rejected: Rejected) -> EventData:
        return Refused(code=rejected.refusal.code)

    def topic_of(model: type[EventData]) -> str:
        return out

    return Handlers(
        service=service,
        state=Sum,
        on={Added: on_added_when_opened, Opened: on_opened} if needs_opening else {Added: on_added},
        policy=lambda event: Policy(),
        sender=lambda event: event.source,
        owner=lambda state: state.owner,
        topic_of=topic_of,
        judges=lambda type_: partner,
        from_partner=lambda type_: partner,
        rejection=rejection,
        known_type=lambda type_: type_.startswith("org.workhardening.test."),
        partner_topics=frozenset({topic}) if partner else frozenset(),
        keeps_unreadable=frozenset({topic}),
    )


async def write_noted(connection: Connection, rows: Sequence[Noted]) -> None:
    """The toy's effect writer; the table refuses 99."""
    await connection.execute(
        "INSERT INTO noted (case_ref, amount) SELECT * FROM unnest($1::uuid[], $2::int[])",
        [row.case for row in rows],
        [row.amount for row in rows],
    )


WRITERS = {Noted: write_noted}


def added(case: uuid.UUID, id: str, amount: int, source: str = "/clinics/a") -> Envelope:
    """One addition."""
    return enveloped(case, id, Added(amount=amount), source)


def enveloped(case: uuid.UUID, id: str, data: EventData, source: str = "/clinics/a") -> Envelope:
    """An envelope at a fixed time."""
    body = data.model_dump_json().encode()
    return Envelope(id, source, data.TYPE, case, datetime(2026, 1, 5, 9, tzinfo=UTC), body)


async def make_schema(admin_dsn: str, role_dsn: str) -> str:
    """A schema of the toy's own in the module's database; returns the URL of the planning role bound to it."""
    schema = f"toy_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(admin_dsn)
    try:
        await admin.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {OWNER}")
    finally:
        await admin.close()
    await apply_service(admin_dsn, schema, "planning")
    owner = await asyncpg.connect(admin_dsn)
    try:
        await owner.execute(
            f"SET ROLE {OWNER}; SET search_path = {schema};"
            "CREATE TABLE noted (case_ref uuid NOT NULL, amount int NOT NULL CHECK (amount <> 99));"
            "GRANT ALL ON noted TO planning"
        )
    finally:
        await owner.close()
    return f"{role_dsn}?search_path={schema}"


def settings(dsn: str, bootstrap: str, **more: Any) -> Settings:
    """Settings that name nothing of the environment."""
    return Settings(
        kafka_bootstrap=SecretStr(bootstrap), database_url=SecretStr(dsn), digest_key=SecretStr(DIGEST_KEY), **more
    )


async def send(bootstrap: str, topic: str, envelopes: Sequence[Envelope]) -> None:
    """Publish events in order, keyed by case."""
    await send_raw(bootstrap, topic, [write_kafka(envelope) for envelope in envelopes])


async def send_raw(bootstrap: str, topic: str, records: Sequence[tuple[Any, Any, Any]]) -> None:
    """Publish records as they are: (key, headers, value)."""
    producer: Any = AIOKafkaProducer(**client_options(bootstrap), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for key, headers, value in records:
            await producer.send(topic, value, key=key, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()


@dataclass
class Process:
    """A toy consumer with its relay, in this process."""

    consumer: Consumer[Sum, Policy]
    relay: Relay
    pool: Pool

    async def counted(self) -> bool:
        """Whether a batch has been counted: that follows the commit of its offsets."""
        return self.consumer.counts.batches > 0


@contextlib.asynccontextmanager
async def started(
    handlers: Handlers[Sum, Policy],
    topic: str,
    dsn: str,
    bootstrap: str,
    *,
    halts: bool = False,
    telemetry: Telemetry = TELEMETRY,
    **more: Any,
) -> AsyncGenerator[Process]:
    """Run a toy consumer and its relay until the block ends. It must not halt, unless that is what `halts` expects."""
    config = settings(dsn, bootstrap, **more)
    pool = await open_pool(dsn, "toy")
    async with pool.acquire() as connection:
        await add_partitions(connection, 4)
    relay = Relay(dsn, handlers.service, bootstrap, telemetry)
    consumer: Consumer[Sum, Policy] = Consumer(handlers, (topic,), WRITERS, pool, config, telemetry, relay.wake)
    broker = KafkaBroker(
        read_address(bootstrap).servers,
        security=security_of(bootstrap),
        apply_types=False,
        allow_auto_create_topics=False,
        logger=None,
    )
    consumer.attach(broker)
    await broker.start()
    running = asyncio.create_task(relay.run())
    try:
        yield Process(consumer, relay, pool)
        assert consumer.halted.done() == halts, consumer.halted
    finally:
        await broker.stop()
        running.cancel()
        await asyncio.wait([running])
        await pool.close()


async def eventually(check: Callable[[], Awaitable[T]], *, within: float = 30.0) -> T:
    """Await what another task or process brings about and announces nowhere."""
    async with asyncio.timeout(within):
        while not (found := await check()):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.02)
        return found
