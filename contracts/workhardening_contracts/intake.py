"""What intake says: eligibility decided, the assessment completed, consent as it stands."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from workhardening_contracts.clinic import Override
from workhardening_contracts.contract import Code, Contract, EventData, Ref, Score10
from workhardening_contracts.demand import Capacity, DemandProfile


class Eligibility(Contract):
    """How a decision on a referral came about."""

    met: tuple[Code, ...]
    """Criteria and gates that are met, by name."""
    unmet: tuple[Code, ...]
    unknown: tuple[Code, ...]
    reasons: tuple[Code, ...]
    """Why it was decided so, e.g. `unmet.medical_clearance`."""
    overrides: tuple[Override, ...] = ()
    """Exceptions that were used."""


class CaseOpened(EventData):
    """The referral was accepted; the case is in the program."""

    TYPE: ClassVar[str] = "org.workhardening.intake.case.opened.v1"

    clinic: Ref
    worker_ref: Ref
    employer: Ref | None = None
    employee_key: Ref | None = None
    opened_on: date
    eligibility: Eligibility


class InformationNeeded(EventData):
    """The referral or the assessment cannot be decided yet. Unknown is not no."""

    TYPE: ClassVar[str] = "org.workhardening.intake.information.needed.v1"

    clinic: Ref
    missing: Annotated[tuple[Code, ...], Field(min_length=1)]
    """Exactly what is missing: names of criteria and gates, or `assessment.<part>`."""
    eligibility: Eligibility
    alerts: tuple[Code, ...] = ()
    """Same-day clinician alerts, e.g. `phq9_item9`, `red_flag`."""


class CaseDeclined(EventData):
    """The referral does not meet the program's criteria. A correction decides again."""

    TYPE: ClassVar[str] = "org.workhardening.intake.case.declined.v1"

    clinic: Ref
    eligibility: Eligibility
    alerts: tuple[Code, ...] = ()
    """Same-day clinician alerts, e.g. `phq9_item9`, `red_flag`: also a declined worker may be in danger."""


class AssessmentCompleted(EventData):
    """Eligible and fully assessed: everything that planning needs."""

    TYPE: ClassVar[str] = "org.workhardening.intake.assessment.completed.v1"

    clinic: Ref
    assessed_on: date
    job: DemandProfile
    baseline: tuple[Capacity, ...]
    baseline_pain: Score10
    """NPRS 0-10 at the assessment; 0 where it was not recorded would hide flares, so intake requires it."""
    tolerance_hours_per_day: Annotated[float, Field(ge=0, le=16)]
    """h."""
    tolerance_days_per_week: Annotated[int, Field(ge=0, le=7)]
    authorised_weeks: Annotated[int, Field(ge=1, le=26)] | None = None
    authorised_hours_per_day: Annotated[float, Field(gt=0, le=12)] | None = None
    """h."""
    alerts: tuple[Code, ...] = ()
    """Same-day clinician alerts, e.g. `phq9_item9`, `red_flag`."""


class ConsentGrant(Contract):
    """One scope in which one employer may be told something."""

    employer: Ref
    scope: Code
    basis: Code
    valid_from: date
    valid_through: date | None = None


class ConsentChanged(EventData):
    """All consent of the case as it stands now."""

    TYPE: ClassVar[str] = "org.workhardening.intake.consent.changed.v1"

    clinic: Ref
    grants: tuple[ConsentGrant, ...]


Moment = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
"""A moment in UTC, to the second, e.g. `2026-03-02T09:30:00Z`."""


class _Consultation(EventData):
    """A free consultation. The subject is the booking, and the case should it become one.

    Who has booked is not said: the clinic reads that by its key. It bears no sequence, which belongs to cases.
    """

    clinic: Ref
    therapist: Ref
    starts_at: Moment
    ends_at: Moment


class ConsultationBooked(_Consultation):
    """A free consultation was booked."""

    TYPE: ClassVar[str] = "org.workhardening.intake.consultation.booked.v1"


class ConsultationCancelled(_Consultation):
    """It was cancelled; its time is free again."""

    TYPE: ClassVar[str] = "org.workhardening.intake.consultation.cancelled.v1"

    by: Code
    """Who cancelled: `person` or `clinic`."""


class ConsultationReminderDue(_Consultation):
    """It is time for the clinic to remind the person."""

    TYPE: ClassVar[str] = "org.workhardening.intake.consultation.reminder.due.v1"
