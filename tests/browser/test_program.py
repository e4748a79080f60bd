"""What is made of a plan for paper, in the browser: readable on a phone and on paper, and found from the case."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser import world
from tests.browser.conftest import Open
from tests.browser.driving import PHONE
from tests.browser.test_every_page import violations

pytestmark = pytest.mark.browser

WEEK = f"/cases/{world.ON_COURSE}/weeks"
PAPER = (f"{WEEK}/6/sheets", f"{WEEK}/6/home", f"{WEEK}/5/report", "/education/pain_science")


@pytest.mark.parametrize("path", PAPER, ids=("sheets", "home", "report", "education"))
async def test_on_paper_only_what_is_meant_for_it_is_printed_black_on_white(visit: Open, path: str) -> None:
    page = await visit(path, size=PHONE, dark=True)
    await page.evaluate("document.documentElement.dataset.theme = 'dark'")
    await page.emulate_media(media="print", color_scheme="dark")
    for part in (".top", "footer", ".crumbs"):
        assert not await page.locator(part).is_visible()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ink = await page.locator("h1").evaluate("(heading) => getComputedStyle(heading).color")
    assert ink == "rgb(22, 32, 42)"
    assert await violations(page) == []


async def test_each_session_begins_a_page_and_its_minutes_add_up(visit: Open) -> None:
    page = await visit(PAPER[0])
    days = page.locator(".session")
    await expect(days).to_have_count(4)
    await page.emulate_media(media="print")
    assert await days.evaluate_all("(all) => all.map((each) => getComputedStyle(each).breakBefore)") == ["page"] * 4
    minutes = await days.first.locator(".part td:nth-of-type(1)").all_inner_texts()
    assert sum(map(int, minutes)) == 210
    assert (await page.pdf()).startswith(b"%PDF")


async def test_the_case_leads_to_this_weeks_sheets_and_to_the_last_report(visit: Open) -> None:
    page = await visit(f"/cases/{world.ON_COURSE}")
    card = page.get_by_role("region", name="For print: sheets, home program, report")
    await card.get_by_text("All weeks").click()
    await expect(card.get_by_role("listitem")).to_have_count(8)
    await card.get_by_role("link", name="Report to the referrer, week 5").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Progress report to the referrer, week 5 of 8")
    await page.go_back()
    await card.get_by_role("link", name="Session sheets, week 6").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Session sheets, week 6 of 8")
    await page.get_by_role("link", name="Pacing your day").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Pacing your day")


async def test_a_case_without_a_plan_has_nothing_to_print(visit: Open) -> None:
    page = await visit(f"/cases/{world.REFERRED}")
    await expect(page.get_by_text("For print")).to_have_count(0)
    answer = await page.request.get(f"/cases/{world.REFERRED}/weeks/1/sheets")
    assert (answer.status, (await answer.json())["code"]) == (404, "week_not_planned")
