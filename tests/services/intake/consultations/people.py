"""A therapist, and a person who would like to talk to him."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from services.intake.consultations.booking import Booking, Wish
from services.intake.consultations.slots import DAYS, Hours

THERAPIST = UUID("5b0d7a52-5f3e-4b0c-9c38-3a8d0f1c2b77")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
STARTS = datetime(2026, 3, 10, 8, tzinfo=UTC)
"""09:00 in Berlin."""
PROFILE: dict[str, Any] = {
    "name": "Kim Example", "profession": "Physiotherapist", "about": "Works with people who lift.",
    "languages": ["English", "German"], "place": "by telephone", "telephone": "030 5550100",
}  # fmt: skip
EVERY_DAY: dict[str, Any] = {
    "zone": "Europe/Berlin",
    "minutes": 30,
    "weekly": [{"day": day, "opens": "09:00", "closes": "17:00"} for day in DAYS],
}
HOURS = Hours.model_validate_json(
    '{"zone": "Europe/Berlin", "weekly": [{"day": "tuesday", "opens": "09:00", "closes": "12:00"}]}'
)


def wish(**changed: Any) -> Wish:
    asked: dict[str, Any] = {
        "therapist": THERAPIST,
        "starts_at": STARTS,
        "zone": "Europe/London",
        "name": "Alex",
        "contact": "555 0100",
    }
    return Wish(**{**asked, **changed})


def booking(**changed: Any) -> Booking:
    made: dict[str, Any] = {
        "id": uuid4(), "clinic": "north", "therapist": THERAPIST, "therapist_name": "Kim Example", "place": "here",
        "telephone": None, "service": None, "starts_at": STARTS, "ends_at": STARTS.replace(minute=30),
        "status": "booked", "zone": "Europe/London", "name": "Alex", "contact": "555 0100", "booked_at": NOW,
        "cancel_until": STARTS.replace(day=9, hour=20), "referred_at": None, "policy_version": "default-1",
    }  # fmt: skip
    return Booking(**{**made, **changed})
