"""Signing in the browser: with the keyboard alone, never unseen, never against the recommendation without a reason."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser import world
from tests.browser.conftest import Open
from tests.browser.place import Site

pytestmark = pytest.mark.browser

SIGN_OFF = f"/cases/{world.SIGNABLE}/sign-off"
UNTIL = "2025-05-31"
SEE = "See what employers will be told"


async def tab_to(page: Page, css: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("(css) => document.activeElement.matches(css)", css):
            return
    raise AssertionError(f"Tab does not reach {css}")


async def test_a_case_is_signed_with_the_keyboard_alone(visit: Open, site: Site) -> None:
    page = await visit(f"/cases/{world.SIGNABLE}")
    await tab_to(page, "a[href$='/sign-off']")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Sign-off")).to_be_visible()
    await tab_to(page, "[name=decision]")
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_label("Ready for work")).to_be_checked()
    await page.keyboard.press("ArrowDown")
    await tab_to(page, "#effective_through")
    await page.keyboard.type("05312025")
    await tab_to(page, "#role")
    await page.keyboard.type("Physician")
    await tab_to(page, "#sign-off .actions button")
    await page.keyboard.press("Enter")
    await expect(page.locator(".told")).to_contain_text(
        "Able to work with restrictions, from 14 Apr 2025 to 31 May 2025"
    )
    assert site.world.signed == []
    await tab_to(page, ".sign .button")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_contain_text("The signature was sent.")
    ((ref, form),) = site.world.signed
    assert ref == world.SIGNABLE
    assert form == {
        "role": ["physician"], "decision": ["ready_with_restrictions"], "effective_from": ["2025-04-14"],
        "effective_through": [UNTIL], "reason_code": [""], "activity": ["walk"], "zone": [""],
        "frequency": ["frequent"], "limit": ["2.9"], "unit": ["h"],
    }  # fmt: skip


async def test_what_employers_will_be_told_is_shown_before_anything_is_sent(visit: Open, site: Site) -> None:
    page = await visit(SIGN_OFF)
    await page.get_by_label("Holds until").fill(UNTIL)
    await page.get_by_label("You sign as").select_option("Physical therapist")
    await page.get_by_role("button", name=SEE).click()
    told = page.locator(".told")
    await expect(told).to_contain_text("acme-logistics will be told")
    await expect(told).to_contain_text("Walk, frequent: at most 2.9 h")
    await told.get_by_text("Word for word").click()
    await expect(told.locator("pre")).to_contain_text('"certifier_role": "physical_therapist"')
    assert site.world.signed == []


async def test_a_decision_against_the_recommendation_demands_a_reason(visit: Open, site: Site) -> None:
    page = await visit(SIGN_OFF, complaints=["422 (Unprocessable"])
    await page.get_by_label("You sign as").select_option("Physician")
    reason = page.get_by_label("Reason")
    assert await reason.get_attribute("required") is None
    await page.get_by_label("Ready for work").check()
    assert await reason.get_attribute("required") is not None
    await expect(page.get_by_role("group", name="Restrictions")).to_have_count(0)
    await page.get_by_role("button", name=SEE).click()
    wrong = page.get_by_role("alert")
    await expect(wrong).to_contain_text("Give a reason: this decision is another than recommended.")
    await expect(wrong).to_be_focused()
    await wrong.get_by_role("link").click()
    await page.keyboard.type("clinical_judgement")
    await expect(page.get_by_label("Ready for work")).to_be_checked()
    await page.get_by_role("button", name=SEE).click()
    await expect(page.get_by_text("This is not what was recommended.")).to_be_visible()
    await page.get_by_role("button", name="Sign and send").click()
    await expect(page.get_by_role("status").first).to_contain_text("The signature was sent.")
    assert site.world.signed[0][1]["reason_code"] == ["clinical_judgement"]
    assert site.world.signed[0][1]["activity"] == []


async def test_changing_it_goes_back_to_what_was_typed(visit: Open, site: Site) -> None:
    page = await visit(SIGN_OFF)
    await page.get_by_label("Holds until").fill(UNTIL)
    await page.get_by_label("You sign as").select_option("Physician")
    await page.get_by_label("At most").first.fill("2.5")
    await page.get_by_role("button", name=SEE).click()
    await page.get_by_role("button", name="Change it").click()
    assert await page.get_by_label("At most").first.input_value() == "2.5"
    assert await page.get_by_label("Holds until").input_value() == UNTIL
    assert await page.get_by_label("You sign as").input_value() == "physician"
    assert site.world.signed == []


async def test_restrictions_can_be_added_and_taken_away(visit: Open) -> None:
    page = await visit(SIGN_OFF)
    rows = page.locator("#rows > li")
    await expect(rows).to_have_count(2)
    await page.get_by_role("button", name="Add a restriction").click()
    await expect(rows).to_have_count(3)
    await expect(rows.nth(2).get_by_label("Activity")).to_be_focused()
    await rows.nth(0).get_by_role("button", name="Remove").click()
    await expect(rows).to_have_count(2)
    await rows.nth(1).get_by_label("Activity").select_option("Lift")
    await page.get_by_label("Holds until").fill(UNTIL)
    await page.get_by_label("You sign as").select_option("Physician")
    await page.get_by_role("button", name=SEE).click()
    await expect(page.locator(".told li")).to_have_text(["Lift: not at all"])


async def test_a_sign_off_needs_no_scripts(visit: Open, site: Site) -> None:
    page = await visit(SIGN_OFF, scripts=False)
    await page.get_by_label("Holds until").fill(UNTIL)
    await page.get_by_label("You sign as").select_option("Physician")
    await page.get_by_role("button", name=SEE).click()
    await page.get_by_role("button", name="Sign and send").click()
    assert len(site.world.signed) == 1


async def test_when_employers_would_be_told_something_else_by_now_it_is_shown_again(visit: Open, site: Site) -> None:
    page = await visit(SIGN_OFF, complaints=["409 (Conflict)"])
    await page.get_by_label("Holds until").fill(UNTIL)
    await page.get_by_label("You sign as").select_option("Physician")
    await page.get_by_role("button", name=SEE).click()
    await page.locator("[name=shown]").evaluate("(field) => (field.value = 'another')")
    await page.get_by_role("button", name="Sign and send").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was sent")
    assert site.world.signed == []
    await page.get_by_role("button", name="Sign and send").click()
    await expect(page.get_by_role("status").first).to_contain_text("The signature was sent.")


async def test_a_case_without_an_assessment_cannot_be_signed(visit: Open) -> None:
    page = await visit(f"/cases/{world.REFERRED}/sign-off", expect=409)
    await expect(page.get_by_text("There is no assessment yet")).to_be_visible()
