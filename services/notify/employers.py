"""Employers' endpoints: where each one is told, and with which keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from runtime.db import Connection, queries
from services.notify.address import check_url
from services.notify.signing import new_secret, new_seed, public_key, shared_secret
from workhardening_contracts.registry import EMPLOYER_TOPIC

SQL = queries("services.notify")

_EMPLOYER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
# What Kafka allows in a topic's name; an employer with a colon can only have a webhook.
_TOPIC_PART = re.compile(r"[A-Za-z0-9_.-]+")


class EndpointRefused(ValueError):
    """The endpoint cannot be added or changed; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A new endpoint. The secret is shown here once and never again."""

    employer: str
    kind: Literal["webhook", "kafka"]
    target: str
    """The URL or the topic."""
    public_key: str | None
    """Verifies `v1a` (`whpk_...`); None for a topic."""
    hmac_secret: str | None
    """Verifies `v1` (`whsec_...`); None for a topic."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An endpoint as it stands."""

    employer: str
    kind: Literal["webhook", "kafka"]
    target: str
    public_key: str | None
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    pending: int
    """Updates that were not delivered yet."""


async def add_endpoint(
    connection: Connection, employer: str, url: str | None, kafka: bool, *, local: bool = False
) -> Endpoint:
    """Add an employer's webhook (`url`) or topic (`kafka`), exactly one of them.

    `local` allows plain HTTP to this machine. Raises EndpointRefused, and address.Refused for a URL it may not be.
    """
    if not _EMPLOYER.fullmatch(employer):
        raise EndpointRefused("an employer's id is up to 64 letters, digits and _.:-")
    if (url is not None) == kafka:
        raise EndpointRefused("give an employer either a webhook URL or a Kafka topic")
    if url is None:
        if not _TOPIC_PART.fullmatch(employer):
            raise EndpointRefused("this employer's id cannot be part of a topic's name; give it a webhook URL")
        topic = EMPLOYER_TOPIC.replace("<id>", employer)
        endpoint = Endpoint(employer, "kafka", topic, None, None)
        added = await connection.fetchval(SQL["add_endpoint"], employer, "kafka", None, topic, None, None)
    else:
        seed, secret = new_seed(), new_secret()
        endpoint = Endpoint(employer, "webhook", check_url(url, local=local), public_key(seed), shared_secret(secret))
        added = await connection.fetchval(SQL["add_endpoint"], employer, "webhook", url, None, seed, secret)
    if added is None:
        raise EndpointRefused("this employer has an endpoint already; change its URL instead")
    return endpoint


async def change_url(connection: Connection, employer: str, url: str, *, local: bool = False) -> None:
    """Send an employer's webhooks elsewhere, and enable it again; its keys stay.

    Raises EndpointRefused where it has no webhook, and address.Refused for a URL that is not allowed.
    """
    if await connection.fetchval(SQL["change_url"], employer, check_url(url, local=local)) is None:
        raise EndpointRefused("this employer has no webhook; add one first")


async def list_endpoints(connection: Connection) -> list[Listed]:
    """All endpoints by employer, without secrets."""
    return [
        Listed(
            employer=row["employer"],
            kind=row["kind"],
            target=row["url"] or row["topic"],
            public_key=public_key(bytes(row["ed25519_seed"])) if row["ed25519_seed"] is not None else None,
            enabled=row["enabled"],
            disabled_reason=row["disabled_reason"],
            created_at=row["created_at"],
            pending=row["pending"],
        )
        for row in await connection.fetch(SQL["list_endpoints"])
    ]
