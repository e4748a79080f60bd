"""The API keys of the local stack: issued once, kept in stack.json for whoever plays clinics, employers and people."""

import asyncpg

from runtime.keys import ROLES, Kind, issue_key

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
            clinicians=await _issued(connection, "clinician", CLINICS, known.clinicians),
            roles=await _issued(connection, "role", ROLES, known.roles),
            employers=await _issued(connection, "employer", EMPLOYERS, known.employers),
            kafka=known.kafka,
        )
    finally:
        await connection.close(timeout=5)


async def _issued(
    connection: "asyncpg.Connection[asyncpg.Record]", kind: Kind, names: tuple[str, ...], known: dict[str, str]
) -> dict[str, str]:
    return known | {name: await issue_key(connection, kind, name) for name in names if name not in known}
