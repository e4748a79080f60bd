"""Outcomes and follow-ups of the read model on a real database: who sees which figures, and whom to ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from runtime.db import Pool, open_pool
from services.console.cohort import read_outcomes, read_outcomes_page
from services.console.follow_up import months_later
from services.console.outcomes import by_name
from services.console.views import PAGE, Outcomes, Visitor
from tests.conftest import Database
from tests.services.console.cases import declined, erased, fold_into
from tests.services.console.site import OPERATOR, looking
from tests.services.notify.cases import CLINIC, MONDAY, closed, event, opened, plan, ready, withdraw_case
from workhardening_contracts.clinic import FollowUpRecorded
from workhardening_contracts.envelope import Event

pytestmark = pytest.mark.stack

TODAY = months_later(MONDAY, 4)
"""The first two of a case that ended on MONDAY have come; the first has lapsed."""
OVER = [opened(), plan(), ready(), closed()]


@pytest.fixture
async def own(database: Database) -> AsyncIterator[Pool]:
    """A read model without a case."""
    admin = await asyncpg.connect(database.admin)
    await admin.execute("DELETE FROM console.caseload")
    await admin.execute("DELETE FROM console.follow_ups")
    await admin.close()
    pool = await open_pool(database.dsn("console"), "console-test")
    yield pool
    await pool.close()


def followed(id: str, month: Any, working: Any = "usual_job", reinjured: Any = "no") -> Event[FollowUpRecorded]:
    on = months_later(MONDAY, month)
    return event(FollowUpRecorded(month=month, as_of=on, reinjured=reinjured, working=working), id, on=on)


async def figures(pool: Pool, clinics: list[str] | None = None, today: date = TODAY) -> tuple[Outcomes, ...]:
    async with pool.acquire() as connection:
        return await read_outcomes(connection, clinics, today)


async def elsewhere(database: Database, ref: UUID, clinic: str) -> None:
    """Give a case to another clinic: the builders know one."""
    admin = await asyncpg.connect(database.admin)
    for table in ("caseload", "follow_ups"):
        await admin.execute(f"UPDATE console.{table} SET clinic = $2 WHERE case_ref = $1", ref, clinic)
    await admin.close()


async def test_cases_are_counted_by_how_they_ended_and_by_what_came_after(own: Pool) -> None:
    answered = [followed("f-1", 1), followed("f-3", 3, "not_working", "yes")]
    await fold_into(own, [*OVER, *answered])
    await fold_into(own, [*OVER, followed("f-1", 1, "unknown", "unknown")])
    await fold_into(own, [opened(), plan(), closed("not_ready")])
    await fold_into(own, [opened(), plan(), closed("discontinued"), followed("f-1", 1)])
    await fold_into(own, [declined()])
    await fold_into(own, [opened(), plan()])
    (group,) = await figures(own, [CLINIC])
    ends = {name: (row.count, row.of) for name, row in by_name(group.ends).items()}
    assert ends["not accepted"] == (1, 6)
    assert ends["did not complete"] == (1, 4)
    assert ends["ready: usual job"] == (2, 3)
    assert ends["not ready"] == (1, 3)
    one, three, six, _ = group.months
    assert (one.due, one.asked, one.working.count, one.working.of, one.work_unknown) == (3, 2, 1, 1, 1)
    assert (three.due, three.asked, three.reinjured.count, three.reinjured.of) == (3, 1, 1, 1)
    assert (three.retained.count, three.retained.of) == (0, 1)
    assert six.due == 0, "its month has not come"
    assert one.working.percent is None, "too few"


async def test_a_case_that_was_withdrawn_before_it_was_accepted_was_never_decided(own: Pool) -> None:
    await fold_into(own, [declined()])
    ref = await fold_into(own, [opened(), withdraw_case()])
    (group,) = await figures(own, [CLINIC])
    assert by_name(group.ends)["did not complete"].of == 1
    await own.execute("UPDATE caseload SET worker_ref = NULL WHERE case_ref = $1", ref)
    (group,) = await figures(own, [CLINIC])
    assert (by_name(group.ends)["did not complete"].of, by_name(group.ends)["not accepted"].of) == (0, 1)


async def test_a_clinician_sees_the_own_clinics_and_operations_all_without_a_case(
    database: Database, own: Pool
) -> None:
    mine, theirs = await fold_into(own, OVER), await fold_into(own, OVER)
    await elsewhere(database, theirs, "south")
    page = await looking(own).outcomes()
    assert [group.clinic for group in page.groups] == [CLINIC]
    both = await looking(own, Visitor("both", "clinician", CLINIC, (CLINIC, "south"))).outcomes()
    assert [group.clinic for group in both.groups] == [None, CLINIC, "south"]
    assert [by_name(group.ends)["ready: usual job"].of for group in both.groups] == [2, 1, 1]
    none = await looking(own, Visitor("new", "clinician", "west", ("west",))).outcomes()
    assert [(group.clinic, by_name(group.ends)["not accepted"].of) for group in none.groups] == [("west", 0)]
    everywhere = await looking(own, OPERATOR).outcomes()
    assert ([group.clinic for group in everywhere.groups], everywhere.due) == ([None, CLINIC, "south"], ())
    async with own.acquire() as connection:
        due = (await read_outcomes_page(connection, [CLINIC], TODAY)).due
    assert {each.ref for each in due} == {mine}


async def test_who_was_not_asked_is_due_until_the_next_month_comes(own: Pool) -> None:
    ref = await fold_into(own, OVER)
    seen: dict[int, list[tuple[int, str]]] = {}
    async with own.acquire() as connection:
        for months in (0, 1, 2, 3, 6, 12, 17, 18):
            page = await read_outcomes_page(connection, [CLINIC], months_later(MONDAY, months) + timedelta(days=1))
            assert all(each.ref == ref for each in page.due)
            seen[months] = [(each.month, each.standing) for each in page.due]
    assert seen == {
        0: [],
        1: [(1, "due")],
        2: [(1, "overdue")],
        3: [(3, "due")],
        6: [(6, "due")],
        12: [(12, "due")],
        17: [(12, "overdue")],
        18: [],
    }
    await fold_into(own, [followed("f-3", 3, "unknown")], ref)
    async with own.acquire() as connection:
        assert (await read_outcomes_page(connection, [CLINIC], TODAY)).due == (), "asked, whatever was answered"


async def test_of_many_that_are_due_the_longest_due_are_listed_and_it_is_said_that_there_are_more(own: Pool) -> None:
    today = datetime.now(UTC).date()
    await own.execute(
        "INSERT INTO follow_ups (case_ref, clinic, month, due_on, lapses_on, returned)"
        " SELECT gen_random_uuid(), $1, 1, $2::date - n, $2::date + 30, true FROM generate_series(1, $3) AS n",
        CLINIC, today, PAGE + 1,
    )  # fmt: skip
    page = await looking(own).outcomes()
    assert (len(page.due), page.more) == (PAGE, True)
    assert [(today - each.due_on).days for each in page.due] == list(range(PAGE + 1, 1, -1))


async def test_a_correction_counts_instead_of_what_it_corrects_and_both_are_in_the_timeline(own: Pool) -> None:
    ref = await fold_into(own, [*OVER, followed("f-1", 1, "not_working", "yes")])
    await fold_into(own, [followed("f-1-again", 1)], ref)
    (group,) = await figures(own, [CLINIC])
    assert (group.months[0].asked, group.months[0].working.count, group.months[0].reinjured.count) == (1, 1, 0)
    told = [each.detail for each in (await looking(own).case(ref)).timeline if each.name == "follow_up.recorded"]
    day = months_later(MONDAY, 1)
    assert told == [
        f"month 1, as of {day}, working usual job, reinjured no",
        f"month 1, as of {day}, working not working, reinjured yes",
    ]


async def test_an_erased_case_is_in_no_figure(own: Pool) -> None:
    ref = await fold_into(own, [*OVER, followed("f-1", 1)])
    await fold_into(own, [erased()], ref)
    assert await own.fetchval("SELECT count(*) FROM follow_ups WHERE case_ref = $1", ref) == 0
    (group,) = await figures(own, [CLINIC])
    assert (by_name(group.ends)["not accepted"].of, group.months[0].due) == (0, 0)
