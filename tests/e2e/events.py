"""What a clinic publishes of one case, as the documents that its system would write."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID, uuid4

from tests.services.intake.cases import assessed, capacity, referral
from workhardening_contracts.clinic import Authorisation, ConsentRecorded, ReferralReceived, Session, SessionRecorded
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import clinic_source, event_of, write_structured

MONDAY = date(2026, 3, 2)


def document(data: EventData, case: UUID, clinic: str = "north", day: date = MONDAY) -> dict[str, Any]:
    """One structured event of a clinic, said in the evening of a day."""
    at = datetime.combine(day, time(18), UTC)
    envelope = event_of(data, id=uuid4().hex, source=clinic_source(clinic), subject=case, time=at)
    return write_structured(envelope)


def opening(case: UUID, employer: str) -> list[dict[str, Any]]:
    """Referral, consent and assessment: what it takes until a plan is issued and the employer may be told."""
    referred = referral(employer=employer, authorisation=Authorisation(required=False))
    consent = ConsentRecorded(employer=employer, scopes=("work_status",), basis="worker_consent", valid_from=MONDAY)
    assessment = assessed(assessed_on=MONDAY, functional_tests=(capacity(10.0, MONDAY),))
    return [document(data, case) for data in (ReferralReceived(referral=referred), consent, assessment)]


def session(case: UUID, day: date = date(2026, 3, 10)) -> dict[str, Any]:
    """A session of the case."""
    return document(SessionRecorded(session=Session(held_on=day, attendance="attended", hours=2.0)), case, day=day)


def lines(documents: list[dict[str, Any]]) -> str:
    """One event per line."""
    return "".join(json.dumps(one) + "\n" for one in documents)
