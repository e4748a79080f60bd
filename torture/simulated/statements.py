"""What each statement of the runtime's SQL files does, under the name it has there."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from runtime.cases import SQL
from torture.simulated.store import MODELS, START, Model, Row, Session


async def lock_partitions(s: Session, numbers: list[int]) -> list[Row]:
    for number in sorted(numbers):
        await s.lock("partitions", number)
    return [{"number": number} for number in numbers]


async def load_cases(s: Session, refs: list[Any]) -> list[Row]:
    # In an order that does not depend on how Python hashes strings.
    return [row for row in (s.get("cases", ref) for ref in sorted(refs)) if row is not None]


async def save_cases(s: Session, *columns: list[Any]) -> str:
    written = 0
    for ref, partition, read, version, state, waiting, sequences, parked, erased in zip(*columns, strict=True):
        seen = s.get("cases", ref)
        await s.lock("cases", ref)
        row = s.get("cases", ref)
        if row is not None and seen is None:
            s.store.fences.append("unique key of cases")
            raise asyncpg.UniqueViolationError("cases_pkey")
        if (row["version"] if row else 0) != read:
            s.store.fences.append("version of cases")
            continue
        s.put(
            "cases",
            ref,
            {
                "case_ref": ref,
                "partition": row["partition"] if row else partition,
                "version": version,
                "state": state,
                "waiting": waiting,
                "sequences": sequences,
                "parked": parked,
                "erased": erased,
            },
        )
        written += 1
    return f"MERGE {written}"


async def waiting_since(s: Session, before: datetime, last: UUID) -> list[Row]:
    found: list[Row] = []
    for ref, case in sorted(s.rows("cases")):
        for entry in json.loads(case["waiting"]):
            log = s.get("event_log", (ref, entry["event"]["source"], entry["event"]["id"]))
            if log is not None and log["received_at"] < before and ref > last:
                s.store.seen["gave up waiting"] += 1
                found.append({"case_ref": ref, "source": log["source"], "id": log["id"]})
    return found


async def find_logged(s: Session, refs: list[Any], sources: list[str], ids: list[str]) -> list[Row]:
    rows = (s.get("event_log", key) for key in zip(refs, sources, ids, strict=True))
    return [row for row in rows if row is not None]


_LOG = (
    "case_ref", "source", "id", "type", "topic", "partition", "offset", "time", "digest", "case_version", "result",
    "policy_version", "sequence", "causation", "traceparent", "body", "utc_offset",
)  # fmt: skip


async def append_log(s: Session, *columns: list[Any]) -> None:
    now = START + timedelta(seconds=asyncio.get_running_loop().time())
    for values in zip(*columns, strict=True):
        key = values[:3]
        await s.lock("event_log", key)
        if s.get("event_log", key) is not None:
            s.store.fences.append("unique key of event_log")
            raise asyncpg.UniqueViolationError("event_log_pkey")
        row = dict(zip(_LOG, values, strict=True))
        s.put("event_log", key, row | {"received_at": now, "retried_version": None, "discarded_version": None})


async def mark_retried(s: Session, ref: Any, source: str, id: str, result: str, version: int, policy: str) -> None:
    s.store.seen["retried"] += 1
    await _update(s, "event_log", (ref, source, id), result=result, retried_version=version, policy_version=policy)


async def mark_discarded(s: Session, ref: Any, source: str, id: str, version: int | None) -> None:
    s.store.seen["discarded"] += version is not None
    await _update(s, "event_log", (ref, source, id), result="discarded", discarded_version=version)


async def mark_settled(s: Session, *columns: list[Any]) -> None:
    for ref, source, id, result, policy in zip(*columns, strict=True):
        s.store.seen["waited and was settled"] += 1
        await _update(s, "event_log", (ref, source, id), result=result, policy_version=policy)


async def erase_log(s: Session, refs: list[Any]) -> None:
    s.store.seen["erased"] += len(refs)
    for key, row in [entry for entry in s.rows("event_log") if entry[0][0] in refs]:
        result = "discarded" if row["result"] in ("waiting", "parked") else row["result"]
        await _update(s, "event_log", key, body=None, result=result)


async def append_outbox(
    s: Session, topics: list[str], refs: list[Any], headers: list[str], values: list[bytes]
) -> None:
    for topic, ref, header, value in zip(topics, refs, headers, values, strict=True):
        id = s.store.draw("outbox")
        case = s.get("cases", ref)
        if case is not None and case["erased"] and "ce_sequence" in header:
            s.store.fences.append("erasure, which an event of the case outlived,")
        row = {"id": id, "topic": topic, "case_ref": ref, "headers": header, "value": value, "held": None}
        s.put("outbox", id, row)


async def next_outbox(s: Session, limit: int, floor: int) -> list[Row]:
    if s.store.advisory is not s and not s.store.forced:
        s.store.fences.append("relay without its lock")
    rows = [row for _, row in sorted(s.rows("outbox"))]
    held = {(row["topic"], row["case_ref"]) for row in rows if row["held"] is not None}
    free = [row for row in rows if (row["topic"], row["case_ref"]) not in held]
    return [row for row in free if row["id"] >= floor][:limit]


async def look_at_outbox(s: Session, start: int) -> list[Row]:
    lowest = min((id for id, _ in s.rows("outbox") if id >= start), default=None)
    await s.pause("locks are read")
    writers = [session.transaction_id for session in s.store.sessions if session.writes("outbox")]
    s.store.seen["floor met a writer"] += bool(writers)
    return [{"lowest": lowest, "writers": writers}]


async def delete_outbox(s: Session, ids: list[int]) -> None:
    for id in ids:
        if s.get("outbox", id) is not None:
            await s.lock("outbox", id)
            s.put("outbox", id, None)


async def hold_outbox(s: Session, ids: list[int], reason: str) -> None:
    for id in ids:
        await _update(s, "outbox", id, held=reason)


async def release_outbox(s: Session, ref: Any) -> list[Row]:
    held = [row for _, row in s.rows("outbox") if row["held"] is not None and ref in (None, row["case_ref"])]
    for row in held:
        await _update(s, "outbox", row["id"], held=None)
    return held


async def erase_outbox(s: Session, refs: list[Any]) -> None:
    await delete_outbox(s, [id for id, row in s.rows("outbox") if row["case_ref"] in refs])


_PARKED = (
    "case_ref", "topic", "partition", "offset", "recorded", "key", "value", "headers", "source", "event_id", "reason"
)  # fmt: skip


async def append_parked(s: Session, *columns: list[Any]) -> None:
    for values in zip(*columns, strict=True):
        id = s.store.draw("parked")
        await s.lock("parked", values[1:4])
        if any((row["topic"], row["partition"], row["offset"]) == values[1:4] for _, row in s.rows("parked")):
            s.store.fences.append("unique key of parked")
            raise asyncpg.UniqueViolationError("parked_topic_partition_offset_key")
        s.store.seen["parked"] += 1
        s.put("parked", id, dict(zip(_PARKED, values, strict=True)) | {"id": id, "resolution": None})


async def append_dead_letters(s: Session, *columns: list[Any]) -> None:
    for topic, partition, offset, *_, reason in zip(*columns, strict=True):
        place = (topic, partition, offset)
        await s.lock("dead_letter", place)
        if s.get("dead_letter", place) is None:
            s.store.seen["dead letter"] += 1
            s.put("dead_letter", place, {"reason": reason})


async def parked_of_case(s: Session, ref: Any) -> list[Row]:
    return [row for _, row in sorted(s.rows("parked")) if row["case_ref"] == ref and row["resolution"] is None]


async def resolve_parked(s: Session, id: int, resolution: str, reason: str | None) -> None:
    await _update(s, "parked", id, resolution=resolution)


async def mark_failed_again(s: Session, id: int, reason: str) -> None:
    s.store.seen["failed again"] += 1
    await _update(s, "parked", id, reason=reason)


async def erase_parked(s: Session, refs: list[Any]) -> None:
    for id, row in [entry for entry in s.rows("parked") if entry[1]["case_ref"] in refs]:
        s.store.seen["erased behind a parked record"] += row["resolution"] is None
        await s.lock("parked", id)
        s.put("parked", id, None)


async def partition_of_case(s: Session, ref: Any) -> list[Row]:
    row = s.get("cases", ref)
    return [] if row is None else [{"partition": row["partition"]}]


async def try_advisory_lock(s: Session, schema: str) -> list[Row]:
    if s.store.advisory is None:
        s.store.advisory = s
    return [{"locked": s.store.advisory is s or s.store.forced}]


async def _update(s: Session, table: str, key: Any, **changes: Any) -> None:
    await s.lock(table, key)
    row = s.get(table, key)
    if row is not None:
        s.put(table, key, row | changes)


_BY_NAME: tuple[Model, ...] = (
    lock_partitions,
    load_cases,
    save_cases,
    waiting_since,
    find_logged,
    append_log,
    mark_retried,
    mark_discarded,
    mark_settled,
    erase_log,
    append_outbox,
    next_outbox,
    look_at_outbox,
    delete_outbox,
    hold_outbox,
    release_outbox,
    erase_outbox,
    append_parked,
    append_dead_letters,
    parked_of_case,
    resolve_parked,
    mark_failed_again,
    erase_parked,
)

MODELS.update(
    {
        **{SQL[model.__name__]: model for model in _BY_NAME},
        "SELECT partition FROM cases WHERE case_ref = $1": partition_of_case,
        "SELECT pg_try_advisory_lock(hashtext($1), hashtext('relay'))": try_advisory_lock,
    }
)
