"""Events of one case as notify reads them, and a fold of them by the runtime's own rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from runtime.fold import Case, Folded, Position, Received, event_id, fold
from runtime.policy import Policies
from services.notify.handlers import handlers
from services.notify.policy import Policy
from services.notify.rows import DeliveryRow
from services.notify.state import Heard, Known
from workhardening_contracts.clinic import BlockMinutes, CaseWithdrawn, ConsentRevoked, ReadinessWithdrawn, Restriction
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import Demand, DemandProfile
from workhardening_contracts.envelope import Envelope, Event, clinic_source, read_structured, service_source
from workhardening_contracts.intake import CaseOpened, ConsentChanged, ConsentGrant, Eligibility
from workhardening_contracts.planning import PlanIssued, PlannedWeek, PlanRevised
from workhardening_contracts.progress import (
    CaseClosed,
    Forecast,
    ReadinessAssessed,
    ReadinessRevoked,
    ReadyForWork,
    Reason,
)
from workhardening_contracts.quantity import Quantity
from workhardening_contracts.readiness import EventRejected, ReadinessUpdated
from workhardening_contracts.registry import BY_MODEL

CASE = UUID("00000000-0000-7000-8000-000000000001")
CLINIC = "north"
EMPLOYER = "acme"
MONDAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TABLE = handlers(Policies(Policy()))
ELIGIBLE = Eligibility(met=("workplace_injury",), unmet=(), unknown=(), reasons=())
LIFT = Demand(
    kind="lift", zone="floor_waist", frequency="occasional", amount=Quantity(amount=20.0, unit="kg"), critical=True
)
JOB = DemandProfile(title="Warehouse worker", basis="job_analysis", demands=(LIFT,), shift_hours=8.0)
LIMIT = Restriction(activity="lift", zone="overhead", frequency="occasional", limit=Quantity(amount=5.0, unit="kg"))

D = TypeVar("D", bound=EventData)


def event(data: D, id: str = "", *, clinic: str = CLINIC, cause: str | None = None, on: date = MONDAY) -> Event[D]:
    """The event, from the clinic or from the service that says such things."""
    entry = BY_MODEL[type(data)]
    owner = entry.topic.split(".")[0]
    source = clinic_source(clinic) if owner == "clinic" and entry.judge else service_source(owner)
    return Event(
        Envelope(
            id=id or type(data).__name__,
            source=source,
            type=data.TYPE,
            subject=CASE,
            time=NOON + timedelta(days=(on - MONDAY).days),
            data=data.model_dump_json(exclude_none=True).encode(),
            causationid=cause,
        ),
        data,
    )


def of(each: Event[D], ref: UUID) -> Event[D]:
    """The same event for another case."""
    return Event(replace(each.envelope, subject=ref), each.data)


def given(events: Iterable[Event[Any]]) -> tuple[Case[Heard | Known], list[object]]:
    """The case and all rows after these events."""
    case: Case[Heard | Known] = Case(CASE, 0)
    rows: list[object] = []
    for offset, each in enumerate(events):
        folded = when(case, each, offset)
        case = folded.case
        rows += folded.effects
    return case, rows


def when(case: Case[Heard | Known], each: Event[Any], offset: int = 0) -> Folded[Heard | Known]:
    return fold(case, Received(each, Position(BY_MODEL[type(each.data)].topic, 0, offset)), TABLE)


def known(case: Case[Heard | Known]) -> Known:
    assert isinstance(case.state, Known)
    return case.state


def updates(rows: Iterable[object]) -> list[ReadinessUpdated]:
    """What employers are told, read from the bodies as they are sent."""
    return [told(row) for row in rows if isinstance(row, DeliveryRow)]


def told(row: DeliveryRow) -> ReadinessUpdated:
    return ReadinessUpdated.model_validate_json(read_structured(row.body).data, extra="forbid")


def only(rows: Sequence[Any]) -> Any:
    assert len(rows) == 1, rows
    return rows[0]


def opened() -> Event[CaseOpened]:
    return event(
        CaseOpened(
            clinic=CLINIC,
            worker_ref="worker-7",
            employer=EMPLOYER,
            employee_key="E-42",
            opened_on=MONDAY,
            eligibility=ELIGIBLE,
        )
    )


def grant(
    scope: str = "work_status", employer: str = EMPLOYER, start: date = MONDAY, end: date | None = None
) -> ConsentGrant:
    return ConsentGrant(employer=employer, scope=scope, basis="worker_consent", valid_from=start, valid_through=end)


def consent(*grants: ConsentGrant, id: str = "", cause: str | None = None, on: date = MONDAY) -> Event[ConsentChanged]:
    return event(ConsentChanged(clinic=CLINIC, grants=grants), id, cause=cause, on=on)


def revoke(*scopes: str, id: str = "r1", employer: str = EMPLOYER) -> Event[ConsentRevoked]:
    return event(ConsentRevoked(employer=employer, scopes=scopes or ("work_status",)), id)


def withdraw_case(id: str = "w1") -> Event[CaseWithdrawn]:
    return event(CaseWithdrawn(withdrawn_on=MONDAY, reason_code="worker_choice"), id)


def withdraw_readiness(id: str = "w2") -> Event[ReadinessWithdrawn]:
    return event(ReadinessWithdrawn(role="physician", reason_code="new_finding", withdrawn_on=MONDAY), id)


def weeks(current: int, total: int) -> tuple[PlannedWeek, ...]:
    return tuple(
        PlannedWeek(
            number=number,
            starts_on=MONDAY + timedelta(days=7 * (number - 1)),
            ends_on=MONDAY + timedelta(days=7 * number - 1),
            days=5,
            hours_per_day=4.0,
            targets=(),
            minutes=BlockMinutes(),
            stations=(),
            education=("pacing",),
        )
        for number in range(current, total + 1)
    )


def plan(total: int = 8) -> Event[PlanIssued]:
    return event(
        PlanIssued(
            clinic=CLINIC,
            plan_version=1,
            effective_from=MONDAY,
            job=JOB,
            baseline_pain=3.0,
            current_week=1,
            total_weeks=total,
            weeks=weeks(1, total),
            projected_shortfall=(),
        )
    )


def revised(current: int = 2, total: int = 8, *, frozen: bool = False, verdict: Any = "advance") -> Event[PlanRevised]:
    return event(
        PlanRevised(
            clinic=CLINIC,
            plan_version=current,
            effective_from=MONDAY + timedelta(days=7 * (current - 1)),
            job=JOB,
            baseline_pain=3.0,
            current_week=current,
            total_weeks=total,
            weeks=() if frozen else weeks(current, total),
            projected_shortfall=(),
            answers="verdict-1",
            verdict=verdict,
            frozen=frozen,
        ),
        f"plan-{current}",
    )


def ready(
    id: str = "ready-1", *, restrictions: tuple[Restriction, ...] = (), supersedes: str | None = None
) -> Event[ReadyForWork]:
    return event(
        ReadyForWork(
            clinic=CLINIC,
            readiness_event="assessed-1",
            decision="ready_with_restrictions" if restrictions else "ready",
            restrictions=restrictions,
            effective_from=MONDAY,
            effective_through=MONDAY + timedelta(days=60) if restrictions else None,
            role="physician",
            contradicts=False,
            reason_code=None,
            supersedes=supersedes,
        ),
        id,
    )


def readiness_revoked(cause: str | None = None, id: str = "revoked-1") -> Event[ReadinessRevoked]:
    return event(
        ReadinessRevoked(
            clinic=CLINIC, supersedes="ready-1", revoked_on=MONDAY, role="physician", reason_code="new_finding"
        ),
        id,
        cause=cause,
    )


def closed(outcome: Any = "ready") -> Event[CaseClosed]:
    return event(CaseClosed(clinic=CLINIC, closed_on=MONDAY, outcome=outcome, reason_code="completed", weeks_judged=8))


def rejected(of: Event[Any], clinic: str = CLINIC) -> Event[EventRejected]:
    return event(
        EventRejected(
            judge="intake",
            rejected_type=of.type,
            rejected_source=clinic_source(clinic),
            rejected_id=of.id,
            topic="clinic.events.v1",
            partition=0,
            offset=1,
            code="not_open",
            field=None,
            detail="the case is not open",
            mend="open it first",
        ),
        f"rejection-{of.id}",
    )


def identity(cause: Event[Any], nth: int = 0) -> str:
    return event_id("notify", cause, nth).replace(".", "-")


def judged(model: type[Any], week: int = 1) -> Event[Any]:
    return event(
        model(
            clinic=CLINIC,
            week=week,
            total_weeks=8,
            starts_on=MONDAY,
            through=MONDAY + timedelta(days=6),
            plan_version=1,
            attendance=0.8,
            attained=(),
            reasons=(Reason(code="target_attained"),),
            final=False,
        ),
        f"verdict-{week}",
    )


def assessed(readiness: Any = "meets", status: Any = "insufficient_data") -> Event[ReadinessAssessed]:
    return event(
        ReadinessAssessed(
            clinic=CLINIC,
            week=4,
            readiness=readiness,
            standings=(),
            restrictions=(),
            vetoes=(),
            confidence=8.0,
            shift_hours_days=3,
            flags=(),
            forecast=Forecast(status=status),
            assessed_through=MONDAY,
            expires_on=MONDAY + timedelta(days=14),
            final=False,
        ),
        "assessed-1",
    )


IN_PROGRAM = [opened(), consent(grant()), plan()]
CORRECTED = [ready(), ready("ready-2", restrictions=(LIMIT,), supersedes="ready-1"), readiness_revoked()]
"""After a plan, the updates 2 to 4: a newer one may take the place of 1 and 2, and of 3 and 4 none."""
