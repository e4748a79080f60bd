"""A worker and a clinic: weeks of sessions against the plan in force, and what the clinic says of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from tests.services.planning.cases import LIFT, STAND, assessment, capacity, demand
from tests.services.progress.world import World
from workhardening_contracts.clinic import (
    DayClosed,
    Performed,
    ReadinessSigned,
    Restriction,
    Session,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import DemandProfile
from workhardening_contracts.intake import AssessmentCompleted, CaseOpened, Eligibility
from workhardening_contracts.planning import PlannedWeek
from workhardening_contracts.quantity import Quantity

OPENED = date(2026, 3, 2)
CONFIDENCE = demand("confidence", 7.0, "score", "constant")
JOB = DemandProfile(title="Warehouse worker", basis="job_analysis", demands=(LIFT, STAND, CONFIDENCE), shift_hours=8.0)
BASELINE = (capacity(LIFT, 8.0), capacity(STAND, 60.0), capacity(CONFIDENCE, 4.0))


def opened() -> CaseOpened:
    return CaseOpened(
        clinic="north",
        worker_ref="w-1",
        employer=None,
        employee_key=None,
        opened_on=OPENED,
        eligibility=Eligibility(met=(), unmet=(), unknown=(), reasons=()),
    )


def assessed(on: date = date(2026, 3, 4), weeks: int | None = None) -> AssessmentCompleted:
    return assessment(JOB, BASELINE, on=on, weeks=weeks)


def session(
    week: PlannedWeek,
    day: int = 0,
    effort: float = 1.0,
    most_kg: float = 1000.0,
    attendance: str = "attended",
    pain_after: float | None = 3.0,
    pain_next_day: float | None = None,
    without: Sequence[str] = (),
    **changes: object,
) -> Session:
    """The week's targets times `effort`, loads at most `most_kg`, on the nth day of the week."""
    done = tuple(
        Performed(
            kind=target.kind,
            zone=target.zone,
            frequency=target.frequency,
            amount=_shown(target.amount, effort, most_kg),
        )
        for target in week.targets
        if target.kind not in ("confidence", *without)
    )
    confidence = next((t.amount.amount for t in week.targets if t.kind == "confidence" and t.kind not in without), None)
    there = attendance in ("attended", "partial")
    given: dict[str, object] = {
        "held_on": week.starts_on + timedelta(days=day),
        "attendance": attendance,
        "hours": week.hours_per_day * min(1.0, effort) if there else 0.0,
        "performed": done if there else (),
        "confidence": min(10.0, confidence * effort) if there and confidence is not None else None,
        "pain_after": pain_after if there else None,
        "pain_next_day": pain_next_day if there else None,
        **changes,
    }
    return Session(**given)  # pyright: ignore[reportArgumentType]


def _shown(target: Quantity, effort: float, most_kg: float) -> Quantity:
    amount = target.amount * effort
    return Quantity(amount=min(amount, most_kg) if target.unit == "kg" else amount, unit=target.unit)


def trained(week: PlannedWeek, days: int | None = None, **how: object) -> list[tuple[EventData, date]]:
    """A whole week: its sessions, and the week closed on its Sunday."""
    said: list[tuple[EventData, date]] = []
    for day in range(week.days if days is None else days):
        held = session(week, day, **how)  # pyright: ignore[reportArgumentType]
        said.append((SessionRecorded(session=held), held.held_on))
    return [*said, (DayClosed(through=week.ends_on), week.ends_on)]


def signature(decision: str, on: date, week: int = 1, reason: str | None = None) -> ReadinessSigned:
    restricted = decision == "ready_with_restrictions"
    return ReadinessSigned(
        readiness_event=f"week-{week}",
        role="physician",
        decision=decision,  # pyright: ignore[reportArgumentType]
        restrictions=(Restriction(activity="stand", limit=Quantity(amount=60.0, unit="min")),) if restricted else (),
        effective_from=on,
        effective_through=on + timedelta(days=28) if restricted else None,
        reason_code=reason,
    )


def begun(world: World | None = None, weeks: int | None = None) -> World:
    """A case in the program, its first plan issued."""
    world = world or World()
    world.publish(opened(), OPENED)
    world.publish(assessed(weeks=weeks), date(2026, 3, 4))
    world.settle()
    return world


def live(world: World, *said: tuple[EventData, date]) -> World:
    """The clinic says these one after the other, and everybody listens in between."""
    for each in said:
        world.say(each)
        world.settle()
    return world
