"""The Kafka door: one record after the other, and none of them stops the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from aiokafka import TopicPartition

from runtime.fold import Position
from runtime.poll import Poll, Undecodable
from services.intake import bridge as bridge_module
from services.intake.bridge import OWN_TOPICS, Bridge, Consumed, side_by_side, take_in, take_turn
from services.intake.screening import ALL_CASES
from tests.services.intake.cases import CASE, NOON, TODAY, assessed
from tests.services.intake.desk import MemoryBroker, MemoryReceipts, desk_of
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import event_of, write_kafka
from workhardening_contracts.readiness import EventRejected

TOPIC = "clinic.north.events.v1"


@dataclass
class Record:
    offset: int
    key: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    value: bytes | None
    topic: str = TOPIC
    partition: int = 0


@dataclass
class Kept:
    """The dead letters."""

    rows: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    async def bury(self, position: Position, record: Consumed | None, reason: str) -> None:
        self.rows.append((position.offset, reason))


@dataclass
class World:
    receipts: MemoryReceipts = field(default_factory=MemoryReceipts)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    kept: Kept = field(default_factory=Kept)

    @property
    def bridge(self) -> Bridge:
        return Bridge(desk_of(self.receipts, self.broker), self.kept.bury, lambda: NOON)

    def rejected(self) -> list[EventRejected]:
        return [
            EventRejected.model_validate_json(envelope.data)
            for topic, envelope in self.broker.sent
            if topic == "clinic.rejections.v1"
        ]


def record(
    offset: int,
    data: EventData | None = None,
    *,
    id_: str | None = None,
    subject: UUID = CASE,
    source: str = "/clinics/north",
    value: bytes | None = None,
) -> Record:
    key, headers, body = write_kafka(
        event_of(data or assessed(), id=id_ or f"a{offset}", source=source, subject=subject, time=NOON)
    )
    return Record(offset, key, list(headers), value if value is not None else body)


async def test_records_come_in_by_the_front_doors_own_code_in_order() -> None:
    world = World()
    for number in range(3):
        await take_in(world.bridge, record(number))
    assert [(topic, envelope.id) for topic, envelope in world.broker.sent] == [
        ("clinic.events.v1", f"a{number}") for number in range(3)
    ]
    assert {held.status for held in world.receipts.rows.values()} == {"accepted"}


def test_cases_go_side_by_side_each_in_its_order_and_what_is_for_all_of_them_goes_alone() -> None:
    a, b = (UUID(int=(1 << 90) + number) for number in (1, 2))
    subjects = [a, b, a, ALL_CASES, b, ALL_CASES, ALL_CASES, a, b]
    records = [record(offset, subject=subject) for offset, subject in enumerate(subjects)]
    offsets = [[[each.offset for each in line] for line in step] for step in side_by_side(records)]
    assert offsets == [[[0, 2], [1]], [[3]], [[4]], [[5]], [[6]], [[7], [8]]]


def test_records_without_a_key_keep_their_order_among_each_other() -> None:
    records = [replace(record(offset), key=None) for offset in range(3)]
    assert side_by_side(records) == [[records]]
    assert side_by_side([]) == []


async def test_a_record_that_breaks_its_contract_is_answered_and_the_next_one_follows() -> None:
    world = World()
    await take_in(world.bridge, record(4, value=b'{"assessed_on":"CANARY"}'))
    await take_in(world.bridge, record(5))
    (rejected,) = world.rejected()
    assert (rejected.judge, rejected.rejected_id, rejected.topic, rejected.offset) == ("intake", "a4", TOPIC, 4)
    assert rejected.field == "/assessed_on"
    assert "CANARY" not in rejected.model_dump_json()
    assert world.broker.sent[0][1].id == f"intake.{TOPIC}.0.4"
    assert world.broker.sent[1][1].id == "a5"


@pytest.mark.parametrize("time", [b"2126-01-01T00:00:00Z", b"1999-12-31T00:00:00Z"])
async def test_the_answer_to_a_time_out_of_range_can_itself_be_read(time: bytes) -> None:
    world, late = World(), record(1)
    late.headers = [(name, time if name == "ce_time" else value) for name, value in late.headers]
    await take_in(world.bridge, late)
    (rejected,) = world.rejected()
    assert (rejected.code, rejected.field) == ("time_out_of_range", "/time")
    assert world.broker.sent[0][1].time == NOON


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": None}, "envelope.no_data"),
        ({"key": b"elsewhere"}, "envelope.key"),
        ({"headers": [("ce_id", None)]}, "envelope.header"),
        ({"headers": [("ce_id", b"\xff")]}, "envelope.header"),
        ({"headers": []}, "envelope.specversion"),
    ],
)
async def test_a_record_that_cannot_be_read_is_kept_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    world, unreadable = World(), record(7)
    for name, value in changes.items():
        setattr(unreadable, name, value)
    await take_in(world.bridge, unreadable)
    assert (world.kept.rows, world.broker.sent) == ([(7, reason)], [])


async def test_a_foreign_source_is_kept_and_not_answered_in_the_others_name() -> None:
    world = World()
    await take_in(world.bridge, record(1, source="/clinics/south"))
    assert (world.kept.rows, world.broker.sent) == ([(1, "foreign_source")], [])


async def test_a_reused_id_is_kept_and_leaves_the_first_events_receipt() -> None:
    world = World()
    await take_in(world.bridge, record(1, id_="x"))
    await take_in(world.bridge, record(2, assessed(baseline_pain=9.0), id_="x"))
    assert world.kept.rows == [(2, "id_reused")]
    assert world.rejected() == []
    assert world.receipts.rows["/clinics/north", "x"].status == "accepted"


async def test_a_record_that_is_delivered_twice_is_produced_twice_and_no_more() -> None:
    world = World()
    for _ in range(2):
        await take_in(world.bridge, record(1))
    assert [envelope.id for _, envelope in world.broker.sent] == ["a1", "a1"]
    assert world.kept.rows == []


async def test_one_record_closes_a_day_for_all_open_cases_of_its_clinic() -> None:
    world = World(receipts=MemoryReceipts(open={"north": [UUID(int=1), UUID(int=2)]}))
    await take_in(world.bridge, record(3, DayClosed(through=TODAY), subject=ALL_CASES))
    assert [envelope.subject for _, envelope in world.broker.sent] == [UUID(int=1), UUID(int=2)]


@pytest.mark.parametrize("value", [None, b'{"assessed_on":"never"}'])
async def test_an_outage_is_waited_for_and_never_skipped(monkeypatch: pytest.MonkeyPatch, value: bytes | None) -> None:
    waited: list[float] = []

    async def no_sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(bridge_module.asyncio, "sleep", no_sleep)
    world = World(broker=MemoryBroker(failures=9))
    await take_in(world.bridge, record(1, value=value))
    assert len(world.broker.sent) == 1
    assert world.kept.rows == []
    assert len(waited) == 9
    assert waited[0] < waited[3] < 8, "backs off, but not for ever"
    assert max(waited) <= bridge_module.SLOWEST_RETRY_S * 1.2


async def test_a_defect_of_ours_in_one_record_does_not_hold_back_the_others() -> None:
    class Broken(MemoryReceipts):
        async def claim(self, claims: Sequence[Any]) -> Any:
            raise ZeroDivisionError

    world = World(receipts=Broken())
    await take_in(world.bridge, record(1))
    assert world.kept.rows == [(1, "defect.ZeroDivisionError")]


@pytest.mark.parametrize(
    ("topic", "clinic"),
    [
        ("clinic.north.events.v1", "north"),
        ("clinic.north-2.events.v1", "north-2"),
        ("clinic.events.v1", None),
        ("clinic.rejections.v1", None),
        ("intake.events.v1", None),
        ("clinic.north.events.v2", None),
    ],
)
def test_a_clinics_own_topic_is_known_by_its_name(topic: str, clinic: str | None) -> None:
    found = OWN_TOPICS.match(topic)
    assert (found and found[1]) == clinic


class Log:
    """Topics behind a consumer that forgets as aiokafka does: when it meets a record that it cannot decode, what it had
    gathered is gone, and the positions have moved on."""

    def __init__(self, ends: dict[TopicPartition, int], undecodable: set[tuple[TopicPartition, int]]) -> None:
        self.ends, self.undecodable = ends, undecodable
        self.at = dict.fromkeys(ends, 0)
        self.commits: dict[TopicPartition, int] = {}

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        found: dict[TopicPartition, list[Record]] = {}
        for partition in partitions or self.ends:
            start = self.at[partition]
            for offset in range(start, min(self.ends[partition], start + max_records)):
                if (partition, offset) in self.undecodable:
                    self.at[partition] = offset
                    raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
                found.setdefault(partition, []).append(replace(record(offset), topic=partition.topic))
            self.at[partition] = min(self.ends[partition], start + max_records)
        return found

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.ends)

    async def position(self, partition: TopicPartition) -> int:
        return self.at[partition]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.at[partition] = offset

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.commits.get(partition)

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.commits |= offsets


async def test_a_record_that_the_client_cannot_decode_is_kept_by_its_place_and_costs_no_other_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two, three = (TopicPartition(f"clinic.{name}.events.v1", 0) for name in ("one", "two", "three"))
    log = Log({one: 4, two: 7, three: 3}, {(two, 2), (two, 5), (three, 0)})
    world, taken = World(), dict[str, list[int]]()

    async def take_in(bridge: Bridge, given: Any) -> None:
        if not isinstance(given, Undecodable):
            taken.setdefault(given.topic, []).append(given.offset)
        await take(bridge, given)

    take = bridge_module.take_in
    monkeypatch.setattr(bridge_module, "take_in", take_in)
    done: dict[TopicPartition, int] = {}

    async def fetch(consumer: Log) -> tuple[Record, ...]:
        return tuple(each for some in (await consumer.getmany(timeout_ms=0, max_records=5)).values() for each in some)

    poll = Poll(fetch, done)
    while log.commits != log.ends:
        await take_turn(world.bridge, log, poll, done)
    assert taken == {one.topic: [0, 1, 2, 3], two.topic: [0, 1, 3, 4, 6], three.topic: [1, 2]}
    kept = [offset for offset, reason in world.kept.rows if reason == "kafka.undecodable"]
    assert sorted(kept) == [0, 2, 5]
