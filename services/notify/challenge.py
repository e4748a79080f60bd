"""Requests that tell of nobody: the challenge that an endpoint must answer before it is enabled, and the test ping.

Both are signed as an update is and bear a `type` of their own, which is no readiness: receivers of Standard Webhooks go
by the type, and answer 2xx to one that they do not know.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from services.notify.wire import Result, open_session, post
from workhardening_contracts.envelope import service_source
from workhardening_contracts.webhook import CHALLENGE_TYPE, PING_TYPE

_ANSWER_BYTES = 1024
"""More than any right answer needs."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One such request and what came of it, for an attempt log."""

    id: str
    started_at: datetime
    duration_ms: int
    result: Result


async def ping(endpoint: Mapping[str, Any], *, local: bool) -> Asked:
    """Send a test request to `endpoint` (a row with its URL and keys)."""
    return await _send(endpoint, PING_TYPE, {}, local=local)


async def challenge(endpoint: Mapping[str, Any], *, local: bool) -> tuple[Asked, str | None]:
    """Send the challenge. With it, None when it was answered, otherwise what came instead, as a code.

    The answer is `{"challenge": "..."}` with the text that was sent in `data`. One that only echoes what it is sent
    does not pass: there the text lies deeper.
    """
    text = secrets.token_urlsafe(32)
    asked = await _send(endpoint, CHALLENGE_TYPE, {"challenge": text}, local=local)
    return asked, _instead(asked.result, text)


def _instead(result: Result, text: str) -> str | None:
    if result.error is not None:
        return result.error
    if result.outcome != "delivered":
        return f"status {result.status}"
    return None if is_answer(result.body, text) else "wrong answer"


def is_answer(body: bytes, text: str) -> bool:
    """Whether the body of an answer is the right one to the challenge `text`."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, dict):
        return False
    given: Any = said.get("challenge")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), text.encode())


async def _send(endpoint: Mapping[str, Any], kind: str, data: Mapping[str, str], *, local: bool) -> Asked:
    identity, now, began = str(uuid4()), datetime.now(UTC), time.monotonic()
    event = {
        "specversion": "1.0",
        "id": identity,
        "source": service_source("notify"),
        "type": kind,
        "time": now.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
    row = {**endpoint, "event_id": identity, "body": json.dumps(event, separators=(",", ":")).encode()}
    async with open_session(local=local) as session:
        result = await post(session, row, local=local, read=_ANSWER_BYTES)
    return Asked(identity, now, round((time.monotonic() - began) * 1000), result)
