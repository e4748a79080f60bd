"""Abuse of the disclosure log: by a service that was broken into, and by the owner of the database."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest

from runtime.db import open_pool
from services.notify.sealer import Progress, look, seal_new
from tests.abuse.attack import counter
from tests.e2e.place import Place

pytestmark = pytest.mark.stack

BROKEN = "whp_disclosure_chain_broken"
SEALED = "SELECT d.* FROM disclosures d JOIN disclosure_seals s ON s.disclosure_id = d.id ORDER BY d.id LIMIT 1"


async def as_service(place: Place, statement: str) -> None:
    connection = await asyncpg.connect(place.stack().services["notify"].database)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def turn(place: Place) -> None:
    """What the sealer of the running program does within a minute, now."""
    pool = await open_pool(place.stack().services["notify"].database, "notify-test")
    try:
        await seal_new(pool, Progress(), 0)
        await look(pool, Progress())
    finally:
        await pool.close()


def as_owner(place: Place, statement: str, *arguments: object) -> None:
    """The owner switches the trigger off, changes the log, and switches it on again."""
    place.query("notify", "ALTER TABLE disclosures DISABLE TRIGGER disclosures_append_only")
    place.query("notify", statement, *arguments)
    place.query("notify", "ALTER TABLE disclosures ENABLE TRIGGER disclosures_append_only")


@pytest.mark.parametrize("table", ["disclosures", "disclosure_seals"])
@pytest.mark.parametrize("change", ["UPDATE {} SET employer = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
def test_25_a_service_changes_and_removes_no_row_of_the_disclosure_log(place: Place, table: str, change: str) -> None:
    for statement in (change.format(table), f"ALTER TABLE {table} DISABLE TRIGGER ALL", f"DROP TABLE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(as_service(place, statement))


def test_25_a_row_that_the_owner_changes_raises_the_alarm_and_is_named(steady: Place) -> None:
    asyncio.run(turn(steady))
    assert counter(steady, "notify", BROKEN) == 0
    assert steady.whp("audit", "verify").returncode == 0
    row = steady.query("notify", SEALED)[0]
    changed = "UPDATE disclosures SET scopes = $2 WHERE id = $1"
    as_owner(steady, changed, row["id"], ["work_status", "demands_met"])
    try:
        asyncio.run(turn(steady))
        assert counter(steady, "notify", BROKEN) == 1
        ran = steady.whp("audit", "verify", "--json")
        assert ran.returncode == 1, ran.stderr
        (fault,) = json.loads(ran.stdout)["faults"]
        assert (fault["employer"], fault["disclosure_id"], fault["what"]) == (row["employer"], row["id"], "changed")
    finally:
        as_owner(steady, changed, row["id"], row["scopes"])
    asyncio.run(turn(steady))
    assert counter(steady, "notify", BROKEN) == 0
