"""What holds for each page: no axe violation in light and dark, no sideways scrolling on a phone, nothing inline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from playwright.async_api import Page

from services.console.pages.assets import packages
from tests.browser import world
from tests.browser.conftest import Open, Who
from tests.browser.driving import PHONE

pytestmark = pytest.mark.browser

AXE = Path(packages(), "axe-core/axe.min.js").read_text("utf-8")

PAGES: dict[str, tuple[str, Who, int]] = {
    "login": ("/login", "nobody", 200),
    "caseload": ("/cases", "clinician", 200),
    "caseload, nothing found": ("/cases?phase=declined", "clinician", 200),
    "case": (f"/cases/{world.ON_COURSE}", "clinician", 200),
    "case, escalated": (f"/cases/{world.ESCALATED}", "clinician", 200),
    "case, referred only": (f"/cases/{world.REFERRED}", "clinician", 200),
    "case, signed": (f"/cases/{world.CLOSED}?sent=signature", "clinician", 200),
    "older events": (f"/cases/{world.ON_COURSE}/timeline?after=50", "clinician", 200),
    "sign-off": (f"/cases/{world.SIGNABLE}/sign-off", "clinician", 200),
    "employers": (f"/cases/{world.CLOSED}/employers", "clinician", 200),
    "employers, none told": (f"/cases/{world.REFERRED}/employers", "clinician", 200),
    "session sheets": (f"/cases/{world.ON_COURSE}/weeks/6/sheets", "clinician", 200),
    "home program": (f"/cases/{world.ON_COURSE}/weeks/6/home", "clinician", 200),
    "report to the referrer": (f"/cases/{world.ON_COURSE}/weeks/5/report", "clinician", 200),
    "education": ("/education/pacing", "clinician", 200),
    "outcomes": ("/outcomes", "clinician", 200),
    "outcomes, all clinics": ("/outcomes", "operations", 200),
    "operations": ("/operations", "operations", 200),
    "parked case": (f"/operations/parked/planning/{world.STUCK}", "operations", 200),
    "an error": (f"/cases/{world.FOREIGN}", "clinician", 404),
}
EACH = pytest.mark.parametrize("name", PAGES)


async def opened(visit: Open, name: str, **how: Any) -> Page:
    path, who, expect = PAGES[name]
    page = await visit(path, who, expect=expect, **how)
    # What is folded away is read, too.
    await page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    return page


async def violations(page: Page) -> list[str]:
    """What axe finds, each with where it is; its own advice beyond WCAG included."""
    await page.evaluate(AXE)
    found = await page.evaluate("axe.run()")
    return [
        f"{each['id']}: {node['html'][:160]}: {node['failureSummary']}"
        for each in cast("list[Any]", found["violations"])
        for node in each["nodes"]
    ]


@EACH
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_no_violation(visit: Open, name: str, dark: bool) -> None:
    assert await violations(await opened(visit, name, dark=dark)) == []


@EACH
async def test_a_phone_scrolls_downwards_only(visit: Open, name: str) -> None:
    page = await opened(visit, name, size=PHONE)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert await violations(page) == []


@EACH
async def test_nothing_is_inline_and_nothing_comes_from_elsewhere(visit: Open, name: str) -> None:
    path, who, expect = PAGES[name]
    page = await visit(path, who, expect=expect)
    answer = await page.request.get(path, headers={"accept": "text/html"})
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    html = await answer.text()
    assert "<style" not in html
    assert " style=" not in html
    sources = await page.evaluate("[...document.querySelectorAll('[src], link[href]')].map((e) => e.src || e.href)")
    assert [
        source for source in sources if not source.startswith(page.url.split("/cases")[0].split("/op")[0][:16])
    ] == []


async def test_axe_would_find_a_violation(visit: Open) -> None:
    page = await visit("/cases")
    await page.evaluate("document.querySelector('label[for=week]').remove()")
    assert [each.split(":")[0] for each in await violations(page)] == ["select-name"]


async def test_the_keyboard_reaches_the_content_first_by_the_skip_link(visit: Open) -> None:
    page = await visit("/cases")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"


async def test_a_theme_that_was_chosen_stays_chosen(visit: Open) -> None:
    page = await visit("/cases", dark=False)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    theme = page.get_by_role("button", name="Theme")
    await theme.click()
    await theme.click()
    assert await theme.inner_text() == "Theme: dark"
    dark = await page.evaluate(ground)
    assert dark != light
    await page.reload()
    assert await page.evaluate(ground) == dark
