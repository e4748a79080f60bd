"""Changes of an endpoint's URL or keys: proposed by one operator, approved by another.

Who can move an endpoint alone can have every worker's status sent to a place of their own. A proposal has a number, and
is replaced by the next one, so that what is approved is what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from runtime.db import Connection, queries
from services.notify.address import check_url
from services.notify.employers import EndpointRefused, answers_challenge, webhook_of
from services.notify.signing import new_secret, new_seed, public_key, shared_secret

SQL = queries("services.notify")

What = Literal["url", "key", "leaked_key"]

HOLDS = timedelta(days=3)
"""A proposal that nobody approved over a weekend is forgotten: by then nobody remembers why."""
OVERLAP = timedelta(days=3)
"""How long the previous keys go on signing beside the new ones: a weekend and a working day to change over in."""

_OPERATOR = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A change that waits for its approval."""

    id: int
    employer: str
    what: What
    url: str | None
    public_key: str | None
    proposed_by: str
    proposed_at: datetime


@dataclass(frozen=True, slots=True)
class NewKeys:
    """The keys that a rotation proposes. The secret is shown here once."""

    change: int
    public_key: str
    hmac_secret: str


async def propose_url(connection: Connection, employer: str, url: str, by: str, *, local: bool = False) -> int:
    """Propose that an employer's webhooks go elsewhere; the number of the proposal.

    Raises EndpointRefused where it has no webhook or `by` is no operator's name, and address.Refused for the URL.
    """
    checked = check_url(url, local=local)
    return await _propose(connection, employer, "url", checked, None, None, by)


async def propose_keys(connection: Connection, employer: str, by: str, *, leaked: bool) -> NewKeys:
    """Propose new keys, which the employer may be given already. Those that `leaked` do not overlap with the new ones.

    Raises EndpointRefused likewise.
    """
    seed, secret = new_seed(), new_secret()
    change = await _propose(connection, employer, "leaked_key" if leaked else "key", None, seed, secret, by)
    return NewKeys(change, public_key(seed), shared_secret(secret))


async def proposals(connection: Connection) -> Sequence[Proposed]:
    """What waits for approval, without secrets."""
    return [
        Proposed(
            id=row["id"],
            employer=row["employer"],
            what=row["what"],
            url=row["url"],
            public_key=None if row["ed25519_seed"] is None else public_key(bytes(row["ed25519_seed"])),
            proposed_by=row["proposed_by"],
            proposed_at=row["proposed_at"],
        )
        for row in await connection.fetch(SQL["read_proposals"], HOLDS)
    ]


def why_not(proposed_by: str, by: str) -> str | None:
    """Why this operator may not approve it; None when they may."""
    return "another operator must approve it than the one who proposed it" if by == proposed_by else None


async def approve(connection: Connection, change: int, by: str, *, local: bool = False) -> str:
    """Carry a proposal out; the employer. A new URL must answer the challenge first, and is enabled by it.

    Raises EndpointRefused when it may not be or cannot be carried out; then nothing has changed.
    """
    operator = _operator(by)
    row = await _proposal(connection, change)
    if (refusal := why_not(row["proposed_by"], operator)) is not None:
        raise EndpointRefused(refusal)
    employer = str(row["employer"])
    if row["what"] == "url":
        moved = {**await webhook_of(connection, employer), "url": row["url"]}
        if (instead := await answers_challenge(connection, moved, local=local)) is not None:
            raise EndpointRefused(f"the new URL did not answer the challenge ({instead}); nothing was changed")
    async with connection.transaction():
        await _proposal(connection, change)  # it may have been replaced while the endpoint answered
        if row["what"] == "url":
            await connection.execute(SQL["change_url"], employer, row["url"])
            await connection.execute(SQL["release_retries"], employer)
        else:
            overlap = timedelta(0) if row["what"] == "leaked_key" else OVERLAP
            await connection.execute(SQL["change_keys"], employer, row["ed25519_seed"], row["hmac_secret"], overlap)
        await connection.execute(SQL["mark_applied"], change, operator)
    return employer


async def _proposal(connection: Connection, change: int) -> Mapping[str, Any]:
    row = await connection.fetchrow(SQL["lock_proposal"], change, HOLDS)
    if row is None:
        raise EndpointRefused("there is no such proposal any more: it was applied, replaced, or is too old")
    return dict(row)


async def _propose(
    connection: Connection,
    employer: str,
    what: What,
    url: str | None,
    seed: bytes | None,
    secret: bytes | None,
    by: str,
) -> int:
    operator = _operator(by)
    await webhook_of(connection, employer)
    async with connection.transaction():
        await connection.execute(SQL["replace_proposal"], employer)
        return await connection.fetchval(SQL["insert_proposal"], employer, what, url, seed, secret, operator)


def _operator(name: str) -> str:
    """The name as it is kept: `Ada` and `ada` are one person."""
    if not _OPERATOR.fullmatch(operator := name.strip().lower()):
        raise EndpointRefused("an operator's name is up to 64 letters, digits and _.@-")
    return operator
