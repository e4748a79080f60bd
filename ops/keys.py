"""Issue API keys."""

from __future__ import annotations

from ops.target import connected
from runtime.keys import Kind, issue_key


async def issue(database: str, kind: Kind, name: str) -> str:
    """A new key; it is shown once."""
    async with connected(database, "intake") as connection:
        return await issue_key(connection, kind, name)
