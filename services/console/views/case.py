"""Everything that is shown of one case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from services.console.views.caseload import CaseLine, Readiness, Role
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.planning import PlannedWeek, Shortfall, Verdict
from workhardening_contracts.progress import DemandStanding, Forecast, Reason, TrendWarning


@dataclass(frozen=True, slots=True)
class WeekPoint:
    """What one week asked for one demand, and what was shown."""

    week: int
    on: date
    """The week's last day."""
    target: float | None
    attained: float | None


@dataclass(frozen=True, slots=True)
class DemandChart:
    """One demand of the job, week by week. All amounts are in `unit`."""

    key: str
    """`kind/zone/frequency`, `-` for no zone."""
    kind: str
    zone: str | None
    frequency: str
    critical: bool
    unit: str
    required: float
    points: tuple[WeekPoint, ...]


@dataclass(frozen=True, slots=True)
class SessionPoint:
    """One session. Scores are 0-10; None where nothing was recorded."""

    on: date
    attendance: Literal["attended", "partial", "excused", "absent"]
    hours: float
    pain_before: float | None
    pain_after: float | None
    pain_next_day: float | None
    exertion: float | None
    confidence: float | None
    safety_stop: bool
    red_flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerdictShown:
    """How one week was judged."""

    event_id: str
    at: datetime
    week: int
    total_weeks: int
    verdict: Verdict
    starts_on: date
    through: date
    plan_version: int
    attendance: float
    """0 to 1."""
    reasons: tuple[Reason, ...]
    final: bool
    policy_version: str | None


@dataclass(frozen=True, slots=True)
class PlanShown:
    """One version of the plan."""

    event_id: str
    version: int
    effective_from: date
    current_week: int
    total_weeks: int
    answers: Verdict | None
    """The verdict it answers; None for the first."""
    frozen: bool
    weeks: tuple[PlannedWeek, ...]
    shortfall: tuple[Shortfall, ...]
    assumed: tuple[str, ...]
    """Keys of demands that were not tested."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a clinician signed, as it stands."""

    decision: Literal["ready", "ready_with_restrictions"]
    restrictions: tuple[Restriction, ...]
    effective_from: date
    effective_through: date | None
    role: str
    contradicts: bool
    reason_code: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that stands between the case and `meets`."""

    code: str
    """`demand_unmet`, `demand_not_shown`, `hours_not_shown`, `confidence_unknown`, `veto`, or `information`."""
    what: str
    """The demand's key, the veto, or the name of what is missing."""
    critical: bool


@dataclass(frozen=True, slots=True)
class ReadinessShown:
    """Where the case stands against the job, as assessed last."""

    event_id: str
    at: datetime
    week: int
    readiness: Readiness
    standings: tuple[DemandStanding, ...]
    restrictions: tuple[Restriction, ...]
    vetoes: tuple[str, ...]
    confidence: float | None
    """0-10."""
    shift_hours_days: int
    flags: tuple[str, ...]
    forecast: Forecast
    warnings: tuple[TrendWarning, ...]
    """Trends to look at, with what says so."""
    assessed_through: date
    expires_on: date
    final: bool
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """One scope in which one employer may be told something."""

    employer: str
    scope: str
    basis: str
    valid_from: date
    valid_through: date | None


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the case."""

    at: datetime
    """When it happened, as its sender says."""
    type: str
    """The CloudEvents type."""
    name: str
    """The type in short, e.g. `week.advanced`."""
    source: str
    """`/clinics/<id>` or `/services/<name>`."""
    event_id: str
    detail: str | None
    """A few words where there is something to say, e.g. `week 3 of 8`; never free text of a clinic."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody looked at the case."""

    at: datetime
    who: str
    role: Role
    what: Literal["case", "sign_off", "preview", "sign", "employer"]


@dataclass(frozen=True, slots=True)
class CasePage:
    """Everything of one case."""

    line: CaseLine
    missing: tuple[str, ...]
    """What the referral or the assessment lacks still, e.g. `medical_clearance`, `assessment.posture`."""
    alerts: tuple[str, ...]
    """e.g. `phq9_item9`, `red_flag`: of the referral or the assessment."""
    baseline_pain: float | None
    """0-10; a flare is measured against it."""
    demands: tuple[DemandChart, ...]
    sessions: tuple[SessionPoint, ...]
    verdicts: tuple[VerdictShown, ...]
    """Oldest first; each has its week's attendance."""
    plans: tuple[PlanShown, ...]
    """Oldest first."""
    readiness: ReadinessShown | None
    signature: Signature | None
    grants: tuple[Grant, ...]
    timeline: tuple[Moment, ...]
    """Newest first."""
    timeline_next: str | None
    seen: tuple[Seen, ...]
    """The last looks at the case, newest first, this one included."""
    trace_url: str | None
    """The case in the trace viewer; None where there is none."""


@dataclass(frozen=True, slots=True)
class TimelinePage:
    moments: tuple[Moment, ...]
    next: str | None
