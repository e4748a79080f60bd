"""A secured stack: everybody logs in to Kafka, inside TLS, and may do what the topics' files say and nothing else."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)

from deploy.local import kafka
from deploy.local import stack as local
from deploy.local.access import Right, admit_partner, grant_services, rights_of_partner, rights_of_services, user_of
from deploy.local.layout import Layout, StackError
from deploy.local.provision import SERVICES
from deploy.local.scratch import scratch_stack
from deploy.local.topics import TopicSpec, provision_one, read_specs
from workhardening_contracts.kafka import client_options, read_address

ROOT = Path(__file__).parent.parent.parent
SPECS = read_specs(ROOT / "contracts" / "topics")
OF_CLINIC = next(spec for spec in SPECS if spec.per == "clinic")
OF_EMPLOYER = next(spec for spec in SPECS if spec.per == "employer")
PARTNERS = {
    "clinic.north": OF_CLINIC,
    "clinic.south": OF_CLINIC,
    "employer.emp-1": OF_EMPLOYER,
    "employer.emp-10": OF_EMPLOYER,
}
TOPICS = [spec.name for spec in SPECS if spec.per is None] + [
    "clinic.north.events.v1",
    "clinic.south.events.v1",
    "employer.emp-1.readiness.v1",
    "employer.emp-10.readiness.v1",
]
REFUSED = (TopicAuthorizationFailedError, ClusterAuthorizationFailedError, GroupAuthorizationFailedError)


@pytest.fixture(scope="module")
def secured() -> Iterator[local.Stack]:
    """A secured stack of this module's own, with two clinics and two employers that use Kafka."""
    with scratch_stack(ROOT, "secured", secured=True, say=print) as stack:
        for user, spec in PARTNERS.items():
            asyncio.run(_admit(stack, spec, user.partition(".")[2]))
        for topic in TOPICS:
            assert asyncio.run(can_write(stack.kafka, topic))
        yield stack


async def _admit(stack: local.Stack, spec: TopicSpec, id: str) -> None:
    await provision_one(stack.kafka, spec, id)
    login = await admit_partner(stack.kafka, spec, id, SERVICES)
    assert login is not None
    assert await admit_partner(stack.kafka, spec, id, SERVICES) is None, "its password is not changed by the way"
    stack.keys.kafka[user_of(spec, id)] = login


def address(stack: local.Stack, user: str) -> str:
    """How this user reaches the broker."""
    if user in SERVICES:
        return kafka.as_user(Layout(Path(os.environ["WHP_LOCAL"])), stack.kafka, user)
    return stack.keys.kafka[user]


def may(user: str) -> set[tuple[str, str]]:
    """(what, topic) as a person reads it in the design; not asked of the code that grants it."""
    reads = {
        "intake": [
            "clinic.events.v1",
            "clinic.rejections.v1",
            "progress.events.v1",
            "clinic.north.events.v1",
            "clinic.south.events.v1",
        ],
        "planning": ["clinic.events.v1", "intake.events.v1", "progress.events.v1"],
        "progress": ["clinic.events.v1", "intake.events.v1", "planning.events.v1"],
        "notify": [
            "clinic.events.v1",
            "clinic.rejections.v1",
            "intake.events.v1",
            "planning.events.v1",
            "progress.events.v1",
        ],
        "console": [
            "clinic.events.v1",
            "clinic.rejections.v1",
            "intake.events.v1",
            "planning.events.v1",
            "progress.events.v1",
        ],
        "employer.emp-1": ["employer.emp-1.readiness.v1"],
        "employer.emp-10": ["employer.emp-10.readiness.v1"],
    }
    writes = {
        "intake": ["clinic.events.v1", "clinic.rejections.v1", "intake.events.v1"],
        "planning": ["planning.events.v1"],
        "progress": ["clinic.rejections.v1", "progress.events.v1"],
        "notify": ["employer.emp-1.readiness.v1", "employer.emp-10.readiness.v1"],
        "clinic.north": ["clinic.north.events.v1"],
        "clinic.south": ["clinic.south.events.v1"],
    }
    return {("read", topic) for topic in reads.get(user, [])} | {("write", topic) for topic in writes.get(user, [])}


@pytest.mark.parametrize("user", [*SERVICES, *PARTNERS])
async def test_a_user_reads_and_writes_what_the_design_says_and_is_denied_every_other_topic(
    secured: local.Stack, user: str
) -> None:
    at = address(secured, user)
    allowed = may(user)
    for topic in TOPICS:
        assert (await can_read(at, topic), topic) == (("read", topic) in allowed, topic)
        assert (await can_write(at, topic), topic) == (("write", topic) in allowed, topic)


async def test_nobody_joins_the_group_of_another_so_that_nobody_can_take_its_records_from_it(
    secured: local.Stack,
) -> None:
    topic = "employer.emp-1.readiness.v1"
    assert await can_join(address(secured, "employer.emp-1"), topic, "employer.emp-1.hr")
    assert not await can_join(address(secured, "employer.emp-1"), topic, "employer.emp-10.hr")
    assert not await can_join(address(secured, "employer.emp-1"), topic, "whp.notify")
    assert not await can_join(address(secured, "planning"), "intake.events.v1", "whp.progress")


async def test_a_wrong_password_and_an_unknown_user_are_turned_away(secured: local.Stack) -> None:
    broker = read_address(secured.kafka)
    assert broker.login is not None
    for user, password in (("intake", "guessed"), ("nobody", "guessed"), ("clinic.north", broker.login.password)):
        at = secured.kafka.replace(f"admin:{broker.login.password}", f"{user}:{password}")
        with pytest.raises((AuthenticationFailedError, KafkaConnectionError)):
            async with started(AIOKafkaProducer(**client_options(at), request_timeout_ms=3000)):
                pass


async def test_who_does_not_speak_tls_or_does_not_trust_the_certificate_gets_no_word(secured: local.Stack) -> None:
    broker = read_address(secured.kafka)
    with pytest.raises(KafkaConnectionError):
        async with started(AIOKafkaProducer(bootstrap_servers=broker.servers, request_timeout_ms=3000)):
            pass
    assert broker.login is not None
    stranger: dict[str, Any] = client_options(secured.kafka) | {"ssl_context": ssl.create_default_context()}
    with pytest.raises(KafkaConnectionError):
        async with started(AIOKafkaProducer(**stranger, request_timeout_ms=3000)):
            pass


async def test_the_controller_answers_nobody_without_the_brokers_own_certificate(secured: local.Stack) -> None:
    trusted = client_options(secured.kafka)["ssl_context"]
    reader, writer = await asyncio.open_connection("127.0.0.1", secured.ports["kafka_controller"], ssl=trusted)
    try:
        writer.write(b"\0\0\0\x10\0\x12\0\0\0\0\0\1\0\4whp?\0\0")  # ApiVersions, to which any client gets an answer
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(4)
    finally:
        writer.transport.abort()


async def test_a_right_that_no_file_gives_is_taken_away_and_partners_keep_theirs(secured: local.Stack) -> None:
    generous = [spec.model_copy(update={"consumers": [*spec.consumers, "planning"]}) for spec in SPECS]
    rejections = "clinic.rejections.v1"
    assert f"allowed planning to read {rejections}" in await grant_services(secured.kafka, generous, SERVICES)
    assert await can_read(address(secured, "planning"), rejections)
    assert f"no longer allowed planning to read {rejections}" in await grant_services(secured.kafka, SPECS, SERVICES)
    assert await grant_services(secured.kafka, SPECS, SERVICES) == []
    assert await can_write(address(secured, "clinic.north"), "clinic.north.events.v1")


async def test_a_new_password_ends_the_old_one(secured: local.Stack) -> None:
    await _admit(secured, OF_CLINIC, "east")
    old = secured.keys.kafka["clinic.east"]
    new = await admit_partner(secured.kafka, OF_CLINIC, "east", SERVICES, anew=True)
    assert new is not None
    assert await can_write(new, "clinic.east.events.v1")
    with pytest.raises((AuthenticationFailedError, KafkaConnectionError)):
        await can_write(old, "clinic.east.events.v1")


def test_a_stack_that_was_made_open_is_not_secured_over_its_data(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.secrets.mkdir()
    kafka.data_folder(layout).mkdir(parents=True)
    with pytest.raises(StackError, match="made without logins"):
        kafka.secure(layout)
    assert not kafka.is_secured(layout)


def test_rights_name_topics_to_the_letter_and_only_the_owner_of_a_topic_writes_to_it() -> None:
    rights = rights_of_services(SPECS, SERVICES)
    assert Right("planning", "write", "topic", "planning.events.v1") in rights
    writers = {right.user for right in rights if right.name == "planning.events.v1" and right.operation == "write"}
    assert writers == {"planning"}
    assert rights_of_partner(OF_EMPLOYER, "emp-1", SERVICES) == {
        Right("notify", "write", "topic", "employer.emp-1.readiness.v1"),
        Right("employer.emp-1", "read", "topic", "employer.emp-1.readiness.v1"),
        Right("employer.emp-1", "read", "group", "employer.emp-1."),
    }


def test_where_nobody_logs_in_no_user_is_made() -> None:
    assert asyncio.run(admit_partner("127.0.0.1:1", OF_CLINIC, "north", SERVICES)) is None
    assert asyncio.run(grant_services("127.0.0.1:1", SPECS, SERVICES)) == []


async def can_write(at: str, topic: str) -> bool:
    """Whether this user's record is taken. It is one that every service drops: no event at all."""
    async with started(AIOKafkaProducer(**client_options(at), request_timeout_ms=10_000)) as producer:
        try:
            await producer.send_and_wait(topic, b"", partition=0)
        except REFUSED:
            return False
        return True


async def can_read(at: str, topic: str) -> bool:
    """Whether this user is given records, in no group. There are some in each topic."""
    async with started(AIOKafkaProducer(**client_options(at))) as client:
        try:
            await client.partitions_for(topic)  # a consumer would ask again and again
        except REFUSED:
            return False
    async with started(AIOKafkaConsumer(**client_options(at))) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek(TopicPartition(topic, 0), 0)
        try:
            while not await consumer.getmany(timeout_ms=1000):
                pass
        except REFUSED:
            return False
        return True


async def can_join(at: str, topic: str, group: str) -> bool:
    """Whether this user is let into a group."""
    consumer: Any = AIOKafkaConsumer(topic, **client_options(at), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=200)
    except REFUSED:
        return False
    finally:
        await consumer.stop()
    return True


@asynccontextmanager
async def started(client: Any) -> AsyncGenerator[Any]:
    try:
        await client.start()
        yield client
    finally:
        await client.stop()
