"""What a service that was broken into could do in the database: nothing outside its own schema, and no right to gain.

Each statement is first run by the administrator and undone, so that none is refused for being wrong.
"""

from __future__ import annotations

import asyncpg
import pytest

from deploy.local.provision import ACCESS, EMPLOYER_DOOR, OWNER, SERVICES
from tests.conftest import Database

pytestmark = pytest.mark.stack

OTHERS = [(role, other) for role in SERVICES for other in SERVICES if other != role]
# EXPLAIN asks for the rights that the statement needs, and does nothing: no constraint, no trigger.
VERBS = {
    "read": "EXPLAIN SELECT FROM {table}",
    "insert": "EXPLAIN INSERT INTO {table} DEFAULT VALUES",
    "update": "EXPLAIN UPDATE {table} SET {column} = DEFAULT",
    "delete": "EXPLAIN DELETE FROM {table}",
}


async def allowed(database: Database, role: str, statements: list[str]) -> list[str]:
    """Which of these a service's role may do; nothing is kept. Any failure but a want of rights (42501) is raised."""
    service = await asyncpg.connect(database.dsn(role))
    try:
        return [statement for statement in statements if await _may(service, statement)]
    finally:
        await service.close()


async def _may(connection: asyncpg.Connection[asyncpg.Record], statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    finally:
        await transaction.rollback()
    return True


async def denied(database: Database, role: str, statements: list[str]) -> None:
    """Each of them works for the administrator, and none for this role."""
    admin = await asyncpg.connect(database.admin)
    try:
        for statement in statements:
            assert await _may(admin, statement)
    finally:
        await admin.close()
    assert await allowed(database, role, statements) == []


async def on_tables(database: Database, schema: str, verb: str) -> list[str]:
    """One statement for each table of a schema."""
    admin = await asyncpg.connect(database.admin)
    try:
        tables = await admin.fetch(
            "SELECT c.oid::regclass::text AS table, ("
            " SELECT quote_ident(attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 LIMIT 1"
            ") AS column FROM pg_class c WHERE relnamespace = $1::text::regnamespace AND relkind = 'r'",
            schema,
        )
    finally:
        await admin.close()
    assert tables
    return [VERBS[verb].format(table=row["table"], column=row["column"]) for row in tables]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("role", "other"), OTHERS)
async def test_a_service_may_do_nothing_with_another_services_tables(
    database: Database, role: str, other: str, verb: str
) -> None:
    await denied(database, role, await on_tables(database, other, verb))


@pytest.mark.parametrize("role", SERVICES)
async def test_a_service_works_in_its_own_tables(database: Database, role: str) -> None:
    statements = [
        f"SELECT FROM {role}.cases",
        f"DELETE FROM {role}.outbox",
        f"INSERT INTO {role}.partitions VALUES (0)",
    ]
    assert await allowed(database, role, statements) == statements


@pytest.mark.parametrize("role", SERVICES)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE {role}.mine ()",
        "CREATE VIEW {role}.mine AS SELECT 1",
        "CREATE FUNCTION {role}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE {role}.cases DISABLE TRIGGER ALL",
        "TRUNCATE {role}.event_log",
        "DROP TABLE {role}.outbox",
        "CREATE TABLE public.mine ()",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "ALTER ROLE {role} SUPERUSER",
        "ALTER ROLE {role} BYPASSRLS",
        "SET SESSION AUTHORIZATION postgres",
        "SET session_replication_role = replica",
        "COPY {role}.cases TO PROGRAM 'cat > /dev/null'",
        "SELECT FROM pg_authid",
        "SELECT pg_read_file('PG_VERSION')",
    ],
)
async def test_a_service_changes_no_structure_and_gains_no_rights(
    database: Database, role: str, statement: str
) -> None:
    await denied(database, role, [statement.format(role=role)])


@pytest.mark.parametrize("role", SERVICES)
async def test_a_service_takes_no_other_role_but_notify_that_of_its_employers_door(
    database: Database, role: str
) -> None:
    others = ["postgres", OWNER, *(name for name in SERVICES if name != role)]
    await denied(database, role, [f"SET LOCAL ROLE {other}" for other in others])
    expected = [f"SET LOCAL ROLE {EMPLOYER_DOOR}"] if role == "notify" else []
    assert await allowed(database, role, [f"SET LOCAL ROLE {EMPLOYER_DOOR}"]) == expected


async def test_notify_has_the_rights_of_its_employers_door_only_while_it_takes_them_on(database: Database) -> None:
    admin = await asyncpg.connect(database.admin)
    try:
        assert await admin.fetchval(f"SELECT pg_has_role('notify', '{EMPLOYER_DOOR}', 'SET')")
        assert not await admin.fetchval(f"SELECT pg_has_role('notify', '{EMPLOYER_DOOR}', 'USAGE')")
        assert not await admin.fetchval(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{EMPLOYER_DOOR}'")
        assert not await admin.fetchval(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{OWNER}'")
    finally:
        await admin.close()


@pytest.mark.parametrize("role", SERVICES)
async def test_a_service_looks_a_key_up_and_notes_its_use(database: Database, role: str) -> None:
    statements = [
        f"SELECT hash, kind, name, expires_at, revoked_at FROM {ACCESS}.api_keys",
        f"UPDATE {ACCESS}.api_keys SET last_used_on = current_date WHERE prefix = '0'",
    ]
    assert await allowed(database, role, statements) == statements


@pytest.mark.parametrize("role", SERVICES)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {access}.api_keys (prefix, hash, kind, name) VALUES ('0', '', 'role', 'operations')",
        "UPDATE {access}.api_keys SET revoked_at = NULL",
        "UPDATE {access}.api_keys SET expires_at = NULL",
        "UPDATE {access}.api_keys SET kind = 'role', name = 'operations'",
        "UPDATE {access}.api_keys SET hash = ''",
        "DELETE FROM {access}.api_keys",
        "CREATE TABLE {access}.mine ()",
    ],
)
async def test_a_service_makes_changes_and_revives_no_key(database: Database, role: str, statement: str) -> None:
    await denied(database, role, [statement.format(access=ACCESS)])


async def test_notify_appends_to_the_disclosure_log_and_changes_nothing_in_it(database: Database) -> None:
    append = (
        "INSERT INTO notify.disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)"
        " VALUES ('acme', gen_random_uuid(), 'x', 1, 'pull', '{}', '{}', '')"
    )
    changes = [
        "UPDATE notify.disclosures SET employer = 'other'",
        "DELETE FROM notify.disclosures",
        "TRUNCATE notify.disclosures",
        "ALTER TABLE notify.disclosures DISABLE TRIGGER disclosures_append_only",
        "DROP TRIGGER disclosures_append_only ON notify.disclosures",
    ]
    assert await allowed(database, "notify", [append, *changes]) == [append]
