"""A story told to services which answer when they will: what a clinic says next, it says when it has been answered."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from bench.load import Record
from bench.stories import Step, Story, retold
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.progress import ReadinessAssessed

Told = tuple[str, str]
"""An employer, and the digest of what it was told last."""


@dataclass(frozen=True, slots=True)
class Life:
    """A story that comes to the same in whichever order the services read their topics."""

    story: Story
    signs: Mapping[int, str]
    """Which of its records are signatures -> the sequence of the assessment that each answers.

    Not the assessment's id: that is derived from the event which let progress judge the week, be it the closed day or
    the plan that came behind it. A signature of a life told again must name the one that was heard.
    """
    told: frozenset[Told]

    @property
    def ref(self) -> UUID:
        return self.story.ref

    def of_another(self, nth: int) -> Life:
        """The same life of another case; 0 is the life itself."""
        return replace(self, story=retold(self.story, nth))


@dataclass
class Telling:
    """How far a life has been told, and what was heard of it."""

    story: Story
    signs: Mapping[int, str]
    steps: deque[Step] = field(init=False)
    sent: int = 0
    awaited: int = 0
    """Events that the services publish on all that was sent."""
    heard: int = 0
    assessed: dict[str, str] = field(default_factory=dict[str, str])
    """Sequence of an assessment -> its id."""

    def __post_init__(self) -> None:
        self.steps = deque(self.story.steps)

    @property
    def answered(self) -> bool:
        return self.heard >= self.awaited

    @property
    def ended(self) -> bool:
        return self.answered and not self.steps

    def hear(self, type_: str, sequence: str, id_: str) -> None:
        """An event that a service published of this case."""
        self.heard += 1
        if type_ == ReadinessAssessed.TYPE:
            self.assessed[sequence] = id_

    def say(self) -> list[Record]:
        """What the clinic sends now: the next steps up to one that will be answered; nothing while one is awaited."""
        said: list[Record] = []
        while self.steps and self.answered:
            step = self.steps.popleft()
            said += [self._signed(self.sent + nth, record) for nth, record in enumerate(step.records)]
            self.sent += len(step.records)
            self.awaited += step.heard
        return said

    def _signed(self, nth: int, record: Record) -> Record:
        assessment = self.assessed.get(self.signs.get(nth, ""))
        if assessment is None:
            return record
        return replace(record, value=json.dumps({**json.loads(record.value), "readiness_event": assessment}).encode())


def signatures_of(story: Story, assessed: Mapping[str, str]) -> dict[int, str]:
    """`Life.signs`, by the ids of the assessments as the story has them (id -> sequence)."""
    records = [record for step in story.steps for record in step.records]
    return {
        nth: assessed[json.loads(record.value)["readiness_event"]]
        for nth, record in enumerate(records)
        if dict(record.headers)["ce_type"].decode() == ReadinessSigned.TYPE
    }
