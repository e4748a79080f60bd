"""Strangers at the open doors: nobody is asked for a key, so everybody is counted by address."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import cast

import structlog
from fastapi import Request

from runtime.guard import network_of
from runtime.http import Problem
from runtime.limits import Buckets, Rate, per_minute

log = structlog.get_logger("consultations")

LOOKS = per_minute(120)
"""Of one address. Who looks through times needs a page every few seconds; an office behind one address, some more."""
BOOKINGS = Rate(per_s=10 / 3600, burst=10)
"""Of one address. A ward or a factory that books for its people does so one by one; whoever would fill a therapist's
weeks needs many addresses, and the clinic sees them in its list."""


@dataclass(frozen=True)
class Strangers:
    """The memory of one process."""

    looks: Buckets = field(default_factory=lambda: Buckets(LOOKS))
    bookings: Buckets = field(default_factory=lambda: Buckets(BOOKINGS))


async def looking(request: Request) -> None:
    """Let a stranger look. Raises Problem 429."""
    _count(request, _strangers(request).looks)


async def wishing(request: Request) -> None:
    """Let a stranger book. Raises Problem 429."""
    _count(request, _strangers(request).bookings)


def _strangers(request: Request) -> Strangers:
    return cast("Strangers", request.app.state.strangers)


def _count(request: Request, buckets: Buckets) -> None:
    address = "" if request.client is None else request.client.host
    if wait := buckets.take(network_of(address), time.monotonic()):
        log.info("rate limited", who="a stranger")
        raise Problem(
            429,
            "rate_limited",
            "wait as long as retry-after says, then go on more slowly",
            headers={"retry-after": str(max(1, math.ceil(wait)))},
        )
