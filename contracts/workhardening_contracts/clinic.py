"""What clinics say: facts recorded at the clinic, published through the front door or the clinic's own topic.

The clinic is the event's `source` (`/clinics/<id>`), the case its `subject`. Each type has one judge (registry).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from workhardening_contracts.contract import Code, Contract, EventData, EventId, Line, Ref, Score10
from workhardening_contracts.demand import Capacity, DemandProfile, Frequency
from workhardening_contracts.quantity import Quantity

Tri = Literal["yes", "no", "unknown"]
"""A question that may be open. Unknown is not no."""

Side = Literal["left", "right", "both", "not_applicable"]


class Criteria(Contract):
    """The five inclusion criteria of the program."""

    workplace_injury: Tri
    """(a) recovering from a workplace injury."""
    demanding_job: Tri
    """(b) returning to a physically demanding job."""
    difficulty_with_duties: Tri
    """(c) having difficulty keeping up with work duties after the injury."""
    reinjury_risk: Tri
    """(d) at risk of re-injury."""
    gradual_exposure_needed: Tri
    """(e) needing gradual exposure back into full job responsibilities."""


class Authorisation(Contract):
    """An insurer's or payer's authorisation."""

    required: bool
    valid_from: date | None = None
    valid_through: date | None = None
    weeks: Annotated[int, Field(ge=1, le=26)] | None = None
    """Authorised weeks; caps the plan."""
    hours_per_day: Annotated[float, Field(gt=0, le=12)] | None = None
    """Authorised hours a day, h; caps the plan."""


class Override(Contract):
    """A named and reasoned exception to an inclusion criterion or a gate."""

    criterion: Code
    """The criterion or gate that is set aside, by its name in the decision."""
    role: Code
    """Who decided, by role, e.g. `physician`, `program_director`."""
    reason_code: Code


class Injury(Contract):
    """The injury as the clinic knows it. Never leaves the clinic's side."""

    occurred_on: date
    body_part: Line
    story: Line | None = None
    """What happened, in one line."""


class Referral(Contract):
    """Everything eligibility is decided from."""

    worker_ref: Ref
    """Opaque; the worker is known outside intake only by this."""
    employer: Ref | None = None
    """The employer that may be told the work status."""
    employee_key: Ref | None = None
    """The employer's own key for this employee."""
    injury: Injury
    criteria: Criteria
    return_to_work_goal: Tri
    medical_clearance: Tri
    treatment_consent: Tri
    red_flags: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    """e.g. `cauda_equina`, `unstable_fracture`, `chest_pain`; the policy lists those that bar."""
    job: DemandProfile | None = None
    tolerance_hours_per_day: Annotated[float, Field(ge=0, le=16)] | None = None
    """What the worker tolerates today, h."""
    tolerance_days_per_week: Annotated[int, Field(ge=0, le=7)] | None = None
    authorisation: Authorisation | None = None
    overrides: Annotated[tuple[Override, ...], Field(max_length=10)] = ()


class ReferralReceived(EventData):
    """A worker was referred. Opens the case for this clinic."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.referral.received.v1"

    referral: Referral


class ReferralCorrected(EventData):
    """The referral as it should have been; eligibility is decided again."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.referral.corrected.v1"

    supersedes: EventId
    """The id of the event that this one replaces."""
    referral: Referral


class Finding(Contract):
    """One finding of an examination."""

    code: Code
    """e.g. `lumbar_flexion_pain`, `forward_head`, `none`."""
    side: Side = "not_applicable"
    note: Line | None = None


class JointMobility(Contract):
    """One joint's range of motion."""

    joint: Code
    movement: Code
    degrees: Annotated[float, Field(ge=-60, le=360)]
    """Degrees of motion."""
    side: Side


class OutcomeTotal(Contract):
    """A questionnaire's total. Never its wording or its items, which are copyrighted."""

    measure: Code
    """`nprs`, `odi`, `quickdash`, `psfs`, `fabq_w`, `tsk_11`, `rtwse`, `wai`, `phq_9`."""
    total: Annotated[float, Field(ge=0, le=500)]


class AerobicTest(Contract):
    """One aerobic test."""

    six_minute_walk_m: Annotated[float, Field(ge=0, le=1200)] | None = None
    """Distance of the 6-minute walk, m."""
    vo2max: Annotated[float, Field(gt=0, le=100)] | None = None
    """Estimated, ml/kg/min."""


class Vitals(Contract):
    """Vital signs at rest."""

    heart_rate: Annotated[int, Field(ge=20, le=250)] | None = None
    """Beats per minute."""
    systolic: Annotated[int, Field(ge=50, le=300)] | None = None
    """mmHg."""
    diastolic: Annotated[int, Field(ge=20, le=200)] | None = None
    """mmHg."""


class AssessmentRecorded(EventData):
    """The provider's assessment: history, physical examination, posture, mobility and functional tests.

    A part that was not done yet is left out; intake completes the assessment when all parts are there.
    """

    TYPE: ClassVar[str] = "org.workhardening.clinic.assessment.recorded.v1"

    assessed_on: date
    history_flags: Annotated[tuple[Code, ...], Field(max_length=40)] | None = None
    physical_examination: Annotated[tuple[Finding, ...], Field(max_length=40)] | None = None
    posture: Annotated[tuple[Finding, ...], Field(max_length=40)] | None = None
    mobility: Annotated[tuple[JointMobility, ...], Field(max_length=60)] | None = None
    functional_tests: Annotated[tuple[Capacity, ...], Field(max_length=60)] | None = None
    """What the worker was measured to do, in the terms of the job's demands."""
    aerobic: AerobicTest | None = None
    vitals: Vitals | None = None
    outcome_measures: Annotated[tuple[OutcomeTotal, ...], Field(max_length=20)] = ()
    baseline_pain: Score10 | None = None
    """NPRS 0-10; a later flare is measured against it."""
    phq9_item9: Annotated[int, Field(ge=0, le=3)] | None = None
    """PHQ-9 item 9 (0-3). Above 0 a clinician is alerted the same day."""
    red_flags: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    supersedes: EventId | None = None
    """The id of the assessment event that this one corrects."""


class ConsentRecorded(EventData):
    """The worker's consent, or another legal basis, to tell one employer some things."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.consent.recorded.v1"

    employer: Ref
    scopes: Annotated[tuple[Code, ...], Field(min_length=1, max_length=10)]
    """`work_status`, `program_week`, `attendance`, `expected_date`, `demands_met`."""
    basis: Code
    """`worker_consent`, or the legal basis, e.g. `workers_compensation_law`."""
    valid_from: date
    valid_through: date | None = None


class ConsentRevoked(EventData):
    """Consent ends. Nothing further is sent to this employer in these scopes."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.consent.revoked.v1"

    employer: Ref
    scopes: Annotated[tuple[Code, ...], Field(min_length=1, max_length=10)]


class Performed(Contract):
    """What was done in a session for one demand."""

    kind: Code
    zone: Code | None = None
    frequency: Frequency
    amount: Quantity


class BlockMinutes(Contract):
    """Minutes spent by block."""

    mobility: Annotated[float, Field(ge=0, le=720)] = 0
    strengthening: Annotated[float, Field(ge=0, le=720)] = 0
    endurance: Annotated[float, Field(ge=0, le=720)] = 0
    job_simulation: Annotated[float, Field(ge=0, le=720)] = 0
    education: Annotated[float, Field(ge=0, le=720)] = 0


class Session(Contract):
    """One session as it took place, or did not."""

    held_on: date
    attendance: Literal["attended", "partial", "excused", "absent"]
    hours: Annotated[float, Field(ge=0, le=16)]
    """Hours tolerated that day, h."""
    performed: Annotated[tuple[Performed, ...], Field(max_length=60)] = ()
    minutes: BlockMinutes | None = None
    exertion: Score10 | None = None
    """RPE, 0-10."""
    pain_before: Score10 | None = None
    pain_after: Score10 | None = None
    pain_next_day: Score10 | None = None
    """NPRS 24 hours later; null while not known yet."""
    heart_rate_peak: Annotated[int, Field(ge=20, le=250)] | None = None
    confidence: Score10 | None = None
    """Self-efficacy for returning to work, 0-10."""
    safety_stop: bool = False
    red_flags: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    phq9_item9: Annotated[int, Field(ge=0, le=3)] | None = None
    note: Line | None = None


class SessionRecorded(EventData):
    """A session was held, or missed."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.session.recorded.v1"

    session: Session


class SessionCorrected(EventData):
    """A session as it should have been recorded."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.session.corrected.v1"

    supersedes: EventId
    """The id of the session event that this one replaces."""
    session: Session


class DayClosed(EventData):
    """Everything of this case up to and including this date has been reported; an absence is now an absence."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.day.closed.v1"

    through: date


class Restriction(Contract):
    """A functional limit an employer may be told. No diagnosis, no body part, no reason."""

    activity: Code
    """A demand's kind, e.g. `lift`, `stand`, or `work_hours`."""
    zone: Code | None = None
    frequency: Frequency | None = None
    limit: Quantity | None = None
    """The most that is allowed; null for not at all."""


class ReadinessSigned(EventData):
    """A named clinician role signs, or refuses to sign, a readiness assessment."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.readiness.signed.v1"

    readiness_event: EventId
    """The id of the ReadinessAssessed event that is signed."""
    role: Code
    """e.g. `physician`, `occupational_therapist`, `physical_therapist`."""
    decision: Literal["ready", "ready_with_restrictions", "not_ready"]
    restrictions: Annotated[tuple[Restriction, ...], Field(max_length=40)] = ()
    effective_from: date
    effective_through: date | None = None
    """Required with restrictions: an open-ended expiry is refused."""
    reason_code: Code | None = None
    """Required when the decision contradicts the recommendation."""

    @model_validator(mode="after")
    def _restrictions_fit_the_decision(self) -> ReadinessSigned:
        if self.decision == "ready_with_restrictions":
            if not self.restrictions:
                raise ValueError("ready_with_restrictions needs at least one restriction")
            if self.effective_through is None:
                raise ValueError("ready_with_restrictions needs effective_through: an open end is refused")
        elif self.restrictions:
            raise ValueError("restrictions go only with ready_with_restrictions")
        if self.effective_through is not None and self.effective_through < self.effective_from:
            raise ValueError("effective_through is before effective_from")
        return self


class ReadinessWithdrawn(EventData):
    """A signed readiness no longer stands."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.readiness.withdrawn.v1"

    role: Code
    reason_code: Code
    withdrawn_on: date


class CaseWithdrawn(EventData):
    """The worker leaves the program, or the clinic ends it."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.case.withdrawn.v1"

    withdrawn_on: date
    reason_code: Code
    """`worker_choice`, `medical`, `funding`, `moved`, `returned_elsewhere`, `other`."""


class FollowUpRecorded(EventData):
    """How it went after the program closed."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.follow_up.recorded.v1"

    month: Literal[1, 3, 6, 12]
    as_of: date
    reinjured: Tri
    working: Literal["usual_job", "modified_work", "not_working", "unknown"]


class CaseErased(EventData):
    """Erase what is held on this case. Each service deletes its patient data and refuses all later events."""

    TYPE: ClassVar[str] = "org.workhardening.clinic.case.erased.v1"

    reason_code: Code
    """`worker_request`, `opened_in_error`, `retention_ended`."""
