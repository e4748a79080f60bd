"""One case, a job and an assessment to plan from; and a way to fold events as the runtime does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

from runtime.fold import Case, Folded, Position, Received, fold, validate
from runtime.policy import Policies
from services.planning.handlers import handlers
from services.planning.policy import Policy
from services.planning.state import State
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import Capacity, Demand, DemandProfile, Frequency
from workhardening_contracts.envelope import event_of, service_source
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import CaseEscalated, WeekAdvanced, WeekHeld, WeekRegressed
from workhardening_contracts.progress import Reason as WeekReason
from workhardening_contracts.quantity import Quantity, Unit
from workhardening_contracts.registry import BY_TYPE

CASE = UUID("018f0000-0000-7000-8000-000000000001")
ASSESSED = date(2026, 3, 4)  # a Wednesday; week 1 begins on Monday 9 March
VERDICTS: Mapping[str, type[WeekAdvanced | WeekHeld | WeekRegressed | CaseEscalated]] = {
    "advance": WeekAdvanced,
    "hold": WeekHeld,
    "regress": WeekRegressed,
    "escalate": CaseEscalated,
}


def demand(
    kind: str = "lift",
    amount: float = 20.0,
    unit: Unit = "kg",
    frequency: Frequency = "occasional",
    zone: str | None = None,
    critical: bool = True,
) -> Demand:
    return Demand(
        kind=kind, zone=zone, frequency=frequency, amount=Quantity(amount=amount, unit=unit), critical=critical
    )


def capacity(of: Demand, amount: float, on: date = ASSESSED) -> Capacity:
    return Capacity(
        kind=of.kind,
        zone=of.zone,
        frequency=of.frequency,
        amount=Quantity(amount=amount, unit=of.amount.unit),
        measured_on=on,
    )


LIFT = demand("lift", 20.0, "kg", zone="floor_waist")
STAND = demand("stand", 240.0, "min", "frequent", critical=False)
JOB = DemandProfile(title="Warehouse worker", basis="job_analysis", demands=(LIFT, STAND), shift_hours=8.0)


def assessment(
    job: DemandProfile = JOB,
    baseline: Sequence[Capacity] = (capacity(LIFT, 8.0), capacity(STAND, 60.0)),
    on: date = ASSESSED,
    weeks: int | None = None,
    hours: float | None = None,
    tolerance: float = 3.0,
    alerts: tuple[str, ...] = (),
) -> AssessmentCompleted:
    return AssessmentCompleted(
        clinic="north",
        assessed_on=on,
        job=job,
        baseline=tuple(baseline),
        baseline_pain=3.0,
        tolerance_hours_per_day=tolerance,
        tolerance_days_per_week=3,
        authorised_weeks=weeks,
        authorised_hours_per_day=hours,
        alerts=alerts,
    )


def verdict(
    kind: str, plan: PlanIssued | PlanRevised, attained: Sequence[Capacity] = (), final: bool = False
) -> EventData:
    week = plan.weeks[0]
    return VERDICTS[kind](
        clinic="north",
        week=week.number,
        total_weeks=plan.total_weeks,
        starts_on=week.starts_on,
        through=week.ends_on,
        plan_version=plan.plan_version,
        attendance=1.0,
        attained=tuple(attained),
        reasons=(WeekReason(code="target_attained"),),
        final=final,
    )


@dataclass
class Planning:
    """Planning with one case, driven event by event."""

    policy: Policy = field(default_factory=Policy)
    case: Case[Any] = field(default_factory=lambda: Case(CASE, 0))
    sent: int = 0

    def given(self, *events: EventData) -> Planning:
        for event in events:
            self.when(event)
        return self

    def when(self, data: EventData, on: date = ASSESSED) -> list[Any]:
        """Fold one event; the data of what it emits, read back as a consumer reads it."""
        self.sent += 1
        clinic = data.TYPE.startswith("org.workhardening.clinic.")
        envelope = event_of(
            data,
            id=f"event-{self.sent}",
            source="/clinics/north" if clinic else service_source("intake"),
            subject=CASE,
            time=datetime.combine(on, time(18), tzinfo=UTC),
        )
        received = Received(validate(envelope, type(data)), Position("t", 0, self.sent))
        folded: Folded[Any] = fold(self.case, received, handlers(Policies(self.policy)))
        self.case = folded.case
        return [validate(emitted.envelope, BY_TYPE[emitted.envelope.type].model).data for emitted in folded.emitted]

    @property
    def state(self) -> State | None:
        return self.case.state

    @property
    def last_id(self) -> str:
        return f"event-{self.sent}"
