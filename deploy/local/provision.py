"""The database of the program: an owner, and for each service a role and a schema of its own."""

from collections.abc import Mapping

import asyncpg

DATABASE = "whp"
OWNER = "whp_owner"
DECIDING = ("intake", "planning", "progress", "notify")
SERVICES = (*DECIDING, "console")
# API keys: each service has a door and may look.
ACCESS = "access"
# What notify acts as where an employer asks: it sees that employer's rows only (services/notify/migrations).
EMPLOYER_DOOR = "notify_employer"
ROLE_SETTINGS = {
    "transaction_timeout": "30s",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "5s",
}


async def make_database(admin_dsn: str) -> None:
    """Make the database if it is missing; `admin_dsn` is a superuser's, on any other database.

    Raises asyncpg's errors.
    """
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close(timeout=5)


async def provision(admin_dsn: str, passwords: Mapping[str, str]) -> None:
    """Make roles, schemas and rights; what is there is brought to the wanted state, nothing is dropped.

    `admin_dsn` is a superuser's on the program's database, `passwords` has one for each service.
    Raises asyncpg's errors.
    """
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        async with connection.transaction():
            # Two provisioners at once would both find a role missing.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('whp.provision'))")
            await _make_role(connection, OWNER, "NOLOGIN")
            await connection.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
            await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
            for service in SERVICES:
                await _make_service(connection, service, passwords[service])
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ACCESS} AUTHORIZATION {OWNER}")
            for reader in SERVICES:
                await connection.execute(f"GRANT USAGE ON SCHEMA {ACCESS} TO {reader}")
            await _make_role(connection, EMPLOYER_DOOR, "NOLOGIN")
            # Taken on when it is asked for: an inherited role would add its rights, and its rows, to notify's own.
            await connection.execute(f"GRANT {EMPLOYER_DOOR} TO notify WITH INHERIT FALSE, SET TRUE")
    finally:
        await connection.close(timeout=5)


async def _make_role(connection: "asyncpg.Connection[asyncpg.Record]", role: str, kind: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await connection.execute(f"CREATE ROLE {role} {kind}")


async def _make_service(connection: "asyncpg.Connection[asyncpg.Record]", service: str, password: str) -> None:
    await _make_role(connection, service, "LOGIN")
    quoted = await connection.fetchval("SELECT quote_literal($1::text)", password)
    await connection.execute(f"ALTER ROLE {service} LOGIN PASSWORD {quoted}")
    await connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {service}")
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {OWNER}")
    await connection.execute(f"GRANT USAGE ON SCHEMA {service} TO {service}")
    for name, value in (ROLE_SETTINGS | {"search_path": service}).items():
        await connection.execute(f"ALTER ROLE {service} SET {name} = '{value}'")
