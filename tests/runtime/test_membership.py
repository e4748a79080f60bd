"""Members of a group on a real Kafka: a partition that the breaker stopped, and two processes under one name."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from runtime.breaker import CASES, WINDOW_S, Breaker
from runtime.consume import Halt
from runtime.membership import Membership
from runtime.running import Running
from tests.conftest import Kafka
from tests.runtime.test_consume import value
from tests.runtime.toy import Process, added, eventually, send, settings, started, toy_handlers


def health_of(process: Process) -> tuple[bool, bool, str]:
    nothing = cast("Any", None)
    running = Running("toy", nothing, process.pool, nothing, nothing, process.consumer, process.relay, 1)
    health = running.health()
    return health.live, health.ready, health.why


def generation(process: Process) -> int:
    return process.consumer.consumer._coordinator.generation


@pytest.mark.stack
async def test_a_partition_that_the_breaker_stopped_stays_stopped_through_a_rebalance_until_a_restart(
    kafka: Kafka, dsn: str
) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    await send(kafka.bootstrap, topic, [added(uuid.uuid4(), "1", 13) for _ in range(CASES)])

    async def is_stopped() -> bool:
        return process.consumer.stopped_partitions == [0]

    async with started(handlers, topic, dsn, kafka.bootstrap) as process:
        await eventually(is_stopped)
        live, ready, why = health_of(process)
        assert (live, ready) == (True, True)
        assert why.startswith("partitions [0] are stopped")
        before = generation(process)
        async with started(handlers, topic, dsn, kafka.bootstrap):
            pass  # which rebalances when it comes, and again when it goes

        async def has_it_back() -> bool:
            return generation(process) > before + 1 and bool(process.consumer.consumer.assignment())

        await eventually(has_it_back)
        assert process.consumer.stopped_partitions == [0]

    await send(kafka.bootstrap, topic, [added(uuid.uuid4(), "2", 2)])
    async with started(handlers, topic, dsn, kafka.bootstrap) as process:
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM event_log WHERE result = 'folded'"))
        assert process.consumer.stopped_partitions == []
        assert health_of(process)[2] == "ok"


@pytest.mark.stack
async def test_of_two_processes_with_one_name_the_fenced_one_says_so_and_halts(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    async with started(handlers, topic, dsn, kafka.bootstrap, halts=True, instance="one") as first:
        await send(kafka.bootstrap, topic, [added(uuid.uuid4(), "1", 1)])
        await eventually(lambda: value(dsn, "SELECT count(*) = 1 FROM event_log"))
        async with started(handlers, topic, dsn, kafka.bootstrap, instance="one") as second:
            with pytest.raises(Halt, match=r"another process is in the group .* with WHP_INSTANCE=one: give each"):
                await asyncio.wait_for(asyncio.shield(first.consumer.halted), 30)
            await send(kafka.bootstrap, topic, [added(uuid.uuid4(), "2", 2)])
            await eventually(lambda: value(dsn, "SELECT count(*) = 2 FROM event_log"))
            await eventually(second.counted)
            assert second.consumer.consumer.assignment()


@pytest.mark.stack
async def test_a_restart_under_the_same_name_and_a_member_with_another_fence_nobody(kafka: Kafka, dsn: str) -> None:
    topic, out = await kafka.topic(2), await kafka.topic(1)
    handlers = toy_handlers(topic, out, service=f"toy-{topic}")
    async with started(handlers, topic, dsn, kafka.bootstrap, instance="one"):
        pass  # a static member does not leave the group when it stops
    async with (
        started(handlers, topic, dsn, kafka.bootstrap, instance="one") as again,
        started(handlers, topic, dsn, kafka.bootstrap, instance="one-b") as other,
    ):

        async def share() -> bool:
            return all(len(each.consumer.consumer.assignment()) == 1 for each in (again, other))

        await eventually(share)
        for each in (again, other):
            consumer: Any = each.consumer
            assert not await consumer._membership.superseded()


class Coordinated:
    """As much of a consumer as a membership looks at."""

    def __init__(self) -> None:
        self._coordinator = self
        self.member_id = "whp.toy.one-" + "0" * 36
        self.paused: list[TopicPartition] = []

    def pause(self, *places: TopicPartition) -> None:
        self.paused = list(places)

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("a", 0), TopicPartition("b", 0), TopicPartition("a", 1)}


def membership(consumer: Coordinated, halt: Any = None) -> Membership:
    idle = asyncio.Event()
    idle.set()
    config = settings("postgresql://nowhere", "127.0.0.1:1", instance="one")
    return Membership("whp.toy", config, lambda: consumer, idle, {}, halt)


async def test_a_stopped_partition_is_stopped_in_every_topic_and_whenever_it_is_assigned() -> None:
    consumer = Coordinated()
    member = membership(consumer)
    member.stop(0)
    assert set(consumer.paused) == {TopicPartition("a", 0), TopicPartition("b", 0)}
    await member.on_partitions_assigned({TopicPartition("a", 1)})
    assert consumer.paused == []
    await member.on_partitions_assigned({TopicPartition("a", 0), TopicPartition("a", 1)})
    assert consumer.paused == [TopicPartition("a", 0)]


async def test_a_broker_that_does_not_answer_is_no_proof_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(bootstrap: str, group: str) -> list[str]:
        raise KafkaConnectionError

    consumer, reasons = Coordinated(), list[str]()
    member = membership(consumer, reasons.append)
    await member.on_partitions_assigned(set())
    consumer.member_id = ""
    monkeypatch.setattr("runtime.membership._members", away)
    await member.on_partitions_revoked(set())
    assert reasons == []


@pytest.mark.parametrize(
    ("named", "fenced"),
    [
        ("whp.toy.one-" + "1" * 36, True),
        ("whp.toy.one-" + "0" * 36, False),  # itself, as the broker still knows it
        ("whp.toy.one-b-" + "1" * 36, False),
        ("consumer-" + "1" * 36, False),
    ],
)
async def test_a_member_that_lost_its_place_gives_way_to_another_of_its_name_only(
    monkeypatch: pytest.MonkeyPatch, named: str, fenced: bool
) -> None:
    async def members(bootstrap: str, group: str) -> list[str]:
        return ["consumer-" + "2" * 36, named]

    consumer, reasons = Coordinated(), list[str]()
    member = membership(consumer, reasons.append)
    await member.on_partitions_revoked(set())  # it has not joined yet: whoever bears its name is an earlier self
    await member.on_partitions_assigned(set())
    monkeypatch.setattr("runtime.membership._members", members)
    consumer.member_id = ""
    if fenced:
        with pytest.raises(asyncio.CancelledError):
            await member.on_partitions_revoked(set())
        assert "WHP_INSTANCE=one" in reasons[0]
    else:
        await member.on_partitions_revoked(set())
        assert reasons == []


def test_the_breaker_trips_when_many_cases_fail_and_they_are_half_of_those_seen() -> None:
    assert not Breaker().trips(range(CASES - 1), range(CASES - 1), 0.0)
    assert Breaker().trips(range(CASES), range(CASES), 0.0)
    assert Breaker().trips(range(2 * CASES), range(CASES), 0.0)
    assert not Breaker().trips(range(2 * CASES + 1), range(CASES), 0.0)
    slow = Breaker()
    assert not slow.trips(range(CASES - 1), range(CASES - 1), 0.0)
    assert not slow.trips([CASES], [CASES], WINDOW_S + 1), "what failed long ago no longer counts"
