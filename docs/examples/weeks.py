"""Four weeks of sessions of docs/examples/first-case.ndjson, each week closed on its Sunday: weeks.py CLINIC CASE."""

import json
import sys
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from workhardening_contracts.clinic import DayClosed, Performed, Session, SessionRecorded
from workhardening_contracts.envelope import clinic_source, event_of, write_structured
from workhardening_contracts.quantity import Quantity

clinic, case = sys.argv[1:3]
DONE = [
    Performed(kind="lift", zone="floor_waist", frequency="occasional", amount=Quantity(amount=23, unit="kg")),
    Performed(kind="carry", frequency="frequent", amount=Quantity(amount=10, unit="kg")),
    Performed(kind="stand", frequency="constant", amount=Quantity(amount=6, unit="h")),
    Performed(kind="reach", zone="overhead", frequency="seldom", amount=Quantity(amount=5, unit="kg")),
]


def say(data: DayClosed | SessionRecorded, name: str, day: date) -> None:
    at = datetime.combine(day, time(18), UTC)
    event = event_of(data, id=f"{case}.{name}.{day}", source=clinic_source(clinic), subject=UUID(case), time=at)
    print(json.dumps(write_structured(event)))


for week in range(4):
    monday = date(2025, 3, 10) + timedelta(weeks=week)
    for nth in range(5):
        day = monday + timedelta(days=nth)
        session = Session(
            held_on=day,
            attendance="attended",
            hours=8,
            performed=tuple(DONE),
            confidence=8,
            pain_before=2,
            pain_after=2,
        )
        say(SessionRecorded(session=session), "session", day)
    say(DayClosed(through=monday + timedelta(days=6)), "closed", monday + timedelta(days=6))
