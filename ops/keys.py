"""Issue API keys, and the demo's own."""

from __future__ import annotations

from typing import Any

from ops.target import connected
from runtime.keys import Kind, issue_key

DEMO_CLINICS = ("north", "harbour", "kafka-valley")
"""`kafka-valley` sends to its own topic instead of the front door."""
DEMO_EMPLOYERS = ("acme-logistics", "harbor-foods", "city-works")


async def issue(database: str, kind: Kind, name: str) -> str:
    """A new key; it is shown once."""
    async with connected(database, "intake") as connection:
        return await issue_key(connection, kind, name)


async def provision_demo(stack: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The demo's keys: those that the stack has, and new ones for who has none."""
    keys: dict[str, dict[str, str]] = {
        "clinics": dict(stack.get("keys", {}).get("clinics", {})),
        "employers": dict(stack.get("keys", {}).get("employers", {})),
    }
    for clinic in DEMO_CLINICS:
        if clinic not in keys["clinics"]:
            keys["clinics"][clinic] = await issue(stack["database"], "clinic", clinic)
    for employer in DEMO_EMPLOYERS:
        if employer not in keys["employers"]:
            keys["employers"][employer] = await issue(stack["database"], "employer", employer)
    return keys
