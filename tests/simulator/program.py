"""The four services in one process: their own folds on a queue, without Kafka, database or clock."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from runtime.fold import Case, Handlers, Position, Received, fold, validate
from runtime.policy import Policies
from services.intake import handlers as intake
from services.intake.policy import Policy as IntakePolicy
from services.notify import handlers as notify
from services.notify.policy import Policy as NotifyPolicy
from services.notify.rows import DeliveryRow, FeedRow
from services.planning import handlers as planning
from services.planning.policy import Policy as PlanningPolicy
from services.progress import handlers as progress
from services.progress.policy import Policy as ProgressPolicy
from simulator.casework import Case as ClinicCase
from simulator.clinic import opened
from simulator.ledger import Sending
from workhardening_contracts.envelope import Envelope, read_structured
from workhardening_contracts.registry import CLINIC_TOPIC


def services() -> Mapping[str, Handlers[Any, Any]]:
    """The tables of all services, under their default policies."""
    return {
        "intake": intake.handlers(Policies(IntakePolicy())),
        "planning": planning.handlers(Policies(PlanningPolicy())),
        "progress": progress.handlers(Policies(ProgressPolicy())),
        "notify": notify.handlers(Policies(NotifyPolicy())),
    }


class Program:
    """Takes clinic events as the front door would, and keeps what the clinics' feeds and the employers would hold."""

    def __init__(self) -> None:
        self.handlers = services()
        self.cases: dict[tuple[str, UUID], Case[Any]] = {}
        self.feed: dict[UUID, list[Envelope]] = defaultdict(list)
        self.news: list[Envelope] = []
        """The same for all cases together, in order."""
        self.deliveries: list[DeliveryRow] = []
        self._seen: set[tuple[str, str, str, UUID]] = set()
        self._offset = 0

    def accept(self, envelope: Envelope) -> None:
        """Fold one clinic event, and everything that follows from it, to the end."""
        queue = deque([(CLINIC_TOPIC, envelope)])
        while queue:
            topic, next_ = queue.popleft()
            self._offset += 1
            for name, handlers in self.handlers.items():
                key = (name, next_.source, next_.id, next_.subject)
                if next_.type not in handlers.by_type or key in self._seen:
                    continue
                self._seen.add(key)
                queue += self._fold(name, handlers, next_, Position(topic, 0, self._offset))

    def _fold(
        self, name: str, handlers: Handlers[Any, Any], envelope: Envelope, position: Position
    ) -> list[tuple[str, Envelope]]:
        event = validate(envelope, handlers.by_type[envelope.type])
        case = self.cases.get((name, envelope.subject)) or Case(envelope.subject, 0)
        folded = fold(case, Received(event, position), handlers)
        self.cases[name, envelope.subject] = folded.case
        for effect in folded.effects:
            if isinstance(effect, FeedRow):
                told = read_structured(json.dumps(effect.event).encode())
                self.feed[effect.case_ref].append(told)
                self.news.append(told)
            elif isinstance(effect, DeliveryRow):
                self.deliveries.append(effect)
        return [(emitted.topic, emitted.envelope) for emitted in folded.emitted]


def live(program: Program, case: ClinicCase) -> list[Sending]:
    """Take one case through the program as far as it goes; everything that its clinic sent."""
    sent: list[Sending] = []
    read = 0

    def send(sendings: list[Sending]) -> None:
        for sending in sendings:
            sent.append(sending)
            if sending.status == 202:
                program.accept(sending.envelope)

    while not case.ended:
        while (through := case.next_close) is not None:
            send(case.work())
            if case.next_close == through:
                send([case.day_closed(through)] if case.begun else [])
                send(case.closed(through))
        news = program.feed[case.ref][read:]
        if not news:
            return sent
        for envelope in news:
            read += 1
            event = opened(envelope)
            assert event is not None
            send(case.hear(event))
    return sent
