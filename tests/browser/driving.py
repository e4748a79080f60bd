"""Chromium without a window, and somebody signed in at a running console."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, ViewportSize, async_playwright

PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1280, height=900)


class NoBrowser(Exception):
    """There is no Chromium; the message is one sentence with the mend."""


def chromium() -> str:
    """Where Chromium is: WHP_CHROMIUM, or on the path. Raises NoBrowser."""
    found = os.environ.get("WHP_CHROMIUM") or shutil.which("chromium")
    if found is None:
        raise NoBrowser("Chromium is not installed: apt-get install chromium, or set WHP_CHROMIUM to it")
    return found


@asynccontextmanager
async def launched() -> AsyncGenerator[Browser]:
    """A browser of ours."""
    async with async_playwright() as playwright:
        # Chromium's own sandbox cannot be had by root in a container.
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        await browser.close()


async def signed_in(
    browser: Browser, console: str, key: str, *, size: ViewportSize = DESK, dark: bool = False
) -> BrowserContext:
    """A window of its own in which the bearer of this key has signed in, as a person does."""
    context = await browser.new_context(
        base_url=console, viewport=size, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto("/login")
    await page.get_by_label("Your key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(lambda url: "/login" not in url)
    await page.close()
    return context
