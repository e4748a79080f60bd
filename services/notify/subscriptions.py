"""Clinics' webhooks: where a clinic has its feed sent, with which keys, and from which place on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runtime.db import Connection, queries
from runtime.keys import NAME
from services.notify.address import check_url, is_here
from services.notify.challenge import challenge, ping
from services.notify.employers import EndpointRefused
from services.notify.signing import new_secret, new_seed, public_key, shared_secret
from services.notify.wire import Result

SQL = queries("services.notify")


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A new webhook. The secret is shown here once and never again."""

    clinic: str
    url: str
    public_key: str
    """Verifies `v1a` (`whpk_...`)."""
    hmac_secret: str
    """Verifies `v1` (`whsec_...`)."""
    enabled: bool
    """False for one that must answer its challenge first."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook as it stands."""

    clinic: str
    url: str
    public_key: str
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    position: str
    """As the feed's door takes it: what comes after it was not taken yet."""
    pending: int
    """Events behind it, counted up to 10,000."""
    failures: int
    """In a row."""
    failing_since: datetime | None
    last_at: datetime | None
    """When the last attempt was made, and what came of it."""
    last_status: int | None
    last_error: str | None


async def add_subscription(
    connection: Connection, clinic: str, url: str, *, from_start: bool = False, local: bool = False
) -> Subscribed:
    """Have a clinic's feed sent to `url`, from now on or `from_start`: all of it that is there.

    `local` allows plain HTTP to this machine, which has nothing to prove; any other gets nothing before `enable`.
    Raises EndpointRefused, and address.Refused for a URL it may not be.
    """
    if not NAME.fullmatch(clinic):
        raise EndpointRefused("a clinic's id is up to 64 letters, digits and _.:-")
    here = is_here(check_url(url, local=local), local=local)
    seed, secret = new_seed(), new_secret()
    added = await connection.fetchval(SQL["add_subscription"], clinic, url, seed, secret, from_start, here)
    if added is None:
        raise EndpointRefused("this clinic has a webhook already: remove it first, and add the new one")
    return Subscribed(clinic, url, public_key(seed), shared_secret(secret), here)


async def remove_subscription(connection: Connection, clinic: str) -> None:
    """Send a clinic nothing more, and forget its place and keys. Raises EndpointRefused where there is none."""
    if await connection.fetchval(SQL["remove_subscription"], clinic) is None:
        raise _none()


async def enable_subscription(connection: Connection, clinic: str, *, local: bool = False) -> None:
    """Enable a webhook once it has answered the challenge; it goes on where it was.

    Raises EndpointRefused where there is none or it does not answer; then nothing has changed.
    """
    endpoint = await _read(connection, clinic)
    _, instead = await challenge(endpoint, local=local)
    if instead is not None:
        raise EndpointRefused(f"the webhook did not answer the challenge ({instead}); nothing was changed")
    # The URL that has answered: it may have been removed and another added meanwhile.
    if await connection.fetchval(SQL["enable_subscription"], clinic, endpoint["url"]) is None:
        raise _none()


async def ping_subscription(connection: Connection, clinic: str, *, local: bool = False) -> Result:
    """Send a test request, also to one that is disabled. Raises EndpointRefused where there is none."""
    return (await ping(await _read(connection, clinic), local=local)).result


async def list_subscriptions(connection: Connection) -> Sequence[Subscription]:
    """All webhooks by clinic, without secrets."""
    return [
        Subscription(
            clinic=row["clinic"],
            url=row["url"],
            public_key=public_key(bytes(row["ed25519_seed"])),
            enabled=row["enabled"],
            disabled_reason=row["disabled_reason"],
            created_at=row["created_at"],
            position=row["position"],
            pending=row["pending"],
            failures=row["failures"],
            failing_since=row["failing_since"],
            last_at=row["last_at"],
            last_status=row["last_status"],
            last_error=row["last_error"],
        )
        for row in await connection.fetch(SQL["list_subscriptions"])
    ]


async def _read(connection: Connection, clinic: str) -> Mapping[str, Any]:
    row = await connection.fetchrow(SQL["read_subscription"], clinic)
    if row is None:
        raise _none()
    return dict(row)


def _none() -> EndpointRefused:
    return EndpointRefused("this clinic has no webhook: add one first")
