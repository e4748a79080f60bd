"""The pages over the real services, with a cohort's history: from the key to what an employer was told."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from playwright.async_api import Browser, expect

from tests.browser.driving import signed_in
from tests.e2e.events import lines, opening
from tests.e2e.place import Place, await_that
from tests.e2e.test_whp_parking import folded, queued, send

pytestmark = [pytest.mark.browser, pytest.mark.stack]


def case_of(place: Place, clinic: str, which: str) -> str:
    found = place.query("console", f"SELECT case_ref FROM caseload WHERE clinic = $1 AND {which} LIMIT 1", clinic)
    return str(found[0][0])


async def test_a_clinician_reads_a_case_and_what_its_employer_was_told(place: Place, browser: Browser) -> None:
    stack = place.stack()
    ref = await asyncio.to_thread(case_of, place, "north", "outcome IN ('ready', 'ready_with_restrictions')")
    context = await signed_in(browser, stack.console, stack.keys.clinicians["north"])
    page = await context.new_page()
    await page.goto("/cases?phase=closed")
    await page.locator(f"#case-{ref}").get_by_role("link").click()
    await expect(page.locator("[data-chart=demand] canvas").first).to_be_visible()
    await expect(page.locator(".verdicts > li").first).to_contain_text("Week")
    await page.get_by_role("link", name="What employers were told").click()
    await expect(page.locator(".told").first).to_contain_text("Able to work")
    await context.close()


async def test_another_clinics_case_does_not_exist(place: Place, browser: Browser) -> None:
    stack = place.stack()
    ref = await asyncio.to_thread(case_of, place, "harbour", "true")
    context = await signed_in(browser, stack.console, stack.keys.clinicians["north"])
    page = await context.new_page()
    answer = await page.goto(f"/cases/{ref}")
    assert answer is not None
    assert answer.status == 404
    await expect(page.get_by_role("heading")).to_have_text("Nothing here")
    await context.close()


async def test_a_referral_appears_while_a_clinician_looks(place: Place, browser: Browser) -> None:
    stack = place.stack()
    context = await signed_in(browser, stack.console, stack.keys.clinicians["north"])
    page = await context.new_page()
    async with page.expect_response("**/live"):
        await page.goto("/cases")
    ref = uuid.uuid4()
    given = lines(opening(ref, "acme-logistics"))
    assert (await asyncio.to_thread(place.whp, "publish", "-", given=given)).returncode == 0
    await expect(page.locator(f"#case-{ref}")).to_be_visible(timeout=60_000)
    await context.close()


async def test_an_operator_reaches_the_cause_of_a_stuck_case_in_three_clicks(place: Place, browser: Browser) -> None:
    stack = place.stack()
    ref = uuid.uuid4()
    await asyncio.to_thread(stick, place, ref)
    await send(place, ref, b"no event")
    await asyncio.to_thread(await_that, lambda: queued(place, "progress", ref), "the parked case")
    context = await signed_in(browser, stack.console, stack.keys.roles["operations"])
    page = await context.new_page()
    await page.goto("/")
    await page.get_by_role("link", name="parked case").click()
    await page.locator(f"#parked-progress-{ref}").get_by_role("link").click()
    await expect(page.get_by_role("region", name="The cause")).to_contain_text("envelope.")
    await page.get_by_label("Reason").fill("a record that nobody meant to send")
    await page.get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("status").first).to_contain_text("The record was given up.")
    await asyncio.to_thread(discard, place, ref)
    await context.close()


def stick(place: Place, ref: uuid.UUID) -> None:
    assert place.whp("publish", "-", given=lines(opening(ref, "acme-logistics"))).returncode == 0
    await_that(lambda: folded(place, "progress", ref, "plan.issued"), "the plan")


def discard(place: Place, ref: uuid.UUID) -> None:
    """In the other services that read what was stuck, so that the stack is left as it was found."""
    for service in ("intake", "notify", "console"):
        if queued(place, service, ref):
            place.whp("parked", "discard", str(ref), "--service", service, "--reason", "a test's")
