"""A newer update takes the place of an unsent one, and says so; what takes something back is always told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.db import Pool
from services.notify.coalescing import successor
from services.notify.effects import SQL, write_deliveries
from services.notify.rows import DeliveryRow
from tests.conftest import Database
from tests.services.notify.cases import IN_PROGRAM, LIMIT, closed, event, readiness_revoked, ready, revised
from tests.services.notify.cases import given as case_after
from tests.services.notify.test_backlog import claim, endpoint, out_of_range
from workhardening_contracts.clinic import CaseErased

HOUR = 3600.0
OPTIONAL = ("program_week", "attendance")


def update(employer: str, ref: UUID, sequence: int, kind: str = "state", more: Iterable[str] = ()) -> DeliveryRow:
    scopes = ("work_status", *more)
    return DeliveryRow(
        employer=employer,
        case_ref=ref,
        event_id=f"{ref}-{sequence}",
        sequence=sequence,
        body=b"{}",
        scopes=scopes,
        bases=("worker_consent",) * len(scopes),
        send_from=date(2026, 1, 5),
        occurred_at=event(CaseErased(reason_code="worker_request")).time,
        replaceable=kind == "state",
    )


def test_what_corrects_revokes_or_ends_is_not_replaceable_and_a_state_is() -> None:
    corrected = ready("ready-2", restrictions=(LIMIT,), supersedes="ready-1")
    told = {
        "in_program": [],
        "revised": [revised(2, 9)],
        "ready": [ready()],
        "not_ready": [closed("not_ready")],
        "corrected": [ready(), corrected],
        "revoked": [ready(), readiness_revoked()],
        "discontinued": [closed("withdrawn")],
    }
    last = {
        name: [row for row in case_after([*IN_PROGRAM, *events])[1] if isinstance(row, DeliveryRow)][-1].replaceable
        for name, events in told.items()
    }
    assert {name for name, replaceable in last.items() if replaceable} == {
        "in_program",
        "revised",
        "ready",
        "not_ready",
    }


def test_the_next_update_that_needs_no_more_consent_takes_the_place() -> None:
    ref = uuid4()
    newer = [update("e", ref, 4), update("e", ref, 2, more=["attendance"]), update("e", ref, 3)]
    assert successor(1, ["work_status"], newer) == f"{ref}-3", "2 may be withheld when its attendance may not be told"
    assert successor(1, ["work_status", "attendance"], newer) == f"{ref}-2"
    assert successor(4, ["work_status"], newer) is None


async def write(pool: Pool, *rows: DeliveryRow) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await write_deliveries(connection, rows)


async def stored(pool: Pool, ref: UUID) -> list[Any]:
    return await pool.fetch("SELECT * FROM deliveries WHERE case_ref = $1 ORDER BY sequence", ref)


async def drain(pool: Pool, employer: str) -> list[int]:
    """Deliver all that is due, in the order in which it is claimed."""
    told: list[int] = []
    while rows := await claim(pool):
        for row in rows:
            told.append(row["sequence"])
            await pool.execute(SQL["mark_delivered"], row["id"])
    assert await out_of_range(pool, employer) == 0
    return told


@pytest.mark.stack
async def test_an_update_that_was_claimed_once_is_not_replaced(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    await write(pool, update(employer, ref, 1))
    (row,) = await claim(pool)
    await write(pool, update(employer, ref, 2))
    await pool.execute(SQL["mark_retry"], row["id"], row["lease"], 0.0)
    await write(pool, update(employer, ref, 3))
    assert [(each["status"], each["superseded_by"]) for each in await stored(pool, ref)] == [
        ("pending", None),
        ("coalesced", f"{ref}-3"),
        ("pending", None),
    ]
    assert await drain(pool, employer) == [1, 3]


@pytest.mark.stack
async def test_what_waited_for_a_replaced_update_waits_for_it_no_longer(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    await write(pool, update(employer, ref, 1, more=["attendance"]))
    await pool.execute("UPDATE deliveries SET next_attempt_at = now() + interval '1 day' WHERE case_ref = $1", ref)
    await write(pool, update(employer, ref, 2, more=["program_week"]))
    await write(pool, update(employer, ref, 3, more=["attendance"]))
    assert await drain(pool, employer) == [2, 3]


@pytest.mark.stack
async def test_what_takes_the_place_behind_a_retry_is_not_looked_at_before_it_either(pool: Pool) -> None:
    employer, (ref,) = await endpoint(pool)
    await write(pool, update(employer, ref, 1))
    (row,) = await claim(pool)
    await pool.execute(SQL["mark_retry"], row["id"], row["lease"], HOUR)
    for sequence in (2, 3, 4):
        await write(pool, update(employer, ref, sequence))
    assert await out_of_range(pool, employer) == 2


@pytest.mark.stack
async def test_the_look_for_what_may_be_replaced_goes_by_the_case_however_much_was_told(
    database: Database, pool: Pool
) -> None:
    employer, refs = await endpoint(pool, 400)
    await write(pool, *(update(employer, ref, n, "correction") for ref in refs for n in range(1, 16)))
    owner = await asyncpg.connect(database.admin)
    try:
        await owner.execute("ANALYZE notify.deliveries")
    finally:
        await owner.close()
    text = SQL["lock_unsent"].replace("$1::", f"'{{{employer}}}'::").replace("$2::", f"'{{{refs[0]}}}'::")
    plan = "\n".join(row[0] for row in await pool.fetch(f"EXPLAIN {text}"))
    assert "Index Scan using deliveries_employer_case_ref_sequence_key" in plan
    assert "Seq Scan on deliveries" not in plan


STEPS = st.lists(
    st.one_of(
        st.lists(  # a batch that is written
            st.one_of(
                st.tuples(st.just("state"), st.frozensets(st.sampled_from(OPTIONAL))),
                st.tuples(st.just("correction"), st.just(frozenset[str]())),
            ),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from(["delivered", "retry", "refused"]),  # what comes of what is due
    ),
    max_size=12,
)


@pytest.mark.stack
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_is_decided_the_latest_and_every_correction_is_told_and_the_rest_is_recorded(
    pool: Pool, steps: Sequence[Sequence[tuple[str, Iterable[str]]] | str]
) -> None:
    employer, (ref,) = await endpoint(pool)
    decided: list[DeliveryRow] = []
    tried: list[tuple[int, int]] = []  # sequence, and the one that it names as before it
    for step in (*steps, *["delivered"] * 50):  # of a case one is sent at a time, to the end
        if not isinstance(step, str):
            batch = [update(employer, ref, len(decided) + n, *said) for n, said in enumerate(step, 1)]
            decided += batch
            await write(pool, *batch)
            continue
        await pool.execute("UPDATE endpoints SET drawn_until = 'epoch' WHERE employer = $1", employer)
        for row in await claim(pool):
            if row["attempts"] == 1:
                tried.append((row["sequence"], row["previous_sequence"]))
            if step == "delivered":
                await pool.execute(SQL["mark_delivered"], row["id"])
            elif step == "retry":
                await pool.execute(SQL["mark_retry"], row["id"], row["lease"], 0.0)
            else:
                await pool.execute(SQL["mark_failed"], row["id"], row["lease"], "refused")
    told = [sequence for sequence, _ in tried]
    assert told == sorted(set(told))
    assert told[-1:] == [row.sequence for row in decided[-1:]]
    assert [before for _, before in tried] == [0, *told][: len(told)]
    assert {row.sequence for row in decided if not row.replaceable} <= set(told)
    rows = {row["event_id"]: row for row in await stored(pool, ref)}
    assert len(rows) == len(decided)
    for row in rows.values():
        assert (row["status"] == "coalesced") == (row["sequence"] not in told)
        if row["status"] == "coalesced":
            taker = rows[row["superseded_by"]]
            assert taker["sequence"] > row["sequence"]
            assert set(taker["scopes"]) <= set(row["scopes"])
