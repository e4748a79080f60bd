"""One case in the browser."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser import world
from tests.browser.conftest import Open
from tests.browser.place import Site

pytestmark = pytest.mark.browser

CASE = f"/cases/{world.ON_COURSE}"


async def test_each_demand_has_a_chart_and_the_same_figures_as_a_table(visit: Open) -> None:
    page = await visit(CASE)
    charts = page.locator("[data-chart=demand]")
    await expect(charts).to_have_count(len(world.JOB))
    await expect(charts.locator("canvas")).to_have_count(len(world.JOB))
    first = charts.first
    await first.get_by_text("Figures").click()
    await expect(first.get_by_role("row").nth(1)).to_have_text("1 to 9 Mar 202510.7 kg10.5 kg")
    await expect(first).to_contain_text("job asks 22.5 kg")


async def test_pain_and_attendance_have_charts(visit: Open) -> None:
    page = await visit(CASE)
    await expect(page.locator("#chart-pain canvas")).to_have_count(1)
    await expect(page.locator("#chart-attendance canvas")).to_have_count(1)
    await expect(page.get_by_role("img", name="Attendance: week 1 100 %")).to_be_visible()


async def test_a_verdict_says_its_reasons_with_the_figures(visit: Open) -> None:
    page = await visit(CASE)
    held = page.locator("#verdict-progress-verdict-3")
    await held.get_by_text("2 reasons").click()
    await expect(held).to_contain_text("Lift, floor to waist, occasional: target missed 11 kg of 13.8 kg")
    await expect(held).to_contain_text("Pain flare")


async def test_readiness_says_what_is_missing(visit: Open) -> None:
    page = await visit(CASE)
    await expect(page.locator(".missing li")).to_have_text(
        [
            "Safety veto: unresolved flare",
            "Shift hours not tolerated on enough days",
            "Demand not met: Kneel, occasional",
        ]
    )


async def test_older_events_come_when_they_are_asked_for(visit: Open) -> None:
    page = await visit(CASE)
    rows = page.locator("#moments tr")
    await expect(rows).to_have_count(51)
    await page.get_by_role("link", name="Older events").click()
    await expect(rows).to_have_count(57)
    await expect(page.get_by_role("link", name="Older events")).to_have_count(0)


async def test_a_change_is_drawn_and_what_was_unfolded_stays_so(visit: Open, site: Site) -> None:
    page = await visit(CASE)
    first = page.locator("[data-chart=demand]").first
    await first.get_by_text("Figures").click()
    await expect(first.get_by_role("row").nth(7)).to_contain_text("–")
    before = await first.locator("canvas").evaluate("(canvas) => canvas.toDataURL()")
    await site.listening()
    site.world.change(world.ON_COURSE, week=8)
    await expect(first.get_by_role("row").nth(7)).to_have_text("7 to 20 Apr 202520.8 kg20.4 kg")
    await expect(first.locator("details")).to_have_attribute("open", "")
    await expect(first.locator("canvas")).to_have_count(1)
    assert await first.locator("canvas").evaluate("(canvas) => canvas.toDataURL()") != before


async def test_a_trend_is_told_with_what_says_so(visit: Open) -> None:
    page = await visit(CASE)
    trend = page.get_by_role("region", name="Readiness").get_by_role("listitem").filter(has_text="plateau")
    await expect(trend).to_have_text(
        "Kneel, occasional: plateau. Weeks 3 to 6: 0.4 % of what the job requires gained a week"
        " (80 % interval: -1 to 2)."
    )


async def test_a_change_of_another_case_is_not_of_interest(visit: Open, site: Site) -> None:
    page = await visit(CASE)
    await site.listening()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    site.world.change(world.SIGNABLE, week=8)
    site.world.change(world.ON_COURSE, verdict="hold")
    await expect(page.locator(".strip")).to_contain_text("Held")
    assert [url for url in asked if url.endswith(CASE)] == [page.url]


async def test_a_case_that_waits_for_information_says_for_which(visit: Open) -> None:
    page = await visit(f"/cases/{world.REFERRED}")
    await expect(page.get_by_text("The case waits for information: Medical clearance")).to_be_visible()
    await expect(page.get_by_role("link", name="Sign off")).to_have_count(0)


async def test_an_escalated_case_says_so_before_anything_else(visit: Open) -> None:
    page = await visit(f"/cases/{world.ESCALATED}")
    await expect(page.get_by_text("A clinician must decide. Reported: PHQ-9 item 9.")).to_be_visible()


async def test_the_case_leads_to_its_trace(visit: Open) -> None:
    page = await visit(CASE)
    await expect(page.get_by_role("link", name="Trace")).to_have_attribute("href", "http://127.0.0.1:9/trace")


async def test_the_employer_view_has_what_was_told_word_for_word_and_when(visit: Open) -> None:
    page = await visit(f"/cases/{world.CLOSED}/employers")
    told = page.locator(".told")
    await expect(told.nth(0)).to_contain_text("Able to work without restrictions, from 28 Apr 2025.")
    await expect(told.nth(0)).to_contain_text("First told 14 Apr 2025, 09:30 UTC · webhook")
    await expect(told.nth(1)).to_contain_text("Unable to work, from 10 Mar 2025 to 4 May 2025.")
    await told.nth(1).get_by_text("Word for word").click()
    await expect(told.nth(1).locator("pre")).to_contain_text('"employee_key": "E-20417"')
    await expect(told.nth(2)).to_contain_text("only the record that it was sent")
