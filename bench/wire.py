"""Topics and databases of a run: filled before, looked at afterwards."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench.expected import Output, output_of
from bench.load import Record, Stored
from bench.partitions import PARTITIONS, partition_of
from bench.program import Key

OWN = """
CREATE TABLE IF NOT EXISTS inbox (
    case_ref uuid, source text, id text, body bytea NOT NULL, received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (case_ref, source, id)
);
CREATE TABLE IF NOT EXISTS appended (body bytea NOT NULL);
"""
"""What the variants beside the product take events into; cases are in the service's own table."""


def on(url: str, database: str) -> str:
    """The same server and role, another database."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"/{database}", parts.query, parts.fragment))


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Any]:
    """A connection."""
    connection: Any = await asyncpg.connect(url, command_timeout=None)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def running(client: Any) -> AsyncGenerator[Any]:
    """A consumer or a producer, started, and stopped whatever happens."""
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def make_template(server: str, name: str, schema: str, cases: Sequence[Stored]) -> None:
    """A database with the program's tables, the variants', and the cases as they stand before the load."""
    async with connected(on(server, "postgres")) as system:
        await system.execute(f"CREATE DATABASE {name} TEMPLATE whp")
    async with connected(on(server, name)) as owner:
        for service in ("intake", "planning", "progress", "notify"):
            await owner.execute(f"SET search_path = {service}; {OWN} GRANT ALL ON inbox, appended TO {service};")
        await owner.execute(f"SET search_path = {schema}")
        await owner.executemany(
            "INSERT INTO cases (case_ref, partition, version, state, waiting, sequences)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            [
                (case.ref, partition_of(str(case.ref).encode()), case.version, case.state, case.waiting, case.sequences)
                for case in cases
            ],
        )
        await owner.execute("VACUUM ANALYZE")


@asynccontextmanager
async def database(server: str, name: str, template: str) -> AsyncGenerator[str]:
    """A fresh copy; the superuser's address of it. What stands in memory is on the disk before it is given."""
    async with connected(on(server, "postgres")) as system:
        await system.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        await system.execute("CHECKPOINT")
        try:
            yield on(server, name)
        finally:
            await system.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def make_topic(bootstrap: str, name: str, partitions: int = PARTITIONS) -> None:
    """A topic that is not there yet."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()


async def fill(bootstrap: str, topic: str, records: Sequence[Record]) -> None:
    """Write records in their order, each to its case's partition."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, record.value, key=record.key, headers=list(record.headers)) for record in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


class Looker:
    """Looks at topics, through one consumer in no group."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer: Any = None
        self._admin: Any = None

    async def __aenter__(self) -> Looker:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await self._consumer.start()
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Where each partition ends."""
        places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(places)
        return found

    async def committed(self, group: str, topics: Sequence[str]) -> int:
        """Records of these topics that a group has finished; 0 while the broker's groups are on their way."""
        try:
            offsets: Mapping[TopicPartition, Any] = await self._admin.list_consumer_group_offsets(group)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            return 0
        return sum(max(found.offset, 0) for place, found in offsets.items() if place.topic in topics)

    async def read(self, since: Mapping[TopicPartition, int]) -> list[Any]:
        """All records from these offsets to the end."""
        ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(list(since))
        left = {place: end for place, end in ends.items() if end > since[place]}
        if not left:
            return []
        self._consumer.assign(list(left))
        for place in left:
            self._consumer.seek(place, since[place])
        found: list[Any] = []
        wanted = sum(end - since[place] for place, end in left.items())
        while len(found) < wanted:
            for records in (await self._consumer.getmany(timeout_ms=1000)).values():
                found += records
        return found

    async def outputs(self, since: Mapping[TopicPartition, int]) -> Counter[Output]:
        """What has come to these topics since."""
        return Counter(output_of(raw.topic, raw.headers) for raw in await self.read(since))


async def forget_group(bootstrap: str, group: str) -> None:
    """Let a group begin anew the next time. Raises KafkaException when it still has members after a while."""
    admin: Any = AdminClient({"bootstrap.servers": bootstrap})
    for left in range(30, -1, -1):
        try:
            await asyncio.to_thread(admin.delete_consumer_groups([group])[group].result, 30)
            return
        except KafkaException:
            if not left:
                raise
            await asyncio.sleep(0.5)


async def skip_to_end(bootstrap: str, group: str, ends: Mapping[TopicPartition, int]) -> None:
    """Let a group without members begin at these offsets."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(ends))
        await consumer.commit(dict(ends))
    finally:
        await consumer.stop()


async def rows_of(connection: Any, schema: str, table: str) -> tuple[list[Key], dict[UUID, Any]]:
    """The events that were taken into `table`, and the states of all cases."""
    taken = await connection.fetch(f"SELECT case_ref, source, id FROM {schema}.{table}")  # noqa: S608 - ours
    cases = await connection.fetch(f"SELECT case_ref, state FROM {schema}.cases")  # noqa: S608 - ours
    states = {row["case_ref"]: None if row["state"] is None else json.loads(row["state"]) for row in cases}
    return [(row["case_ref"], row["source"], row["id"]) for row in taken], states
