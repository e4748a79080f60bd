"""API keys: 256 random bits, stored as a SHA-256 beside a look-up prefix. No salt, since there is nothing to guess."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Literal

from runtime.cases import SQL
from runtime.db import Connection, Pool

Kind = Literal["clinic", "employer", "role"]

_KEY = re.compile(r"whp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


async def issue_key(connection: Connection, kind: Kind, name: str) -> str:
    """A new key for this clinic, employer or role. It is returned once and cannot be read again."""
    prefix = secrets.token_hex(6)
    key = f"whp_{prefix}_{secrets.token_urlsafe(32)}"
    await connection.execute(SQL["add_key"], prefix, _hash(key), kind, name)
    return key


async def bearer(pool: Pool, key: str) -> tuple[str, str] | None:
    """(kind, name) of a valid key; None for one that is malformed, unknown, expired or revoked."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    async with pool.acquire(timeout=10) as connection:
        row = await connection.fetchrow(SQL["find_key"], found[1])
    if row is None or not hmac.compare_digest(row["hash"], _hash(key)):
        return None
    return row["kind"], row["name"]


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
