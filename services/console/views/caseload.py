"""Who looks, and the caseload: cases in a line each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from workhardening_contracts.planning import Verdict

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
