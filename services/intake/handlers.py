"""Intake's decisions, one pure function for each event, and the table of them.

A referral is decided, parts of the assessment are gathered, and `settle` says what has become known: the case opened or
declined, information needed, the assessment completed.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal

from runtime.fold import Handlers, Outcome, Refusal
from runtime.policy import Policies
from services.intake import assessment, consent
from services.intake.effects import CaseloadRow, ReceiptRejected, RemoveBooking
from services.intake.eligibility import Decision, eligibility
from services.intake.policy import Policy
from services.intake.state import Assessed, Closed, Declined, Intake, Opened, Pending, Phase, Referred, State
from services.table import table
from workhardening_contracts import registry
from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseErased,
    CaseWithdrawn,
    ConsentRecorded,
    ConsentRevoked,
    Referral,
    ReferralCorrected,
    ReferralReceived,
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
from workhardening_contracts.progress import CaseClosed
from workhardening_contracts.readiness import EventRejected

Result = Outcome[State]

MAX_CORRECTIONS = 20
"""Superseded ids that a correction may still name."""

ZONES = timedelta(days=1)
"""An event's time may bear any offset, so the clinic's own date may be one ahead of it. A later one is a mistake."""

ASSESSED_ON_TO_COME = Refusal(
    "assessed_on_to_come",
    "the assessment is dated later than the event that reports it",
    "send the day on which it was made",
    "/assessed_on",
)
MEASURED_ON_TO_COME = Refusal(
    "measured_on_to_come",
    "a functional test is dated later than the event that reports it",
    "send the day on which it was made",
    "/functional_tests",
)
OCCURRED_ON_TO_COME = Refusal(
    "occurred_on_to_come",
    "the injury is dated later than the referral",
    "send the day on which it happened",
    "/referral/injury/occurred_on",
)
CASE_CLOSED = Refusal(
    "case_closed",
    "this case is closed",
    "refer the worker again under a new case reference",
)
CASE_EXISTS = Refusal(
    "case_exists",
    "this case was opened before",
    "send ReferralCorrected to change the referral, or a new case reference for another injury",
    "/subject",
)
SUPERSEDES_UNKNOWN = Refusal(
    "supersedes_unknown",
    "no event of this case that could be replaced has this id",
    "name the id of an earlier event of the same kind in this case",
    "/supersedes",
)
TOO_MANY_PARTS = Refusal(
    "too_many_parts",
    f"{assessment.MAX_PARTS} assessment events of this case are in force",
    "replace an earlier one by naming it in supersedes",
)
TOO_MANY_GRANTS = Refusal(
    "too_many_grants",
    f"more than {consent.MAX_GRANTS} grants would stand in this case",
    "revoke grants that are no longer needed first",
)


def on_referral_received(case: State | None, event: Event[ReferralReceived], policy: Policy) -> Result:
    """The first referral opens the case; a later one decides again unless the case is open or closed."""
    if isinstance(case, Closed):
        return Outcome(case, reject=CASE_CLOSED)
    if case is not None and case.opened is not None:
        return Outcome(case, reject=CASE_EXISTS)
    if _to_come(event.data.referral.injury.occurred_on, event):
        return Outcome(case, reject=OCCURRED_ON_TO_COME)
    return _decide(case, event, event.data.referral, policy)


def on_referral_corrected(case: State | None, event: Event[ReferralCorrected], policy: Policy) -> Result:
    """The referral as it should have been: eligibility is decided again."""
    if case is None:
        return Outcome(None, wait=True)
    if isinstance(case, Closed):
        return Outcome(case, reject=CASE_CLOSED)
    if event.data.supersedes not in case.referred.ids:
        return Outcome(case, reject=SUPERSEDES_UNKNOWN)
    if _to_come(event.data.referral.injury.occurred_on, event):
        return Outcome(case, reject=OCCURRED_ON_TO_COME)
    return _decide(case, event, event.data.referral, policy)


def on_assessment_recorded(case: State | None, event: Event[AssessmentRecorded], policy: Policy) -> Result:
    """One more part of the assessment, or a correction of one."""
    if case is None:
        return Outcome(None, wait=True)
    if isinstance(case, Closed):
        return Outcome(case, reject=CASE_CLOSED)
    if _to_come(event.data.assessed_on, event):
        return Outcome(case, reject=ASSESSED_ON_TO_COME)
    if any(_to_come(test.measured_on, event) for test in event.data.functional_tests or ()):
        return Outcome(case, reject=MEASURED_ON_TO_COME)
    corrects = event.data.supersedes
    if corrects is not None and not assessment.knows(case.parts, corrects):
        return Outcome(case, reject=SUPERSEDES_UNKNOWN)
    parts = assessment.record(case.parts, event.id, event.data, case.completions)
    if len(parts) > assessment.MAX_PARTS:
        return Outcome(case, reject=TOO_MANY_PARTS)
    return settle(case.model_copy(update={"parts": parts}), event, "assessment")


def on_consent_recorded(case: State | None, event: Event[ConsentRecorded], policy: Policy) -> Result:
    """Consent changes in every phase: an employer may still be told of a closed case."""
    if case is None:
        return Outcome(None, wait=True)
    grants = consent.recorded(case.grants, event.data)
    if len(grants) > consent.MAX_GRANTS:
        return Outcome(case, reject=TOO_MANY_GRANTS)
    return _consented(case, grants)


def on_consent_revoked(case: State | None, event: Event[ConsentRevoked], policy: Policy) -> Result:
    """Always answered, also when nothing was granted: whoever stopped sending at once learns where consent stands."""
    if case is None:
        return Outcome(None, wait=True)
    return _consented(case, consent.revoked(case.grants, event.data))


def on_case_withdrawn(case: State | None, event: Event[CaseWithdrawn], policy: Policy) -> Result:
    """Ends intake's view. On a closed case it changes nothing and is not refused: progress, which closes the case for
    everyone else, may have been heard first."""
    if case is None:
        return Outcome(None, wait=True)
    return _close(case, event)


def on_case_closed(case: State | None, event: Event[CaseClosed], policy: Policy) -> Result:
    """Progress closed the case."""
    if case is None:
        return Outcome(None, wait=True)
    return _close(case, event)


def on_case_erased(case: State | None, event: Event[CaseErased], policy: Policy) -> Result:
    """Of a case that is known: a stranger could otherwise bar one that is about to be opened."""
    if case is None:
        return Outcome(None, wait=True)
    rows = (CaseloadRow(event.case, case.clinic, open=False), RemoveBooking(event.case))
    return Outcome(None, effects=rows, erase=True)


def on_event_rejected(case: State | None, event: Event[EventRejected], policy: Policy) -> Result:
    """A judge refused an event: its receipt says so from now on.

    Only what was refused on the clinics' common topic had a receipt. A record refused on a clinic's own topic may bear
    the id of another event that was accepted, whose receipt must not change.
    """
    refused = event.data
    if refused.topic != registry.CLINIC_TOPIC:
        return Outcome(case)
    receipt = ReceiptRejected(
        source=refused.rejected_source,
        id=refused.rejected_id,
        code=refused.code,
        field=refused.field,
        detail=refused.detail,
        mend=refused.mend,
    )
    return Outcome(case, effects=(receipt,))


def settle(case: Phase, event: Event[Any], cause: Literal["referral", "assessment"]) -> Result:
    """Say what `event` has made known: opened or declined, information needed, assessment completed."""
    decision = case.referred.decision
    accepted = decision.verdict == "accepted"
    missing, alerts = _missing(case), assessment.alerts(case.parts)
    # An alert is for the same day: a new one is told even when nothing else has changed, of a declined case too.
    new_alert = not set(alerts) <= set(case.told_alerts)
    emit: list[EventData] = []
    effects: list[object] = []
    if decision.verdict == "declined" and (cause == "referral" or new_alert):
        emit.append(CaseDeclined(clinic=case.clinic, eligibility=decision.eligibility, alerts=alerts))

    opened = _case_opened(case, event.time.date()) if accepted else case.opened
    if opened is not None and opened != case.opened:
        emit.append(opened)
    if opened is not None and case.opened is None:
        effects.append(CaseloadRow(event.case, case.clinic, open=True))

    if missing and (missing != case.told or new_alert):
        told = InformationNeeded(clinic=case.clinic, missing=missing, eligibility=decision.eligibility, alerts=alerts)
        emit.append(told)

    completed = _assessment_completed(case, alerts) if accepted else case.completed
    if completed is not None and accepted and (cause == "assessment" or completed != case.completed):
        emit.append(completed)

    complete = accepted and completed is not None
    phase = Assessed if complete else Opened if accepted else Declined if decision.verdict == "declined" else Pending
    after = phase(
        clinic=case.clinic,
        grants=case.grants,
        referred=case.referred,
        parts=case.parts,
        told=missing,
        told_alerts=alerts,
        opened=opened,
        completed=completed if complete else case.completed,
        completions=case.completions + any(isinstance(data, AssessmentCompleted) for data in emit),
    )
    return Outcome(after, emit=emit, effects=effects)


def _decide(case: Phase | None, event: Event[Any], referral: Referral, policy: Policy) -> Result:
    today = event.time.date()
    ids = (*(case.referred.ids if case is not None else ()), event.id)[-MAX_CORRECTIONS:]
    referred = _referred(referral, ids, eligibility(referral, policy, today))
    if case is None:
        return settle(Pending(clinic=registry.clinic_of(event), referred=referred), event, "referral")
    return settle(case.model_copy(update={"referred": referred}), event, "referral")


def _to_come(day: date, event: Event[Any]) -> bool:
    """Whether a day lies ahead of the event that reports it. By subtraction, since no day follows 9999-12-31."""
    return day - event.time.date() > ZONES


def _referred(referral: Referral, ids: tuple[str, ...], decision: Decision) -> Referred:
    authorisation = referral.authorisation
    return Referred(
        ids=ids,
        worker_ref=referral.worker_ref,
        employer=referral.employer,
        employee_key=referral.employee_key,
        job=referral.job,
        tolerance_hours_per_day=referral.tolerance_hours_per_day,
        tolerance_days_per_week=referral.tolerance_days_per_week,
        authorised_weeks=None if authorisation is None else authorisation.weeks,
        authorised_hours_per_day=None if authorisation is None else authorisation.hours_per_day,
        decision=decision,
    )


def _case_opened(case: Phase, today: date) -> CaseOpened:
    """The day of opening stays the first one, whatever a correction changes."""
    referred = case.referred
    return CaseOpened(
        clinic=case.clinic,
        worker_ref=referred.worker_ref,
        employer=referred.employer,
        employee_key=referred.employee_key,
        opened_on=today if case.opened is None else case.opened.opened_on,
        eligibility=referred.decision.eligibility,
    )


def _missing(case: Phase) -> tuple[str, ...]:
    """What is asked of the clinic. Before the first part of the assessment, CaseOpened itself says that it is due."""
    if case.referred.decision.verdict == "declined":
        return ()
    return (*case.referred.decision.missing, *(assessment.missing(case.parts) if case.parts else ()))


def _assessment_completed(case: Phase, alerts: tuple[str, ...]) -> AssessmentCompleted | None:
    """What planning needs, or None while a part is missing. The case must be accepted."""
    if assessment.missing(case.parts):
        return None
    referred, pain = case.referred, assessment.baseline_pain(case.parts)
    hours, days = referred.tolerance_hours_per_day, referred.tolerance_days_per_week
    # An accepted referral has these: no override stands in for them (eligibility.NEEDED_AS_DATA).
    assert referred.job is not None
    assert hours is not None
    assert days is not None
    assert pain is not None
    return AssessmentCompleted(
        clinic=case.clinic,
        assessed_on=assessment.assessed_on(case.parts),
        job=referred.job,
        baseline=assessment.baseline(case.parts),
        baseline_pain=pain,
        tolerance_hours_per_day=hours,
        tolerance_days_per_week=days,
        authorised_weeks=referred.authorised_weeks,
        authorised_hours_per_day=referred.authorised_hours_per_day,
        alerts=alerts,
    )


def _consented(case: State, grants: consent.Grants) -> Result:
    after = case.model_copy(update={"grants": grants})
    return Outcome(after, emit=(ConsentChanged(clinic=case.clinic, grants=grants),))


def _close(case: State, event: Event[Any]) -> Result:
    if isinstance(case, Closed):
        return Outcome(case)
    effects = () if case.opened is None else (CaseloadRow(event.case, case.clinic, open=False),)
    return Outcome(Closed(clinic=case.clinic, grants=case.grants), effects=effects)


def handlers(policies: Policies[Policy]) -> Handlers[State, Policy]:
    """Intake's table of handlers."""
    return table(
        "intake",
        Intake,
        {
            ReferralReceived: on_referral_received,
            ReferralCorrected: on_referral_corrected,
            AssessmentRecorded: on_assessment_recorded,
            ConsentRecorded: on_consent_recorded,
            ConsentRevoked: on_consent_revoked,
            CaseWithdrawn: on_case_withdrawn,
            CaseErased: on_case_erased,
            CaseClosed: on_case_closed,
            EventRejected: on_event_rejected,
        },
        policies,
        owner=lambda case: case.clinic,
        # Receipts outlive their case: who asks after an event that came too late learns that it was refused, and why.
        heard_when_erased=frozenset({EventRejected}),
    )
