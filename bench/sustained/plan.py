"""What is sent: whole lives side by side, and what must come of as much of each as is told. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

from bench.expected import Output
from bench.load import Record
from bench.program import Hop
from bench.stories import SERVICES, Story, followed, retold
from workhardening_contracts.envelope import read_kafka


@dataclass
class Told:
    """One life, and how many of its records are sent."""

    story: Story
    records: int = 0


@dataclass(frozen=True)
class Plan:
    """Records in the order in which they are sent, and what must come of them."""

    records: Sequence[Record]
    lives: int
    outputs: Counter[Output]
    taken: Counter[str]
    """Service -> events that it must have taken."""


def plan_of(stories: Sequence[Story], lanes: int, records: int) -> Plan:
    """So many records, of as many lives at a time as there are lanes.

    Between two records of a case lie those of all other lanes, so that what the first one leads to has come before the
    second is sent. Where the stories do not suffice they are told again, of other cases.
    """
    told: list[Told] = []
    supply = (retold(story, nth) for nth in count() for story in stories)
    side_by_side = [_lane(supply, told) for _ in range(lanes)]
    sent = [next(side_by_side[nth % lanes]) for nth in range(records)]
    outputs, taken = Counter[Output](), Counter[str]()
    for life in told:
        some, events = comes_of(life)
        outputs += some
        taken += events
    return Plan(sent, len(told), outputs, taken)


def _lane(supply: Iterator[Story], told: list[Told]) -> Iterator[Record]:
    """One life after the other."""
    for story in supply:
        told.append(life := Told(story))
        for record in _records(story):
            life.records += 1
            yield record


def _records(story: Story) -> Iterator[Record]:
    return chain.from_iterable(step.records for step in story.steps)


def comes_of(life: Told) -> tuple[Counter[Output], Counter[str]]:
    """The outputs, and how many events each service takes. What was cut short is folded; the rest is known."""
    story, case = life.story, str(life.story.ref)
    if life.records == story.sent:
        taken = Counter({name: story.rows.get(name, 0) for name in SERVICES})
        return Counter((topic, case, type_, sequence) for topic, type_, sequence in story.outputs), taken
    hops, offsets = {name: Hop(name) for name in SERVICES}, count()
    outputs = Counter[Output]()
    for record in islice(_records(story), life.records):
        envelope = read_kafka(record.key, record.headers, record.value)
        for topic, answer in followed(hops, envelope, offsets)[1:]:
            outputs[(topic, case, answer.type, str(answer.sequence or ""))] += 1
    return outputs, Counter({name: len(hop.taken) for name, hop in hops.items()})
