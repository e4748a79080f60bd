"""The caseload in the browser."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser import world
from tests.browser.conftest import Open
from tests.browser.place import Site

pytestmark = pytest.mark.browser

ROWS = "#caseload tbody tr:not(.group)"


async def verdicts(page: Page) -> set[str]:
    return set(await page.locator(f"{ROWS} [data-label='Last verdict']").all_inner_texts())


async def test_what_a_clinician_must_decide_stands_first(visit: Open) -> None:
    page = await visit("/cases")
    await expect(page.locator(ROWS).first).to_contain_text("Escalated")
    await expect(page.locator("#caseload tbody").first).to_contain_text("A clinician must decide")
    await expect(page.get_by_role("status")).to_have_text(
        "50 cases shown; 1 awaits a clinician's decision; 1 awaits a signature."
    )


async def test_a_filter_shows_what_it_says_and_is_in_the_address(visit: Open) -> None:
    page = await visit("/cases")
    assert len(await verdicts(page)) > 1
    await page.get_by_label("Last verdict").select_option("Held")
    await expect(page.locator(ROWS)).to_have_count(14)
    assert await verdicts(page) == {"Held"}
    await page.get_by_label("Week", exact=True).select_option("Week 5")
    await expect(page.locator(ROWS)).to_have_count(2)
    assert page.url.endswith("/cases?week=5&verdict=hold")
    await page.reload()
    await expect(page.locator(ROWS)).to_have_count(2)
    assert await page.get_by_label("Last verdict").input_value() == "hold"


async def test_a_filter_keeps_the_focus_where_it_is(visit: Open) -> None:
    page = await visit("/cases")
    await page.get_by_label("Risk").focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(ROWS)).to_have_count(1)
    assert await page.evaluate("document.activeElement.id") == "risk"


async def test_a_filter_that_nothing_fits_says_what_to_do(visit: Open) -> None:
    page = await visit("/cases")
    await page.get_by_label("Phase").select_option("Declined")
    await expect(page.locator("#caseload")).to_contain_text("Choose another week, verdict or risk")


async def test_the_filter_works_without_scripts(visit: Open) -> None:
    page = await visit("/cases", scripts=False)
    await page.get_by_label("Last verdict").select_option("Held")
    await page.get_by_role("button", name="Apply").click()
    assert await verdicts(page) == {"Held"}


async def test_the_next_page_goes_on_where_this_one_ends(visit: Open) -> None:
    page = await visit("/cases")
    first = await page.locator(f"{ROWS} a").all_inner_texts()
    await page.get_by_role("link", name="Next cases").click()
    await expect(page.get_by_role("link", name="First page")).to_be_visible()
    second = await page.locator(f"{ROWS} a").all_inner_texts()
    assert len(first) == 50
    assert second
    assert not set(first) & set(second)


async def test_a_change_appears_by_itself_and_leaves_the_focus_alone(visit: Open, site: Site) -> None:
    page = await visit("/cases")
    row = page.locator(f"#case-{world.ON_COURSE}")
    await expect(row).to_contain_text("On course")
    link = row.get_by_role("link")
    await link.focus()
    await site.listening()
    site.world.change(world.ON_COURSE, verdict="regress", risk="high", risk_reasons=("regressed",))
    await expect(row).to_contain_text("Stepped back")
    await expect(link).to_be_focused()


async def test_a_page_whose_last_script_comes_late_listens_all_the_same(visit: Open, site: Site) -> None:
    page = await visit("/login")

    async def late(route: Route) -> None:
        await page.wait_for_function("window.htmx")
        await page.evaluate("new Promise(turn => setTimeout(turn))")  # whatever HTMX has put off to its next turn
        await route.continue_()

    await page.route("**/hx-sse.js*", late)
    await page.goto("/cases")
    await site.listening()


async def test_a_page_that_lost_its_stream_comes_back_and_shows_what_it_missed(visit: Open, site: Site) -> None:
    page = await visit("/cases")
    await site.listening()
    site.world.hang_up()
    site.world.change(world.ON_COURSE, verdict="regress", risk="high", risk_reasons=("regressed",))
    await site.listening()
    await expect(page.locator(f"#case-{world.ON_COURSE}")).to_contain_text("Stepped back")


async def test_a_filter_holds_for_what_changes_later(visit: Open, site: Site) -> None:
    page = await visit("/cases")
    await page.get_by_label("Last verdict").select_option("Escalated")
    await expect(page.locator(ROWS)).to_have_count(1)
    await site.listening()
    site.world.change(world.ON_COURSE, verdict="escalate", escalated=True)
    await expect(page.locator(ROWS)).to_have_count(2)


async def test_a_change_that_comes_while_a_filter_is_on_its_way_is_shown(visit: Open, site: Site) -> None:
    page = await visit("/cases")
    await site.listening()
    await page.evaluate("document.getElementById('live').addEventListener('tick', () => { window.ticked = true; })")

    async def overtaken(route: Route) -> None:
        answer = await route.fetch()
        site.world.change(world.ON_COURSE, verdict="escalate", escalated=True)
        await page.wait_for_function("window.ticked")
        await route.fulfill(response=answer)

    await page.route("**/cases?*", overtaken, times=1)
    await page.get_by_label("Last verdict").select_option("Escalated")
    await expect(page.locator(ROWS)).to_have_count(2)


async def test_a_later_page_stays_when_something_changes_and_goes_with_its_filter(visit: Open, site: Site) -> None:
    page = await visit("/cases")
    await page.get_by_role("link", name="Next cases").click()
    await expect(page.get_by_role("link", name="First page")).to_be_visible()
    row = page.locator(ROWS).first
    name = await row.get_attribute("id")
    assert name is not None
    await site.listening()
    site.world.change(UUID(name.removeprefix("case-")), job_title="Roofer")
    await expect(row).to_contain_text("Roofer")
    await expect(page.get_by_role("link", name="First page")).to_be_visible()
    await page.get_by_label("Last verdict").select_option("Escalated")
    await expect(page.locator(ROWS)).to_have_count(1)


async def test_what_a_clinic_wrote_is_text_and_nothing_else(visit: Open) -> None:
    page = await visit("/cases")
    row = page.locator(f"#case-{world.ref_of(6)}")
    await page.get_by_label("Risk").select_option("On course")
    await expect(row).to_contain_text(world.HOSTILE_TEXT)
    assert await page.title() == "Caseload · Work Hardening Program"


async def test_a_caseload_without_cases_says_how_they_come(visit: Open, site: Site) -> None:
    site.world.lines.clear()
    page = await visit("/cases")
    await expect(page.locator("#caseload")).to_contain_text("There are no cases yet.")


async def test_a_caseload_that_cannot_be_had_says_so_and_stays(visit: Open, site: Site) -> None:
    page = await visit("/cases", complaints=["503 (Service Unavailable)"])
    site.world.down.add("console")
    await page.get_by_label("Last verdict").select_option("Held")
    await expect(page.get_by_role("alert")).to_contain_text(
        "Not available now. The read model does not answer. Try again"
    )
    await expect(page.locator(ROWS)).to_have_count(50)
