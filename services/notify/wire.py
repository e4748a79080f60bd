"""One signed request to an employer's endpoint, over a session that connects to public addresses only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from services.notify.address import CheckedResolver, NotPublic, Refused, check_url
from services.notify.delivery import Outcome, outcome_of, retry_after_s
from services.notify.signing import Keys, signed_headers
from workhardening_contracts.envelope import STRUCTURED

TIMEOUT_S = 15.0
"""For one attempt, connection and answer included."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one attempt."""

    outcome: Outcome
    status: int | None = None
    error: str | None = None
    """A code; never text of the other side."""
    retry_after: float | None = None
    body: bytes = b""
    """The beginning of the answer, where it was asked for; it is not kept."""


def open_session(*, local: bool, limit: int = 1) -> aiohttp.ClientSession:
    """A session for at most `limit` requests at once; `local` lets it connect to this machine."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=CheckedResolver(local=local), limit=limit, use_dns_cache=False),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


async def post(session: aiohttp.ClientSession, row: Mapping[str, Any], *, local: bool, read: int = 0) -> Result:
    """One request to `row['url']`, signed with the keys of `row`. Never raises for what the other side does.

    The status is the answer: of its body only the first `read` bytes are read (a large or slow one costs nothing), and
    redirects are not followed.
    """
    try:
        url = check_url(row["url"], local=local)
    except Refused:
        return Result("permanent", error="address_refused")
    body = bytes(row["body"])
    headers = signed_headers(row["event_id"], body, int(time.time()), *_keys(row))
    try:
        async with session.post(
            url, data=body, headers={**headers, "content-type": STRUCTURED}, allow_redirects=False
        ) as answer:
            wait = retry_after_s(answer.headers.get("retry-after"), datetime.now(UTC))
            text = await _beginning(answer.content, read)
            return Result(outcome_of(answer.status), answer.status, retry_after=wait, body=text)
    except TimeoutError:
        return Result("retry", error="timeout")
    except aiohttp.ClientConnectorDNSError as error:
        return Result(
            "retry", error="address_refused" if isinstance(error.os_error, NotPublic) else "name_not_resolved"
        )
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Result("retry", error=type(error).__name__)


async def _beginning(content: aiohttp.StreamReader, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := await content.read(size - len(found))):
        found += more
    return found


def _keys(row: Mapping[str, Any]) -> list[Keys]:
    """The keys to sign with: the current ones, and while an employer changes over the previous ones, too."""
    pairs = [(row["ed25519_seed"], row["hmac_secret"]), (row.get("previous_seed"), row.get("previous_secret"))]
    return [Keys(bytes(seed), None if secret is None else bytes(secret)) for seed, secret in pairs if seed is not None]
