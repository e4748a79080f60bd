"""What a batch may ask of the database, counted and not timed: statements, commits, WAL, reads of whole tables.

The four services' own handlers and writers, on what they read of some cases' whole lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from bench.stories import SERVICES
from runtime.batch import Writes
from runtime.metrics import GAUGES
from runtime.outbox import delete_rows, look, next_rows
from runtime.records import Opened
from services.notify.rows import DeliveryRow, RemoveCase
from tests.conftest import Database
from tests.gates.feeding import AROUND, batches_of, consumer_of, items_of, noting, service_of, written_by
from workhardening_contracts.envelope import Envelope

pytestmark = pytest.mark.stack

Read = Mapping[str, list[tuple[str, Envelope]]]

ORDINARY = 6
"""Lock, look-up, load, log, cases, outbox. With BEGIN and COMMIT these are 8."""
OWN = {"intake": ("caseload", "receipts"), "notify": ("feed", "messages", "deliveries")}
"""What a service keeps beside the runtime's tables."""
WRITTEN = """
SELECT sum(record_length - fpi_length) FROM pg_get_wal_records_info($1, pg_current_wal_insert_lsn())
WHERE xid <> '0'::xid
"""
"""Bytes of WAL that transactions wrote since a place. Without the images of whole pages, which depend on when a
checkpoint was, and without what vacuum writes: the server is other tests', too."""
WAL_KB = {"intake": 4.4, "planning": 5.3, "progress": 5.2, "notify": 6.7}
"""KB for an event that a service takes, a tenth above what was measured. For each KB of its body that is 2.1 KB of
planning, 2.4 of progress and 1.6 of notify, within the goal of 3.0. Of intake it is 4.6: its events are short, and for
nearly each it writes another, which it publishes."""
OF_A_KIND: Mapping[type, int] = {DeliveryRow: 3, RemoveCase: 3}
"""Statements that the rows of one kind take, where it is not one: an update takes the place of unsent ones."""


def most(writes: Writes[Any]) -> int:
    """How many statements a batch that led to this may have taken."""
    kinds = {type(effect) for effect in writes.effects}
    rare = bool(writes.settled) + bool(writes.parked) + bool(writes.dead) + 3 * bool(writes.erased)
    return ORDINARY + rare + sum(OF_A_KIND.get(kind, 1) for kind in kinds)


@pytest.mark.parametrize("size", [1, 50, 500])
@pytest.mark.parametrize("service", SERVICES)
async def test_a_batch_is_one_transaction_of_a_few_statements_however_large_it_is(
    database: Database, read: Read, service: str, size: int
) -> None:
    statements: list[str] = []
    dsn = await emptied(database, service)
    async with noting(dsn, statements) as pool:
        consumer = consumer_of(service, pool, dsn)
        for batch in list(batches_of(items_of(service, read[service]), size))[:40]:
            statements.clear()
            writes = await written_by(consumer, batch)
            sent = Counter(statements)
            assert {around: sent.pop(around) for around in AROUND} == dict.fromkeys(AROUND, 1)
            assert set(sent.values()) == {1}, "a statement for each of several rows"
            assert len(sent) <= most(writes), "\n".join(sent)


@pytest.mark.parametrize("service", SERVICES)
async def test_an_event_writes_no_more_of_the_log_than_was_measured(
    database: Database, read: Read, service: str
) -> None:
    """The dear case: each event of a batch is of another case, whose whole state is written for it."""
    dsn = await emptied(database, service)
    items = items_of(service, read[service])
    bodies = [len(item.event.envelope.data) for item in items if isinstance(item, Opened)]
    async with noting(dsn, []) as pool, admin_of(database) as admin:
        await admin.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
        consumer = consumer_of(service, pool, dsn)
        begun = await admin.fetchval("SELECT pg_current_wal_insert_lsn()")
        for batch in batches_of(items, 16):
            await written_by(consumer, batch)
        written = await admin.fetchval(WRITTEN, begun)
    by_event = float(written) / len(bodies) / 1000
    assert by_event <= WAL_KB[service], f"{by_event:.2f} KB for an event of {sum(bodies) / len(bodies):.0f} bytes"


@pytest.mark.parametrize("service", SERVICES)
async def test_no_table_that_grows_is_read_whole(database: Database, read: Read, service: str) -> None:
    dsn = await emptied(database, service)
    async with admin_of(database) as admin:
        # As the planner would decide for tables so large that to read one whole is never the cheapest.
        await admin.execute(
            f"ALTER ROLE {service} IN DATABASE {database.admin.rpartition('/')[2]} SET enable_seqscan = off"
        )
        before = await read_whole(admin, service)
        async with noting(dsn, []) as pool:
            consumer = consumer_of(service, pool, dsn)
            for batch in batches_of(items_of(service, read[service]), 100):
                await written_by(consumer, batch)
            async with pool.acquire() as connection:
                assert await connection.fetchval("SHOW enable_seqscan") == "off"
                for gauge in (*GAUGES, *service_of(service).gauges):
                    await connection.fetch(gauge.query, *(0 for _ in range(gauge.query.count("$1"))))
                found = await look(connection, 0)
                rows = await next_rows(connection, 500, found[0] or 0)
                await delete_rows(connection, [row.id for row in rows])
                assert rows or service == "notify"
        assert await read_whole(admin, service) - before == Counter()


async def read_whole(admin: Any, service: str) -> Counter[str]:
    """How often each growing table was read from end to end. A session tells it when it is asked to (`noting`)."""
    rows = await admin.fetch(
        "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = any($2)",
        service,
        growing(service),
    )
    assert len(rows) == len(growing(service))
    return Counter({row["relname"]: row["seq_scan"] for row in rows})


def growing(service: str) -> list[str]:
    """The tables that hold more with each case. Of dead letters a gauge reads the first 10,000, whatever they are."""
    return ["cases", "event_log", "outbox", "parked", *OWN.get(service, ())]


async def emptied(database: Database, service: str) -> str:
    """The address of a service's role, without what another test left in its tables."""
    async with admin_of(database) as admin:
        await admin.execute(f"SET search_path = {service}; TRUNCATE {', '.join(growing(service))} CASCADE")
    return database.dsn(service)


@asynccontextmanager
async def admin_of(database: Database) -> AsyncGenerator[Any]:
    """The administrator's connection."""
    connection: Any = await asyncpg.connect(database.admin)
    try:
        yield connection
    finally:
        await connection.close()
