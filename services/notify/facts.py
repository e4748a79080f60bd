"""What each event changes in a case: state and event in, state out. What follows from it is decided elsewhere."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, TypeVar

from services.notify.state import MAX_ANSWERED, Ended, Heard, Known, Program, Progressed, Revoked, Signed, Stop
from workhardening_contracts.clinic import CaseWithdrawn, ConsentRevoked, ReadinessWithdrawn
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import CaseOpened, ConsentChanged
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import CaseClosed, ReadinessAssessed, ReadinessRevoked, ReadyForWork
from workhardening_contracts.readiness import EventRejected

C = TypeVar("C", bound=Heard | Known)

_STOPPING = frozenset({ConsentRevoked.TYPE, CaseWithdrawn.TYPE, ReadinessWithdrawn.TYPE})


def opened(state: Heard | Known | None, data: CaseOpened) -> Known:
    """The case is in the program; who may be told and by which key follows the latest referral."""
    if isinstance(state, Known):
        known = {"worker_ref": data.worker_ref, "employer": data.employer, "employee_key": data.employee_key}
        return state.model_copy(update={**known, "declined": False})
    before = state or Heard(clinic=data.clinic)
    return Known(
        clinic=before.clinic,
        grants=before.grants,
        stops=before.stops,
        answered=before.answered,
        worker_ref=data.worker_ref,
        employer=data.employer,
        employee_key=data.employee_key,
    )


def declined(state: Heard | Known | None, clinic: str) -> Heard | Known:
    """Declined; a case that was in the program before is told of no more until it is accepted again."""
    if isinstance(state, Known):
        return state.model_copy(update={"declined": True})
    return state or Heard(clinic=clinic)


def consented(state: Heard | Known | None, event: Event[ConsentChanged]) -> Heard | Known:
    """All consent as intake states it now. It answers the revocation that caused it, and no other."""
    before = state or Heard(clinic=event.data.clinic)
    return answered(before.model_copy(update={"grants": event.data.grants}), event.envelope.causationid)


def stopping(state: C, stop: Stop) -> C:
    """The clinic took something back: stop now, unless the answer to it has been read already."""
    if stop.reference in state.answered:
        return state.model_copy(update={"answered": tuple(ref for ref in state.answered if ref != stop.reference)})
    if stop.what == "case" and isinstance(state, Known) and state.closed:
        return state
    return state.model_copy(update={"stops": (*state.stops, stop)})


def answered(state: C, reference: str | None) -> C:
    """The event of this reference was judged: what it had stopped is decided now; if it has not been read yet,
    remember that nothing remains to stop."""
    if reference is None:
        return state
    remaining = tuple(stop for stop in state.stops if stop.reference != reference)
    if len(remaining) < len(state.stops):
        return state.model_copy(update={"stops": remaining})
    if reference in state.answered:
        return state
    return state.model_copy(update={"answered": (*state.answered, reference)[-MAX_ANSWERED:]})


def refused(state: C, data: EventRejected) -> C:
    """A clinic's event was refused: what it had stopped goes on as before."""
    if data.rejected_type not in _STOPPING:
        return state
    return answered(state, f"{data.rejected_source}#{data.rejected_id}")


def planned(state: Known, data: PlanIssued | PlanRevised) -> Known:
    """The plan in hand. The program begins with a plan that is issued, also when it is issued again before anything
    was judged; revisions keep its start."""
    before = state.program
    starts_on = data.effective_from if before is None or isinstance(data, PlanIssued) else before.starts_on
    program = Program(
        starts_on=starts_on, ends_on=_planned_end(data), week=data.current_week, total_weeks=data.total_weeks
    )
    return state.model_copy(update={"program": program})


def judged(state: Known, attendance: float) -> Known:
    """A week's verdict: its attendance is the latest that may be told."""
    return state.model_copy(update={"progressed": state.progressed.model_copy(update={"attendance": attendance})})


def assessed(state: Known, data: ReadinessAssessed) -> Known:
    """Demands met and the forecast; the recommendation itself is told to nobody before it is signed.

    Where the demands are reached and something else, such as a safety veto, still speaks against work, no date is
    known: an employer that read today's would expect the worker.
    """
    reached = data.forecast.status == "reached" and data.readiness.startswith("meets")
    progressed = Progressed(
        attendance=state.progressed.attendance,
        demands_met=sum(standing.met is True for standing in data.standings),
        demands_total=len(data.standings),
        forecast_week=data.forecast.week if data.forecast.status == "expected" else None,
        reached_on=data.assessed_through if reached else None,
    )
    return state.model_copy(update={"progressed": progressed})


def signed(state: Known, data: ReadyForWork) -> Known:
    """A clinician signed."""
    standing = Signed(
        decision=data.decision,
        restrictions=data.restrictions,
        effective_from=data.effective_from,
        effective_through=data.effective_through,
        role=data.role,
    )
    return state.model_copy(update={"standing": standing})


def revoked(state: Known, event: Event[ReadinessRevoked]) -> Known:
    """The signature no longer stands; this also answers the withdrawal that caused it."""
    standing = Revoked(revoked_on=event.data.revoked_on, role=event.data.role)
    return answered(state.model_copy(update={"standing": standing}), event.envelope.causationid)


def closed(state: Known, data: CaseClosed) -> Known:
    """The program ended. Whether the worker withdrew is the worker's business: an employer reads `discontinued`."""
    changed: dict[str, Any] = {"closed": True, "stops": tuple(s for s in state.stops if s.what != "case")}
    if data.outcome == "not_ready":
        changed["standing"] = Ended(ended_on=data.closed_on, outcome="not_ready")
    elif data.outcome in ("discontinued", "withdrawn"):
        changed["standing"] = Ended(ended_on=data.closed_on, outcome="discontinued")
    return state.model_copy(update=changed)


def _planned_end(data: PlanIssued | PlanRevised) -> date:
    """The last day of the last week; a frozen plan may name no weeks, then calendar weeks are counted."""
    if data.weeks:
        return data.weeks[-1].ends_on
    weeks = max(1, data.total_weeks - data.current_week + 1)
    return data.effective_from + timedelta(days=7 * weeks - 1)
