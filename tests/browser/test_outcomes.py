"""Outcomes in the browser: figures with what they are of, and the way to a case that should be asked."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser import world
from tests.browser.conftest import Open
from tests.browser.place import Site

pytestmark = pytest.mark.browser


async def test_a_clinician_comes_from_the_caseload_to_a_case_that_should_be_asked(visit: Open) -> None:
    page = await visit("/cases")
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Outcomes").click()
    due = page.get_by_role("region", name="Follow-ups due")
    await expect(due.get_by_role("row")).to_have_count(3)
    await expect(due.locator(f"#due-{world.CLOSED}-1")).to_contain_text("Overdue")
    await due.get_by_role("link").first.click()
    await page.wait_for_url(f"**/cases/{world.CLOSED}")


async def test_each_share_says_of_how_many_and_stands_beside_what_was_published(visit: Open) -> None:
    page = await visit("/outcomes")
    ended = page.get_by_role("table", name="north: how the program ended")
    row = ended.get_by_role("row", name="Not accepted")
    await expect(row).to_contain_text("12 of 109")
    await expect(row).to_contain_text("11.0 % (95 % interval 6.4 to 18.3)")
    await expect(row).to_contain_text("11.5 %")
    after = page.get_by_role("table", name="north: how it went afterwards")
    month = after.get_by_role("row", name="1 month ")
    await expect(month).to_contain_text("39 of 50 due")
    await expect(month).to_contain_text("4 not known")
    too_few = after.get_by_role("row", name="3 months")
    await expect(too_few).to_contain_text("3 of 3")
    await expect(too_few).to_contain_text("Too few for a percentage")
    await expect(too_few).not_to_contain_text("%")


async def test_operations_see_figures_of_all_clinics_and_no_case(visit: Open) -> None:
    page = await visit("/outcomes", "operations")
    await expect(page.get_by_role("heading", name="All clinics")).to_be_visible()
    await expect(page.get_by_role("heading", name="north")).to_be_visible()
    await expect(page.get_by_role("region", name="Follow-ups due")).to_have_count(0)
    await expect(page.locator("a[href^='/cases']")).to_have_count(0)


async def test_nobody_to_ask_is_said(visit: Open, site: Site) -> None:
    site.world.lines.clear()
    page = await visit("/outcomes")
    await expect(page.get_by_role("region", name="Follow-ups due")).to_contain_text("None. A case is asked")
