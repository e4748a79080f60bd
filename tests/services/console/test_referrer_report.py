"""What a referrer is told of a week: the verdict in words, physical demands, and nothing of pain, scores or notes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from services.console.pages import program
from services.console.program.report import LEFT_OUT, SAID, UNNAMED, Report, weekly_report
from services.console.views import CasePage
from tests.browser import world
from workhardening_contracts.progress import Reason


@pytest.fixture
async def page() -> CasePage:
    return await world.MadeUp(world.World(), world.CLINICIAN).case(world.ON_COURSE)


def judged(page: CasePage, week: int, **changed: Any) -> CasePage:
    """The page with another verdict for a week."""
    verdicts = tuple(replace(each, **changed) if each.week == week else each for each in page.verdicts)
    return replace(page, verdicts=verdicts)


def of(page: CasePage, week: int) -> Report:
    found = weekly_report(page, week)
    assert found is not None
    return found


async def test_a_week_is_told_with_its_figures_and_what_comes_next(page: CasePage) -> None:
    told = of(page, 4)
    assert told.verdict.week == 4
    lift = next(each for each in told.demands if each.key == "lift/floor_waist/occasional")
    assert (lift.critical, lift.unit, lift.required, lift.finding) == (True, "kg", 22.5, "target_attained")
    assert lift.target is not None
    assert lift.shown is not None
    assert told.next is not None
    assert told.next.number == 5


async def test_there_is_no_report_before_the_verdict(page: CasePage) -> None:
    assert weekly_report(page, 7) is None


async def test_no_mental_demand_and_no_score_is_told(page: CasePage) -> None:
    assert [each.key for each in of(page, 4).demands] == [
        chart.key for chart in page.demands if chart.kind != "confidence"
    ]


@pytest.mark.parametrize("code", ["pain_flare", "second_flare", "pain_not_reported", "phq9_item9", "red_flag", "new"])
async def test_a_clinical_finding_is_said_to_be_there_and_not_named(page: CasePage, code: str) -> None:
    reasons = (Reason(code="attendance_low"), Reason(code=code), Reason(code=code))
    assert of(judged(page, 3, reasons=reasons), 3).findings == (SAID["attendance_low"], UNNAMED)


async def test_the_page_itself_has_no_pain_but_in_what_it_says_to_leave_out() -> None:
    answer = await program.report(world.ON_COURSE, 3, world.MadeUp(world.World(), world.CLINICIAN))
    html = bytes(answer.body).decode()
    assert LEFT_OUT in html
    rest = html.replace(LEFT_OUT, "")
    assert not re.search(r"\bpain|flare|confidence|exertion|PHQ|safety", rest, re.IGNORECASE)


async def test_what_comes_next_is_what_was_planned_in_answer_and_not_what_was_planned_later(page: CasePage) -> None:
    later = replace(page.plans[-1], version=99, weeks=page.plans[-1].weeks[1:])
    assert of(replace(page, plans=(*page.plans, later)), 4).next == of(page, 4).next
    unanswered = replace(page, plans=tuple(each for each in page.plans if each.version <= 4))
    assert of(unanswered, 4).next is None, "the plan before the verdict is no answer to it"
    frozen = replace(page.plans[4], weeks=(), frozen=True)
    stands = judged(replace(page, plans=(*page.plans[:4], frozen)), 4, verdict="escalate")
    assert of(stands, 4).next is None
    assert "stands still" in of(stands, 4).means


async def test_what_the_plan_will_not_reach_is_told_but_for_mental_demands(page: CasePage) -> None:
    short = page.plans[0].shortfall[0]
    mental = short.model_copy(update={"demand": "pace/-/frequent"})
    answer = replace(page.plans[4], shortfall=(short, mental))
    assert of(replace(page, plans=(*page.plans[:4], answer)), 4).shortfall == (short,)


async def test_nothing_follows_the_last_week(page: CasePage) -> None:
    told = of(judged(page, 4, final=True, verdict="hold"), 4)
    assert told.next is None
    assert "repeated" not in told.means


async def test_a_forecast_is_told_with_the_week_of_its_assessment_only(page: CasePage) -> None:
    assert page.readiness is not None
    assessed = replace(page, readiness=replace(page.readiness, week=4))
    assert of(assessed, 4).forecast == page.readiness.forecast
    assert of(assessed, 3).forecast is None
