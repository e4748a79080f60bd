"""The API keys of the local stack's clinics and employers: issued once, kept in stack.json for whoever plays them."""

import asyncpg

from runtime.keys import Kind, issue_key

from .state import Keys

CLINICS = ("north", "harbour", "kafka-valley")
"""`kafka-valley` sends to its own topic instead of the front door."""
EMPLOYERS = ("acme-logistics", "harbor-foods", "city-works")


async def issue_missing(database: str, known: Keys) -> Keys:
    """The keys that are known, and new ones for who has none. Raises asyncpg's errors."""
    connection = await asyncpg.connect(database, timeout=10)
    try:
        return Keys(
            clinics=await _issued(connection, "clinic", CLINICS, known.clinics),
            employers=await _issued(connection, "employer", EMPLOYERS, known.employers),
            kafka=known.kafka,
        )
    finally:
        await connection.close(timeout=5)


async def _issued(
    connection: "asyncpg.Connection[asyncpg.Record]", kind: Kind, names: tuple[str, ...], known: dict[str, str]
) -> dict[str, str]:
    return known | {name: await issue_key(connection, kind, name) for name in names if name not in known}
