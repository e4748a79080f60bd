"""How senders work: attempts side by side, as many as are claimed, each row in hand until its attempt has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


async def keep_sending(
    claim: Callable[[Collection[Row]], Awaitable[Sequence[Row]]],
    attempt: Callable[[Row], Coroutine[Any, Any, None]],
    poll_s: float,
) -> None:
    """Attempt what `claim` gives beside the rows in hand, until cancelled; look for more every `poll_s` at least.

    Raises what a claim or an attempt raises; then, and when cancelled, the other attempts are cancelled, too.
    """
    in_flight: dict[asyncio.Task[None], Row] = {}
    try:
        while True:
            for row in await claim(in_flight.values()):
                in_flight[asyncio.create_task(attempt(row))] = row
            for task in await _some_done(in_flight, poll_s):
                del in_flight[task]
                task.result()
    finally:
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)


async def _some_done(tasks: Collection[asyncio.Task[None]], poll_s: float) -> set[asyncio.Task[None]]:
    """Wait for room, or a moment: new rows come from other transactions."""
    if not tasks:
        await asyncio.sleep(poll_s)
        return set()
    done, _ = await asyncio.wait(tasks, timeout=poll_s, return_when=asyncio.FIRST_COMPLETED)
    return done
