"""Which system a command speaks to: the local stack of this checkout, or the one that the environment names."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from deploy.local.layout import layout_of
from deploy.local.ports import HOST
from deploy.local.state import Stack, load
from runtime.db import Connection

ROOT = Path(__file__).resolve().parent.parent
DECIDING = ("intake", "planning", "progress", "notify")
SERVICES = (*DECIDING, "console")


class CommandError(Exception):
    """A command cannot do what was asked; the sentence says why and what to do."""


class CannotLook(CommandError):
    """A check cannot be made at all, which is neither a yes nor a no: the exit code is 2."""


@dataclass(frozen=True, slots=True)
class Target:
    """The addresses of a running system."""

    kafka: str
    database: str
    """An administrator's URL: operations read every service's schema, which no service may."""
    front_door: str
    employer_door: str
    zipkin: str | None
    clinics: dict[str, str]
    employers: dict[str, str]
    kafka_users: dict[str, str]
    """Addresses of Kafka of those who log in there, by user; empty where nobody does."""
    local: bool
    doors: dict[str, str] = field(default_factory=dict[str, str])
    """The services' addresses, by service."""

    def as_stack(self) -> dict[str, Any]:
        """The same as partners' software reads it from stack.json."""
        return {
            "kafka": self.kafka,
            "front_door": self.front_door,
            "employer_door": self.employer_door,
            "keys": {"clinics": self.clinics, "employers": self.employers, "kafka": self.kafka_users},
        }


def given(name: str) -> str | None:
    """What the environment says, or else a file of WHP_SECRETS_DIR, as for the services; None where neither does."""
    if name in os.environ or "WHP_SECRETS_DIR" not in os.environ:
        return os.environ.get(name)
    file = Path(os.environ["WHP_SECRETS_DIR"]) / name.lower()
    return file.read_text(encoding="utf-8").strip() if file.is_file() else None


def target() -> Target:
    """The running system. Raises CommandError when there is none."""
    kafka, database = given("WHP_KAFKA_BOOTSTRAP"), given("WHP_ADMIN_DATABASE_URL")
    if kafka is not None and database is not None:
        return Target(
            kafka,
            database,
            os.environ.get("WHP_FRONT_DOOR", ""),
            os.environ.get("WHP_EMPLOYER_DOOR", ""),
            os.environ.get("WHP_ZIPKIN"),
            {},
            {},
            {},
            local=False,
            doors=_doors(os.environ.get("WHP_DOORS", "")),
        )
    stack = load(layout_of(ROOT))
    if stack is None or not stack.pids:
        raise CommandError(
            "no stack runs here: start one with `whp up`, or set WHP_KAFKA_BOOTSTRAP and WHP_ADMIN_DATABASE_URL"
        )
    return target_of(stack)


def target_of(stack: Stack) -> Target:
    """The addresses of a local stack."""
    return Target(
        stack.kafka,
        stack.database,
        stack.front_door,
        stack.employer_door,
        stack.zipkin,
        stack.keys.clinics,
        stack.keys.employers,
        stack.keys.kafka,
        local=True,
        doors={name: f"http://{HOST}:{service.port}" for name, service in stack.services.items()},
    )


def _doors(listed: str) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in listed.split(",") if entry]
    if unknown := sorted({name for name, _, address in pairs if name not in SERVICES or not address}):
        raise CommandError(f"WHP_DOORS is service=address[,...], of {', '.join(SERVICES)}; not {', '.join(unknown)}")
    return {name: address.rstrip("/") for name, _, address in pairs}


def in_schema(url: str, schema: str) -> str:
    """The URL with the schema as its search path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("search_path", schema)])))


@contextlib.asynccontextmanager
async def connected(url: str, schema: str) -> AsyncGenerator[Connection]:
    """A connection that reads and writes one service's schema. Raises CommandError when there is no database."""
    try:
        connection = await asyncpg.connect(in_schema(url, schema), timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise CommandError(f"PostgreSQL does not answer ({type(error).__name__}): is the stack up?") from None
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def as_json(value: Any) -> str:
    """What a program reads: JSON with dates, ids and bytes as text."""
    return json.dumps(value, indent=2, default=_text)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def digest_key() -> bytes:
    """The key of the event bodies' digests, from WHP_DIGEST_KEY or the local stack. Raises CommandError."""
    key = given("WHP_DIGEST_KEY")
    if key is None:
        file = layout_of(ROOT).secrets / "digest-key"
        if not file.exists():
            raise CommandError("the digest key is not known: set WHP_DIGEST_KEY to the services' own")
        key = file.read_text(encoding="utf-8")
    return bytes.fromhex(key.strip())
