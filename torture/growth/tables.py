"""Dead rows under churn, with autovacuum as we set it and as it comes; the log at five million rows."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from deploy.local import stack as local
from runtime.event_log import LogRow, append_log, find_logged
from runtime.fold import Position
from torture.growth.measure import at, owner_of, spread, timed
from torture.growth.outbox import fill

TUNED, DEFAULT = "planning", "progress"
"""The two schemas that are compared; both are changed by turns."""
CHURN = 500_000
CASES = 100_000
LOG_ROWS = 5_000_000
LOG_PARTS = 16
BATCH = 500

_AUTOVACUUM = ("vacuum_scale_factor", "vacuum_threshold", "vacuum_insert_scale_factor", "vacuum_insert_threshold")
_SIZES = """
SELECT pg_table_size(c.oid) / 1048576.0 AS heap, pg_indexes_size(c.oid) / 1048576.0 AS indexes, s.n_dead_tup AS dead,
       s.autovacuum_count AS vacuums, s.n_tup_upd AS updates, s.n_tup_hot_upd AS hot
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.oid = $1::text::regclass
"""


async def _two(stack: local.Stack, table: str) -> tuple[Any, Any]:
    """A connection to each schema; in the second, the table's own settings are those that PostgreSQL comes with."""
    tuned, default = await owner_of(stack, TUNED), await owner_of(stack, DEFAULT)
    await default.execute(f"ALTER TABLE {table} RESET ({', '.join(f'autovacuum_{name}' for name in _AUTOVACUUM)})")
    # Looked at more often than each minute, so that minutes of churn show what hours of it would.
    await tuned.execute("ALTER SYSTEM SET autovacuum_naptime = '5s'")
    await tuned.execute("SELECT pg_reload_conf()")
    return tuned, default


async def _report(connection: Any, name: str, table: str) -> str:
    row = await connection.fetchrow(_SIZES, table)
    hot = f", {100 * row['hot'] / row['updates']:.0f} % of updates HOT" if row["updates"] else ""
    return (
        f"{name}: table {row['heap']:.0f} MiB, indexes {row['indexes']:.0f} MiB, {row['dead']} dead rows,"
        f" {row['vacuums']} vacuums{hot}"
    )


async def outbox_churn(stack: local.Stack, scale: float) -> Sequence[str]:
    """Half a million rows in and out beside a backlog of 100,000 that stays (a broker that is away and comes back)."""
    tuned, default = await _two(stack, "outbox")
    both = (tuned, default)
    for connection in both:
        await fill(connection, int(100_000 * scale))
        await connection.execute("ANALYZE outbox")
    for _ in range(int(CHURN * scale) // BATCH):
        for connection in both:
            await fill(connection, BATCH)
            await connection.execute(
                "DELETE FROM outbox WHERE id = any(ARRAY(SELECT id FROM outbox ORDER BY id LIMIT $1))", BATCH
            )
    await asyncio.sleep(8)
    found = [f"{int(CHURN * scale)} rows in and out, {int(100_000 * scale)} stay"]
    for name, connection in (("as set", tuned), ("as it comes", default)):
        found.append(await _report(connection, name, "outbox"))
        connection.terminate()
    return found


async def cases_churn(stack: local.Stack, scale: float) -> Sequence[str]:
    """Half a million saves of 100,000 cases: our settings, PostgreSQL's own, and no room in the pages."""
    tuned, default = await _two(stack, "cases")
    full = await owner_of(stack, "intake")
    await full.execute("ALTER TABLE cases SET (fillfactor = 100)")
    all_of = {"as set": tuned, "autovacuum as it comes": default, "as set, fillfactor 100": full}
    cases = int(CASES * scale)
    for connection in all_of.values():
        await connection.execute(
            "INSERT INTO cases (case_ref, partition, version, state)"
            " SELECT md5(n::text)::uuid, n % 12, 1, jsonb_build_object('phase', 'x', 'body', repeat(md5(n::text), 20))"
            " FROM generate_series(1, $1::int) AS n",
            cases,
        )
        await connection.execute("VACUUM ANALYZE cases")
    times: dict[str, list[float]] = {name: [] for name in all_of}
    rng = random.Random(1)
    for _ in range(int(CHURN * scale) // BATCH):
        chosen = [rng.randrange(cases) + 1 for _ in range(BATCH)]
        for name, connection in all_of.items():
            save = connection.execute(
                "UPDATE cases SET version = version + 1, updated_at = now(),"
                " state = jsonb_set(state, '{body}', to_jsonb(repeat(md5(version::text), 20)))"
                " WHERE case_ref = any(ARRAY(SELECT md5(n::text)::uuid FROM unnest($1::int[]) AS n))",
                chosen,
            )
            await timed(save, times[name])
    await asyncio.sleep(8)
    found = [f"{int(CHURN * scale)} saves of {cases} cases, {BATCH} a statement"]
    for name, connection in all_of.items():
        found.append(f"{await _report(connection, name, 'cases')}; a statement {spread(times[name])}")
        connection.terminate()
    return found


_FILL_LOG = """
INSERT INTO event_log (case_ref, source, id, type, topic, partition, "offset", time, digest, case_version, result,
                       policy_version, sequence, traceparent, body)
SELECT md5((n / 40)::text)::uuid, '/clinics/north', 'e' || n, 'org.workhardening.clinic.session.recorded.v1',
       'clinic.events.v1', (n / 40) % 12, n, now(), decode(md5(n::text) || md5(n::text), 'hex'), n % 40, 'folded',
       'default-1', n % 40, '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-01',
       convert_to(repeat('x', 300), 'UTF8')
FROM generate_series($1::int, $2::int) AS n
"""


async def log(stack: local.Stack, scale: float) -> Sequence[str]:
    """The log plain, and hashed by case into 16 tables: a batch's look-up and insert, vacuum, erasure, sizes."""
    plain, parts, small = [await owner_of(stack, schema) for schema in (TUNED, DEFAULT, "intake")]
    await parts.execute(
        "ALTER TABLE event_log RENAME TO whole;"
        "CREATE TABLE event_log (LIKE whole INCLUDING ALL) PARTITION BY HASH (case_ref);"
        + "".join(
            f"CREATE TABLE event_log_{n} PARTITION OF event_log FOR VALUES WITH (MODULUS {LOG_PARTS}, REMAINDER {n});"
            for n in range(LOG_PARTS)
        )
    )
    rows = int(LOG_ROWS * scale)
    all_of = {f"plain, {rows // 100} rows": (small, rows // 100), "plain": (plain, rows), "parts": (parts, rows)}
    filled: dict[str, float] = {}
    for name, (connection, count) in all_of.items():
        began = time.perf_counter()
        for start in range(0, count, 250_000):
            await connection.execute(_FILL_LOG, start, min(start + 250_000, count) - 1)
        filled[name] = time.perf_counter() - began
        await connection.execute("VACUUM ANALYZE event_log")
    await plain.execute("CHECKPOINT")
    finds: dict[str, list[float]] = {name: [] for name in all_of}
    writes: dict[str, list[float]] = {name: [] for name in all_of}
    rng = random.Random(1)
    for nth in range(120):
        for name, (connection, count) in all_of.items():
            batch = [_row(rng.randrange(count // 40), f"new{nth}-{at_}") for at_ in range(BATCH)]
            await timed(find_logged(connection, [row.key for row in batch]), finds[name])
            await timed(append_log(connection, batch), writes[name])
    found = [
        f"{rows} rows of {rows // 40} cases, 300 bytes of body; 120 batches of {BATCH} to random cases, interleaved"
    ]
    for name, (connection, count) in all_of.items():
        vacuum: list[float] = []
        erase: list[float] = []
        await connection.execute("UPDATE event_log SET policy_version = 'x' WHERE case_ref = md5('7')::uuid")
        await timed(connection.execute("VACUUM (INDEX_CLEANUP ON) event_log"), vacuum)
        for case in range(100, 120):
            erased = connection.execute(
                "UPDATE event_log SET body = NULL WHERE case_ref = any($1::uuid[])", [_case(case)]
            )
            await timed(erased, erase)
        heap, indexes = await connection.fetchrow(
            "SELECT sum(pg_table_size(c.oid)), sum(pg_indexes_size(c.oid)) FROM pg_class c"
            " WHERE c.relkind = 'r' AND c.relname ~ '^event_log' AND c.relnamespace = current_schema()::regnamespace"
        )
        found.append(
            f"{name}: fold look-up {spread(finds[name])}; insert {spread(writes[name])}"
            f"; erase a case {at(0.5, erase):.1f} ms;"
            f" vacuum {vacuum[0] / 1000:.1f} s; filled in {filled[name]:.0f} s;"
            f" {float(heap) / count:.0f} + {float(indexes) / count:.0f} bytes a row"
        )
        connection.terminate()
    return found


def _case(number: int) -> uuid.UUID:
    return uuid.UUID(hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest())


def _row(case: int, id: str) -> LogRow:
    return LogRow(
        (_case(case), "/clinics/north", id),
        "org.workhardening.clinic.session.recorded.v1",
        Position("clinic.events.v1", case % 12, 0),
        datetime(2026, 1, 5, 9, tzinfo=UTC),
        bytes(32),
        1,
        "folded",
        "default-1",
        1,
        None,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"x" * 300,
    )
