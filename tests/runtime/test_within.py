"""Waiting with a limit that loses neither a result, nor an end, nor the order to stop."""

from __future__ import annotations

import asyncio

import pytest

from runtime.within import within


async def test_a_cancellation_in_the_moment_of_the_result_is_not_lost() -> None:
    result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(within(10, result))
    await asyncio.sleep(0)
    result.set_result(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_comes_in_time_is_given_and_what_does_not_is_a_time_out() -> None:
    async def given() -> int:
        return 7

    assert await within(10, given()) == 7
    with pytest.raises(TimeoutError):
        await within(0, asyncio.Event().wait())
