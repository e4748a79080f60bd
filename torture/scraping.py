"""Looks at what the services tell Prometheus, again and again: a process that is killed takes its labels with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Set
from typing import NoReturn

import httpx

EVERY_S = 5.0


async def scraping(doors: Iterable[str], seen: set[str]) -> NoReturn:
    """Scrape each door's /metrics every few seconds until cancelled; what differs in more than its value goes to
    `seen`. A service that is away is passed over."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        while True:
            for door in doors:
                with contextlib.suppress(httpx.HTTPError):
                    seen |= told(await _scraped(http, door))
            await asyncio.sleep(EVERY_S)


async def _scraped(http: httpx.AsyncClient, door: str) -> str:
    answer = await http.get(f"{door}/metrics")
    return answer.text if answer.status_code == 200 else ""


def told(text: str) -> Set[str]:
    """Prometheus's text format without the values: helps, types, and names with their labels."""
    return {line if line.startswith("#") else line.rpartition(" ")[0] for line in text.splitlines()}
