"""A case as progress holds it: a tagged union of phases. Compact, since it is written again on every event."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from services.progress.session_log import Entry
from workhardening_contracts.clinic import FollowUpRecorded
from workhardening_contracts.contract import Contract
from workhardening_contracts.demand import DemandProfile
from workhardening_contracts.planning import PlanIssued, PlanRevised, Target

Outcome = Literal["ready", "ready_with_restrictions", "not_ready", "discontinued", "withdrawn"]


class Withdrawn(Contract):
    """The worker leaves, as soon as the weeks that were closed before are judged."""

    on: date
    reason_code: str
    closed_through: date | None
    """The last closed day when it was said; what is closed later is not judged any more."""


class Opened(Contract):
    """In the program; the plan has not come. What comes meanwhile is recorded."""

    phase: Literal["opened"] = "opened"
    clinic: str
    opened_on: date | None = None
    log: tuple[Entry, ...] = ()
    closed_through: date | None = None
    withdrawn: Withdrawn | None = None


_TARGETS: TypeAdapter[tuple[Target, ...]] = TypeAdapter(tuple[Target, ...])


class WeekInHand(Contract):
    """The week to be judged."""

    number: int
    starts_on: date
    ends_on: date
    days: int
    targets_json: str

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        return _TARGETS.validate_json(self.targets_json, extra="ignore")


class PlanInHand(Contract):
    """What is needed of the plan: the week to be judged, and what it is judged against.

    Job and targets are text until they are looked at, when a week is judged, which is one event in five. They are read
    and written with each event of the case, and as models they made a state take half as long again to read.
    """

    version: int
    job_json: str
    baseline_pain: float
    total_weeks: int
    week: WeekInHand

    @cached_property
    def job(self) -> DemandProfile:
        return DemandProfile.model_validate_json(self.job_json, extra="ignore")


def in_hand(plan: PlanIssued | PlanRevised) -> PlanInHand:
    """What is kept of a plan."""
    week = plan.weeks[0]
    return PlanInHand(
        version=plan.plan_version,
        job_json=plan.job.model_dump_json(exclude_none=True),
        baseline_pain=plan.baseline_pain,
        total_weeks=plan.total_weeks,
        week=WeekInHand(
            number=week.number,
            starts_on=week.starts_on,
            ends_on=week.ends_on,
            days=week.days,
            targets_json=_TARGETS.dump_json(week.targets, exclude_none=True).decode(),
        ),
    )


class Corrected(Contract):
    """Job and baseline as intake completed them last, where the plan in hand still rests on others."""

    job: DemandProfile
    baseline_pain: float
    assessed_on: date


class Judging(Contract):
    """The plan's week is judged as soon as it is closed."""

    status: Literal["judging"] = "judging"


class AwaitingPlan(Contract):
    """Judged; the plan that answers the verdict has not come."""

    status: Literal["awaiting_plan"] = "awaiting_plan"
    verdict: str
    """The id of the verdict event."""


class Frozen(Contract):
    """A safety alert stopped the training: weeks are not judged until a plan resumes."""

    status: Literal["frozen"] = "frozen"
    verdict: str
    """The id of the verdict event that the frozen plan answered: an escalation, or any after an assessment's alert."""


class AwaitingSignature(Contract):
    """The last week is judged; a clinician's signature decides the outcome."""

    status: Literal["awaiting_signature"] = "awaiting_signature"


Status = Annotated[Judging | AwaitingPlan | Frozen | AwaitingSignature, Field(discriminator="status")]


class Point(Contract):
    """The best of a week for one deciding demand."""

    week: int
    demand: str
    amount: float
    """In the demand's unit."""


class Basis(Contract):
    """What an assessment rests on. The plan moves on, and a later report may change what the assessment says."""

    week: int
    total_weeks: int
    baseline_pain: float
    through: date
    alerts: tuple[str, ...]
    final: bool
    reports: int
    """So many of the log's reports are counted in it, or do not concern it."""
    job: DemandProfile | None = None
    """None where it is that of the plan in hand, which it nearly always is."""


class Assessed(Contract):
    """The latest readiness, which may be signed."""

    id: str
    """The id of the ReadinessAssessed event."""
    readiness: Literal["meets", "meets_with_restrictions", "not_yet", "insufficient_data"]
    expires_on: date
    final: bool
    activities: tuple[str, ...] = ()
    """What a signed restriction may name: the job's kinds, mental ones left out."""
    zones: tuple[str, ...] = ()
    basis: Basis | None = None
    """None once the program is over: reports are taken no more. And of a case that an earlier release assessed."""


class InProgram(Contract):
    """Sessions are held and weeks are judged."""

    phase: Literal["in_program"] = "in_program"
    clinic: str
    opened_on: date | None = None
    plan: PlanInHand
    corrected: Corrected | None = None
    status: Status
    log: tuple[Entry, ...]
    closed_through: date | None
    withdrawn: Withdrawn | None = None
    judged_through: date | None = None
    """The last day that a verdict has judged: a Sunday, or the day of an escalation."""
    cleared_through: date | None = None
    """Alerts of sessions up to this day were answered by an assessment."""
    weeks_judged: int = 0
    holds: int = 0
    stalled: int = 0
    trend: tuple[Point, ...] = ()
    readiness: Assessed | None = None


class Closed(Contract):
    """The program is over. A signature may still be corrected or withdrawn, and follow-ups are recorded."""

    phase: Literal["closed"] = "closed"
    clinic: str
    outcome: Outcome
    """As it was closed, or as a corrected signature has it."""
    readiness: Assessed | None = None
    signed: bool = False
    """A signature closed the case, so another one for the same assessment corrects it."""
    alerted: bool = False
    """A safety alert had been reported since the assessment when it was signed."""
    ready_event: str | None = None
    """The id of the ReadyForWork event that stands."""
    follow_ups: tuple[FollowUpRecorded, ...] = ()


State = Annotated[Opened | InProgram | Closed, Field(discriminator="phase")]
