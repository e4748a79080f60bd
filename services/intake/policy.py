"""The numbers intake decides by. Versioned data: a clinic may set its own within the bounds given here."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from workhardening_contracts.contract import Code

BARRING_RED_FLAGS = frozenset(
    {
        "cauda_equina",
        "chest_pain",
        "progressive_neurological_deficit",
        "suspected_infection",
        "suspected_malignancy",
        "unstable_angina",
        "unstable_fracture",
    }
)
"""Findings that need a physician before any exercise (red flags of the low-back-pain guidelines, and the absolute
contraindications to exercise testing of ACSM)."""

OVERRIDE_ROLES = frozenset({"medical_director", "physician", "program_director"})
"""Those who answer for an admission: medically, or for the program. The program's own convention."""


class Policy(BaseModel):
    """Intake's policy. The admission criteria follow the usual entry criteria of work hardening programs (CARF)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    version: str = "default-1"
    further_criteria: Annotated[int, Field(ge=0, le=4)] = 1
    """How many of the criteria (b) to (e) must be met beside (a), the workplace injury."""
    barring_red_flags: frozenset[Code] = BARRING_RED_FLAGS
    """Red flags that bar the program until they are cleared. Others are carried and shown."""
    override_roles: frozenset[Code] = OVERRIDE_ROLES
    """Who may set a criterion or gate aside. Another role's override is named in the decision and not used."""
    min_hours_per_day: Annotated[float, Field(ge=0, le=8)] = 2.0
    """Tolerance needed to begin, h: a first session is 2 hours."""
    min_days_per_week: Annotated[int, Field(ge=1, le=7)] = 3
    """Tolerance needed to begin, days: conditioning needs about three sessions a week (ACSM)."""
    max_injury_age_years: Annotated[int, Field(ge=1, le=10)] = 2
    """The oldest injury, years: return to work becomes unlikely after longer absence."""
    consultation_notice_hours: Annotated[int, Field(ge=0, le=168)] = 12
    """How long before it begins a consultation is booked and cancelled at the latest, h: a time that is given back
    later can be taken by nobody. Our own convention: the morning's list is complete the evening before."""
    consultation_days_ahead: Annotated[int, Field(ge=1, le=180)] = 60
    """How far ahead a consultation is booked, days. Our own convention."""
    reminder_hours: Annotated[int, Field(ge=1, le=168)] = 24
    """When the clinic is told to remind, h before. Reminders raise attendance (Cochrane CD007458); after one of a day
    before there are twelve hours left to cancel in."""
    consultation_kept_days: Annotated[int, Field(ge=1, le=365)] = 30
    """How long name and contact are kept after the consultation, days: as long as Kafka keeps what was said of it."""
