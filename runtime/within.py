"""Waiting for something, for so long at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(seconds: float, awaited: Awaitable[T]) -> T:
    """What `asyncio.wait_for` gives. Raises TimeoutError when it takes longer.

    Until Python 3.12 that function loses a cancellation that comes in the moment of the result: a relay that waited
    for its next turn and was told to end was seen to go on.
    """
    async with asyncio.timeout(seconds):
        return await awaited
