"""The read model on a real database: pages of the caseload, a case, who has seen it, what an erasure leaves."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from runtime.db import Pool
from runtime.http import Problem
from runtime.running import Running
from services.console.caseload import page_query, position
from services.console.live import Hub
from services.console.views import PAGE, CaseloadFilter, Visitor
from tests.conftest import Database
from tests.services.console.cases import erased, escalated, fold_into, readiness, replanned, session, week
from tests.services.console.site import DR_NORTH, OPERATOR, looking
from tests.services.notify.cases import MONDAY, closed, consent, grant, opened, plan, rejected

pytestmark = pytest.mark.stack


@pytest.fixture
async def own(database: Database, pool: Pool) -> Pool:
    """A caseload without a case."""
    admin = await asyncpg.connect(database.admin)
    await admin.execute("DELETE FROM console.caseload")
    await admin.close()
    return pool


async def many(pool: Pool, count: int) -> None:
    """So many cases of two clinics, of all kinds."""
    await pool.execute(
        "INSERT INTO caseload (case_ref, clinic, phase, week, total_weeks, verdict, risk, risk_reasons, escalated,"
        " awaits_signature, last_event_at, rank, age) SELECT gen_random_uuid(), (ARRAY['north', 'south'])[1 + n % 2],"
        " 'in_program', 1 + n / 2 % 8, 8, (ARRAY['advance', 'hold', 'regress'])[1 + n / 2 % 3],"
        " (ARRAY['low', 'raised', 'high'])[1 + n / 2 % 3], '{}', n % 50 = 0, false, now() - n * interval '1 minute',"
        " CASE WHEN n % 50 = 0 THEN 0 ELSE 3 - n / 2 % 3 END, -1000000::bigint * (2000000000 - n) "
        f"FROM generate_series(1, {count}) AS n"
    )


async def test_escalated_cases_come_first_then_those_at_risk_then_the_newest_and_closed_ones_last(own: Pool) -> None:
    last = await fold_into(own, [opened(), plan(), closed("not_ready")])
    quiet = await fold_into(own, [opened(), plan()])
    vetoed = await fold_into(own, [opened(), plan(), readiness(is_="not_yet", vetoes=("red_flag",))])
    frozen = await fold_into(own, [opened(), plan(), escalated(1)])
    newer = await fold_into(own, [opened(), plan(), week(1, 9.0)])
    page = await looking(own).caseload(CaseloadFilter())
    assert [line.ref for line in page.lines] == [frozen, vetoed, newer, quiet, last]
    assert (page.next, page.clinics) == (None, ("north",))


async def test_page_after_page_shows_each_case_once_whatever_it_is_filtered_by(database: Database, own: Pool) -> None:
    await many(own, 1000)
    console = looking(own, Visitor("both", "clinician", "north", ("north", "south")))
    for wanted, count in (
        (CaseloadFilter(), 1000),
        (CaseloadFilter(clinic="south"), 500),
        (CaseloadFilter(clinic="elsewhere"), 0),
        (CaseloadFilter(week=3, verdict="hold"), await own.fetchval(
            "SELECT count(*) FROM caseload WHERE week = 3 AND verdict = 'hold'")),
        (CaseloadFilter(risk="high", phase="in_program"), await own.fetchval(
            "SELECT count(*) FROM caseload WHERE risk = 'high'")),
        (CaseloadFilter(phase="closed"), 0),
    ):  # fmt: skip
        seen: list[UUID] = []
        ranks: list[bool] = []
        after: str | None = None
        while True:
            page = await console.caseload(replace(wanted, after=after))
            assert len(page.lines) <= PAGE
            seen += [line.ref for line in page.lines]
            ranks += [line.escalated for line in page.lines]
            after = page.next
            if after is None:
                break
        assert (len(seen), len(set(seen))) == (count, count), wanted
        assert ranks == sorted(ranks, reverse=True)


async def test_a_clinician_sees_no_other_clinics_cases_whatever_they_ask_for(own: Pool) -> None:
    await many(own, 100)
    page = await looking(own).caseload(CaseloadFilter(clinic="south"))
    assert page.lines == ()
    assert {line.clinic for line in (await looking(own).caseload(CaseloadFilter())).lines} == {"north"}


@pytest.mark.parametrize("after", ["", "1", "1_2_x", "9_1_" + str(uuid4()), "0_99999999999999999999_" + str(uuid4())])
def test_a_place_that_we_never_gave_is_refused(after: str) -> None:
    with pytest.raises(Problem) as refused:
        position(after)
    assert (refused.value.status, refused.value.code) == (422, "position.invalid")


@pytest.mark.parametrize(
    "wanted",
    [
        CaseloadFilter(),
        CaseloadFilter(week=3),
        CaseloadFilter(verdict="regress"),
        CaseloadFilter(risk="high"),
        CaseloadFilter(phase="closed"),
        CaseloadFilter(week=3, verdict="hold", risk="raised", phase="in_program"),
    ],
)
async def test_at_ten_thousand_cases_no_page_reads_the_whole_table(
    database: Database, own: Pool, wanted: CaseloadFilter
) -> None:
    await many(own, 10_000)
    admin = await asyncpg.connect(database.admin)
    await admin.execute("ANALYZE console.caseload")
    await admin.close()
    query, values = page_query(wanted)
    plan = await own.fetch("EXPLAIN " + query, ["north"], *position(None), PAGE + 1, *values)
    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text, text
    assert re.search("Index Scan (using|on) caseload_", text), text


async def test_a_cases_page_tells_all_of_it_and_that_it_was_seen(pool: Pool) -> None:
    begun = [opened(), consent(grant()), plan(), session("s-1", MONDAY, 4.0), week(1, 11.0)]
    ref = await fold_into(pool, [*begun, replanned("week-1", 2, (13.0, 15.0)), readiness()])
    page = await looking(pool, traces_url="http://traces.example").case(ref)
    assert page.line.ref == ref
    assert page.line.awaits_signature
    assert [(each.week, each.attendance) for each in page.verdicts] == [(1, 0.8)]
    assert [each.pain_after for each in page.sessions] == [4.0]
    assert [point.attained for point in page.demands[0].points if point.week == 1] == [11.0]
    assert [each.version for each in page.plans] == [1, 2]
    assert page.readiness is not None
    assert [each.name for each in page.timeline] == [
        "readiness.assessed", "plan.revised", "week.advanced", "session.recorded", "plan.issued", "consent.changed",
        "case.opened",
    ]  # fmt: skip
    assert page.trace_url == f"http://traces.example/zipkin/traces/{ref.hex}"
    assert [(each.who, each.role, each.what) for each in page.seen] == [(DR_NORTH.name, "clinician", "case")]


async def test_what_a_stranger_said_before_the_case_was_known_is_not_the_cases(pool: Pool) -> None:
    ref = await fold_into(pool, [session("theirs", MONDAY, 9.0, clinic="stranger"), session("ours", MONDAY, 2.0)])
    await fold_into(pool, [opened(), rejected(session("theirs", MONDAY), clinic="stranger")], ref)
    page = await looking(pool).case(ref)
    assert [each.pain_after for each in page.sessions] == [2.0]
    assert {each.event_id for each in page.timeline} == {"ours", opened().id}


async def test_each_look_is_recorded_before_it_is_answered_and_a_refused_one_is_none(pool: Pool) -> None:
    ref = await fold_into(pool, [opened(), plan(), readiness()])
    console = looking(pool)
    await console.case(ref)
    await console.sign_off(ref)
    for refused, visitor in ((403, OPERATOR), (404, Visitor("x", "clinician", "south", ("south",)))):
        with pytest.raises(Problem) as problem:
            await looking(pool, visitor).case(ref)
        assert problem.value.status == refused
    seen = await pool.fetch("SELECT what, clinic FROM views WHERE case_ref = $1 ORDER BY id", ref)
    assert [(row["what"], row["clinic"]) for row in seen] == [("case", "north"), ("sign_off", "north")]


@pytest.mark.parametrize("change", ["UPDATE views SET who = 'nobody'", "DELETE FROM views", "TRUNCATE views"])
async def test_who_has_seen_a_case_can_be_changed_by_nobody_at_the_console(pool: Pool, change: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(change)


async def test_an_erased_case_is_gone_and_no_later_event_brings_it_back(pool: Pool) -> None:
    ref = await fold_into(pool, [opened(), plan(), session("s-1", MONDAY, 4.0)])
    await looking(pool).case(ref)
    await fold_into(pool, [erased()], ref)
    await fold_into(pool, [week(1, 9.0), session("s-2", MONDAY, 4.0)], ref)
    with pytest.raises(Problem) as problem:
        await looking(pool).case(ref)
    assert problem.value.status == 404
    assert await pool.fetchval("SELECT count(*) FROM caseload WHERE case_ref = $1", ref) == 0
    assert await pool.fetchval("SELECT count(*) FROM event_log WHERE case_ref = $1 AND body IS NOT NULL", ref) == 0
    assert await pool.fetchval("SELECT count(*) FROM views WHERE case_ref = $1", ref) == 1, "who had seen it is kept"


async def test_a_change_is_told_to_whoever_may_see_the_case_in_every_process(database: Database, pool: Pool) -> None:
    hub = Hub()
    there = SimpleNamespace(settings=SimpleNamespace(database_url=SecretStr(database.dsn("console"))))
    listening = asyncio.create_task(hub.listen(cast("Running", there)))
    try:
        mine, theirs = looking(pool, hub=hub), looking(pool, Visitor("x", "clinician", "south", ("south",)), hub)
        ticks, others = mine.ticks(), theirs.ticks()
        assert await anext(ticks) is None
        assert await anext(others) is None
        waiting, unheard = asyncio.ensure_future(anext(ticks)), asyncio.ensure_future(anext(others))
        while not waiting.done():  # what is folded before the listener is there, nobody hears
            await fold_into(pool, [opened()])
            await asyncio.wait({waiting}, timeout=0.2)
        tick = waiting.result()
        assert tick is not None
        assert tick.clinic == "north"
        assert not unheard.done()
        unheard.cancel()
        await asyncio.wait({unheard})
        await ticks.aclose()
        await others.aclose()
    finally:
        listening.cancel()
        await asyncio.wait({listening})
