"""When an endpoint is left alone, when people are warned of it, and when it is given up: decisions on a given clock.

The state is the endpoint's row, so a restarted sender or a second one goes on where the first was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

OPENS_AT = 10
"""Failures in a row that open the breaker: one case's whole schedule, or a handful of cases that all fail."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
"""An open breaker lets one probe through after 30 s, then at twice the distance up to a quarter of an hour: an endpoint
that comes back is found soon, and one that does not costs four requests an hour."""
WARN_HOURS = (1, 12, 72)
"""A hiccup is over within the hour; 12 h is a night; after 72 h, a weekend, two days are left to act."""
DEAD_AFTER = timedelta(days=5)
"""Standard Webhooks advises to disable an endpoint that has failed for days. Five outlast a long weekend."""
BACKLOG_KEPT = timedelta(days=30)
"""Updates of a disabled endpoint wait this long for it; then they are marked and can still be pulled."""
PROVEN_FOR = timedelta(days=1)
"""An endpoint that took something within a day works: what it still refuses is that update's own trouble."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one endpoint. `failures` are those in a row."""

    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None


def after_failure(health: Health, now: datetime, *, answered: bool) -> Health:
    """The health after one more failed attempt.

    An answer that refuses one update (`answered`) does not make the endpoint a failing one, unless it refuses so many
    in a row that the breaker opens.
    """
    failures = health.failures + 1
    if failures < OPENS_AT:
        since = health.failing_since if answered else health.failing_since or now
        return replace(health, failures=failures, failing_since=since)
    wait = min(FIRST_WAIT * 2 ** min(failures - OPENS_AT, 10), LONGEST_WAIT)
    return Health(failures, health.failing_since or now, now + wait)


def warning(failing_since: datetime, warned_hours: int, now: datetime) -> int | None:
    """The hours to warn of now: the highest step that was passed, once."""
    passed = [hours for hours in WARN_HOURS if now - failing_since >= timedelta(hours=hours)]
    return passed[-1] if passed and passed[-1] > warned_hours else None


def is_dead(failing_since: datetime, now: datetime) -> bool:
    """Whether it has failed for so long that it is disabled."""
    return now - failing_since >= DEAD_AFTER


def proven(delivered_at: datetime | None, now: datetime) -> bool:
    """Whether it took something of late.

    Only then is an update that has used up its schedule given up: that an endpoint takes nothing at all is no fault of
    the update, which waits.
    """
    return delivered_at is not None and now - delivered_at <= PROVEN_FOR
