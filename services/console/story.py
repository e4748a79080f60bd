"""From a case's events to what its page shows. Pure: the events come from the console's own log, in its order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError

from services.console.line import VERDICTS
from services.console.views import (
    Grant,
    Missing,
    Moment,
    PlanShown,
    ReadinessShown,
    SessionPoint,
    Signature,
    VerdictShown,
)
from workhardening_contracts import registry
from workhardening_contracts.clinic import Session, SessionCorrected, SessionRecorded
from workhardening_contracts.contract import EventData
from workhardening_contracts.intake import AssessmentCompleted, CaseDeclined, ConsentChanged, InformationNeeded
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import (
    CaseEscalated,
    ReadinessAssessed,
    ReadinessRevoked,
    ReadyForWork,
    WeekAdvanced,
    WeekHeld,
    WeekRegressed,
)
from workhardening_contracts.readiness import EventRejected

E = TypeVar("E", bound=EventData)


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as the log holds it."""

    source: str
    id: str
    type: str
    time: datetime
    version: int
    """Its place in the case's order."""
    policy_version: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """An event and its data."""

    event: Logged
    data: EventData


@dataclass(frozen=True)
class Story:
    """A case's events, oldest first."""

    read: tuple[Read, ...]

    @cached_property
    def by_model(self) -> Mapping[type[EventData], list[Read]]:
        found: dict[type[EventData], list[Read]] = {}
        for each in self.read:
            found.setdefault(type(each.data), []).append(each)
        return found

    def of(self, *models: type[E]) -> list[tuple[Logged, E]]:
        """The events of these types, oldest first."""
        chosen = [each for model in models for each in self.by_model.get(model, ())]
        chosen.sort(key=lambda each: each.event.version)
        return [(each.event, each.data) for each in chosen]  # pyright: ignore[reportReturnType] - chosen by type

    def last(self, *models: type[E]) -> tuple[Logged, E] | None:
        """The latest of these types."""
        found = self.of(*models)
        return found[-1] if found else None


def read_story(log: Iterable[Logged], clinic: str) -> Story:
    """The events as their contracts read them. One that cannot be read any more is left out: it shows in no chart.

    Refusals of what another clinic sent are not this case's.
    """
    read: list[Read] = []
    for event in log:
        entry = registry.BY_TYPE.get(event.type)
        if entry is None:
            continue
        try:
            data = entry.model.model_validate_json(event.body, extra="ignore")
        except ValidationError:
            continue
        if isinstance(data, EventRejected) and data.rejected_source != f"/clinics/{clinic}":
            continue
        read.append(Read(event, data))
    return Story(tuple(read))


def sessions(story: Story) -> tuple[SessionPoint, ...]:
    """The sessions as they stand, by date."""
    return tuple(_point(session) for session in sorted(held(story).values(), key=lambda each: each.held_on))


def held(story: Story) -> dict[str, Session]:
    """Each session as it stands, by the id of the event that says so: corrections in the place of what they replace,
    without what was refused."""
    refused = {data.rejected_id for _, data in story.of(EventRejected)}
    standing: dict[str, Session] = {}
    for event, data in story.of(SessionRecorded, SessionCorrected):
        if event.id in refused:
            continue
        if isinstance(data, SessionCorrected):
            standing.pop(data.supersedes, None)
        standing[event.id] = data.session
    return standing


def _point(session: Session) -> SessionPoint:
    return SessionPoint(
        on=session.held_on,
        attendance=session.attendance,
        hours=session.hours,
        pain_before=session.pain_before,
        pain_after=session.pain_after,
        pain_next_day=session.pain_next_day,
        exertion=session.exertion,
        confidence=session.confidence,
        safety_stop=session.safety_stop,
        red_flags=session.red_flags,
    )


def verdicts(story: Story) -> tuple[VerdictShown, ...]:
    """Each week's verdict."""
    return tuple(
        VerdictShown(
            event_id=event.id,
            at=event.time,
            week=data.week,
            total_weeks=data.total_weeks,
            verdict=VERDICTS[type(data)],
            starts_on=data.starts_on,
            through=data.through,
            plan_version=data.plan_version,
            attendance=data.attendance,
            reasons=data.reasons,
            final=data.final,
            policy_version=event.policy_version or None,
        )
        for event, data in story.of(WeekAdvanced, WeekHeld, WeekRegressed, CaseEscalated)
    )


def plans(story: Story) -> tuple[PlanShown, ...]:
    """Each version of the plan."""
    return tuple(
        PlanShown(
            event_id=event.id,
            version=data.plan_version,
            effective_from=data.effective_from,
            current_week=data.current_week,
            total_weeks=data.total_weeks,
            answers=data.verdict if isinstance(data, PlanRevised) else None,
            frozen=isinstance(data, PlanRevised) and data.frozen,
            weeks=data.weeks,
            shortfall=data.projected_shortfall,
            assumed=data.assumed,
        )
        for event, data in story.of(PlanIssued, PlanRevised)
    )


def readiness(story: Story) -> ReadinessShown | None:
    """The latest assessment, and what stands between it and `meets`."""
    latest = story.last(ReadinessAssessed)
    if latest is None:
        return None
    event, data = latest
    return ReadinessShown(
        event_id=event.id,
        at=event.time,
        week=data.week,
        readiness=data.readiness,
        standings=data.standings,
        restrictions=data.restrictions,
        vetoes=data.vetoes,
        confidence=data.confidence,
        shift_hours_days=data.shift_hours_days,
        flags=data.flags,
        forecast=data.forecast,
        warnings=data.warnings,
        assessed_through=data.assessed_through,
        expires_on=data.expires_on,
        final=data.final,
        missing=missing(data),
    )


def missing(assessed: ReadinessAssessed) -> tuple[Missing, ...]:
    """What stands between an assessment and `meets`, as far as the event tells: critical demands first."""
    found = [Missing("veto", veto, True) for veto in assessed.vetoes]
    for standing in sorted(assessed.standings, key=lambda each: not each.critical):
        if standing.met is not True:
            code = "demand_not_shown" if standing.shown is None else "demand_unmet"
            found.append(Missing(code, standing.demand, standing.critical))
    if assessed.shift_hours_days == 0:
        found.append(Missing("hours_not_shown", "shift", True))
    if assessed.confidence is None:
        found.append(Missing("confidence_unknown", "confidence", True))
    return tuple(found)


def signature(story: Story) -> Signature | None:
    """The signed readiness that stands."""
    latest = story.last(ReadyForWork, ReadinessRevoked)
    if latest is None or not isinstance(latest[1], ReadyForWork):
        return None
    data = latest[1]
    return Signature(
        decision=data.decision,
        restrictions=data.restrictions,
        effective_from=data.effective_from,
        effective_through=data.effective_through,
        role=data.role,
        contradicts=data.contradicts,
        reason_code=data.reason_code,
    )


def grants(story: Story) -> tuple[Grant, ...]:
    """All consent as intake stated it last."""
    latest = story.last(ConsentChanged)
    found = latest[1].grants if latest else ()
    return tuple(Grant(each.employer, each.scope, each.basis, each.valid_from, each.valid_through) for each in found)


def lacking(story: Story) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the referral or the assessment lacks, and the alerts that stand with it."""
    latest = story.last(InformationNeeded, CaseDeclined, AssessmentCompleted)
    if latest is None:
        return (), ()
    data = latest[1]
    return (data.missing if isinstance(data, InformationNeeded) else ()), data.alerts


def baseline_pain(story: Story) -> float | None:
    """What a flare is measured against, 0-10."""
    latest = story.last(PlanIssued, PlanRevised) or story.last(AssessmentCompleted)
    return latest[1].baseline_pain if latest else None


def timeline(story: Story, before: int | None, limit: int) -> tuple[tuple[Moment, ...], str | None]:
    """The events before this place, newest first, and the place to go on from."""
    older = [each for each in story.read if before is None or each.event.version < before]
    shown = older[-limit:]
    following = str(shown[0].event.version) if len(older) > len(shown) else None
    return tuple(_moment(each) for each in reversed(shown)), following


def _moment(each: Read) -> Moment:
    event = each.event
    short = re.sub(r"^org\.workhardening\.\w+\.|\.v\d+$", "", event.type)
    return Moment(event.time, event.type, short, event.source, event.id, _detail(each.data))


# Work status, decisions and dates. What a clinic writes freely is not among them.
_TOLD = (
    "readiness", "decision", "outcome", "code", "role", "reason_code", "through", "month", "as_of", "working",
    "reinjured", "plan_version",
)  # fmt: skip


def _detail(data: EventData) -> str | None:
    parts: list[str] = []
    week, total = getattr(data, "week", None), getattr(data, "total_weeks", None)
    if week is not None:
        parts.append(f"week {week} of {total}" if total else f"week {week}")
    if isinstance(data, SessionRecorded | SessionCorrected):
        parts.append(f"{data.session.held_on}, {data.session.attendance}, {data.session.hours:g} h")
    parts += [
        f"{name.replace('_', ' ')} {_said(data, name)}" for name in _TOLD if getattr(data, name, None) is not None
    ]
    if isinstance(data, ReadinessAssessed) and data.supersedes is not None:
        parts.append("told anew")
    return ", ".join(parts) or None


def _said(data: EventData, name: str) -> Any:
    return str(getattr(data, name)).replace("_", " ")


def logged(rows: Sequence[Any]) -> list[Logged]:
    """The log's rows as they are read from the database."""
    return [
        Logged(
            source=row["source"],
            id=row["id"],
            type=row["type"],
            time=row["time"],
            version=row["case_version"],
            policy_version=row["policy_version"],
            body=bytes(row["body"]),
        )
        for row in rows
    ]
