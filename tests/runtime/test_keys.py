"""API keys from their issue to their end, on a real PostgreSQL by the rights that a service really has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from runtime.cases import SQL
from runtime.db import Connection, Pool, open_pool
from runtime.keys import Bearer, KeyRefused, Kind, find_bearer, issue_key, prefix_of, revoke_key, rotate_key
from tests.conftest import Database

pytestmark = pytest.mark.stack


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.admin)
    yield connection
    await connection.close()


@pytest.fixture(params=["intake", "planning", "progress", "notify", "console"])
async def pool(database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Pool]:
    """The pool of each service that has a door."""
    opened = await open_pool(database.dsn(request.param), "keys-test")
    yield opened
    await opened.close()


async def aged(admin: Connection, key: str, by: timedelta) -> None:
    """As if so much time had passed since all that is written of this key."""
    changed = "UPDATE access.api_keys SET expires_at = expires_at - $2::interval, last_used_on = last_used_on - $3::int"
    await admin.execute(f"{changed} WHERE prefix = $1", prefix(key), by, by.days)


def prefix(key: str) -> str:
    return key.split("_")[1]


async def test_a_key_opens_for_whom_it_is_bound_to_and_what_is_stored_is_not_the_key(
    admin: Connection, pool: Pool
) -> None:
    key = await issue_key(admin, "clinic", "north")
    assert await find_bearer(pool, key) == Bearer("clinic", "north")
    for row in (await admin.fetch("SELECT k::text FROM access.api_keys k"), await admin.fetch(SQL["list_keys"])):
        assert key[-43:] not in str(row)


async def test_the_use_of_a_key_is_noted_by_day_and_costs_one_write_a_day(admin: Connection, pool: Pool) -> None:
    key = await issue_key(admin, "role", "operations")
    version = "SELECT xmin::text FROM access.api_keys WHERE prefix = $1"
    fresh = await admin.fetchval(version, prefix(key))
    await asyncio.gather(*(find_bearer(pool, key) for _ in range(4)))
    noted = await admin.fetchval(version, prefix(key))
    assert noted != fresh
    await find_bearer(pool, key)
    assert await admin.fetchval(version, prefix(key)) == noted
    await aged(admin, key, timedelta(days=1))
    await find_bearer(pool, key)
    used = await admin.fetchval("SELECT last_used_on FROM access.api_keys WHERE prefix = $1", prefix(key))
    assert used == datetime.now(UTC).date()


async def test_a_rotated_key_lives_beside_its_successor_for_a_day(admin: Connection, pool: Pool) -> None:
    old = await issue_key(admin, "employer", "acme")
    new = await rotate_key(admin, prefix(old))
    assert await find_bearer(pool, old) == await find_bearer(pool, new) == Bearer("employer", "acme")
    await aged(admin, old, timedelta(hours=23))
    assert await find_bearer(pool, old) is not None
    await aged(admin, old, timedelta(hours=1))
    assert await find_bearer(pool, old) is None
    assert await find_bearer(pool, new) is not None


async def test_a_key_that_may_have_leaked_is_void_as_soon_as_it_is_rotated(admin: Connection, pool: Pool) -> None:
    old = await issue_key(admin, "clinic", "north")
    assert await find_bearer(pool, old) is not None
    new = await rotate_key(admin, prefix(old), timedelta())
    assert await find_bearer(pool, old) is None
    assert await find_bearer(pool, new) is not None


async def test_a_revoked_key_opens_nothing_from_the_next_request_on_and_the_reason_is_kept(
    admin: Connection, pool: Pool
) -> None:
    key = await issue_key(admin, "clinic", "north")
    assert await find_bearer(pool, key) is not None
    assert await revoke_key(admin, prefix(key), "laptop lost") == Bearer("clinic", "north")
    assert await find_bearer(pool, key) is None
    (row,) = [row for row in await admin.fetch(SQL["list_keys"]) if row["prefix"] == prefix(key)]
    assert (row["status"], row["revoked_reason"]) == ("revoked", "laptop lost")


async def test_a_key_is_rotated_and_revoked_once(admin: Connection, database: Database) -> None:
    key = await issue_key(admin, "clinic", "north")
    new = await rotate_key(admin, prefix(key))
    with pytest.raises(KeyRefused, match=f"has a successor already: rotate or revoke whp_{prefix(new)}"):
        await rotate_key(admin, prefix(key))
    await revoke_key(admin, prefix(key), "done")
    with pytest.raises(KeyRefused, match="was revoked on"):
        await revoke_key(admin, prefix(key), "again")
    with pytest.raises(KeyRefused, match="issue a new one"):
        await rotate_key(admin, prefix(key))
    for change in (rotate_key(admin, "0" * 12), revoke_key(admin, "0" * 12, "x")):
        with pytest.raises(KeyRefused, match="no key with this prefix"):
            await change


async def test_two_who_rotate_a_key_at_once_do_not_make_two_successors(admin: Connection, database: Database) -> None:
    key = await issue_key(admin, "clinic", "north")
    other = await asyncpg.connect(database.admin)
    try:
        results = await asyncio.gather(
            rotate_key(admin, prefix(key)), rotate_key(other, prefix(key)), return_exceptions=True
        )
    finally:
        await other.close()
    assert sorted(type(result).__name__ for result in results) == ["KeyRefused", "str"]


async def test_a_service_can_neither_make_a_key_nor_bring_one_back(admin: Connection, pool: Pool) -> None:
    key = await issue_key(admin, "clinic", "north")
    for forbidden in (
        "INSERT INTO access.api_keys (prefix, hash, kind, name) VALUES ('x', '', 'role', 'operations')",
        "UPDATE access.api_keys SET revoked_at = NULL",
        "UPDATE access.api_keys SET hash = ''",
        "UPDATE access.api_keys SET name = 'south'",
        "DELETE FROM access.api_keys",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(forbidden)
    assert await find_bearer(pool, key) == Bearer("clinic", "north")


async def test_a_role_that_does_not_exist_and_a_name_that_is_none_get_no_key(admin: Connection) -> None:
    unfit: list[tuple[Kind, str]] = [
        ("role", "admin"), ("clinic", ""), ("clinic", "a b"), ("employer", "x" * 65), ("clinic", "a\n"),
    ]  # fmt: skip
    for kind, name in unfit:
        with pytest.raises(KeyRefused):
            await issue_key(admin, kind, name)


@pytest.mark.parametrize("text", ["", "whp_", "0" * 11, "0" * 13, "ABCDEFABCDEF", "whp_" + "0" * 12 + "_"])
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(KeyRefused, match="12 hexadecimal digits"):
        prefix_of(text)


def test_a_whole_key_is_not_taken_for_its_prefix_and_is_not_repeated() -> None:
    key = f"whp_{'0' * 12}_{'A' * 43}"
    with pytest.raises(KeyRefused, match="whole key") as refused:
        prefix_of(key)
    assert "A" * 43 not in str(refused.value)
    assert prefix_of("whp_0123456789ab") == prefix_of("0123456789ab") == "0123456789ab"
