"""A model of PostgreSQL at READ COMMITTED, as far as the runtime's statements use it.

Modelled: a transaction's own writes are invisible to others until COMMIT and vanish at a rollback; row locks are held
to the end of the transaction and queue first come first served; a unique key makes a second writer wait for the first
and then fail; a statement that waited re-reads the row; identity columns are drawn at the INSERT and never given back;
an error aborts the transaction up to its savepoint; session advisory locks end with the session; a session that is
terminated during COMMIT has committed or has not, and its client cannot know. What the statements do is in
statements.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

Row = dict[str, Any]
Gate = Callable[[str], Awaitable[None]]
Model = Callable[..., Awaitable[Any]]

MODELS: dict[str, Model] = {}
"""Text of a statement -> what it does; a text without a model is an error. The runtime's are entered by statements.py,
a service's writers and a mutant's statements by themselves."""

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
        self.ids = {"outbox": 0, "parked": 0, "noted": 0, "session": 0}
        self.advisory: Session | None = None
        self.forced = False
        """Two relays are made to run: the advisory lock is granted to whoever asks."""
        self.sessions: list[Session] = []
        self.fences: list[str] = []
        """Where the second and third fence (unique key, version) had to stop a writer whom the first let through."""

        self.seen: Counter[str] = Counter()
        """What the run met, so that a test can tell a quiet seed from a storm."""

    def draw(self, table: str) -> int:
        """The next value of an identity column (or number of a session); a rollback does not give it back."""
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
        self._number, self._transactions = store.draw("session"), 0
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
        self._transactions += 1
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

    @property
    def transaction_id(self) -> str:
        """PostgreSQL's virtual transaction id."""
        return f"{self._number}/{self._transactions}"

    def writes(self, table: str) -> bool:
        """Whether this transaction holds the lock of those who write a table."""
        return table in (self._overlay or {})

    async def pause(self, label: str) -> None:
        """A point inside a statement at which other sessions may go on: what it read before may be stale now."""
        await self._gate(label)

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
