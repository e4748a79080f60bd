"""What is set against growth is set; the procedure of docs/reliability/growth.md works on a log that holds events."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import asyncpg
import pytest

from runtime.batch import apply
from runtime.cases import add_partitions
from runtime.fold import Position
from runtime.migrate import apply_service
from runtime.records import Record, open_record
from tests.conftest import Database
from tests.runtime.toy import DIGEST_KEY, WRITERS, added, make_schema, toy_handlers
from workhardening_contracts.envelope import Envelope, write_kafka

pytestmark = pytest.mark.stack

GUIDE = Path(__file__).parents[2] / "docs/reliability/growth.md"
HANDLERS = toy_handlers("in", "out")


async def take(connection: asyncpg.Connection[asyncpg.Record], envelopes: list[Envelope]) -> int:
    """One batch, committed; how many of it were duplicates."""
    items = [
        open_record(Record(Position("in", 0, offset), envelope.time, key, tuple(headers), body), HANDLERS, key_)
        for offset, envelope in enumerate(envelopes)
        for (key, headers, body), key_ in [(write_kafka(envelope), bytes.fromhex(DIGEST_KEY))]
    ]
    async with connection.transaction():
        return (await apply(connection, items, HANDLERS, WRITERS, {})).duplicates


@pytest.mark.parametrize(
    ("schema", "table"),
    [("planning", "outbox"), ("planning", "cases"), ("planning", "event_log"), ("notify", "deliveries")],
)
async def test_dead_rows_are_counted_not_weighed_against_the_table(database: Database, schema: str, table: str) -> None:
    owner = await asyncpg.connect(database.admin)
    try:
        options = await owner.fetchval(
            "SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass", f"{schema}.{table}"
        )
    finally:
        await owner.close()
    assert {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=1000"} <= set(options)


async def test_a_log_that_holds_events_is_cut_into_parts_and_absorbs_them_again(database: Database) -> None:
    dsn = await make_schema(database.admin, database.dsn("planning"))
    schema = dsn.split("=")[-1]
    service, owner = await asyncpg.connect(dsn), await asyncpg.connect(database.admin)
    try:
        await add_partitions(service, 1)
        events = [added(uuid.uuid4(), str(n), 1) for n in range(100)]
        assert await take(service, events) == 0
        (procedure,) = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
        await owner.execute(procedure.replace("planning", schema))
        await apply_service(database.admin, schema, "planning")
        assert await take(service, events) == 100
        assert await take(service, [added(event.subject, f"next-{event.id}", 1) for event in events]) == 0
        assert await service.fetchval("SELECT count(*) FROM event_log") == 200
        assert await service.fetchval("SELECT count(DISTINCT tableoid) FROM event_log") > 10
    finally:
        await service.close()
        await owner.close()
