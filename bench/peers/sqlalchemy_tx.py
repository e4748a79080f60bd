"""FastStream with SQLAlchemy's ORM, a transaction per message: what a user would write first."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, Topic
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.program import handlers_of
from bench.variants.hop import Meter, decided, given, message, opened
from runtime.fold import Case, waiting_from_json, waiting_to_json


class Base(DeclarativeBase):
    pass


class Taken(Base):
    __tablename__ = "inbox"
    case_ref: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[bytes]


class CaseRow(Base):
    __tablename__ = "cases"
    case_ref: Mapped[UUID] = mapped_column(primary_key=True)
    partition: Mapped[int]
    version: Mapped[int]
    state: Mapped[Any] = mapped_column(JSONB)
    waiting: Mapped[Any] = mapped_column(JSONB)
    sequences: Mapped[Any] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


async def main() -> None:
    start = given()
    handlers, meter, finished = handlers_of(start.service), Meter(start), asyncio.Event()
    engine = create_async_engine(start.dsn.replace("postgresql://", "postgresql+asyncpg://"), pool_size=4)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    broker = KafkaBroker(start.bootstrap, acks="all", enable_idempotence=True, logger=logging.getLogger("bench"))

    @broker.subscriber(
        *(Topic(name, declare=False) for name in start.topics),
        group_id=f"orm.{start.dsn.rpartition('/')[2]}",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
    )
    async def handle(incoming: KafkaMessage) -> None:
        raw = cast("Any", incoming.raw_message)
        event, emitted = opened(raw, handlers), ()
        if event is not None:
            async with sessions() as session, session.begin():
                if await session.get(Taken, (event.case, event.source, event.id)) is None:
                    session.add(Taken(case_ref=event.case, source=event.source, id=event.id, body=event.envelope.data))
                    row = await session.get(CaseRow, event.case, with_for_update=True)
                    if row is None:
                        row = CaseRow(case_ref=event.case, partition=raw.partition, version=0, waiting=[], sequences={})
                        session.add(row)
                    folded = decided(_case(row), event, raw, handlers)
                    row.version = folded.case.version
                    row.state = folded.case.state and handlers.adapter.dump_python(folded.case.state, mode="json")
                    row.waiting = json.loads(waiting_to_json(folded.case.waiting))
                    row.sequences = dict(folded.case.sequences)
                    emitted = folded.emitted
        for entry in emitted:
            topic, key, headers, value = message(entry)
            await broker.publish(value, topic, key=key, headers=headers)
        await incoming.ack()
        if meter.handled(1, len(emitted)):
            finished.set()

    def _case(row: CaseRow) -> Case[Any]:
        # The contracts are strict, and a date or tuple of theirs can be read from JSON only.
        state = row.state and handlers.adapter.validate_json(json.dumps(row.state))
        waiting = waiting_from_json(json.dumps(row.waiting), handlers) if row.waiting else ()
        return Case(row.case_ref, row.partition, row.version, state, waiting, row.sequences)

    async with broker:
        await broker.start()
        await finished.wait()
        meter.done()


if __name__ == "__main__":
    asyncio.run(main())
