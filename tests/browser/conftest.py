"""The pages in a real browser: Debian's Chromium without a window, driven by Playwright, on made-up cases."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from tests.browser.driving import DESK, launched
from tests.browser.place import Site, served
from tests.browser.world import World

Who = Literal["clinician", "operations", "nobody"]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests. Without one they fail: whoever asked for them wants them run."""
    async with launched() as one:
        yield one


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Site]:
    """The pages, served once."""
    async with served() as running:
        yield running


@pytest.fixture
def site(server: Site) -> Site:
    """The pages over a world of this test's own."""
    server.world = World()
    return server


Open = Callable[..., Awaitable[Page]]

PATIENCE_MS = 30_000
"""For one step of a page, and for what is expected of it: on a busy machine a first page takes ten seconds."""
expect.set_options(timeout=PATIENCE_MS)
PATIENCE_S = 300
"""For one test: a browser that went away is waited for without end otherwise. The slowest takes a fifth of that."""
PATIENCE_OF_A_STACK_S = 1200
"""For one that may have to start the program and let a cohort live before it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(
                pytest.mark.timeout(PATIENCE_OF_A_STACK_S if item.get_closest_marker("stack") else PATIENCE_S)
            )


@pytest.fixture
async def visit(browser: Browser, site: Site) -> AsyncGenerator[Open]:
    """Opens a page as somebody. Whatever the browser complained of, the policy for content included, fails the test.

    `complaints` are the beginnings of those that a test expects.
    """
    heard: list[str] = []
    expected: list[str] = []

    async def opened(
        path: str,
        who: Who = "clinician",
        *,
        size: ViewportSize = DESK,
        dark: bool = False,
        scripts: bool = True,
        expect: int = 200,
        complaints: Sequence[str] = (),
    ) -> Page:
        context = await browser.new_context(
            base_url=site.url,
            viewport=size,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=scripts,
        )
        await context.add_cookies([{"name": "who", "value": who, "url": site.url}])
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("console", lambda told: heard.append(told.text) if told.type in ("error", "warning") else None)
        expected.extend([*complaints, *([f"status of {expect}"] if expect >= 400 else [])])
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == expect
        return page

    yield opened
    for context in list(browser.contexts):
        await context.close()
    assert [told for told in heard if not any(part in told for part in expected)] == []
