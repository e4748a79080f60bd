"""A case as intake holds it: a tagged union of phases.

Only what later events need is kept; the referral's story, body part and examination findings are in the event log.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from services.intake.assessment import Parts
from services.intake.consent import Grants
from services.intake.eligibility import Decision
from workhardening_contracts.contract import Code, Contract, EventId, Ref
from workhardening_contracts.demand import DemandProfile
from workhardening_contracts.intake import AssessmentCompleted, CaseOpened


class _Stored(Contract):
    # What a newer release stored is read by an older one: a release that is rolled back must not park every case.
    model_config = ConfigDict(extra="ignore")


class Referred(_Stored):
    """The referral in force, as far as it is needed after the decision."""

    ids: tuple[EventId, ...]
    """The event and those it superseded, the newest last, so that a correction may name any of them."""
    worker_ref: Ref
    employer: Ref | None = None
    employee_key: Ref | None = None
    job: DemandProfile | None = None
    tolerance_hours_per_day: float | None = None
    tolerance_days_per_week: int | None = None
    authorised_weeks: int | None = None
    authorised_hours_per_day: float | None = None
    decision: Decision


class _Kept(_Stored):
    clinic: Ref
    grants: Grants = ()


class Live(_Kept):
    """What every phase before the end holds."""

    referred: Referred
    parts: Parts = ()
    told: tuple[Code, ...] = ()
    """What InformationNeeded last said was missing; empty when nothing is."""
    told_alerts: tuple[Code, ...] = ()
    """The alerts as they were told last: each event that tells anything of the assessment carries them."""
    opened: CaseOpened | None = None
    """The last CaseOpened, once the case was accepted. It stays open until it closes, whatever a correction decides."""
    completed: AssessmentCompleted | None = None
    """The last AssessmentCompleted."""
    completions: int = 0


class Pending(Live):
    """The referral cannot be decided yet."""

    phase: Literal["pending"] = "pending"


class Declined(Live):
    """The referral does not meet the criteria; a later referral or a correction decides again."""

    phase: Literal["declined"] = "declined"


class Opened(Live):
    """Accepted; the assessment is not complete."""

    phase: Literal["opened"] = "opened"


class Assessed(Live):
    """Accepted and assessed; what is recorded from now on is a re-assessment."""

    phase: Literal["assessed"] = "assessed"


class Closed(_Kept):
    """Withdrawn by the clinic, or closed by progress. Consent can still change; nothing else does."""

    phase: Literal["closed"] = "closed"


Phase = Pending | Declined | Opened | Assessed
Intake = Annotated[Pending | Declined | Opened | Assessed | Closed, Field(discriminator="phase")]
State = Pending | Declined | Opened | Assessed | Closed
