"""An event loop without sockets or a clock: when nothing is ready, a callback decides what happens next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class SeededLoop(asyncio.BaseEventLoop):
    """Runs the runtime's own coroutines in virtual time.

    `step` is called whenever no callback is ready. It makes one thing happen and returns True, or returns False to let
    the time pass to the next timer. Everything else is first in, first out, so a run depends on `step` alone.
    """

    def __init__(self, step: Callable[[], bool]) -> None:
        super().__init__()
        self._now = 0.0
        self._step = step
        self._selector: Any = self

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass while work is at hand: a slow moment."""
        self._now += seconds

    def select(self, timeout: float | None) -> list[Any]:
        """What asyncio asks of a selector: here, the next step of the schedule."""
        if timeout == 0 or self._step():
            return []
        if timeout is None:
            raise Stuck("no step is possible and no timer is set")
        self._now += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """One thread: nobody has to be woken."""


class Stuck(Exception):
    """The run cannot go on: what waits, waits for ever."""
