"""Referrals, assessments and events for intake's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from runtime.fold import Case, Folded, Outcome, Position, Received, fold
from runtime.policy import Policies
from services.intake.assessment import REQUIRED
from services.intake.handlers import handlers
from services.intake.policy import Policy
from services.intake.state import State
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    Authorisation,
    CaseWithdrawn,
    ConsentRecorded,
    Criteria,
    Finding,
    Injury,
    JointMobility,
    Referral,
    ReferralCorrected,
    ReferralReceived,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import Capacity, Demand, DemandProfile
from workhardening_contracts.envelope import Event, event_of
from workhardening_contracts.progress import CaseClosed
from workhardening_contracts.quantity import Quantity
from workhardening_contracts.readiness import EventRejected

CASE = UUID("018f0000-0000-7000-8000-000000000001")
TODAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
POLICY = Policy()
HANDLERS = handlers(Policies(POLICY))

JOB = DemandProfile(
    title="Stock clerk",
    basis="job_analysis",
    demands=(
        Demand(
            kind="lift",
            zone="floor_waist",
            frequency="occasional",
            amount=Quantity(amount=20.0, unit="kg"),
            critical=True,
        ),
    ),
    shift_hours=8.0,
)

CRITERIA = Criteria(
    workplace_injury="yes",
    demanding_job="yes",
    difficulty_with_duties="unknown",
    reinjury_risk="no",
    gradual_exposure_needed="no",
)

REFERRAL = Referral(
    worker_ref="w-1",
    employer="acme",
    employee_key="E-17",
    injury=Injury(occurred_on=date(2025, 11, 3), body_part="lower back"),
    criteria=CRITERIA,
    return_to_work_goal="yes",
    medical_clearance="yes",
    treatment_consent="yes",
    job=JOB,
    tolerance_hours_per_day=3.0,
    tolerance_days_per_week=4,
    authorisation=Authorisation(
        required=True, valid_from=date(2026, 1, 1), valid_through=date(2026, 12, 31), weeks=8, hours_per_day=6.0
    ),
)


def referral(**changes: Any) -> Referral:
    """An eligible referral with these fields changed."""
    return REFERRAL.model_copy(update=changes)


def criteria(**changes: Any) -> Criteria:
    """The eligible referral's criteria with these changed."""
    return CRITERIA.model_copy(update=changes)


def capacity(kg: float, on: date = TODAY, zone: str = "floor_waist") -> Capacity:
    """A lifting capacity."""
    return Capacity(
        kind="lift", zone=zone, frequency="occasional", amount=Quantity(amount=kg, unit="kg"), measured_on=on
    )


def assessed(**changes: Any) -> AssessmentRecorded:
    """A complete assessment with these fields changed; None leaves a part out."""
    whole: dict[str, Any] = {
        "assessed_on": TODAY,
        "history_flags": (),
        "physical_examination": (Finding(code="none"),),
        "posture": (),
        "mobility": (JointMobility(joint="lumbar", movement="flexion", degrees=40.0, side="not_applicable"),),
        "functional_tests": (capacity(10.0),),
        "baseline_pain": 4.0,
    }
    return AssessmentRecorded(**(whole | changes))


def said(data: EventData, id_: str, at: datetime = NOON, source: str = "/clinics/north") -> Event[Any]:
    """An event of the clinic north."""
    return Event(event_of(data, id=id_, source=source, subject=CASE, time=at), data)


def when(*events: Event[Any]) -> tuple[Case[State], list[Folded[State]]]:
    """Fold these events in order into a new case."""
    return after(Case(CASE, 0), events)


def after(case: Case[State], events: Sequence[Event[Any]]) -> tuple[Case[State], list[Folded[State]]]:
    """Fold these events in order into this case."""
    folded: list[Folded[State]] = []
    for event in events:
        folded.append(fold(case, Received(event, Position("clinic.events.v1", 0, len(folded))), HANDLERS))
        case = folded[-1].case
    return case, folded


def decide(state: State | None, event: Event[Any], policy: Policy = POLICY) -> Outcome[State]:
    """One handler's outcome, without the runtime around it."""
    return HANDLERS.on[type(event.data)](state, event, policy)


def kinds(outcome: Outcome[State]) -> list[str]:
    """The names of what is emitted."""
    return [type(data).__name__ for data in outcome.emit]


def renamed(event: Event[Any], id_: str) -> Event[Any]:
    """The same event under another id."""
    return Event(replace(event.envelope, id=id_), event.data)


def received(asked: Referral | None = None, id_: str = "r1") -> Event[Any]:
    return said(ReferralReceived(referral=asked or referral()), id_)


def corrected(asked: Referral, id_: str = "r2", supersedes: str = "r1") -> Event[Any]:
    return said(ReferralCorrected(referral=asked, supersedes=supersedes), id_, NOON + timedelta(days=3))


def recorded(id_: str = "a1", **changes: Any) -> Event[Any]:
    return said(assessed(**changes), id_)


def only(*names: str, id_: str = "a1", **more: Any) -> Event[Any]:
    return recorded(id_, **({name: None for name in REQUIRED if name not in names} | more))


def granted(*scopes: str, id_: str = "c1", employer: str = "acme") -> Event[Any]:
    return said(
        ConsentRecorded(employer=employer, scopes=scopes, basis="worker_consent", valid_from=TODAY, valid_through=None),
        id_,
    )


def withdrawn(id_: str = "w1") -> Event[Any]:
    return said(CaseWithdrawn(withdrawn_on=TODAY, reason_code="worker_choice"), id_)


def closed(id_: str = "p1") -> Event[Any]:
    data = CaseClosed(clinic="north", closed_on=TODAY, outcome="ready", reason_code="signed", weeks_judged=8)
    return said(data, id_, source="/services/progress")


def refused(topic: str = "clinic.events.v1") -> EventRejected:
    return EventRejected(
        judge="progress",
        rejected_type="org.workhardening.clinic.session.recorded.v1",
        rejected_source="/clinics/north",
        rejected_id="s1",
        topic=topic,
        partition=0,
        offset=7,
        code="session_exists",
        field=None,
        detail="there is one",
        mend="send SessionCorrected",
    )


def state(*events: Event[Any]) -> State:
    case, _ = when(*events)
    assert case.state is not None
    return case.state
