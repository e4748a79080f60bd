"""Commands about API keys: issued to a clinic, an employer or a role, listed, rotated, revoked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from ops.app import Json, answer, keys, say
from ops.target import CommandError, as_json, connected, target
from runtime.cases import SQL
from runtime.db import Connection
from runtime.keys import OVERLAP, KeyRefused, Kind, issue_key, prefix_of, revoke_key, rotate_key

T = TypeVar("T")


async def issue(database: str, kind: Kind, name: str) -> str:
    """A new key; it is shown once. Raises CommandError."""
    return await _asked(database, lambda connection: issue_key(connection, kind, name))


async def _asked(database: str, ask: Callable[[Connection], Awaitable[T]]) -> T:
    async with connected(database, "access") as connection:
        try:
            return await ask(connection)
        except KeyRefused as refused:
            raise CommandError(str(refused)) from None


@keys.command(name="issue")
def keys_issue(
    *,
    clinic: str | None = None,
    clinician: str | None = None,
    employer: str | None = None,
    role: str | None = None,
    json: Json = False,
) -> None:
    """Issue a key, bound to one clinic, one employer or one role. It is shown once and cannot be read again.

    Parameters
    ----------
    clinic
        For the clinic's software.
    clinician
        For one person of this clinic, at the console: it sees the clinic's cases and signs.
    role
        `operations` (reads /metrics, mends parked cases) or `console` (the console's own).
    """
    bound: tuple[tuple[Kind, str | None], ...] = (
        ("clinic", clinic),
        ("clinician", clinician),
        ("employer", employer),
        ("role", role),
    )
    given: list[tuple[Kind, str]] = [(kind, name) for kind, name in bound if name is not None]
    if len(given) != 1:
        raise CommandError("say for whom: exactly one of --clinic, --clinician, --employer or --role")
    kind, name = given[0]
    key = asyncio.run(issue(target().database, kind, name))
    answer(as_json({"kind": kind, "name": name, "key": key}) if json else key)


@keys.command(name="list")
def keys_list(*, everything: bool = False, json: Json = False) -> None:
    """Valid keys by their prefix: for whom, since when, last used, until when. Never the key.

    Parameters
    ----------
    everything
        Those that are revoked and expired, too.
    """
    found = [
        dict(row)
        for row in asyncio.run(_asked(target().database, lambda connection: connection.fetch(SQL["list_keys"])))
        if everything or row["status"] == "valid"
    ]
    if json:
        answer(as_json(found))
        return
    for row in found:
        answer(_line(row))
    if not found:
        answer("no key is valid: issue one with `whp keys issue`")


def _line(row: dict[str, Any]) -> str:
    used = f"last used {row['last_used_on']}" if row["last_used_on"] else "never used"
    told = f"whp_{row['prefix']}  {row['kind']:8} {row['name']:20} since {row['issued_at']:%Y-%m-%d}, {used}"
    if row["replaced_by"]:
        told += f", replaced by whp_{row['replaced_by']}"
    if row["status"] == "revoked":
        return f"{told}, revoked {row['revoked_at']:%Y-%m-%d}: {row['revoked_reason'] or 'no reason was kept'}"
    if row["expires_at"]:
        told += f", {'expired' if row['status'] == 'expired' else 'expires'} {row['expires_at']:%Y-%m-%d %H:%M %Z}"
    return told


@keys.command(name="rotate")
def keys_rotate(prefix: str, *, at_once: bool = False, json: Json = False) -> None:
    """Issue the successor of a key. The old one opens the doors for 24 more hours, so that nobody is locked out.

    Parameters
    ----------
    prefix
        Of the old key, as `whp keys list` shows it.
    at_once
        No overlap: the old key is void when this returns. For one that may have leaked.
    """

    async def rotate(connection: Connection) -> str:
        return await rotate_key(connection, prefix_of(prefix), timedelta() if at_once else OVERLAP)

    key = asyncio.run(_asked(target().database, rotate))
    if json:
        answer(as_json({"key": key, "overlap_hours": 0 if at_once else OVERLAP // timedelta(hours=1)}))
        return
    answer(key)
    say("the old key opens nothing any more" if at_once else "the old key lives for 24 more hours")


@keys.command(name="revoke")
def keys_revoke(prefix: str, *, reason: str, json: Json = False) -> None:
    """Revoke a key: from the next request on nothing opens to it.

    Parameters
    ----------
    prefix
        Of the key, as `whp keys list` shows it.
    reason
        Kept for the audit. Nothing of a patient belongs here.
    """
    if not reason.strip():
        raise CommandError("say why: --reason is what an audit reads later")
    told = f"{reason} (by {os.environ.get('USER', 'unknown')})"

    async def revoke(connection: Connection) -> dict[str, str]:
        bearer = await revoke_key(connection, prefix_of(prefix), told)
        return {"kind": bearer.kind, "name": bearer.name, "reason": told}

    revoked = asyncio.run(_asked(target().database, revoke))
    answer(as_json(revoked) if json else f"the key of {revoked['kind']} {revoked['name']} is revoked")
