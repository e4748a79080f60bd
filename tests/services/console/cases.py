"""Events of one case as the console reads them, and a fold of them by the runtime's own rules.

The builders are those of notify's tests: both services read the same events of the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from runtime.batch import apply
from runtime.db import Connection, Pool
from runtime.fold import Case, Position, Received, fold
from runtime.policy import Policies
from runtime.records import Record, open_record
from services.console.effects import WRITERS
from services.console.handlers import Policy, handlers
from services.console.line import LineRow, line
from services.console.state import Followed
from tests.services.notify.cases import CASE, CLINIC, ELIGIBLE, JOB, MONDAY, event, of, weeks
from workhardening_contracts.clinic import CaseErased, ReadinessSigned, Session, SessionCorrected, SessionRecorded
from workhardening_contracts.demand import Capacity
from workhardening_contracts.envelope import Event, write_kafka
from workhardening_contracts.intake import AssessmentCompleted, CaseDeclined, InformationNeeded
from workhardening_contracts.planning import PlannedWeek, PlanRevised, Target
from workhardening_contracts.progress import (
    CaseEscalated,
    DemandStanding,
    Forecast,
    ReadinessAssessed,
    Reason,
    WeekAdvanced,
)
from workhardening_contracts.quantity import Quantity
from workhardening_contracts.registry import BY_MODEL

TABLE = handlers(Policies(Policy()))
KEY = b"\x00" * 32
OFFSETS = itertools.count()


def kg(amount: float) -> Quantity:
    return Quantity(amount=amount, unit="kg")


def information_needed(*alerts: str) -> Event[InformationNeeded]:
    data = InformationNeeded(clinic=CLINIC, missing=("medical_clearance",), eligibility=ELIGIBLE, alerts=alerts)
    return event(data, "needed-1")


def declined(*alerts: str) -> Event[CaseDeclined]:
    return event(CaseDeclined(clinic=CLINIC, eligibility=ELIGIBLE, alerts=alerts), "declined-1")


def completed(*alerts: str) -> Event[AssessmentCompleted]:
    lift = Capacity(kind="lift", zone="floor_waist", frequency="occasional", amount=kg(8.0), measured_on=MONDAY)
    return event(
        AssessmentCompleted(
            clinic=CLINIC,
            assessed_on=MONDAY,
            job=JOB,
            baseline=(lift,),
            baseline_pain=3.0,
            tolerance_hours_per_day=4.0,
            tolerance_days_per_week=5,
            alerts=alerts,
        ),
        "completed-1",
    )


def targeted(number: int, amount: float) -> PlannedWeek:
    """A week that asks for so many kilograms."""
    target = Target(kind="lift", zone="floor_waist", frequency="occasional", amount=kg(amount), critical=True)
    return weeks(number, number)[0].model_copy(update={"targets": (target,)})


def replanned(
    answers: str, current: int, amounts: Sequence[float], *, frozen: bool = False, verdict: Any = "advance"
) -> Event[PlanRevised]:
    """A plan from this week on, with what each week asks for."""
    planned = tuple(targeted(current + nth, amount) for nth, amount in enumerate(amounts))
    return event(
        PlanRevised(
            clinic=CLINIC,
            plan_version=current,
            effective_from=MONDAY + timedelta(days=7 * (current - 1)),
            job=JOB,
            baseline_pain=3.0,
            current_week=current,
            total_weeks=8,
            weeks=planned,
            projected_shortfall=(),
            answers=answers,
            verdict=verdict,
            frozen=frozen,
        ),
        f"plan-{answers}-{frozen}",
    )


def week(number: int, shown: float, *reasons: str, model: Any = WeekAdvanced) -> Event[Any]:
    """A week that was judged, and what it showed."""
    through = MONDAY + timedelta(days=7 * number - 1)
    lift = Capacity(kind="lift", zone="floor_waist", frequency="occasional", amount=kg(shown), measured_on=through)
    return event(
        model(
            clinic=CLINIC,
            week=number,
            total_weeks=8,
            starts_on=through - timedelta(days=6),
            through=through,
            plan_version=number,
            attendance=0.8,
            attained=(lift,),
            reasons=tuple(Reason(code=code) for code in reasons or ("target_attained",)),
            final=False,
        ),
        f"week-{number}",
        on=through,
    )


def escalated(number: int) -> Event[CaseEscalated]:
    return week(number, 5.0, "red_flag", model=CaseEscalated)


def readiness(
    id: str = "assessed-1", *, is_: Any = "meets", final: bool = False, vetoes: tuple[str, ...] = ()
) -> Event[ReadinessAssessed]:
    return event(
        ReadinessAssessed(
            clinic=CLINIC,
            week=2,
            readiness=is_,
            standings=(
                DemandStanding(demand="carry/-/seldom", critical=False, required=kg(10.0), shown=None),
                DemandStanding(
                    demand="lift/floor_waist/occasional", critical=True, required=kg(20.0), shown=kg(12.0), met=False
                ),
            ),
            restrictions=(),
            vetoes=vetoes,
            confidence=None,
            shift_hours_days=0,
            flags=(),
            forecast=Forecast(status="insufficient_data"),
            assessed_through=MONDAY,
            expires_on=MONDAY + timedelta(days=14),
            final=final,
        ),
        id,
    )


def signed(id: str = "signed-1", of_: str = "assessed-1") -> Event[ReadinessSigned]:
    data = ReadinessSigned(readiness_event=of_, role="physician", decision="ready", effective_from=MONDAY)
    return event(data, id)


def session(id: str, held_on: date, pain: float | None = None, *, clinic: str = CLINIC) -> Event[SessionRecorded]:
    held = Session(held_on=held_on, attendance="attended", hours=4.0, pain_after=pain)
    return event(SessionRecorded(session=held), id, clinic=clinic)


def corrected(id: str, supersedes: str, held_on: date, pain: float) -> Event[SessionCorrected]:
    held = Session(held_on=held_on, attendance="attended", hours=4.0, pain_after=pain)
    return event(SessionCorrected(supersedes=supersedes, session=held), id)


def erased(*, clinic: str = CLINIC) -> Event[CaseErased]:
    return event(CaseErased(reason_code="worker_request"), "erased-1", clinic=clinic)


def given(events: Iterable[Event[Any]]) -> Case[Followed]:
    """The case after these events."""
    case: Case[Followed] = Case(CASE, 0)
    for offset, each in enumerate(events):
        case = fold(case, Received(each, Position(BY_MODEL[type(each.data)].topic, 0, offset)), TABLE).case
    return case


def line_of(*events: Event[Any]) -> LineRow:
    """The case's line after these events."""
    state = given(events).state
    assert state is not None
    return line(CASE, state)


async def fold_into(pool: Pool, events: Sequence[Event[Any]], case: UUID | None = None) -> UUID:
    """One batch of one case, committed as the service does. Returns the case's reference."""
    ref = case or uuid4()
    async with pool.acquire() as connection, connection.transaction():
        await write(connection, [of(each, ref) for each in events])
    return ref


async def write(connection: Connection, events: Sequence[Event[Any]]) -> None:
    items = [open_record(record(each), TABLE, KEY) for each in events]
    await apply(connection, items, TABLE, WRITERS, {})


def record(each: Event[Any]) -> Record:
    key, headers, value = write_kafka(each.envelope)
    place = Position(BY_MODEL[type(each.data)].topic, 0, next(OFFSETS))
    return Record(place, each.time, key, tuple((name, text) for name, text in headers), value)
