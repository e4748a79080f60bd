"""PostgreSQL: pools, named queries, and which errors pass by themselves."""

from __future__ import annotations

import re
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

Writer = Callable[[Connection, Sequence[Any]], Awaitable[None]]
"""Writes all rows of one effect type in one statement, inside the batch's transaction."""

_NAME = re.compile(r"^-- name: (\w+)\n(-- .+\n)+", re.MULTILINE)

# Classes of SQLSTATE that pass by themselves: lost connections (08), serialization and deadlock (40001, 40P01), lock
# time-out (55P03), shutdown and start-up (57P0x), want of memory, disk or connections (53), an I/O error (58), a server
# that may only be read (25006: a failover), time-outs of a transaction (25P03/04).
_TRANSIENT = ("08", "40001", "40P01", "55P03", "57P0", "57014", "53", "58", "25006", "25P03", "25P04")

# What a record itself can be to blame for: its data (22), a constraint (23), a size (54). A missing right or table is
# ours, and true of every record.
_OF_THE_RECORD = ("22", "23", "54")


@cache
def queries(package: str) -> Mapping[str, str]:
    """The named queries of `<package>/sql/*.sql`. Each begins with `-- name: x` and a line of what it is for.

    Raises ValueError for a file with text that belongs to no name, or a name given twice.
    """
    found: dict[str, str] = {}
    for file in sorted(resources.files(package).joinpath("sql").iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        text = file.read_text(encoding="utf-8")
        heads = list(_NAME.finditer(text))
        if not heads or text[: heads[0].start()].strip():
            raise ValueError(f"{package}/sql/{file.name} must begin with '-- name: ...' and a line of what it is for")
        ends = [*(head.start() for head in heads[1:]), len(text)]
        for head, end in zip(heads, ends, strict=True):
            if head[1] in found:
                raise ValueError(f"{package}/sql names {head[1]} twice")
            found[head[1]] = text[head.end() : end].strip().removesuffix(";")
    return found


async def open_pool(dsn: str, name: str, *, size: int = 4) -> Pool:
    """A pool of the service's role. `name` shows in pg_stat_activity."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        command_timeout=30,
        timeout=10,
        reset=_keep,
        server_settings={"application_name": name, "synchronous_commit": "on"},
    )


async def _keep(_: Connection) -> None:
    """Give a connection back as it is: nothing of ours outlives its transaction, which the pool itself ends. By default
    it asks the server to reset everything, one round trip more for each batch."""


def is_transient(error: BaseException, connection: Connection | None = None) -> bool:
    """Whether trying again may help: decided by the connection's state and the SQLSTATE, never by class.

    asyncpg reports time-outs and killed backends as a bare InterfaceError, and its class for bad data is a subclass
    of that one. A connection that was reset while it was given back or taken again is an InternalClientError.
    """
    if isinstance(error, OSError | TimeoutError | asyncpg.InternalClientError):
        return True
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate.startswith(_TRANSIENT)
    if connection is not None and connection.is_closed():
        return True
    return isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)


def blames_record(error: BaseException) -> bool:
    """Whether a failed write can be laid to the record that was written, so that parking its case mends it."""
    sqlstate = getattr(error, "sqlstate", None)
    return sqlstate.startswith(_OF_THE_RECORD) if isinstance(sqlstate, str) else isinstance(error, ValueError)


def origin(error: BaseException) -> str:
    """Where an error arose, through its causes: file and line of the innermost frame. Its text would hold values."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno}" if frames else ""


def reduce_error(error: BaseException) -> str:
    """What may be said of a database error: its SQLSTATE and constraint. Its text holds row values."""
    sqlstate = getattr(error, "sqlstate", None)
    constraint = getattr(error, "constraint_name", None)
    if isinstance(sqlstate, str):
        return f"sql.{sqlstate}" + (f".{constraint}" if isinstance(constraint, str) else "")
    return type(error).__name__
