"""Planning and progress together, folded as the runtime does, with the topics between them as plain lists.

Each consumer reads each topic in its order; which topic is read next is up to the caller. Event ids differ between two
readings (they are derived from what caused the event), so `Told` names every event by its type and number instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from runtime.fold import Case, Emitted, Handlers, Position, Received, fold, validate
from runtime.policy import Policies
from services.planning.handlers import handlers as planning_handlers
from services.planning.policy import Policy as PlanningPolicy
from services.progress.handlers import handlers as progress_handlers
from services.progress.policy import Policy as ProgressPolicy
from services.progress.state import State
from workhardening_contracts import registry
from workhardening_contracts.clinic import CaseErased, ReadinessSigned
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, Event, clinic_source, event_of, service_source
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import ReadinessAssessed
from workhardening_contracts.readiness import EventRejected

CASE = UUID("018f0000-0000-7000-8000-000000000002")


@dataclass(frozen=True)
class Signs:
    """A signature of the readiness of one week, whose event id is known only once it was assessed."""

    week: int
    signed: ReadinessSigned
    on: date


Said = tuple[EventData, date] | Signs
"""What a clinic says, with its business date."""


@dataclass
class Reader:
    """One service's case, and how far it has read each topic."""

    handlers: Handlers[Any, Any]
    topics: tuple[str, ...]
    case: Case[Any] = field(default_factory=lambda: Case(CASE, 0))
    read: dict[str, int] = field(default_factory=dict[str, int])


class World:
    """A clinic that speaks, and two services that listen."""

    def __init__(self, planning: PlanningPolicy | None = None, progress: ProgressPolicy | None = None) -> None:
        planning, progress = planning or PlanningPolicy(), progress or ProgressPolicy()
        self.topics: dict[str, list[Envelope]] = {}
        self.rejections: list[EventRejected] = []
        self.readers = {
            "planning": Reader(
                planning_handlers(Policies(planning)),
                (registry.INTAKE_TOPIC, registry.PROGRESS_TOPIC, registry.CLINIC_TOPIC),
            ),
            "progress": Reader(
                progress_handlers(Policies(progress)),
                (registry.CLINIC_TOPIC, registry.INTAKE_TOPIC, registry.PLANNING_TOPIC),
            ),
        }

    @property
    def state(self) -> State | None:
        """The case as progress holds it."""
        return self.readers["progress"].case.state

    def publish(self, data: EventData, on: date, id: str | None = None) -> str:
        """Append an event to its topic; its id."""
        topic = registry.topic_of(type(data))
        there = self.topics.setdefault(topic, [])
        source = clinic_source("north") if registry.from_clinic(data.TYPE) else service_source(topic.split(".")[0])
        name = id or f"{topic}-{len(there)}"
        there.append(
            event_of(data, id=name, source=source, subject=CASE, time=datetime.combine(on, time(18), tzinfo=UTC))
        )
        return name

    def say(self, said: Said, id: str | None = None) -> str:
        """Publish what a clinic says. A signature must have something to sign (see `can_be_said`)."""
        if isinstance(said, Signs):
            readiness = self.readiness_of(said.week)
            assert readiness is not None
            return self.publish(said.signed.model_copy(update={"readiness_event": readiness}), said.on, id)
        return self.publish(*said, id)

    def can_be_said(self, said: Said) -> bool:
        return not isinstance(said, Signs) or self.readiness_of(said.week) is not None

    def readiness_of(self, week: int) -> str | None:
        """The id of the readiness of one week, once it was assessed."""
        return next(
            (
                envelope.id
                for envelope, data in self.told()
                if isinstance(data, ReadinessAssessed) and data.week == week
            ),
            None,
        )

    def unread(self) -> list[tuple[str, str]]:
        """(service, topic) pairs with something to read."""
        return [
            (name, topic)
            for name, reader in self.readers.items()
            for topic in reader.topics
            if reader.read.get(topic, 0) < len(self.topics.get(topic, []))
        ]

    def read(self, service: str, topic: str) -> None:
        """Let one service read the next record of one topic."""
        reader = self.readers[service]
        offset = reader.read.get(topic, 0)
        reader.read[topic] = offset + 1
        envelope = self.topics[topic][offset]
        model = registry.BY_TYPE[envelope.type].model
        if model not in reader.handlers.on:
            return
        event = validate(envelope, model)
        folded = fold(reader.case, Received(event, Position(topic, 0, offset)), reader.handlers)
        reader.case = folded.case
        for emitted in folded.emitted:
            self._emitted(emitted)

    def settle(self) -> None:
        """Read until nothing is left."""
        while unread := self.unread():
            self.read(*unread[0])

    def told(self, topic: str = registry.PROGRESS_TOPIC) -> list[tuple[Envelope, EventData]]:
        """What was published on a topic, read back as a consumer reads it."""
        return [
            (envelope, validate(envelope, registry.BY_TYPE[envelope.type].model).data)
            for envelope in self.topics.get(topic, [])
        ]

    def data(self, topic: str = registry.PROGRESS_TOPIC) -> list[Any]:
        return [data for _, data in self.told(topic)]

    def kinds(self) -> list[str]:
        """The types that progress published, in order."""
        return [type(data).__name__ for data in self.data()]

    def plan(self) -> PlanIssued | PlanRevised:
        """The latest plan."""
        return self.data(registry.PLANNING_TOPIC)[-1]

    def neutral(self) -> tuple[str, str, str]:
        """What both services published and how progress ended, with every id replaced by the event's place."""
        names = {
            envelope.id: f"<{topic}:{nth}>"
            for topic in (registry.PLANNING_TOPIC, registry.PROGRESS_TOPIC)
            for nth, envelope in enumerate(self.topics.get(topic, []))
        }
        reader = self.readers["progress"]
        texts = [
            "\n".join(f"{each.type} {each.data.decode()}" for each in self.topics.get(topic, []))
            for topic in (registry.PLANNING_TOPIC, registry.PROGRESS_TOPIC)
        ]
        texts.append(reader.handlers.adapter.dump_json(reader.case.state).decode())
        for id, name in names.items():
            texts = [text.replace(id, name) for text in texts]
        return texts[0], texts[1], texts[2]

    def _emitted(self, emitted: Emitted) -> None:
        if emitted.topic == registry.REJECTIONS_TOPIC:
            self.rejections.append(EventRejected.model_validate_json(emitted.envelope.data))
        else:
            self.topics.setdefault(emitted.topic, []).append(emitted.envelope)


def replay(
    said: Sequence[Said], intake: Sequence[tuple[EventData, date]], world: World, choose: Callable[[int], int]
) -> World:
    """Say the same again while `choose` (given n, answers 0..n-1) decides who reads which topic next."""
    for data, on in intake:
        world.publish(data, on)
    left = [(nth, each) for nth, each in enumerate(said)]
    while True:
        choices: list[tuple[str, str] | None] = [*world.unread()]
        if left and world.can_be_said(left[0][1]):
            choices.append(None)
        if not choices:
            return world
        chosen = choices[choose(len(choices))]
        if chosen is None:
            nth, each = left.pop(0)
            world.say(each, f"clinic-{nth}")
        else:
            world.read(*chosen)


__all__ = ["CASE", "CaseErased", "Event", "Said", "Signs", "World", "replay"]
