"""What progress does on each event: one pure function per event, and the table of them.

Facts are recorded; `settle` judges. An event of a case that intake has not opened yet waits for that.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from runtime.fold import Handlers, Outcome, Refusal, event_id
from runtime.policy import Policies
from services.progress import session_log, signature
from services.progress.assessing import reassessed, replanned
from services.progress.policy import Policy
from services.progress.refusals import REFUSALS
from services.progress.session_log import Entry
from services.progress.settle import Name, alerted_since, judging_is_due, recounted, settle
from services.progress.state import (
    AwaitingPlan,
    Closed,
    Frozen,
    InProgram,
    Judging,
    Opened,
    State,
    Withdrawn,
    in_hand,
)
from services.table import table
from workhardening_contracts.clinic import (
    CaseErased,
    CaseWithdrawn,
    DayClosed,
    FollowUpRecorded,
    ReadinessSigned,
    ReadinessWithdrawn,
    Session,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import AssessmentCompleted, CaseOpened
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import CaseClosed

Result = Outcome[Opened | InProgram | Closed]

EARLIEST_DAYS = 60
"""Sessions are recorded from so many days before the case was opened. A worker may have begun while the referral was
still being completed, which takes weeks at most; an older date is a slip of the pen. Counted from the opening and not
from the plan, which may come before or after the session."""
MOST_REPORTS = 500
"""Reports that a case takes: the longest program has some seventy sessions, and all of them may be corrected six times.
Beyond that a sender repeats itself, and the state, which is written again on every event, would grow without end."""


def on_case_opened(state: State | None, event: Event[CaseOpened], policy: Policy) -> Result:
    """The case begins; a referral that was decided again changes nothing here."""
    return Outcome(state or Opened(clinic=event.data.clinic, opened_on=event.data.opened_on))


def on_assessment_completed(state: State | None, event: Event[AssessmentCompleted], policy: Policy) -> Result:
    """Another demand profile or baseline: the plan follows next week, the latest readiness is told anew at once.

    What is known before there is a plan comes with the plan.
    """
    match state:
        case InProgram(withdrawn=None):
            now, emitted = reassessed(state, event.data, policy, _naming(event))
            return Outcome(now, emit=emitted)
        case _:
            return Outcome(state)


def on_plan_issued(state: State | None, event: Event[PlanIssued], policy: Policy) -> Result:
    """The program begins. Issued again, the plan counts as long as nothing was judged against the earlier one."""
    match state:
        case None:
            return Outcome(None, wait=True)
        case Opened():
            begun = InProgram(
                clinic=state.clinic,
                opened_on=state.opened_on,
                plan=in_hand(event.data),
                status=Judging(),
                log=state.log,
                closed_through=state.closed_through,
                withdrawn=state.withdrawn,
            )
            return _settled(begun, event, policy)
        case InProgram(weeks_judged=0):
            return _settled(replanned(state, in_hand(event.data)), event, policy)
        case _:
            return Outcome(state)


def on_plan_revised(state: State | None, event: Event[PlanRevised], policy: Policy) -> Result:
    """The plan that answers the last verdict: its week is judged next.

    A frozen plan has no week to judge. It may answer any verdict, since an assessment with alerts freezes too.
    """
    match state:
        case None | Opened():
            return Outcome(state, wait=True)
        case InProgram(status=AwaitingPlan(verdict=awaited) | Frozen(verdict=awaited)):
            if event.data.answers != awaited:
                return Outcome(state)
            if event.data.frozen:
                return _settled(state.model_copy(update={"status": Frozen(verdict=awaited)}), event, policy)
            resumed: dict[str, Any] = {"status": Judging()}
            if isinstance(state.status, Frozen):
                # The day of the assessment itself is not cleared: an alert of that day may have come after it.
                answered = event.data.assessed_on or event.data.effective_from
                resumed["cleared_through"] = answered - timedelta(days=1)
            return _settled(replanned(state, in_hand(event.data)).model_copy(update=resumed), event, policy)
        case _:
            return Outcome(state)


def on_session_recorded(state: State | None, event: Event[SessionRecorded], policy: Policy) -> Result:
    """Record it; one that comes after its week was closed is kept apart from that week's verdict.

    What it changes of the latest readiness is told at once: that may be signed next.
    """
    match state:
        case None:
            return Outcome(None, wait=True)
        case Opened(withdrawn=None) | InProgram(withdrawn=None):
            session = event.data.session
            if refused := _unrecordable(state, session, event):
                return _refused(state, refused)
            if session_log.reported_on(state.log, session.held_on) is not None:
                return _refused(state, "session_exists")
            return _reported(state, session_log.entry(event.id, session, state.closed_through), event, policy)
        case _:
            return _refused(state, "case_closed")


def on_session_corrected(state: State | None, event: Event[SessionCorrected], policy: Policy) -> Result:
    """Record the correction beside what it replaces: a week that was closed before is judged on what was known then.

    As in `on_session_recorded`, what it changes of the latest readiness is told at once.
    """
    match state:
        case None:
            return Outcome(None, wait=True)
        case Opened(withdrawn=None) | InProgram(withdrawn=None):
            session, replaced = event.data.session, event.data.supersedes
            if refused := _unrecordable(state, session, event):
                return _refused(state, refused)
            if all(each.id != replaced for each in state.log):
                return _refused(state, "session_unknown")
            if any(each.replaces == replaced for each in state.log):
                return _refused(state, "session_superseded")
            there = session_log.reported_on(state.log, session.held_on)
            if there is not None and there.id != replaced:
                return _refused(state, "session_exists")
            entry = session_log.entry(event.id, session, state.closed_through, replaces=replaced)
            return _reported(state, entry, event, policy)
        case _:
            return _refused(state, "case_closed")


def on_day_closed(state: State | None, event: Event[DayClosed], policy: Policy) -> Result:
    """An absence is now an absence. Days close in order; an earlier one said again changes nothing."""
    match state:
        case None:
            return Outcome(None, wait=True)
        case Opened(withdrawn=None) | InProgram(withdrawn=None):
            if _to_come(event.data.through, event):
                return _refused(state, "day_to_come")
            if state.closed_through is not None and event.data.through <= state.closed_through:
                return Outcome(state)
            closed = state.model_copy(update={"closed_through": event.data.through})
            return _settled(closed, event, policy) if isinstance(closed, InProgram) else Outcome(closed)
        case _:
            return Outcome(state)


def on_case_withdrawn(state: State | None, event: Event[CaseWithdrawn], policy: Policy) -> Result:
    """The weeks that were closed before are judged first, then the case is closed.

    Without a plan and without a session there is nothing to judge. A session says that the plan is on its way.
    """
    match state:
        case None:
            return Outcome(None, wait=True)
        case Opened(log=(), withdrawn=None):
            closed = CaseClosed(
                clinic=state.clinic,
                closed_on=event.data.withdrawn_on,
                outcome="withdrawn",
                reason_code=event.data.reason_code,
                weeks_judged=0,
            )
            return Outcome(Closed(clinic=state.clinic, outcome="withdrawn"), emit=[closed])
        case Opened(withdrawn=None) | InProgram(withdrawn=None):
            withdrawn = Withdrawn(
                on=event.data.withdrawn_on,
                reason_code=event.data.reason_code,
                closed_through=state.closed_through,
            )
            leaving = state.model_copy(update={"withdrawn": withdrawn})
            return _settled(leaving, event, policy) if isinstance(leaving, InProgram) else Outcome(leaving)
        case _:
            return Outcome(state)


def on_readiness_signed(state: State | None, event: Event[ReadinessSigned], policy: Policy) -> Result:
    """Signed, the recommendation becomes a decision; signed again, a decision is corrected."""
    match state:
        case None:
            return Outcome(None, wait=True)
        case Opened(withdrawn=None):
            return _refused(state, "readiness_unknown")
        case InProgram(withdrawn=None):
            alerted = alerted_since(state)
            refused = signature.objection(
                state.readiness,
                event.data,
                event.time.date(),
                policy.signing_roles,
                outdated=judging_is_due(state, state.closed_through),
                corrects=False,
                alerted=alerted,
            )
            if refused:
                return _refused(state, refused)
            signed, emitted = signature.sign(state, event.data, event.time.date(), _naming(event), alerted=alerted)
            return Outcome(signed, emit=emitted)
        case Closed(signed=True):
            refused = signature.objection(
                state.readiness,
                event.data,
                event.time.date(),
                policy.signing_roles,
                outdated=False,
                corrects=state.ready_event is not None,
                alerted=state.alerted,
            )
            if refused:
                return _refused(state, refused)
            corrected, emitted = signature.sign_again(state, event.data, _naming(event))
            return Outcome(corrected, emit=emitted)
        case Closed(outcome="not_ready"):
            return _refused(state, "readiness_expired")
        case _:
            return _refused(state, "case_closed")


def on_readiness_withdrawn(state: State | None, event: Event[ReadinessWithdrawn], policy: Policy) -> Result:
    """A signed readiness no longer stands."""
    match state:
        case None:
            return Outcome(None, wait=True)
        case Closed(ready_event=str(standing)):
            said = event.data
            if said.role not in policy.signing_roles:
                return _refused(state, "role_not_allowed")
            revoked, emitted = signature.revoke(state, standing, said.withdrawn_on, said.role, said.reason_code)
            return Outcome(revoked, emit=emitted)
        case _:
            return _refused(state, "nothing_to_withdraw")


def on_follow_up_recorded(state: State | None, event: Event[FollowUpRecorded], policy: Policy) -> Result:
    """How it went afterwards, the latest word for each month. It waits until the case is closed."""
    if not isinstance(state, Closed):
        return Outcome(state, wait=True)
    others = tuple(each for each in state.follow_ups if each.month != event.data.month)
    known = next((each for each in state.follow_ups if each.month == event.data.month), None)
    if known is not None and known.as_of > event.data.as_of:
        return Outcome(state)
    return Outcome(state.model_copy(update={"follow_ups": (*others, event.data)}))


def on_case_erased(state: State | None, event: Event[CaseErased], policy: Policy) -> Result:
    """Of a case that is known: a stranger could otherwise bar one that is about to be opened."""
    return Outcome(None, wait=True) if state is None else Outcome(None, erase=True)


def _to_come(day: date, event: Event[Any]) -> bool:
    """Whether `day` has not come when the event happens. A clinic's date may be one ahead of its clock's."""
    return (day - event.time.date()).days > 1


def _unrecordable(state: Opened | InProgram, session: Session, event: Event[Any]) -> str | None:
    """Why a session may not be recorded, whatever else was; None when it may."""
    if _to_come(session.held_on, event):
        return "held_on_to_come"
    if state.opened_on is not None and (state.opened_on - session.held_on).days > EARLIEST_DAYS:
        return "held_on_out_of_range"
    return "too_many_reports" if len(state.log) >= MOST_REPORTS else None


def _reported(state: Opened | InProgram, entry: Entry, event: Event[Any], policy: Policy) -> Result:
    known = state.model_copy(update={"log": (*state.log, entry)})
    counted = recounted(known, policy, _naming(event)) if isinstance(known, InProgram) else None
    return Outcome(known) if counted is None else Outcome(counted[0], emit=counted[1])


def _settled(state: InProgram, event: Event[Any], policy: Policy) -> Result:
    settled, emitted = settle(state, policy, _naming(event))
    return Outcome(settled, emit=emitted)


def _naming(event: Event[Any]) -> Name:
    return lambda nth: event_id("progress", event, nth)


def _refused(state: State | None, code: str) -> Result:
    detail, mend, field = REFUSALS[code]
    return Outcome(state, reject=Refusal(code, detail, mend, field))


def handlers(policies: Policies[Policy]) -> Handlers[Any, Policy]:
    """Progress's table, with each clinic's own policy."""
    return table(
        "progress",
        State,
        {
            CaseOpened: on_case_opened,
            AssessmentCompleted: on_assessment_completed,
            PlanIssued: on_plan_issued,
            PlanRevised: on_plan_revised,
            SessionRecorded: on_session_recorded,
            SessionCorrected: on_session_corrected,
            DayClosed: on_day_closed,
            CaseWithdrawn: on_case_withdrawn,
            ReadinessSigned: on_readiness_signed,
            ReadinessWithdrawn: on_readiness_withdrawn,
            FollowUpRecorded: on_follow_up_recorded,
            CaseErased: on_case_erased,
        },
        policies,
        owner=lambda state: state.clinic,
    )
