"""FastStream with `list[Model]` batches and set-based SQL: a transaction per batch, then the batch's outputs.

Less safe than the product: a crash between COMMIT and publish loses what was decided, and one unreadable record
loses its batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, Any, cast

import asyncpg
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage, Topic
from pydantic import Discriminator, Tag, TypeAdapter

from bench.program import handlers_of
from bench.variants.hop import Meter, case_of, decided, given, message, once, row_of
from runtime.fold import Emitted
from workhardening_contracts.clinic import CaseWithdrawn, DayClosed, SessionCorrected, SessionRecorded
from workhardening_contracts.envelope import Event, read_kafka

TAKE = """
INSERT INTO inbox (case_ref, source, id, body) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
ON CONFLICT DO NOTHING RETURNING case_ref, source, id
"""
LOAD = "SELECT case_ref, version, state, waiting, sequences FROM cases WHERE case_ref = any($1::uuid[]) FOR UPDATE"
SAVE = """
INSERT INTO cases (case_ref, partition, version, state, waiting, sequences)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::jsonb[], $5::jsonb[], $6::jsonb[])
ON CONFLICT (case_ref) DO UPDATE SET version = excluded.version, state = excluded.state, waiting = excluded.waiting,
    sequences = excluded.sequences, updated_at = now()
"""


def kind(body: Any) -> str:
    """Which event a body is: the type stands in the headers, which a model does not see."""
    if not isinstance(body, dict):
        return type(body).__name__
    if "session" in body:
        return "SessionCorrected" if "supersedes" in body else "SessionRecorded"
    return "DayClosed" if "through" in body else "CaseWithdrawn"


Body = Annotated[
    Annotated[SessionRecorded, Tag("SessionRecorded")]
    | Annotated[SessionCorrected, Tag("SessionCorrected")]
    | Annotated[DayClosed, Tag("DayClosed")]
    | Annotated[CaseWithdrawn, Tag("CaseWithdrawn")],
    Discriminator(kind),
]


ADAPTER: TypeAdapter[Any] = TypeAdapter(Body)


async def decode(incoming: Any) -> list[Any]:
    """As models, from JSON: the contracts are strict, and FastStream's own decoder hands on lists for tuples."""
    return [ADAPTER.validate_json(raw.value, extra="ignore") for raw in incoming.raw_message]


async def main() -> None:
    start = given()
    handlers, meter, finished = handlers_of(start.service), Meter(start), asyncio.Event()
    pool = await asyncpg.create_pool(start.dsn, min_size=1, max_size=4)
    broker = KafkaBroker(start.bootstrap, acks="all", enable_idempotence=True, logger=logging.getLogger("bench"))

    @broker.subscriber(
        *(Topic(name, declare=False) for name in start.topics),
        group_id=f"typed.{start.dsn.rpartition('/')[2]}",
        auto_offset_reset="earliest",
        batch=True,
        max_records=500,
        batch_timeout_ms=20,
        decoder=decode,
        ack_policy=AckPolicy.MANUAL,
    )
    async def handle(bodies: list[Body], incoming: KafkaMessage) -> None:
        raws = cast("Sequence[Any]", incoming.raw_message)
        events = [
            (Event(read_kafka(raw.key, raw.headers, raw.value), body), raw)
            for body, raw in zip(bodies, raws, strict=True)
        ]
        emitted = await taken(events)
        # Not `publish_batch`: it gives all messages the same headers and one partition.
        sent = [
            await broker.publish(value, topic, key=key, headers=headers, no_confirm=True)
            for topic, key, headers, value in map(message, emitted)
        ]
        await asyncio.gather(*cast("list[asyncio.Future[Any]]", sent))
        await incoming.ack()
        if meter.handled(len(raws), len(emitted)):
            finished.set()

    async def taken(events: Sequence[tuple[Event[Any], Any]]) -> list[Emitted]:
        async with pool.acquire() as connection, connection.transaction():
            envelopes = [event.envelope for event, _ in events]
            new = {tuple(row) for row in await connection.fetch(TAKE, *once(envelopes))}
            rows = await connection.fetch(LOAD, list({ref for ref, _, _ in new}))
            cases = {row["case_ref"]: case_of(row, row["case_ref"], 0, handlers) for row in rows}
            emitted: list[Emitted] = []
            for event, raw in events:
                key = (event.case, event.source, event.id)
                if key in new:
                    new.remove(key)
                    case = cases.get(event.case) or case_of(None, event.case, raw.partition, handlers)
                    folded = decided(case, event, raw, handlers)
                    cases[event.case] = folded.case
                    emitted += folded.emitted
            columns = zip(*(row_of(case) for case in cases.values()), strict=True)
            if cases:
                await connection.execute(SAVE, *(list(column) for column in columns))
            return emitted

    async with broker:
        await broker.start()
        await finished.wait()
        meter.done()


if __name__ == "__main__":
    asyncio.run(main())
