"""What progress says: weekly verdicts with their reasons, readiness, and what a clinician signed."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workhardening_contracts.clinic import Restriction
from workhardening_contracts.contract import Code, Contract, EventData, EventId, Ratio, Ref, Score10
from workhardening_contracts.demand import Capacity, DemandKey
from workhardening_contracts.quantity import Quantity


class Reason(Contract):
    """Why a week was judged so, demand by demand where it concerns one."""

    code: Code
    """e.g. `target_attained`, `target_missed`, `not_performed`, `attendance_low`, `pain_flare`, `red_flag`."""
    demand: DemandKey | None = None
    """The demand's key, or null for the week as a whole."""
    attained: Quantity | None = None
    target: Quantity | None = None


class _Judged(EventData):
    clinic: Ref
    week: Annotated[int, Field(ge=1, le=52)]
    """The week that was judged."""
    total_weeks: Annotated[int, Field(ge=1, le=52)]
    starts_on: date
    through: date
    plan_version: Annotated[int, Field(ge=1)]
    attendance: Ratio
    """Sessions attended / planned, at most 1."""
    attained: tuple[Capacity, ...]
    """The best of the week for each target."""
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    final: bool
    """No week follows: the program ends with this verdict."""


class WeekAdvanced(_Judged):
    """The week's targets were reached; the next week is harder."""

    TYPE: ClassVar[str] = "org.workhardening.progress.week.advanced.v1"


class WeekHeld(_Judged):
    """The week is repeated."""

    TYPE: ClassVar[str] = "org.workhardening.progress.week.held.v1"


class WeekRegressed(_Judged):
    """One step back."""

    TYPE: ClassVar[str] = "org.workhardening.progress.week.regressed.v1"


class CaseEscalated(_Judged):
    """A red flag, a safety stop or PHQ-9 item 9: the plan is frozen and a clinician decides."""

    TYPE: ClassVar[str] = "org.workhardening.progress.case.escalated.v1"


class AttendanceLapsed(EventData):
    """A week was closed with sessions missing."""

    TYPE: ClassVar[str] = "org.workhardening.progress.attendance.lapsed.v1"

    clinic: Ref
    week: Annotated[int, Field(ge=1, le=52)]
    planned: Annotated[int, Field(ge=0, le=7)]
    attended: Annotated[int, Field(ge=0, le=7)]
    through: date


class DemandStanding(Contract):
    """Where one demand of the job stands."""

    demand: DemandKey
    """The demand's key."""
    critical: bool
    required: Quantity
    shown: Quantity | None = None
    """The best valid capacity at the demand's frequency, or null where none was shown in time."""
    met: bool | None = None
    """Null: not enough data."""


class Forecast(Contract):
    """When the critical demands are expected to be met."""

    status: Literal["expected", "reached", "insufficient_data"]
    week: Annotated[float, Field(ge=0, le=200)] | None = None
    """The week of the program, counted from 1, at whose close they are all met."""
    earliest: Annotated[float, Field(ge=0, le=200)] | None = None
    latest: Annotated[float, Field(ge=0, le=200)] | None = None
    """The ends of an 80 % interval, whole weeks likewise."""


class TrendWarning(Contract):
    """A trend that a clinician should look at, and what says so."""

    code: Code
    """`plateau`: hardly any growth over the latest weeks. `late`: expected only after the program's last week."""
    demand: DemandKey
    from_week: Annotated[int, Field(ge=1, le=52)]
    through_week: Annotated[int, Field(ge=1, le=52)]
    """The weeks that were looked at."""
    slope: float
    """Median growth a week, as a share of what the job requires."""
    slope_low: float
    slope_high: float
    """The ends of its 80 % interval."""


class ReadinessAssessed(EventData):
    """Where the case stands against the job: a recommendation that a clinician signs.

    A session that is corrected or reported after it may change what it says, and so may a corrected demand profile or
    baseline: it is then told again with `supersedes`, of the same day and to the same expiry. Only the latest may be
    signed.
    """

    TYPE: ClassVar[str] = "org.workhardening.progress.readiness.assessed.v1"

    clinic: Ref
    week: Annotated[int, Field(ge=1, le=52)]
    readiness: Literal["meets", "meets_with_restrictions", "not_yet", "insufficient_data"]
    standings: tuple[DemandStanding, ...]
    restrictions: tuple[Restriction, ...]
    """The unmet non-critical demands, as limits."""
    vetoes: tuple[Code, ...]
    """Safety vetoes, e.g. `unresolved_flare`, `red_flag`."""
    confidence: Score10 | None = None
    shift_hours_days: Annotated[int, Field(ge=0)]
    """Days on which the shift's hours were tolerated."""
    flags: tuple[Code, ...]
    """Shown beside the recommendation, never gates."""
    forecast: Forecast
    warnings: tuple[TrendWarning, ...] = ()
    """Plateaus and risks of the unmet critical demands, never gates."""
    assessed_through: date
    expires_on: date
    """Re-tests are dated and expire."""
    final: bool
    """The last assessment of the program: the outcome follows from its signature."""
    supersedes: EventId | None = None
    """The id of the ReadinessAssessed event that this one replaces."""


class ReadyForWork(EventData):
    """A clinician signed: ready, in full or with restrictions."""

    TYPE: ClassVar[str] = "org.workhardening.progress.readiness.ready.v1"

    clinic: Ref
    readiness_event: EventId
    """The id of the ReadinessAssessed event that was signed."""
    decision: Literal["ready", "ready_with_restrictions"]
    restrictions: tuple[Restriction, ...]
    effective_from: date
    effective_through: date | None = None
    role: Code
    """The certifier's role."""
    contradicts: bool
    """The clinician decided otherwise than recommended."""
    reason_code: Code | None = None
    supersedes: EventId | None = None
    """The id of the ReadyForWork event that this one replaces."""


class ReadinessRevoked(EventData):
    """A signed readiness no longer stands."""

    TYPE: ClassVar[str] = "org.workhardening.progress.readiness.revoked.v1"

    clinic: Ref
    supersedes: EventId
    """The id of the ReadyForWork event that no longer stands."""
    revoked_on: date
    role: Code
    reason_code: Code


class CaseClosed(EventData):
    """The program ended for this case."""

    TYPE: ClassVar[str] = "org.workhardening.progress.case.closed.v1"

    clinic: Ref
    closed_on: date
    outcome: Literal["ready", "ready_with_restrictions", "not_ready", "discontinued", "withdrawn"]
    reason_code: Code
    weeks_judged: Annotated[int, Field(ge=0, le=52)]
