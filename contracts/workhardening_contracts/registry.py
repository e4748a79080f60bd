"""Type string -> model: the one list of events, with the topic of each and, for clinic events, its judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from workhardening_contracts import clinic, intake, planning, progress, readiness
from workhardening_contracts.contract import EventData, Violation, violation_of
from workhardening_contracts.envelope import Envelope, Event, strict_json

Service = Literal["intake", "planning", "progress", "notify", "console"]

CLINIC_TOPIC = "clinic.events.v1"
INTAKE_TOPIC = "intake.events.v1"
PLANNING_TOPIC = "planning.events.v1"
PROGRESS_TOPIC = "progress.events.v1"
REJECTIONS_TOPIC = "clinic.rejections.v1"
EMPLOYER_TOPIC = "employer.<id>.readiness.v1"
CLINIC_OWN_TOPIC = "clinic.<id>.events.v1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event type."""

    model: type[EventData]
    topic: str
    judge: Service | None = None
    """The only service that may refuse it; None for events that we publish ourselves."""

    @property
    def type(self) -> str:
        return self.model.TYPE


ENTRIES: tuple[Entry, ...] = (
    Entry(clinic.ReferralReceived, CLINIC_TOPIC, "intake"),
    Entry(clinic.ReferralCorrected, CLINIC_TOPIC, "intake"),
    Entry(clinic.AssessmentRecorded, CLINIC_TOPIC, "intake"),
    Entry(clinic.ConsentRecorded, CLINIC_TOPIC, "intake"),
    Entry(clinic.ConsentRevoked, CLINIC_TOPIC, "intake"),
    Entry(clinic.SessionRecorded, CLINIC_TOPIC, "progress"),
    Entry(clinic.SessionCorrected, CLINIC_TOPIC, "progress"),
    Entry(clinic.DayClosed, CLINIC_TOPIC, "progress"),
    Entry(clinic.ReadinessSigned, CLINIC_TOPIC, "progress"),
    Entry(clinic.ReadinessWithdrawn, CLINIC_TOPIC, "progress"),
    Entry(clinic.CaseWithdrawn, CLINIC_TOPIC, "intake"),
    Entry(clinic.FollowUpRecorded, CLINIC_TOPIC, "progress"),
    Entry(clinic.CaseErased, CLINIC_TOPIC, "intake"),
    Entry(intake.CaseOpened, INTAKE_TOPIC),
    Entry(intake.InformationNeeded, INTAKE_TOPIC),
    Entry(intake.CaseDeclined, INTAKE_TOPIC),
    Entry(intake.AssessmentCompleted, INTAKE_TOPIC),
    Entry(intake.ConsentChanged, INTAKE_TOPIC),
    Entry(intake.ConsultationBooked, INTAKE_TOPIC),
    Entry(intake.ConsultationCancelled, INTAKE_TOPIC),
    Entry(intake.ConsultationReminderDue, INTAKE_TOPIC),
    Entry(planning.PlanIssued, PLANNING_TOPIC),
    Entry(planning.PlanRevised, PLANNING_TOPIC),
    Entry(progress.WeekAdvanced, PROGRESS_TOPIC),
    Entry(progress.WeekHeld, PROGRESS_TOPIC),
    Entry(progress.WeekRegressed, PROGRESS_TOPIC),
    Entry(progress.CaseEscalated, PROGRESS_TOPIC),
    Entry(progress.AttendanceLapsed, PROGRESS_TOPIC),
    Entry(progress.ReadinessAssessed, PROGRESS_TOPIC),
    Entry(progress.ReadyForWork, PROGRESS_TOPIC),
    Entry(progress.ReadinessRevoked, PROGRESS_TOPIC),
    Entry(progress.CaseClosed, PROGRESS_TOPIC),
    Entry(readiness.EventRejected, REJECTIONS_TOPIC),
    Entry(readiness.ReadinessUpdated, EMPLOYER_TOPIC),
)

BY_TYPE: Mapping[str, Entry] = {entry.type: entry for entry in ENTRIES}
BY_MODEL: Mapping[type[EventData], Entry] = {entry.model: entry for entry in ENTRIES}


def topic_of(model: type[EventData]) -> str:
    """The topic an event of this model goes to. Raises KeyError for a model that is not registered."""
    return BY_MODEL[model].topic


def judges(service: Service) -> frozenset[str]:
    """The event types that only this service may refuse."""
    return frozenset(entry.type for entry in ENTRIES if entry.judge == service)


def from_clinic(type_: str) -> bool:
    """Whether clinics publish this event type."""
    entry = BY_TYPE.get(type_)
    return entry is not None and entry.topic == CLINIC_TOPIC


def clinic_of(event: Event[EventData]) -> str:
    """The clinic an event comes from or speaks of; empty for an event that names none."""
    named = vars(event.data).get("clinic")  # `getattr` of a field that a model lacks raises within: 50 times as slow
    if isinstance(named, str):
        return named
    source = event.source if not isinstance(event.data, readiness.EventRejected) else event.data.rejected_source
    return source.removeprefix("/clinics/") if source.startswith("/clinics/") else ""


def open_closed(envelope: Envelope) -> Event[EventData]:
    """Validate as a producer would be: unknown fields are refused. Raises Violation.

    The front door and the bridge use it, so that a clinic learns of a misspelt field at once.
    """
    entry = BY_TYPE.get(envelope.type)
    if entry is None:
        raise Violation("contract.unknown_type", "/type", "this type is not in the registry")
    strict_json(envelope.data)
    try:
        return Event(envelope, entry.model.model_validate_json(envelope.data, extra="forbid"))
    except ValidationError as error:
        raise violation_of(error) from None
