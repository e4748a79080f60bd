"""The services' own decisions without Kafka, database or clock: what a hop must come to, whoever carries it out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any
from uuid import UUID

from runtime.fold import Case, Emitted, Handlers, Position, Received, fold, validate
from runtime.policy import Policies
from workhardening_contracts.envelope import Envelope, Event
from workhardening_contracts.registry import CLINIC_TOPIC


@cache
def handlers_of(service: str) -> Handlers[Any, Any]:
    """A service's table, under its default policy. Imported when it is asked for: a peer needs one service's only."""
    table: Any = import_module(f"services.{service}.handlers")
    policy: Any = import_module(f"services.{service}.policy")
    handlers: Handlers[Any, Any] = table.handlers(Policies(policy.Policy()))
    return handlers


@cache
def topics_of(service: str) -> tuple[str, ...]:
    """What a service reads."""
    topics: tuple[str, ...] = import_module(f"services.{service}.__main__").SERVICE.topics
    return topics


Key = tuple[UUID, str, str]
"""(case, source, id): what makes two deliveries the same event."""


def key_of(envelope: Envelope) -> Key:
    """What makes a second delivery of this event the same."""
    return envelope.subject, envelope.source, envelope.id


@dataclass
class Hop:
    """One service's share: its cases, and which events it took. `take` is what each variant must come to."""

    service: str
    cases: dict[UUID, Case[Any]] = field(default_factory=dict[UUID, Case[Any]])
    taken: set[Key] = field(default_factory=set[Key])
    effects: list[object] = field(default_factory=list[object])
    """Rows beside the cases."""

    def take(self, envelope: Envelope, position: Position) -> tuple[Emitted, ...]:
        """Fold one event; what is emitted. Nothing for a repeated event, or one that is nothing to the service."""
        handlers = handlers_of(self.service)
        key, model = key_of(envelope), handlers.by_type.get(envelope.type)
        if model is None or key in self.taken:
            return ()
        self.taken.add(key)
        case = self.cases.get(envelope.subject) or Case(envelope.subject, position.partition)
        event: Event[Any] = validate(envelope, model)
        folded = fold(case, Received(event, position), handlers)
        self.cases[case.ref] = folded.case
        self.effects += folded.effects
        return folded.emitted


def follow(hops: Mapping[str, Hop], envelope: Envelope) -> list[Emitted]:
    """One clinic event and all that follows from it, in the order in which it was emitted."""
    queue, emitted = deque([(CLINIC_TOPIC, envelope)]), list[Emitted]()
    while queue:
        topic, next_ = queue.popleft()
        for hop in hops.values():
            for entry in hop.take(next_, Position(topic, 0, 0)):
                emitted.append(entry)
                queue.append((entry.topic, entry.envelope))
    return emitted
