"""What planning does on each event: one pure function per event, and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.fold import Handlers, Outcome
from runtime.policy import Policies
from services.planning import plan
from services.planning.policy import Policy
from services.planning.state import Ended, Frozen, Planned, State
from services.table import table
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.planning import Verdict
from workhardening_contracts.progress import CaseClosed, CaseEscalated, WeekAdvanced, WeekHeld, WeekRegressed

Judged = WeekAdvanced | WeekHeld | WeekRegressed
Result = Outcome[Planned | Frozen | Ended]


def on_assessment_completed(state: State | None, event: Event[AssessmentCompleted], policy: Policy) -> Result:
    """The first one starts the plan; a later one replaces it, resumes it, or waits for the next revision."""
    assessment = event.data
    match state:
        case None:
            planned = plan.begin(assessment.clinic, assessment, policy)
            return Outcome(planned, emit=[plan.issued(planned, policy)])
        case Planned(answered=False):
            planned = plan.begin_again(state, assessment, policy)
            return Outcome(planned, emit=[plan.issued(planned, policy)])
        case Planned():
            return Outcome(state.model_copy(update={"reassessed": assessment}))
        case Frozen():
            waiting = state.planned.model_copy(update={"reassessed": assessment})
            return _resumed(state.model_copy(update={"planned": waiting}), policy)
        case Ended():
            return Outcome(state)


def on_verdict(verdict: Verdict) -> Callable[[State | None, Event[Judged], Policy], Result]:
    """The next week's plan answers the verdict."""

    def handler(state: State | None, event: Event[Judged], policy: Policy) -> Result:
        if state is None:
            return Outcome(None, wait=True)
        if event.data.final:
            return Outcome(Ended(clinic=state.clinic))
        if not isinstance(state, Planned) or event.data.week != state.week:
            return Outcome(state)
        planned = plan.revise(state, verdict, event.data.attained, policy)
        return Outcome(planned, emit=[plan.revised(planned, event.id, verdict, policy)])

    return handler


def on_case_escalated(state: State | None, event: Event[CaseEscalated], policy: Policy) -> Result:
    """Freeze the plan. An assessment that was made since and shows no alert resumes it at once."""
    if state is None:
        return Outcome(None, wait=True)
    if event.data.final:
        return Outcome(Ended(clinic=state.clinic))
    if not isinstance(state, Planned) or event.data.week != state.week:
        return Outcome(state)
    planned = plan.freeze(state)
    frozen = Frozen(clinic=state.clinic, planned=planned, escalation=event.id, through=event.data.through)
    resumed = _resumed(frozen, policy)
    return Outcome(resumed.state, emit=[plan.frozen(planned, event.id), *resumed.emit])


def on_case_closed(state: State | None, event: Event[CaseClosed], policy: Policy) -> Result:
    """Nothing more is planned, also where the assessment comes only now."""
    return Outcome(Ended(clinic=event.data.clinic))


def on_case_erased(state: State | None, event: Event[CaseErased], policy: Policy) -> Result:
    """Of a case that is known: a stranger could otherwise bar one that is about to be opened."""
    return Outcome(None, wait=True) if state is None else Outcome(None, erase=True)


def _resumed(state: Frozen, policy: Policy) -> Result:
    """Resume from the newest assessment if it was made at the end of the escalated week or later and shows no alert."""
    assessment = state.planned.reassessed
    if assessment is None or assessment.alerts or assessment.assessed_on < state.through:
        return Outcome(state)
    planned = plan.resume(state.planned, assessment, policy)
    if planned is None:
        return Outcome(state)
    return Outcome(planned, emit=[plan.revised(planned, state.escalation, "escalate", policy)])


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
