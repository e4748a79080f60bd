"""What each page of the console shows, and the calls that give it: the seam between the pages and what is behind them.

A page asks for its data by one dependency and draws what it is given:

    from services.console.access import console_of
    from services.console.views import Console

    @pages.get("/cases/{ref}")
    async def case(request: Request, ref: UUID, console: Annotated[Console, Depends(console_of)]) -> Response:
        shown = {"visitor": console.visitor, "page": await console.case(ref)}
        return templates.TemplateResponse(request, "case.html", shown)

`console_of` is for a visitor who is signed in; anybody else is sent to /login (a `Problem` 303 with `location`, and
`hx-redirect` for HTMX). What a visitor may not see raises `Problem`: 403 for another role's page, 404 for a case that
is not theirs or not there (the same answer), 409 and 422 where a call says so, 503 when a service that is asked does
not answer. Tests of the pages override the dependency: `app.dependency_overrides[console_of] = lambda: a_fake`.

`services.console.pages.add_pages(app)` adds the pages' routes, static files and error pages; the service calls it.
A page that changes something is a POST, and takes `Depends(same_origin)` of `services.console.access` as well.
`access.sign_in(request, response, key)` sets the session's cookie, `access.sign_out(response)` takes it away.

Nothing here is written by the pages. All is frozen; numbers are in the units that stand beside them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from workhardening_contracts.clinic import ReadinessSigned, Restriction
from workhardening_contracts.planning import PlannedWeek, Shortfall, Verdict
from workhardening_contracts.progress import DemandStanding, Forecast, Reason

Role = Literal["clinician", "operations"]
Phase = Literal["referred", "declined", "opened", "in_program", "closed"]
"""`referred`: information is needed still; `opened`: accepted, the plan is on its way."""
Risk = Literal["high", "raised", "low"]
Readiness = Literal["meets", "meets_with_restrictions", "not_yet", "insufficient_data"]

PAGE = 50
"""Cases on a page of the caseload, and entries on a page of a case's timeline."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks."""

    name: str
    """`whp_<prefix>` of a key, or the user's name as the proxy tells it."""
    role: Role
    clinic: str | None
    """A clinician's, of several the first; None for operations."""
    clinics: tuple[str, ...] = ()
    """All clinics whose cases a clinician may see: one by a key, maybe several by a proxy."""


# --- caseload


@dataclass(frozen=True, slots=True)
class CaseloadFilter:
    """None: whichever. Clinicians see cases of their own clinics only, whatever `clinic` says."""

    clinic: str | None = None
    week: int | None = None
    verdict: Verdict | None = None
    """The last week's."""
    risk: Risk | None = None
    phase: Phase | None = None
    after: str | None = None
    """The `next` of the page before."""


@dataclass(frozen=True, slots=True)
class CaseLine:
    """One case in a line."""

    ref: UUID
    clinic: str
    worker_ref: str | None
    job_title: str | None
    phase: Phase
    week: int | None
    """The week that is trained now, from 1."""
    total_weeks: int | None
    verdict: Verdict | None
    """The last week's."""
    risk: Risk
    risk_reasons: tuple[str, ...]
    """Codes, e.g. `escalated`, `alert.phq9_item9`, `regressed`, `attendance_low`, `pain_flare`, `shortfall`."""
    escalated: bool
    """A clinician must decide: the plan is frozen, or an alert of the referral or the assessment stands."""
    readiness: Readiness | None
    """As assessed last."""
    awaits_signature: bool
    outcome: str | None
    """Of a closed case: `ready`, `ready_with_restrictions`, `not_ready`, `discontinued`, `withdrawn`."""
    last_event_at: datetime


@dataclass(frozen=True, slots=True)
class CaseloadPage:
    """Escalated first, then by risk, then by what happened last, newest first."""

    filter: CaseloadFilter
    lines: tuple[CaseLine, ...]
    next: str | None
    """`after` of the next page; None when this is the last."""
    clinics: tuple[str, ...]
    """What a clinic may be chosen from; a clinician's own only."""


# --- one case


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


# --- sign-off


@dataclass(frozen=True, slots=True)
class SignOffPage:
    """What is signed, and by whom it may be."""

    line: CaseLine
    readiness: ReadinessShown
    signature: Signature | None
    """A decision that stands and would be corrected."""
    recommended: Literal["ready", "ready_with_restrictions", "not_ready"]
    """Another decision needs a reason."""
    roles: tuple[str, ...]
    restrictions: tuple[Restriction, ...]
    """Those recommended, to begin with."""
    activities: tuple[str, ...]
    zones: tuple[str, ...]
    """What a restriction may name."""


@dataclass(frozen=True, slots=True)
class EmployerPreview:
    """What one employer would be told."""

    employer: str
    update: Mapping[str, Any] | None
    """The ReadinessUpdated's data, exactly as it would be built now; None when the employer would be told nothing."""
    why_not: str | None
    """`no_consent`, `stopped`, `nothing_new`; None when there is an update."""
    scopes: tuple[str, ...]
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What all employers of the case would be told, if it were signed so."""

    signed: ReadinessSigned
    contradicts: bool
    employers: tuple[EmployerPreview, ...]
    shown: str
    """Goes back with `sign`: only what was shown is sent."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The front door took the signature; what follows from it comes by the topics."""

    event_id: str


# --- what employers were told


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One update that an employer was told, or may have been: it is recorded before each attempt."""

    employer: str
    event_id: str
    sequence: int
    first_at: datetime
    """When it was told first."""
    channel: str
    """`webhook`, `kafka` or `pull`."""
    scopes: tuple[str, ...]
    bases: tuple[str, ...]
    update: Mapping[str, Any] | None
    """The ReadinessUpdated's data as it was sent; None where only the record that it was sent is kept."""


@dataclass(frozen=True, slots=True)
class EmployerPage:
    """Who was told what, and when: from notify's disclosure log."""

    line: CaseLine
    grants: tuple[Grant, ...]
    disclosed: tuple[Disclosed, ...]
    """Newest first."""


# --- operations


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """One service, as one of its processes tells."""

    name: str
    live: bool | None
    """None: it does not answer."""
    ready: bool | None
    why: str
    lag: int | None
    """Records that are not folded yet, over all its topics."""
    outbox_rows: int | None
    outbox_age_s: float | None
    """Age of the oldest unpublished row, s."""
    outbox_held: int | None
    parked_cases: int | None
    dead_letters: int | None


@dataclass(frozen=True, slots=True)
class ParkedCase:
    """A case that waits behind a record that fails."""

    service: str
    case: UUID
    records: int
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read and names no case."""

    service: str
    topic: str
    partition: int
    offset: int
    received_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One employer's endpoint."""

    employer: str
    status: str
    """`active`, `disabled`, ..."""
    breaker: str
    """`closed`, `open` or `half_open`."""
    failing_since: datetime | None
    pending: int
    """Updates that wait."""
    oldest_s: float | None
    """Age of the oldest that is due, s."""


@dataclass(frozen=True, slots=True)
class OperationsPage:
    services: tuple[ServiceHealth, ...]
    parked: tuple[ParkedCase, ...]
    dead_letters: tuple[DeadLetter, ...]
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Retried:
    """How far a parked case's records were folded."""

    folded: int
    left: int
    reason: str | None
    """Why the first that is left failed again."""


# --- live


@dataclass(frozen=True, slots=True)
class Tick:
    """Something of a case was folded. Says that, and nothing of what."""

    case: UUID
    clinic: str


# --- the calls


class Console(Protocol):
    """What one visitor may ask for. Each call checks what the visitor may see, and records each look at a case."""

    @property
    def visitor(self) -> Visitor: ...

    async def caseload(self, wanted: CaseloadFilter) -> CaseloadPage:
        """Clinicians. Raises Problem 403, and 422 for an `after` that was never given."""
        ...

    async def case(self, ref: UUID) -> CasePage:
        """Clinicians; audited. Raises Problem 403 and 404."""
        ...

    async def timeline(self, ref: UUID, after: str) -> TimelinePage:
        """Older entries. Clinicians. Raises Problem 403, 404 and 422."""
        ...

    async def sign_off(self, ref: UUID) -> SignOffPage:
        """Clinicians; audited. Raises Problem 404, and 409 `nothing_to_sign` before there is an assessment."""
        ...

    async def preview(self, ref: UUID, form: Mapping[str, Sequence[str]]) -> Preview:
        """What would be told; nothing is sent. Clinicians; audited.

        `form` has the fields of the page's form, each with its values: `role`, `decision`, `effective_from`,
        `effective_through`, `reason_code` once each, an empty text for none, and for each restriction one value of
        `activity`, `zone`, `frequency`, `limit` and `unit`, in the same order (`limit` empty: not at all).
        Raises Problem 422 with `field` and a sentence, 409 `nothing_to_sign`, and 503 when notify does not answer.
        """
        ...

    async def sign(self, ref: UUID, form: Mapping[str, Sequence[str]], shown: str) -> Sent:
        """Send it as a clinic event through the front door. `shown` is the preview's.

        Raises Problem 409 `not_as_shown` when employers would be told something else by now, and as `preview`.
        """
        ...

    async def employer(self, ref: UUID) -> EmployerPage:
        """Clinicians; audited. Raises Problem 404, and 503 when notify does not answer."""
        ...

    async def operations(self) -> OperationsPage:
        """Operations. A service that does not answer is shown as that. Raises Problem 403."""
        ...

    async def retry(self, service: str, ref: UUID) -> Retried:
        """Fold a parked case's records. Operations. Raises Problem 403, 404, 409 and 503."""
        ...

    async def discard(self, service: str, ref: UUID, reason: str) -> None:
        """Give up the first of a case's parked records. Operations. Raises Problem 403, 404, 422 and 503."""
        ...

    def ticks(self, ref: UUID | None = None) -> AsyncIterator[Tick | None]:
        """What changes from now on, of one case or of all that the visitor may see; None now and then: still here.

        Ends when the session does.
        """
        ...
