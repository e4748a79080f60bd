"""One set-based writer per row type, called inside the transaction of the batch that decided it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from runtime.db import Connection, Writer, queries
from services.notify.coalescing import successor
from services.notify.rows import DeliveryRow, FeedRow, MessageRow, RemoveCase, Withhold

SQL = queries("services.notify")


async def write_feed(connection: Connection, rows: Sequence[FeedRow]) -> None:
    await connection.execute(
        SQL["insert_feed"],
        [row.clinic for row in rows],
        [row.case_ref for row in rows],
        [row.source for row in rows],
        [row.event_id for row in rows],
        [json.dumps(row.event) for row in rows],
    )


async def write_messages(connection: Connection, rows: Sequence[MessageRow]) -> None:
    await connection.execute(
        SQL["insert_messages"],
        [row.event_id for row in rows],
        [row.kind for row in rows],
        [row.clinic for row in rows],
        [row.case_ref for row in rows],
        [row.audience for row in rows],
        [row.subject for row in rows],
        [row.body for row in rows],
    )


async def write_deliveries(connection: Connection, rows: Sequence[DeliveryRow]) -> None:
    """Each takes the place of what is unsent before it, in this batch or from an earlier one, as it is added."""
    newer: dict[tuple[str, UUID], list[DeliveryRow]] = defaultdict(list)
    for row in rows:
        newer[row.employer, row.case_ref].append(row)
    unsent = await connection.fetch(
        SQL["lock_unsent"], [employer for employer, _ in newer], [case_ref for _, case_ref in newer]
    )
    replaced = {
        row["id"]: taker
        for row in unsent
        if (taker := successor(row["sequence"], row["scopes"], newer[row["employer"], row["case_ref"]])) is not None
    }
    if replaced:
        await connection.execute(SQL["coalesce"], list(replaced), list(replaced.values()))
    await connection.execute(
        SQL["insert_deliveries"],
        [row.employer for row in rows],
        [row.case_ref for row in rows],
        [row.event_id for row in rows],
        [row.sequence for row in rows],
        [row.body for row in rows],
        [json.dumps(row.scopes) for row in rows],
        [json.dumps(row.bases) for row in rows],
        [row.occurred_at for row in rows],
        [row.send_from for row in rows],
        [row.traceparent for row in rows],
        [row.replaceable for row in rows],
        [
            successor(row.sequence, row.scopes, newer[row.employer, row.case_ref]) if row.replaceable else None
            for row in rows
        ],
    )


async def withhold(connection: Connection, rows: Sequence[Withhold]) -> None:
    await connection.execute(
        SQL["withhold"],
        [row.employer for row in rows],
        [row.case_ref for row in rows],
        [row.through_sequence for row in rows],
    )


async def remove_cases(connection: Connection, rows: Sequence[RemoveCase]) -> None:
    for name in ("remove_feed", "remove_messages", "remove_deliveries"):
        await connection.execute(SQL[name], [row.case_ref for row in rows])


WRITERS: Mapping[type, Writer] = {
    FeedRow: write_feed,
    MessageRow: write_messages,
    DeliveryRow: write_deliveries,
    Withhold: withhold,
    RemoveCase: remove_cases,
}
