"""Operations in the browser: from a case that is stuck to its cause."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import expect

from services.console import views
from tests.browser import world
from tests.browser.conftest import Open
from tests.browser.place import Site

pytestmark = pytest.mark.browser

PARKED = f"/operations/parked/planning/{world.STUCK}"


async def test_a_stuck_cases_cause_is_reached_in_three_clicks(visit: Open) -> None:
    page = await visit("/", "operations")
    await page.get_by_role("link", name="1 parked case").click()
    await page.locator("#parked ~ table").get_by_role("link").click()
    await expect(page.get_by_role("region", name="The cause")).to_contain_text("KeyError at planning/trajectory.py:88")
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_role("alert")).to_contain_text("1 folded, 2 left. It failed again: KeyError")


async def test_giving_up_a_record_needs_a_reason(visit: Open, site: Site) -> None:
    page = await visit(PARKED, "operations", complaints=["422 (Unprocessable"])
    await page.get_by_label("Reason").fill("x")
    await page.get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("alert")).to_contain_text("Say why it is given up.")
    assert site.world.discarded == []
    await page.get_by_label("Reason").fill("sent twice by a defect of the clinic's system")
    await page.get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("status").first).to_contain_text("The record was given up.")
    assert site.world.discarded == [("planning", world.STUCK, "sent twice by a defect of the clinic's system")]
    await expect(page.get_by_text("None. A case is parked when")).to_be_visible()


async def test_a_case_that_is_not_parked_any_more_says_so(visit: Open, site: Site) -> None:
    site.world.parked.clear()
    page = await visit(PARKED, "operations", expect=404)
    await expect(page.get_by_text("The case is not parked any more")).to_be_visible()


async def test_a_service_that_does_not_answer_is_told_by_word_and_shape(visit: Open, site: Site) -> None:
    site.world.down.add("progress")
    page = await visit("/operations", "operations")
    await expect(page.get_by_role("link", name="1 service does not take work")).to_be_visible()
    tile = page.locator("#service-progress")
    await expect(tile).to_contain_text("Does not answer")
    await expect(tile.locator(".tag svg")).to_have_count(1)


async def test_an_endpoint_that_is_not_reached_is_told_with_what_waits(visit: Open) -> None:
    page = await visit("/operations", "operations")
    row = page.locator("#endpoint-brick-and-sons")
    await expect(row).to_contain_text("Open: not reached")
    await expect(row.get_by_role("cell").nth(3)).to_have_text("14")
    await expect(row).to_contain_text("5 h")


async def test_what_happens_meanwhile_appears_by_itself(visit: Open, site: Site) -> None:
    page = await visit("/operations", "operations")
    await expect(page.locator("[id^=parked-]")).to_have_count(1)
    again = views.ParkedCase(
        "intake", world.ref_of(778), 1, world.NOW - timedelta(hours=1), "ValueError at intake/door.py:1"
    )
    site.world.parked.append(again)
    await expect(page.locator("[id^=parked-]")).to_have_count(2, timeout=15_000)
