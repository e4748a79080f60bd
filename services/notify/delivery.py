"""What an answer of an employer's endpoint means, and when to try again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Outcome = Literal["delivered", "retry", "permanent", "gone"]

# Standard Webhooks' example schedule: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. Three days in all, which
# outlives a weekend's outage.
SCHEDULE_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
JITTER = 0.2
"""Spreads the retries of an endpoint that comes back, so that they do not all arrive at once."""
MAX_RETRY_AFTER_S = 86_400.0
"""An endpoint may ask for a pause, not for silence: at most a day, the longest step of the schedule."""

# Told to come back later: 408 timed out, 425 too early, 429 too many requests (RFC 9110, 8470, 6585).
_LATER = frozenset({408, 425, 429})
_GONE = 410


def outcome_of(status: int) -> Outcome:
    """What an HTTP status means. 2xx is a delivery; 410 says never again; any other 4xx means the request itself is not
    wanted and will not be tomorrow; all else, redirects included (they are not followed), may pass."""
    if 200 <= status < 300:
        return "delivered"
    if status == _GONE:
        return "gone"
    if 400 <= status < 500 and status not in _LATER:
        return "permanent"
    return "retry"


def used_up(attempts: int) -> bool:
    """Whether `attempts` have used up the schedule."""
    return attempts > len(SCHEDULE_S)


def wait_s(attempts: int, random: float, *, retry_after: float | None = None, scale: float = 1.0) -> float:
    """Seconds until the next attempt after `attempts` (from 1) have failed; the last step repeats.

    `random` lies in [0, 1) and moves the step by up to 20 % either way. `scale` shortens the schedule for drills. An
    endpoint's `retry_after` (s) lengthens the wait, never shortens it.
    """
    step = SCHEDULE_S[min(attempts, len(SCHEDULE_S)) - 1] * scale * (1 + JITTER * (2 * random - 1))
    return max(step, min(retry_after or 0.0, MAX_RETRY_AFTER_S))


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """The wait that a `Retry-After` header asks for, in s: a number of seconds or an HTTP date (RFC 9110, 10.2.3).
    None for none or one that cannot be read."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return min(max(0.0, (until - now).total_seconds()), MAX_RETRY_AFTER_S)
    except (ValueError, TypeError, OverflowError):
        return None


def following(body: bytes, previous_sequence: int) -> bytes:
    """The structured event with this `previous_sequence`; the same bytes where it says so already."""
    event = json.loads(body)
    if event["data"]["previous_sequence"] == previous_sequence:
        return body
    event["data"]["previous_sequence"] = previous_sequence
    return json.dumps(event, separators=(",", ":")).encode()
