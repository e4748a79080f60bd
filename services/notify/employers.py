"""Employers' endpoints: where each one is told, and with which keys."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from runtime.db import Connection, queries
from runtime.keys import NAME
from services.notify.address import check_url, is_here
from services.notify.challenge import Asked, challenge, ping
from services.notify.signing import new_secret, new_seed, public_key, shared_secret
from services.notify.wire import Result
from workhardening_contracts.registry import EMPLOYER_TOPIC

SQL = queries("services.notify")

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
    enabled: bool = True
    """False for a webhook that must answer its challenge first."""


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
    failures: int
    """In a row."""
    failing_since: datetime | None
    open: bool
    """It is left alone but for a probe."""
    delivered_at: datetime | None
    """When it last took an update, within the hour."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt; never what the other side said."""

    event_id: str
    number: int
    started_at: datetime
    duration_ms: int
    status: int | None
    outcome: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """An update that is told again."""

    case_ref: UUID
    sequence: int
    event_id: str


async def add_endpoint(
    connection: Connection, employer: str, url: str | None, kafka: bool, *, local: bool = False
) -> Endpoint:
    """Add an employer's webhook (`url`) or topic (`kafka`), exactly one of them.

    `local` allows plain HTTP to this machine, which has nothing to prove; any other webhook gets nothing before
    `enable`. Raises EndpointRefused, and address.Refused for a URL it may not be.
    """
    if not NAME.fullmatch(employer):
        raise EndpointRefused("an employer's id is up to 64 letters, digits and _.:-")
    if (url is not None) == kafka:
        raise EndpointRefused("give an employer either a webhook URL or a Kafka topic")
    if url is None:
        if not _TOPIC_PART.fullmatch(employer):
            raise EndpointRefused("this employer's id cannot be part of a topic's name; give it a webhook URL")
        topic = EMPLOYER_TOPIC.replace("<id>", employer)
        endpoint = Endpoint(employer, "kafka", topic, None, None)
        added = await connection.fetchval(SQL["add_endpoint"], employer, "kafka", None, topic, None, None, True)
    else:
        seed, secret = new_seed(), new_secret()
        here = is_here(check_url(url, local=local), local=local)
        endpoint = Endpoint(employer, "webhook", url, public_key(seed), shared_secret(secret), enabled=here)
        added = await connection.fetchval(SQL["add_endpoint"], employer, "webhook", url, None, seed, secret, here)
    if added is None:
        raise EndpointRefused("this employer has an endpoint already; change its URL instead")
    return endpoint


async def change_url(connection: Connection, employer: str, url: str, *, local: bool = False) -> None:
    """Send an employer's webhooks to another place on this machine, and enable it again: for the local stack's own
    receivers. Any other change goes by `changes`, with a second operator.

    Raises EndpointRefused where it has no webhook or the place is another machine, and address.Refused for a bad URL.
    """
    here = is_here(check_url(url, local=local), local=local)
    await webhook_of(connection, employer)
    if not here:
        raise EndpointRefused("a change of URL is proposed by one operator and approved by another")
    await connection.execute(SQL["change_url"], employer, url)
    await connection.execute(SQL["release_retries"], employer)


async def enable(connection: Connection, employer: str, *, local: bool = False) -> None:
    """Enable an endpoint, which goes on in order with its backlog. A webhook must answer the challenge first.

    Raises EndpointRefused where there is none or it does not answer; then nothing has changed.
    """
    endpoint = await endpoint_of(connection, employer)
    if endpoint["kind"] == "webhook":
        instead = await answers_challenge(connection, endpoint, local=local)
        if instead is not None:
            raise EndpointRefused(f"the endpoint did not answer the challenge ({instead}); nothing was changed")
    await connection.execute(SQL["enable_endpoint"], employer)
    await connection.execute(SQL["release_retries"], employer)


async def disable(connection: Connection, employer: str) -> None:
    """Send it nothing more until it is enabled; its line is kept. Raises EndpointRefused where there is none."""
    await endpoint_of(connection, employer)
    await connection.execute(SQL["disable_endpoint"], employer, "by_operator")


async def send_ping(connection: Connection, employer: str, *, local: bool = False) -> Result:
    """Send a test request, also to an endpoint that is disabled; it is in the attempt log.

    Raises EndpointRefused where it has no webhook.
    """
    asked = await ping(await webhook_of(connection, employer), local=local)
    await _log(connection, employer, asked)
    return asked.result


async def answers_challenge(connection: Connection, endpoint: Mapping[str, Any], *, local: bool) -> str | None:
    """None when `endpoint` (its row) has answered the challenge, otherwise what came instead; it is in the log."""
    asked, instead = await challenge(endpoint, local=local)
    await _log(connection, endpoint["employer"], asked)
    return instead


async def _log(connection: Connection, employer: str, asked: Asked) -> None:
    came = asked.result
    await connection.execute(
        SQL["insert_attempt"],
        *(employer, asked.id, 1, asked.started_at, asked.duration_ms, came.status, came.outcome, came.error),
    )


async def replay(
    connection: Connection,
    employer: str,
    *,
    id: str | None = None,
    case: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[Replayed]:
    """Tell updates again under the same ids: one by `id`, those of a `case`, or those of a time; and of each case all
    that came after them, so that what the employer hears last is what holds. Consent is asked again before each.

    `since` (included) and `until` (not) are the times of delivery, or of the decision where nothing was delivered.
    Raises EndpointRefused for an employer without an endpoint, or for a replay of everything.
    """
    if id is None and case is None and since is None and until is None:
        raise EndpointRefused("say what: an update's id, a case, or a time")
    await endpoint_of(connection, employer)
    rows = await connection.fetch(SQL["replay"], employer, id, case, since, until)
    found = [Replayed(row["case_ref"], row["sequence"], row["event_id"]) for row in rows]
    return sorted(found, key=lambda each: (str(each.case_ref), each.sequence))


async def attempts(connection: Connection, employer: str, id: str | None, limit: int) -> Sequence[Attempt]:
    """The latest attempts, newest first: of one update, or of all. Pings and challenges are among them."""
    return [Attempt(*row) for row in await connection.fetch(SQL["read_attempts"], employer, id, limit)]


async def endpoint_of(connection: Connection, employer: str) -> Mapping[str, Any]:
    """An employer's endpoint with its keys. Raises EndpointRefused where it has none."""
    row = await connection.fetchrow(SQL["read_endpoint"], employer)
    if row is None:
        raise EndpointRefused("this employer has no endpoint; add one first")
    return dict(row)


async def webhook_of(connection: Connection, employer: str) -> Mapping[str, Any]:
    """An employer's webhook with its keys. Raises EndpointRefused where it has none."""
    endpoint = await endpoint_of(connection, employer)
    if endpoint["kind"] != "webhook":
        raise EndpointRefused("this employer has a Kafka topic and no webhook")
    return endpoint


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
            failures=row["failures"],
            failing_since=row["failing_since"],
            open=row["open"],
            delivered_at=row["delivered_at"],
        )
        for row in await connection.fetch(SQL["list_endpoints"])
    ]
