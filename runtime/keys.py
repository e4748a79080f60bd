"""API keys: 256 random bits, stored as a SHA-256 beside a look-up prefix. No salt, since there is nothing to guess.

Each request looks its key up; nothing is cached, so a key that is revoked opens nothing from the next request on.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from runtime.cases import SQL
from runtime.db import Connection, Pool

Kind = Literal["clinic", "clinician", "employer", "role"]
"""`clinic`: its software. `clinician`: a person of that clinic at the console."""

ROLES = ("operations", "console")

OVERLAP = timedelta(hours=24)
"""How long a rotated key lives beside its successor: a day covers a partner's own roll-out, and a night shift."""

_KEY = re.compile(r"whp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_PREFIX = re.compile(r"(?:whp_)?([0-9a-f]{12})")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
"""An id of a clinic or an employer."""


class KeyRefused(Exception):
    """A key cannot be issued or changed; the sentence says why and what to do, and repeats nothing of a key."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a valid key is bound to."""

    kind: Kind
    name: str


async def issue_key(connection: Connection, kind: Kind, name: str) -> str:
    """A new key, bound to this clinic, employer or role. It is returned once and cannot be read again.

    Raises KeyRefused.
    """
    if kind == "role" and name not in ROLES:
        raise KeyRefused(f"there is no such role: one of {', '.join(ROLES)}")
    if not NAME.fullmatch(name):
        whose = "clinic" if kind == "clinician" else kind
        raise KeyRefused(f"an id of a {whose} has letters, digits and -_.: only, 64 at most")
    prefix = secrets.token_hex(6)
    key = f"whp_{prefix}_{secrets.token_urlsafe(32)}"
    await connection.execute(SQL["add_key"], prefix, digest(key), kind, name)
    return key


def prefix_of(text: str) -> str:
    """The look-up prefix, given with or without `whp_`. Raises KeyRefused, for a whole key too."""
    if _KEY.fullmatch(text):
        raise KeyRefused("that is a whole key, and it is in your shell's history now: give its prefix, and revoke it")
    found = _PREFIX.fullmatch(text)
    if found is None:
        raise KeyRefused("a prefix is the 12 hexadecimal digits behind whp_: see `whp keys list`")
    return found[1]


async def rotate_key(connection: Connection, prefix: str, overlap: timedelta = OVERLAP) -> str:
    """A new key for whom this one is bound to; the old one lives on for `overlap`. Raises KeyRefused."""
    async with connection.transaction():
        row = await connection.fetchrow(SQL["lock_key"], prefix)
        if row is None:
            raise KeyRefused("there is no key with this prefix: see `whp keys list`")
        if row["revoked_at"] is not None or row["expired"]:
            raise KeyRefused("this key is revoked or expired: issue a new one with `whp keys issue`")
        if row["replaced_by"] is not None:
            raise KeyRefused(f"this key has a successor already: rotate or revoke whp_{row['replaced_by']}")
        key = await issue_key(connection, row["kind"], row["name"])
        await connection.execute(SQL["replace_key"], prefix, key.split("_")[1], overlap)
    return key


async def revoke_key(connection: Connection, prefix: str, reason: str) -> Bearer:
    """Nothing opens to this key any more; the reason is kept. Raises KeyRefused."""
    async with connection.transaction():
        row = await connection.fetchrow(SQL["lock_key"], prefix)
        if row is None:
            raise KeyRefused("there is no key with this prefix: see `whp keys list`")
        if row["revoked_at"] is not None:
            raise KeyRefused(f"this key was revoked on {row['revoked_at']:%Y-%m-%d}: see `whp keys list`")
        await connection.execute(SQL["revoke_key"], prefix, reason)
    return Bearer(row["kind"], row["name"])


def well_formed(key: str) -> bool:
    """Whether a text could be a key of ours at all."""
    return _KEY.fullmatch(key) is not None


async def find_bearer(pool: Pool, key: str) -> Bearer | None:
    """Whom a valid key is bound to; None for one that is malformed, unknown, expired or revoked."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    async with pool.acquire(timeout=10) as connection:
        row = await connection.fetchrow(SQL["find_key"], found[1])
        if row is None or not hmac.compare_digest(row["hash"], digest(key)):
            return None
        if not row["fresh"]:
            await connection.execute(SQL["note_use"], found[1])
    return Bearer(row["kind"], row["name"])


def digest(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).digest()
