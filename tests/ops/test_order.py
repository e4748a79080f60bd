"""Records that restored tables do not know are folded in the order that they had: the same events follow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from ops.order import Item, Ordered, as_it_was
from runtime.batch import decide
from runtime.fold import Case, Emitted, Position
from runtime.records import Opened, Record
from simulator.cohort import CohortConfig, make_cases
from tests.services import any_order
from tests.services.any_order import READS, TABLES, Place
from workhardening_contracts.envelope import Envelope, Event, service_source

BEGINNING = datetime(2025, 3, 3, tzinfo=UTC)
DECIDING = ("intake", "planning", "progress")
"""Those that publish; of notify, which does not, nothing says in which order it took what came in the same moment."""


class Timed(Place):
    """Topics that know when each record was published."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.published: dict[tuple[str, int], datetime] = {}
        self.clock = 0

    def publish(self, topic: str, envelope: Envelope) -> None:
        before = len(self.topics.get(topic, ()))
        super().publish(topic, envelope)
        self.clock += 1
        for offset in range(before, len(self.topics[topic])):
            self.published[topic, offset] = BEGINNING + timedelta(milliseconds=self.clock)

    def items(self, service: str) -> list[list[Item]]:
        """What a service reads, topic by topic."""
        return [
            [self._item(topic, offset, *said) for offset, said in enumerate(self.topics.get(topic, ()))
             if type(said[1].data) in TABLES[service].on]
            for topic in READS[service]
        ]  # fmt: skip

    def _item(self, topic: str, offset: int, envelope: Envelope, event: Event[Any]) -> Item:
        record = Record(Position(topic, 0, offset), self.published[topic, offset], None, (), None)
        return Opened(record, event, hashlib.sha256(envelope.data).digest())

    def published_by(self, service: str) -> list[Emitted]:
        """What a service has said, each event once."""
        return [
            Emitted(topic, envelope)
            for topic in self.topics
            for envelope, _ in self.said(topic)
            if envelope.source == service_source(service)
        ]


def histories(count: int) -> Iterator[Timed]:
    """Cases whose services read in orders of their own, some far behind the others."""
    for number in range(count):
        random = Random(f"order/{number}")
        config = CohortConfig(cases=number + 1, seed=4, hostile_rate=any_order.UNTIDY)
        case = make_cases(config, ["north"])[number]
        _, facts = any_order.live(case, random)
        lived = any_order.again(case.ref, facts, random)
        assert isinstance(lived, Timed)
        yield lived


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_order, "Place", Timed)


def folded(ref: UUID, items: Sequence[Item], service: str) -> Case[Any]:
    """What a service holds that takes these records in this order."""
    return decide(items, {}, {}, TABLES[service], {}).cases.get(ref, Case(ref, 0))


@pytest.mark.usefixtures("timed")
def test_records_are_folded_again_to_the_same_state_and_the_same_events() -> None:
    for lived in histories(12):
        for service in DECIDING:
            case = lived.readers[service].case
            order = as_it_was(lived.items(service), {}, {}, TABLES[service], lived.published_by(service))
            assert order.as_before, (service, case.ref)
            now = folded(case.ref, order.items, service)
            assert (now.state, now.sequences) == (case.state, case.sequences)


@pytest.mark.usefixtures("timed")
def test_from_the_middle_of_a_case_too() -> None:
    for lived in histories(6):
        queues, said = lived.items("progress"), lived.published_by("progress")
        case, handlers = lived.readers["progress"].case, TABLES["progress"]
        items = as_it_was(queues, {}, {}, handlers, said).items
        known = items[: len(items) // 2]
        writes = decide(known, {}, {}, handlers, {})
        logged = {row.key: row.digest for row in writes.log}
        left = [[item for item in queue if item not in known] for queue in queues]
        before = writes.cases.get(case.ref, Case(case.ref, 0)).sequences
        since = [each for each in said if (each.envelope.sequence or 0) > before.get(each.topic, 0)]
        order = as_it_was(left, writes.cases, logged, handlers, since)
        assert order.as_before
        assert folded(case.ref, (*known, *order.items), "progress").state == case.state


@pytest.mark.usefixtures("timed")
def test_topic_by_topic_is_not_the_order_that_it_was() -> None:
    """What offsets that are merely set back may come to: plans are passed over that answer verdicts not given yet."""
    differs = 0
    for lived in histories(6):
        case = lived.readers["progress"].case
        clinic, intake, planning = lived.items("progress")
        differs += folded(case.ref, [*intake, *planning, *clinic], "progress").state != case.state
    assert differs


@pytest.mark.usefixtures("timed")
def test_a_case_that_cannot_come_out_as_it_was_is_told_of_and_loses_no_record() -> None:
    lived = next(histories(1))
    queues, said = lived.items("progress"), lived.published_by("progress")
    other = next(each for each in said if each.envelope.sequence == 1)
    changed = replace(other, envelope=replace(other.envelope, data=b"{}"))
    order = as_it_was(queues, {}, {}, TABLES["progress"], [changed if each is other else each for each in said])
    assert not order.as_before
    assert sorted(map(id, order.items)) == sorted(id(item) for queue in queues for item in queue)


def test_where_nothing_came_nothing_is_ordered() -> None:
    assert as_it_was([[], []], {}, {}, TABLES["progress"], []) == Ordered((), as_before=True)
