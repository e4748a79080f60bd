"""What each event changes in what the console holds of a case: one pure function per kind of fact, and the table.

A clinic's event makes no case here: whose case it is, our own services say. What clinics report is kept in the event
log as it comes and read from there (`story.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

from pydantic import BaseModel

from runtime.fold import Handlers, Outcome
from runtime.policy import Policies
from services.console.line import VERDICTS, RemoveLine, line
from services.console.state import (
    MAX_FOLLOW_UPS,
    MAX_SIGNATURES,
    Assessed,
    Followed,
    FollowedUp,
    Judged,
    Planned,
    Referred,
    Signed,
)
from services.table import table
from workhardening_contracts import registry
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseErased,
    CaseWithdrawn,
    ConsentRecorded,
    ConsentRevoked,
    DayClosed,
    FollowUpRecorded,
    ReadinessSigned,
    ReadinessWithdrawn,
    ReferralCorrected,
    ReferralReceived,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import (
    AssessmentCompleted,
    CaseDeclined,
    CaseOpened,
    ConsentChanged,
    InformationNeeded,
)
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import (
    AttendanceLapsed,
    CaseClosed,
    CaseEscalated,
    ReadinessAssessed,
    ReadinessRevoked,
    ReadyForWork,
    WeekAdvanced,
    WeekHeld,
    WeekRegressed,
)
from workhardening_contracts.readiness import EventRejected


class Policy(BaseModel):
    """No number is decided by here."""

    version: str = "none"


Result = Outcome[Followed]
Judging = WeekAdvanced | WeekHeld | WeekRegressed | CaseEscalated
_ANSWERABLE = frozenset({ReadinessSigned.TYPE, CaseWithdrawn.TYPE, FollowUpRecorded.TYPE})


def on_case_opened(state: Followed | None, event: Event[CaseOpened], policy: Policy) -> Result:
    return _with(state, event, referred=Referred(standing="opened"), worker_ref=event.data.worker_ref)


def on_information_needed(state: Followed | None, event: Event[InformationNeeded], policy: Policy) -> Result:
    return _with(state, event, referred=Referred(standing="needs_information", alerts=event.data.alerts))


def on_case_declined(state: Followed | None, event: Event[CaseDeclined], policy: Policy) -> Result:
    return _with(state, event, referred=Referred(standing="declined", alerts=event.data.alerts))


def on_assessment_completed(state: Followed | None, event: Event[AssessmentCompleted], policy: Policy) -> Result:
    referred = Referred(standing="opened", alerts=event.data.alerts)
    return _with(state, event, referred=referred, job_title=event.data.job.title)


def on_plan(state: Followed | None, event: Event[PlanIssued | PlanRevised], policy: Policy) -> Result:
    plan = event.data
    planned = Planned(
        job_title=plan.job.title,
        current_week=plan.current_week,
        total_weeks=plan.total_weeks,
        answers=plan.answers if isinstance(plan, PlanRevised) else None,
        frozen=isinstance(plan, PlanRevised) and plan.frozen,
        shortfall=bool(plan.projected_shortfall),
    )
    return _with(state, event, planned=planned)


def on_week_judged(state: Followed | None, event: Event[Judging], policy: Policy) -> Result:
    codes = tuple(dict.fromkeys(reason.code for reason in event.data.reasons))
    return _with(state, event, judged=Judged(id=event.id, verdict=VERDICTS[type(event.data)], reasons=codes))


def on_readiness_assessed(state: Followed | None, event: Event[ReadinessAssessed], policy: Policy) -> Result:
    found = event.data
    assessed = Assessed(id=event.id, readiness=found.readiness, vetoes=found.vetoes, final=found.final)
    return _with(state, event, assessed=assessed)


def on_ready_for_work(state: Followed | None, event: Event[ReadyForWork], policy: Policy) -> Result:
    return _with(state, event, outcome=event.data.decision)


def on_readiness_revoked(state: Followed | None, event: Event[ReadinessRevoked], policy: Policy) -> Result:
    return _with(state, event, outcome="not_ready")


def on_case_closed(state: Followed | None, event: Event[CaseClosed], policy: Policy) -> Result:
    return _with(state, event, outcome=event.data.outcome, closed_on=event.data.closed_on)


def on_told(state: Followed | None, event: Event[ConsentChanged | AttendanceLapsed], policy: Policy) -> Result:
    """Changes nothing in the line but when something happened last."""
    return _with(state, event)


def on_reported(state: Followed | None, event: Event[Any], policy: Policy) -> Result:
    """A clinic's report: it lies in the log. Before our own services name the case's clinic it changes nothing more."""
    return Outcome(None) if state is None else _with(state, event)


def on_readiness_signed(state: Followed | None, event: Event[ReadinessSigned], policy: Policy) -> Result:
    if state is None:
        return Outcome(None, wait=True)
    signed = Signed(id=event.id, readiness_event=event.data.readiness_event)
    return _with(state, event, signed=(*state.signed, signed)[-MAX_SIGNATURES:])


def on_case_withdrawn(state: Followed | None, event: Event[CaseWithdrawn], policy: Policy) -> Result:
    if state is None:
        return Outcome(None, wait=True)
    return _with(state, event, withdrawals=(*state.withdrawals, event.id)[-MAX_SIGNATURES:])


def on_follow_up_recorded(state: Followed | None, event: Event[FollowUpRecorded], policy: Policy) -> Result:
    if state is None:
        return Outcome(None, wait=True)
    said = event.data
    word = FollowedUp(id=event.id, month=said.month, as_of=said.as_of, reinjured=said.reinjured, working=said.working)
    return _with(state, event, follow_ups=(*state.follow_ups, word)[-MAX_FOLLOW_UPS:])


def on_event_rejected(state: Followed | None, event: Event[EventRejected], policy: Policy) -> Result:
    """What was refused counts no more. A stranger's refused event is none of this case's business.

    It does not wait for a case, though a refused signature then counts: strangers' refusals without end would park it.
    """
    if state is None:
        return Outcome(None)
    if registry.clinic_of(event) != state.clinic:
        return Outcome(state)
    if event.data.rejected_type not in _ANSWERABLE:
        return _with(state, event)
    return _with(state, event, refused=(*state.refused, event.data.rejected_id)[-MAX_SIGNATURES:])


def on_case_erased(state: Followed | None, event: Event[CaseErased], policy: Policy) -> Result:
    # A case nobody knows yet is not erased: a stranger could otherwise bar a case that is about to be opened.
    if state is None:
        return Outcome(None, wait=True)
    return Outcome(None, effects=(RemoveLine(event.case, state.clinic),), erase=True)


def _with(state: Followed | None, event: Event[Any], **facts: Any) -> Result:
    """The case with these facts, and its line. An event of ours names the clinic, so each may be a case's first."""
    at = event.time.astimezone(UTC)
    before = state or Followed(clinic=registry.clinic_of(event), last_event_at=at)
    after = before.model_copy(update={**facts, "last_event_at": max(at, before.last_event_at)})
    return Outcome(after, effects=(line(event.case, after),))


ON: dict[type[EventData], Callable[..., Result]] = {
    CaseOpened: on_case_opened,
    InformationNeeded: on_information_needed,
    CaseDeclined: on_case_declined,
    AssessmentCompleted: on_assessment_completed,
    ConsentChanged: on_told,
    PlanIssued: on_plan,
    PlanRevised: on_plan,
    WeekAdvanced: on_week_judged,
    WeekHeld: on_week_judged,
    WeekRegressed: on_week_judged,
    CaseEscalated: on_week_judged,
    AttendanceLapsed: on_told,
    ReadinessAssessed: on_readiness_assessed,
    ReadyForWork: on_ready_for_work,
    ReadinessRevoked: on_readiness_revoked,
    CaseClosed: on_case_closed,
    EventRejected: on_event_rejected,
    ReferralReceived: on_reported,
    ReferralCorrected: on_reported,
    AssessmentRecorded: on_reported,
    ConsentRecorded: on_reported,
    ConsentRevoked: on_reported,
    SessionRecorded: on_reported,
    SessionCorrected: on_reported,
    DayClosed: on_reported,
    ReadinessSigned: on_readiness_signed,
    ReadinessWithdrawn: on_reported,
    FollowUpRecorded: on_follow_up_recorded,
    CaseWithdrawn: on_case_withdrawn,
    CaseErased: on_case_erased,
}
"""Every event that a case's timeline shows: all that is on topics which the console reads."""


def handlers(policies: Policies[Policy]) -> Handlers[Followed, Policy]:
    """The table. The console is the judge of no event."""

    def owner(state: Followed) -> str:
        return state.clinic

    return table("console", Followed, ON, policies, owner=owner)
