"""The real Kafka and PostgreSQL of the tests: started once per run, a database per module, topics per test.

And beside them, once per run too, the whole program with its four services.
"""

from __future__ import annotations

import signal
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import stack as local
from deploy.local.scratch import scratch_stack
from tests.e2e.place import SECURED, Demonstration, Place, demonstrate, running_place
from workhardening_contracts.kafka import client_options

ROOT = Path(__file__).parent.parent

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every process that they start;
# some tests press Ctrl-C on those. A handler, unlike SIG_IGN, is not inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Database:
    """A migrated database of one test module."""

    admin: str
    services: dict[str, str]

    def dsn(self, service: str) -> str:
        """The URL of a service's own role."""
        return self.services[service]


@dataclass(frozen=True)
class Kafka:
    """The broker of the run."""

    bootstrap: str

    async def topic(self, partitions: int = 4) -> str:
        """A new topic with a name of its own."""
        name = f"test.{uuid.uuid4().hex[:12]}"
        admin: Any = AIOKafkaAdminClient(**client_options(self.bootstrap))
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, partitions, 1)])
        finally:
            await admin.close()
        return name


@pytest.fixture(scope="session")
def infrastructure() -> Iterator[local.Stack]:
    """Kafka and PostgreSQL with the program's topics and tables, and no service."""
    with scratch_stack(ROOT, "tests", secured=SECURED, say=print) as stack:
        yield stack


@pytest.fixture(scope="module")
async def database(infrastructure: local.Stack) -> AsyncIterator[Database]:
    """A database of this module's own, copied from the migrated one."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    system = await asyncpg.connect(_on(infrastructure.database, "postgres"))
    try:
        await system.execute(f"CREATE DATABASE {name} TEMPLATE whp")
        yield Database(
            _on(infrastructure.database, name),
            {service: _on(entry.database, name) for service, entry in infrastructure.services.items()},
        )
        await system.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await system.close()


@pytest.fixture
def kafka(infrastructure: local.Stack) -> Kafka:
    """The broker."""
    return Kafka(infrastructure.kafka)


@pytest.fixture(scope="session")
def fresh() -> Iterator[Place]:
    """A stack with all four services on which nothing has happened yet."""
    with running_place() as place:
        yield place


@pytest.fixture(scope="session")
def demonstration(fresh: Place) -> Demonstration:
    """The first demonstration on the stack: only on a fresh one are the receivers' books the whole story."""
    return demonstrate(fresh)


@pytest.fixture(scope="session")
def place(fresh: Place, demonstration: Demonstration) -> Place:
    """The stack as all other tests find it: with a cohort's history. They run in any order."""
    assert demonstration.code == 0, demonstration.out + demonstration.err
    return fresh


@pytest.fixture(scope="module")
def steady(place: Place) -> Generator[Place]:
    """The stack, of which no service may die of what is sent."""
    before = {name: (service.pid, service.restarts) for name, service in place.stack().services.items()}
    yield place
    assert {name: (service.pid, service.restarts) for name, service in place.stack().services.items()} == before


def _on(url: str, database: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"/{database}", parts.query, parts.fragment))
