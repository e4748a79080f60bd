"""A model of PostgreSQL at READ COMMITTED, as far as the runtime's statements use it.

Modelled: a transaction's own writes are invisible to others until COMMIT and vanish at a rollback; row locks are held
to the end of the transaction and queue first come first served; a unique key makes a second writer wait for the first
and then fail; a statement that waited re-reads the row; identity columns are drawn at the INSERT and never given back;
an error aborts the transaction up to its savepoint; session advisory locks end with the session; a session that is
terminated during COMMIT has committed or has not, and its client cannot know. Each statement of the runtime's SQL
files has its model here, found by its text: a text without a model is an error.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from runtime.cases import SQL

Row = dict[str, Any]
Gate = Callable[[str], Awaitable[None]]
Model = Callable[..., Awaitable[Any]]

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
# The roles' lock_timeout.
LOCK_TIMEOUT_S = 5.0
TABLES = ("partitions", "cases", "event_log", "outbox", "parked", "dead_letter", "noted")


class _Lock:
    __slots__ = ("holder", "waiters")

    def __init__(self) -> None:
        self.holder: Session | None = None
        self.waiters: list[tuple[Session, asyncio.Future[None]]] = []


class Store:
    """The committed rows of one schema, and who holds what."""

    def __init__(self, partitions: int) -> None:
        self.tables: dict[str, dict[Any, Row]] = {name: {} for name in TABLES}
        self.tables["partitions"] = {number: {"number": number} for number in range(partitions)}
        self.places: set[tuple[str, int, int]] = set()
        """The unique key of `parked`."""
        self.locks: dict[tuple[str, Any], _Lock] = {}
        self.ids = {"outbox": 0, "parked": 0, "noted": 0}
        self.advisory: Session | None = None
        self.forced = False
        """Two relays are made to run: the advisory lock is granted to whoever asks."""
        self.sessions: list[Session] = []
        self.fences: list[str] = []
        """Where the second and third fence (unique key, version) had to stop a writer whom the first let through."""

        self.seen: Counter[str] = Counter()
        """What the run met, so that a test can tell a quiet seed from a storm."""

    def draw(self, table: str) -> int:
        """The next value of an identity column; a rollback does not give it back."""
        self.ids[table] += 1
        return self.ids[table]


class Session:
    """One connection, with the part of asyncpg's interface that the runtime uses."""

    def __init__(self, store: Store, gate: Gate, owner: str) -> None:
        self.store = store
        self.owner = owner
        self._gate = gate
        self._overlay: dict[str, dict[Any, Row | None]] | None = None
        self._held: list[_Lock] = []
        self._aborted = False
        self._closed = False
        self.committing = False
        store.sessions.append(self)

    def is_closed(self) -> bool:
        return self._closed

    @property
    def in_transaction(self) -> bool:
        return self._overlay is not None

    async def fetch(self, text: str, *args: Any) -> Any:
        model = MODELS.get(text)
        assert model is not None, f"no model of: {text}"
        await self._gate(model.__name__)
        self._usable()
        alone = self._overlay is None
        if alone:
            self._overlay = {}
        try:
            found = await model(self, *args)
            self._usable()
        except BaseException:
            self._aborted = True
            if alone:
                self._end(commit=False)
            raise
        if alone:
            self._end(commit=True)
        return found

    async def execute(self, text: str, *args: Any) -> str:
        found = await self.fetch(text, *args)
        return found if isinstance(found, str) else ""

    async def fetchval(self, text: str, *args: Any) -> Any:
        rows = await self.fetch(text, *args)
        return next(iter(rows[0].values())) if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """A transaction, or a savepoint inside one."""
        if self._overlay is not None:
            async with self._savepoint():
                yield
            return
        self._usable()
        self._overlay = {}
        try:
            yield
        except BaseException:
            self._end(commit=False)
            raise
        if self._aborted:
            self._end(commit=False)
            raise asyncpg.InFailedSQLTransactionError("aborted")
        self.committing = True
        try:
            await self._gate("COMMIT")
            self._usable()
        except BaseException:
            self._end(commit=False)
            raise
        finally:
            self.committing = False
        self._end(commit=True)

    @asynccontextmanager
    async def _savepoint(self) -> AsyncGenerator[None]:
        assert self._overlay is not None
        kept = {table: dict(rows) for table, rows in self._overlay.items()}
        try:
            yield
        except BaseException:
            # Locks taken since stay held, which PostgreSQL releases: it only makes others wait longer.
            if self.in_transaction:
                self._overlay = kept
                self._aborted = False
            raise

    async def close(self, timeout: float = 0) -> None:
        self.terminate(committed=False)

    def terminate(self, *, committed: bool) -> None:
        """The backend is gone; `committed` says how a COMMIT under way ended, unknown to its client."""
        if self._closed:
            return
        self.store.seen["COMMIT of unknown end"] += self.committing
        self._end(commit=committed and self.committing and not self._aborted)
        self._closed = True
        if self.store.advisory is self:
            self.store.advisory = None
        for lock in self.store.locks.values():
            for session, future in lock.waiters:
                if session is self and not future.done():
                    future.set_exception(asyncpg.ConnectionDoesNotExistError("closed"))

    def _usable(self) -> None:
        if self._closed:
            raise asyncpg.ConnectionDoesNotExistError("closed")
        if self._aborted and self._overlay is not None:
            raise asyncpg.InFailedSQLTransactionError("aborted")

    def _end(self, *, commit: bool) -> None:
        overlay, self._overlay, self._aborted = self._overlay, None, False
        if overlay is None:
            return
        if commit:
            for table, rows in overlay.items():
                stored = self.store.tables[table]
                for key, row in rows.items():
                    if row is None:
                        stored.pop(key, None)
                    else:
                        stored[key] = row
        held, self._held = self._held, []
        for lock in held:
            lock.holder = None
            self._pass_on(lock)

    def _pass_on(self, lock: _Lock) -> None:
        while lock.waiters:
            session, future = lock.waiters.pop(0)
            if not future.done():
                session.take(lock)
                future.set_result(None)
                return

    # what the models use

    def take(self, lock: _Lock) -> None:
        lock.holder = self
        self._held.append(lock)

    def get(self, table: str, key: Any) -> Row | None:
        """A row as this session sees it."""
        overlay = (self._overlay or {}).get(table)
        if overlay is not None and key in overlay:
            return overlay[key]
        return self.store.tables[table].get(key)

    def rows(self, table: str) -> Iterator[tuple[Any, Row]]:
        """All rows of a table as this session sees them."""
        overlay = (self._overlay or {}).get(table, {})
        for key, row in self.store.tables[table].items():
            if key not in overlay:
                yield key, row
        for key, row in overlay.items():
            if row is not None:
                yield key, row

    def put(self, table: str, key: Any, row: Row | None) -> None:
        assert self._overlay is not None
        self._overlay.setdefault(table, {})[key] = row

    async def lock(self, table: str, key: Any) -> None:
        """Lock a row, or the place of one in a unique index, until the transaction ends."""
        lock = self.store.locks.setdefault((table, key), _Lock())
        if lock.holder is self:
            return
        if lock.holder is None:
            self.take(lock)
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        lock.waiters.append((self, future))
        timer = loop.call_later(LOCK_TIMEOUT_S, self._time_out, future)
        self.store.seen[f"waited for a lock of {table}"] += 1
        try:
            await future
        finally:
            timer.cancel()

    def _time_out(self, future: asyncio.Future[None]) -> None:
        if not future.done():
            self.store.seen["lock timeout"] += 1
            future.set_exception(asyncpg.LockNotAvailableError("lock timeout"))


# The statements, each under the name it has in the runtime's SQL files.


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


async def waiting_since(s: Session, before: datetime) -> list[Row]:
    found: list[Row] = []
    for ref, case in sorted(s.rows("cases")):
        for entry in json.loads(case["waiting"]):
            log = s.get("event_log", (ref, entry["event"]["source"], entry["event"]["id"]))
            if log is not None and log["received_at"] < before:
                s.store.seen["gave up waiting"] += 1
                found.append(
                    {"case_ref": ref, "partition": case["partition"], "source": log["source"], "id": log["id"]}
                )
    return found


async def find_logged(s: Session, refs: list[Any], sources: list[str], ids: list[str]) -> list[Row]:
    rows = (s.get("event_log", key) for key in zip(refs, sources, ids, strict=True))
    return [row for row in rows if row is not None]


_LOG = (
    "case_ref", "source", "id", "type", "topic", "partition", "offset", "time", "digest", "case_version", "result",
    "policy_version", "sequence", "causation", "traceparent", "body",
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
        s.put("event_log", key, row | {"received_at": now, "retried_version": None})


async def mark_retried(s: Session, ref: Any, source: str, id: str, result: str, version: int, policy: str) -> None:
    s.store.seen["retried"] += 1
    await _update(s, "event_log", (ref, source, id), result=result, retried_version=version, policy_version=policy)


async def mark_discarded(s: Session, ref: Any, source: str, id: str) -> None:
    s.store.seen["discarded"] += 1
    await _update(s, "event_log", (ref, source, id), result="discarded")


async def erase_log(s: Session, refs: list[Any]) -> None:
    s.store.seen["erased"] += len(refs)
    for key, _ in [entry for entry in s.rows("event_log") if entry[0][0] in refs]:
        await _update(s, "event_log", key, body=None)


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


async def next_outbox(s: Session, limit: int) -> list[Row]:
    if s.store.advisory is not s and not s.store.forced:
        s.store.fences.append("relay without its lock")
    rows = [row for _, row in sorted(s.rows("outbox"))]
    held = {(row["topic"], row["case_ref"]) for row in rows if row["held"] is not None}
    return [row for row in rows if (row["topic"], row["case_ref"]) not in held][:limit]


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


async def erase_parked(s: Session, refs: list[Any]) -> None:
    for id, _ in [entry for entry in s.rows("parked") if entry[1]["case_ref"] in refs]:
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
    lock_partitions, load_cases, save_cases, waiting_since, find_logged, append_log, mark_retried, mark_discarded,
    erase_log, append_outbox, next_outbox, delete_outbox, hold_outbox, release_outbox, erase_outbox, append_parked,
    append_dead_letters, parked_of_case, resolve_parked, erase_parked,
)  # fmt: skip

MODELS: dict[str, Model] = {
    **{SQL[model.__name__]: model for model in _BY_NAME},
    "SELECT partition FROM cases WHERE case_ref = $1": partition_of_case,
    "SELECT pg_try_advisory_lock(hashtext($1), hashtext('relay'))": try_advisory_lock,
}
"""Text of a statement -> what it does. A service's writers and a mutant's statements are added here."""
