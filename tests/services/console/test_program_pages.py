"""What is made of a plan for paper, on a real database: whose it is, which version it follows, what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from runtime.db import Pool
from services.console.pages import program
from tests.conftest import Database
from tests.services.console.cases import fold_into
from tests.services.console.site import application, browser, entered, key_of
from tests.services.notify.cases import event, opened, ready
from tests.services.planning.cases import LIFT, STAND, Planning, assessment, capacity, verdict
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.envelope import Event
from workhardening_contracts.quantity import Quantity

pytestmark = pytest.mark.stack


@pytest.fixture
def app(pool: Pool) -> FastAPI:
    made = application(pool)
    made.include_router(program.pages)
    return made


def trained(kind: str = "advance") -> list[Event[Any]]:
    """A case that was planned, judged once and planned anew, as planning itself plans it."""
    planning = Planning()
    [first] = planning.when(assessment())
    judged = verdict(kind, first, [capacity(LIFT, 9.0), capacity(STAND, 90.0)])
    [second] = planning.when(judged)
    return [opened(), event(first, "plan-1"), event(judged, "week-1"), event(second, "plan-2")]


async def asked(
    app: FastAPI, database: Database, ref: UUID, paths: Sequence[str], clinic: str = "north"
) -> list[httpx.Response]:
    """What a clinician of this clinic gets."""
    async with browser(app) as client:
        assert await entered(client, await key_of(database, "clinician", clinic))
        return [await client.get(f"/cases/{ref}/weeks/{path}") for path in paths]


async def test_they_are_shown_to_whoever_may_see_the_case_and_each_look_is_recorded(
    app: FastAPI, database: Database, pool: Pool
) -> None:
    ref = await fold_into(pool, trained())
    paths = ("2/sheets", "2/home", "1/report")
    assert [answer.status_code for answer in await asked(app, database, ref, paths)] == [200] * 3
    assert [answer.status_code for answer in await asked(app, database, ref, paths, "south")] == [404] * 3
    async with browser(app) as client:
        assert [(await client.get(f"/cases/{ref}/weeks/{path}")).status_code for path in paths] == [303] * 3
        assert (await client.get("/education/pacing")).status_code == 303
        assert await entered(client, await key_of(database, "role", "operations"))
        assert [(await client.get(f"/cases/{ref}/weeks/{path}")).status_code for path in paths] == [403] * 3
    seen = await pool.fetch("SELECT what FROM views WHERE case_ref = $1", ref)
    assert [row["what"] for row in seen] == ["case"] * 3


async def test_a_sheet_follows_the_version_in_force_and_says_which(
    app: FastAPI, database: Database, pool: Pool
) -> None:
    ref = await fold_into(pool, trained())
    first, second = [answer.text for answer in await asked(app, database, ref, ("1/sheets", "2/sheets"))]
    assert "Follows plan version 1" in first
    assert "Follows plan version 2" in second
    assert "which answers a week that was advanced" in second
    assert second.count('class="card session"') == 3
    assert "Boxes from the floor to the bench" in second
    assert "Work at a standing bench" in second


async def test_a_week_without_a_plan_or_a_verdict_is_refused_with_the_reason(
    app: FastAPI, database: Database, pool: Pool
) -> None:
    ref = await fold_into(pool, trained())
    paths = ("9/sheets", "9/home", "2/report", "0/sheets", "53/home")
    answers = await asked(app, database, ref, paths)
    codes = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert codes[:3] == [(404, "week_not_planned")] * 2 + [(404, "week_not_judged")]
    assert [status for status, _ in codes[3:]] == [422, 422]
    unknown = await asked(app, database, uuid4(), ("1/sheets",))
    assert [(answer.status_code, answer.json()["code"]) for answer in unknown] == [(404, "not_found")]


async def test_nothing_is_trained_while_a_clinician_must_decide_and_what_was_trained_can_still_be_seen(
    app: FastAPI, database: Database, pool: Pool
) -> None:
    ref = await fold_into(pool, trained("escalate"))
    sheet, home, before, report = await asked(app, database, ref, ("2/sheets", "2/home", "1/sheets", "1/report"))
    assert [(each.status_code, each.json()["code"]) for each in (sheet, home)] == [(409, "stands_still")] * 2
    assert "A clinician must decide." in before.text
    assert "No week is planned before a clinician of the program has decided." in report.text


async def test_a_signed_restriction_is_on_the_sheets_of_its_weeks(app: FastAPI, database: Database, pool: Pool) -> None:
    at_most = Restriction(activity="lift", zone="floor_waist", limit=Quantity(amount=5.0, unit="kg"))
    signed = ready(restrictions=(at_most,))
    later = signed.data.model_copy(update={"effective_from": signed.data.effective_from + timedelta(days=14)})
    ref = await fold_into(pool, [*trained(), event(later, "ready-1")])
    free, bound = [answer.text for answer in await asked(app, database, ref, ("1/sheets", "2/sheets"))]
    assert "At most 5 kg" not in free
    assert "At most 5 kg" in bound
    assert "The case is closed" in bound


async def test_an_education_page_is_no_look_at_a_case(app: FastAPI, database: Database, pool: Pool) -> None:
    before = await pool.fetchval("SELECT count(*) FROM views")
    async with browser(app) as client:
        assert await entered(client, await key_of(database, "clinician", "north"))
        assert "Pacing your day" in (await client.get("/education/pacing")).text
        missing = await client.get("/education/juggling-with-fire")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert "juggling" not in missing.text
    assert await pool.fetchval("SELECT count(*) FROM views") == before
