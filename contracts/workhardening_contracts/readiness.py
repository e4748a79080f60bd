"""What an employer is told (ReadinessUpdated), and what is said of a refused event (EventRejected)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from workhardening_contracts.clinic import Restriction
from workhardening_contracts.contract import Code, Contract, EventData, EventId, Line, Ratio, Ref


class ProgramProgress(Contract):
    """Told only with recorded consent or another legal basis, field by field."""

    week: Annotated[int, Field(ge=1, le=52)] | None = None
    total_weeks: Annotated[int, Field(ge=1, le=52)] | None = None
    attendance: Ratio | None = None
    expected_date: date | None = None
    demands_met: Annotated[int, Field(ge=0)] | None = None
    demands_total: Annotated[int, Field(ge=0)] | None = None


class ReadinessUpdated(EventData):
    """Work status for an employer, modelled on the Texas DWC-73: exactly one of three statements, with dates.

    Built from an allow-list. Never a diagnosis, body part, injury story, pain, score, vital sign, drug, session note
    or free text (45 CFR 164.512(l), 164.502(b); 29 CFR 1630.14).
    """

    TYPE: ClassVar[str] = "org.workhardening.notify.readiness.updated.v1"

    case_ref: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    employee_key: Ref | None = None
    """The employer's own key."""
    status: Literal["no_restrictions", "with_restrictions", "unable"]
    effective_from: date
    effective_through: date | None = None
    """Required unless `no_restrictions`; `upon follow-up` does not exist."""
    restrictions: tuple[Restriction, ...]
    outcome: Literal["in_program", "ready", "ready_with_restrictions", "not_ready", "discontinued", "revoked"]
    certifier_role: Code | None = None
    """The role that signed; null while in the program."""
    sequence: Annotated[int, Field(ge=1)]
    """Per case and employer, from 1, no gap among what was sent."""
    previous_sequence: Annotated[int, Field(ge=0)]
    """The `sequence` sent before this one for the case; 0 for the first. Another value means one was missed: pull."""
    supersedes: EventId | None = None
    """The update that this one corrects or withdraws."""
    program: ProgramProgress | None = None

    @model_validator(mode="after")
    def _exactly_one_statement(self) -> ReadinessUpdated:
        if self.status != "no_restrictions" and self.effective_through is None:
            raise ValueError("an open-ended expiry is refused")
        if self.effective_through is not None and self.effective_through < self.effective_from:
            raise ValueError("effective_through is before effective_from")
        if (self.status == "with_restrictions") != bool(self.restrictions):
            raise ValueError("restrictions go with with_restrictions, and only with it")
        return self


class EventRejected(EventData):
    """An event was refused by its judge, or could not be read. Internal; clinics read it in their feed."""

    TYPE: ClassVar[str] = "org.workhardening.rejections.event.rejected.v1"

    judge: Code
    """The service that refused."""
    rejected_type: Line
    rejected_source: Line
    rejected_id: EventId
    topic: Line
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    code: Code
    """Why, as a stable code."""
    field: Line | None = None
    """The path of the offending field; never its value."""
    detail: Line
    mend: Line
    """What to do about it."""
