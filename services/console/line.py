"""From the facts of a case to its line in the caseload: where it stands, and how much it needs a clinician."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.console.follow_up import FollowUpRow, follow_ups
from services.console.state import Followed
from workhardening_contracts.contract import EventData
from workhardening_contracts.planning import Verdict
from workhardening_contracts.progress import CaseEscalated, WeekAdvanced, WeekHeld, WeekRegressed

Phase = Literal["referred", "declined", "opened", "in_program", "closed"]
Risk = Literal["high", "raised", "low"]

VERDICTS: dict[type[EventData], Verdict] = {
    WeekAdvanced: "advance",
    WeekHeld: "hold",
    WeekRegressed: "regress",
    CaseEscalated: "escalate",
}

RAISING = ("second_flare", "pain_flare", "attendance_low", "not_performed")
"""Findings of a week that a clinician wants to see beside the verdict."""

_RANK: dict[Risk, int] = {"high": 1, "raised": 2, "low": 3}
_CLOSED = 4


@dataclass(frozen=True, slots=True)
class LineRow:
    """A row of the caseload."""

    case_ref: UUID
    clinic: str
    worker_ref: str | None
    job_title: str | None
    phase: Phase
    week: int | None
    total_weeks: int | None
    verdict: Verdict | None
    risk: Risk
    risk_reasons: tuple[str, ...]
    escalated: bool
    readiness: str | None
    awaits_signature: bool
    outcome: str | None
    last_event_at: datetime
    rank: int
    """What comes first: 0 escalated, 1 to 3 by risk, 4 closed."""
    follow_ups: tuple[FollowUpRow, ...]
    """What is asked after the program; empty before it is completed."""


@dataclass(frozen=True, slots=True)
class RemoveLine:
    """The case was erased."""

    case_ref: UUID
    clinic: str


def line(case: UUID, state: Followed) -> LineRow:
    """The case's row, which follows from its facts alone."""
    stage = phase(state)
    decides = clinician_decides(state)
    reasons = risk_reasons(state)
    level = _level(state, reasons)
    plan = state.planned
    return LineRow(
        case_ref=case,
        clinic=state.clinic,
        worker_ref=state.worker_ref,
        job_title=plan.job_title if plan else state.job_title,
        phase=stage,
        week=plan.current_week if plan else None,
        total_weeks=plan.total_weeks if plan else None,
        verdict=state.judged.verdict if state.judged else None,
        risk=level,
        risk_reasons=reasons,
        escalated=decides,
        readiness=state.assessed.readiness if state.assessed else None,
        awaits_signature=awaits_signature(state),
        outcome=_outcome(state),
        last_event_at=state.last_event_at,
        rank=0 if decides else _CLOSED if stage == "closed" else _RANK[level],
        follow_ups=follow_ups(state),
    )


def phase(state: Followed) -> Phase:
    """How far the case has come."""
    if _outcome(state) is not None:
        return "closed"
    if state.referred is not None and state.referred.standing == "declined":
        return "declined"
    if state.planned is not None:
        return "in_program"
    if state.referred is not None and state.referred.standing == "opened":
        return "opened"
    return "referred"


def frozen(state: Followed) -> bool:
    """Whether the plan is frozen or about to be: an escalation is read before the plan that answers it, or after."""
    plan, judged = state.planned, state.judged
    if plan is not None and plan.frozen:
        return True
    return judged is not None and judged.verdict == "escalate" and (plan is None or plan.answers != judged.id)


def clinician_decides(state: Followed) -> bool:
    """Whether an alert stands. Also of a declined referral: that worker may be in danger, too."""
    if phase(state) == "closed":
        return False
    return frozen(state) or (state.referred is not None and bool(state.referred.alerts))


def awaits_signature(state: Followed) -> bool:
    """Whether there is a recommendation to sign: to be ready, or the program's last."""
    latest = state.assessed
    if latest is None or phase(state) == "closed":
        return False
    answered = any(each.readiness_event == latest.id and each.id not in state.refused for each in state.signed)
    return not answered and (latest.final or latest.readiness.startswith("meets"))


def risk_reasons(state: Followed) -> tuple[str, ...]:
    """Why a clinician should look, most pressing first; empty for a closed case."""
    if phase(state) == "closed":
        return ()
    reasons: list[str] = ["escalated"] if frozen(state) else []
    reasons += [f"alert.{alert}" for alert in (state.referred.alerts if state.referred else ())]
    reasons += [f"veto.{veto}" for veto in (state.assessed.vetoes if state.assessed else ())]
    if state.judged is not None:
        reasons += ["regressed"] if state.judged.verdict == "regress" else []
        reasons += [code for code in RAISING if code in state.judged.reasons]
    reasons += ["shortfall"] if state.planned is not None and state.planned.shortfall else []
    return tuple(dict.fromkeys(reasons))


def _level(state: Followed, reasons: tuple[str, ...]) -> Risk:
    if clinician_decides(state) or (phase(state) != "closed" and state.assessed is not None and state.assessed.vetoes):
        return "high"
    return "raised" if reasons else "low"


def _outcome(state: Followed) -> str | None:
    if state.outcome is not None:
        return state.outcome
    return "withdrawn" if set(state.withdrawals) - set(state.refused) else None
