"""What a visitor sees who asks for what cannot be had; and what a program gets, which is no page."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser import world
from tests.browser.conftest import Open
from tests.browser.place import Site

pytestmark = pytest.mark.browser


async def test_another_clinics_case_is_not_found(visit: Open) -> None:
    page = await visit(f"/cases/{world.FOREIGN}", expect=404)
    await expect(page.get_by_role("heading")).to_have_text("Nothing here")
    await expect(page.get_by_text("A case of another clinic is not shown")).to_be_visible()


async def test_a_page_of_another_role_says_which(visit: Open) -> None:
    page = await visit("/operations", "clinician", expect=403)
    await expect(page.get_by_text("This page is for the role operations.")).to_be_visible()
    await expect(page.get_by_text("ask whoever gave you yours")).to_be_visible()


async def test_an_address_that_makes_no_sense_says_so(visit: Open) -> None:
    page = await visit("/cases?week=ninety", expect=422)
    await expect(page.get_by_role("heading")).to_have_text("Something is not right in what was sent")
    assert "ninety" not in await page.content()


async def test_a_service_that_does_not_answer_is_not_our_visitors_fault(visit: Open, site: Site) -> None:
    site.world.down.add("notify")
    page = await visit(f"/cases/{world.CLOSED}/employers", expect=503)
    await expect(page.get_by_text("Notify does not answer.")).to_be_visible()
    await expect(page.get_by_text("Try again in some seconds.")).to_be_visible()


async def test_who_is_not_signed_in_is_asked_to(visit: Open) -> None:
    page = await visit("/cases", "nobody")
    assert page.url.endswith("/login")
    await expect(page.get_by_label("Your key")).to_be_visible()


async def test_a_session_that_ends_leads_to_the_sign_in_also_in_the_middle_of_a_page(visit: Open, site: Site) -> None:
    page = await visit("/cases")
    await site.listening()  # a page that begins to listen without a session is led there before anything is chosen
    await page.context.clear_cookies()
    await page.get_by_label("Last verdict").select_option("Held")
    await page.wait_for_url("**/login")


async def test_a_program_gets_a_problem_and_no_page(visit: Open, site: Site) -> None:
    page = await visit("/login", "clinician")
    answer = await page.request.get(f"/cases/{world.FOREIGN}", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await answer.json())["code"] == "not_found"


async def test_a_form_of_another_site_is_refused(visit: Open, site: Site) -> None:
    page = await visit("/login", "clinician")
    answer = await page.request.post(
        f"/cases/{world.SIGNABLE}/sign-off", headers={"origin": "http://evil.example"}, form={"decision": "ready"}
    )
    assert answer.status == 403
    assert site.world.signed == []
