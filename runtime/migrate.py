"""Forward-only migrations: plain SQL files, run once each by the owner role, under a lock, with a checksum.

A service's schema gets the runtime's own tables first, then those of `services/<name>/migrations`. A file is never
edited once it has run anywhere; a change is a new file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from runtime.db import Connection

OWNER = "whp_owner"
RUNTIME = Path(__file__).parent / "migrations"
SERVICES = Path(__file__).parent.parent / "services"

_FILE = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")
_WRITES = "SELECT, INSERT, UPDATE, DELETE"

# Every service has a door: /metrics asks for a key of operations.
ACCESS_READERS = ("intake", "planning", "progress", "notify", "console")

_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")


class MigrationError(Exception):
    """A migration cannot be applied; the sentence says which and what to do."""


async def apply_service(admin_dsn: str, schema: str, role: str) -> list[str]:
    """Bring one service's schema up to date. Returns the names of the files that were run. Raises MigrationError."""
    return await _apply(admin_dsn, schema, (RUNTIME / "service", SERVICES / schema / "migrations"), writer=role)


async def apply_access(admin_dsn: str, readers: Sequence[str] = ACCESS_READERS) -> list[str]:
    """Bring the API keys' schema up to date; `readers` may look keys up and note their use. Raises MigrationError."""
    return await _apply(admin_dsn, "access", (RUNTIME / "access",), readers=readers)


async def pending(connection: Connection, schema: str) -> list[str]:
    """The files that a service's schema still lacks; empty when it is up to date."""
    files = _files((RUNTIME / "service", SERVICES / schema / "migrations"))
    rows = await connection.fetch("SELECT name FROM migrations")
    done = {row["name"] for row in rows}
    return [name for name, _ in files if name not in done]


def _files(folders: Sequence[Path]) -> list[tuple[str, str]]:
    files: list[tuple[str, str]] = []
    for folder in folders:
        for path in sorted(folder.glob("*.sql")) if folder.is_dir() else []:
            if not _FILE.fullmatch(path.name):
                raise MigrationError(f"{path.name} is not named like 0001_what_it_does.sql")
            files.append((f"{folder.parent.name}/{path.name}", path.read_text(encoding="utf-8")))
    return files


async def _apply(
    dsn: str, schema: str, folders: Sequence[Path], *, writer: str | None = None, readers: Sequence[str] = ()
) -> list[str]:
    if not all(_NAME.fullmatch(name) for name in (schema, *readers, *((writer,) if writer else ()))):
        raise MigrationError("a schema or role name has a character outside a-z, 0-9 and _")
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        # One migrator at a time; a session lock, since each file is a transaction of its own.
        await connection.execute("SELECT pg_advisory_lock(hashtext($1))", f"migrate {schema}")
        await connection.execute(f"SET ROLE {OWNER}")
        await connection.execute(f"SET search_path = {schema}")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["name"]: row["checksum"] for row in await connection.fetch("SELECT name, checksum FROM migrations")}
        ran: list[str] = []
        for name, text in _files(folders):
            checksum = hashlib.sha256(text.encode()).hexdigest()
            if name in done:
                if done[name] != checksum:
                    raise MigrationError(
                        f"{name} was changed after it ran in {schema}: restore it and put the change in a new file"
                    )
                continue
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute("INSERT INTO migrations (name, checksum) VALUES ($1, $2)", name, checksum)
            ran.append(name)
        for role, rights in [*((reader, "SELECT") for reader in readers), *(((writer, _WRITES),) if writer else ())]:
            await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            await connection.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {role}")
            await connection.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}")
        for reader in readers:
            # Nothing else of a key: a service that was broken into can neither make a key nor bring one back.
            await connection.execute(f"GRANT UPDATE (last_used_on) ON api_keys TO {reader}")
        return ran
    finally:
        await connection.close()
