"""The pages in a real browser: Debian's Chromium without a window, driven by Playwright, on made-up cases."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.browser.place import Site, served
from tests.browser.world import World

Who = Literal["clinician", "operations", "nobody"]

PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1280, height=900)


def chromium() -> str:
    """Where Chromium is. Fails, rather than skips, without one: whoever asked for these tests wants them run."""
    found = os.environ.get("WHP_CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.fail("Chromium is not installed: apt-get install chromium, or set WHP_CHROMIUM to it")
    return found


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests."""
    async with async_playwright() as playwright:
        # Chromium's own sandbox cannot be had by root in a container.
        launched = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield launched
        await launched.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """The pages over a world of this test's own."""
    async with served(World()) as running:
        yield running


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def visit(browser: Browser, site: Site) -> AsyncGenerator[Open]:
    """Opens a page as somebody. Whatever the browser complained of, the policy for content included, fails the test."""
    complaints: list[str] = []

    async def opened(
        path: str, who: Who = "clinician", *, size: ViewportSize = DESK, dark: bool = False, expect: int = 200
    ) -> Page:
        scheme = "dark" if dark else "light"
        context = await browser.new_context(
            base_url=site.url, viewport=size, color_scheme=scheme, reduced_motion="reduce"
        )
        await context.add_cookies([{"name": "who", "value": who, "url": site.url}])
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == expect
        if expect >= 400:
            complaints.clear()  # Chromium says of every such answer that it is one
        return page

    yield opened
    for context in list(browser.contexts):
        await context.close()
    assert complaints == []
