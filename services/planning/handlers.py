"""What planning does on each event: one pure function per event, and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.fold import Handlers, Outcome
from runtime.policy import Policies
from services.planning import plan
from services.planning.policy import Policy
from services.planning.state import Ended, Frozen, Held, Planned, State
from services.table import table
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.planning import Verdict
from workhardening_contracts.progress import CaseClosed, CaseEscalated, WeekAdvanced, WeekHeld, WeekRegressed

Judged = WeekAdvanced | WeekHeld | WeekRegressed
Result = Outcome[Held | Planned | Frozen | Ended]


def on_assessment_completed(state: State | None, event: Event[AssessmentCompleted], policy: Policy) -> Result:
    """The first one starts the plan; a later one replaces it, resumes it, or waits for the next revision.

    One with alerts starts nothing: the plan is held until one without comes, or frozen at the next verdict.
    """
    assessment, on = event.data, event.time.date()
    match state:
        case None | Held() if assessment.alerts:
            return Outcome(Held(clinic=assessment.clinic))
        case None | Held():
            planned = plan.begin(assessment.clinic, assessment, on, policy)
            return Outcome(planned, emit=[plan.issued(planned, policy)])
        case Planned(answered=False) if not assessment.alerts:
            planned = plan.begin_again(state, assessment, on, policy)
            return Outcome(planned, emit=[plan.issued(planned, policy)])
        case Planned():
            return Outcome(state.model_copy(update={"reassessed": assessment, "reassessed_by": on}))
        case Frozen():
            return _resumed(plan.reassess(state, assessment, on), policy)
        case Ended():
            return Outcome(state)


def on_verdict(verdict: Verdict) -> Callable[[State | None, Event[Judged], Policy], Result]:
    """The next week's plan answers the verdict, or is frozen where an assessment has shown an alert."""

    def handler(state: State | None, event: Event[Judged], policy: Policy) -> Result:
        if state is None or isinstance(state, Held):
            return Outcome(state, wait=True)
        if event.data.final:
            return Outcome(Ended(clinic=state.clinic))
        if not isinstance(state, Planned) or event.data.week != state.week:
            return Outcome(state)
        if state.reassessed is not None and state.reassessed.alerts:
            stopped = plan.freeze(state, event.id, verdict, state.reassessed.assessed_on)
            return Outcome(stopped, emit=[plan.frozen(stopped)])
        planned = plan.revise(state, verdict, event.data.attained, policy)
        return Outcome(planned, emit=[plan.revised(planned, event.id, verdict, policy)])

    return handler


def on_case_escalated(state: State | None, event: Event[CaseEscalated], policy: Policy) -> Result:
    """Freeze the plan. An assessment that was made since and shows no alert resumes it at once."""
    if state is None or isinstance(state, Held):
        return Outcome(state, wait=True)
    if event.data.final:
        return Outcome(Ended(clinic=state.clinic))
    if not isinstance(state, Planned) or event.data.week != state.week:
        return Outcome(state)
    stopped = plan.freeze(state, event.id, "escalate", event.data.through)
    resumed = _resumed(stopped, policy)
    return Outcome(resumed.state, emit=[plan.frozen(stopped), *resumed.emit])


def on_case_closed(state: State | None, event: Event[CaseClosed], policy: Policy) -> Result:
    """Nothing more is planned, also where the assessment comes only now."""
    return Outcome(Ended(clinic=event.data.clinic))


def on_case_erased(state: State | None, event: Event[CaseErased], policy: Policy) -> Result:
    """Of a case that is known: a stranger could otherwise bar one that is about to be opened."""
    return Outcome(None, wait=True) if state is None else Outcome(None, erase=True)


def _resumed(state: Frozen, policy: Policy) -> Result:
    """Resume from the newest assessment if it was made after the day of the alert and shows none."""
    assessment = state.planned.reassessed
    if assessment is None or assessment.alerts or assessment.assessed_on <= state.through:
        return Outcome(state)
    planned = plan.resume(state.planned, assessment, policy)
    if planned is None:
        return Outcome(state)
    resumed = plan.revised(planned, state.escalation, state.verdict, policy)
    return Outcome(planned, emit=[resumed.model_copy(update={"assessed_on": assessment.assessed_on})])


def handlers(policies: Policies[Policy]) -> Handlers[Any, Policy]:
    """Planning's table, with each clinic's own policy."""
    return table(
        "planning",
        State,
        {
            AssessmentCompleted: on_assessment_completed,
            WeekAdvanced: on_verdict("advance"),
            WeekHeld: on_verdict("hold"),
            WeekRegressed: on_verdict("regress"),
            CaseEscalated: on_case_escalated,
            CaseClosed: on_case_closed,
            CaseErased: on_case_erased,
        },
        policies,
        owner=lambda state: state.clinic,
    )
