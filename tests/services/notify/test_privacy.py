"""A whole case with a canary in every clinical field: none reaches an employer or a mail."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import given as any_of
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.rows import DeliveryRow, FeedRow, MessageRow
from tests.services.notify.cases import (
    CLINIC,
    LIMIT,
    MONDAY,
    closed,
    consent,
    event,
    given,
    grant,
    known,
    opened,
    plan,
    readiness_revoked,
    ready,
    revised,
    withdraw_case,
)
from workhardening_contracts.demand import Capacity, Demand, DemandProfile
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import AssessmentCompleted, Eligibility, InformationNeeded
from workhardening_contracts.planning import Shortfall, Station, Target
from workhardening_contracts.progress import (
    AttendanceLapsed,
    CaseEscalated,
    DemandStanding,
    Forecast,
    ReadinessAssessed,
    Reason,
    WeekHeld,
)
from workhardening_contracts.quantity import Quantity

CANARY = "canaryphi"
SCORE = 9.25
"""A pain, a score or an amount that appears nowhere else."""
SCOPES = ("work_status", "program_week", "attendance", "expected_date", "demands_met")

AMOUNT = Quantity(amount=SCORE, unit="kg")
DEMAND = Demand(kind=CANARY, zone=CANARY, frequency="seldom", amount=AMOUNT, critical=True)
JOB = DemandProfile(title=CANARY, basis=CANARY, demands=(DEMAND,), shift_hours=SCORE)
CAPACITY = Capacity(kind=CANARY, zone=CANARY, frequency="seldom", amount=AMOUNT, measured_on=MONDAY)
ELIGIBILITY = Eligibility(met=(CANARY,), unmet=(CANARY,), unknown=(CANARY,), reasons=(CANARY,))


def marked(each: Event[Any], **more: Any) -> Event[Any]:
    return event(each.data.model_copy(update=more), each.id, cause=f"/clinics/north#{CANARY}")


def planned(each: Event[Any]) -> Event[Any]:
    weeks = tuple(
        week.model_copy(
            update={
                "targets": (Target(kind=CANARY, zone=CANARY, frequency="seldom", amount=AMOUNT, critical=True),),
                "stations": (Station(demand=DEMAND.key, amount=AMOUNT, minutes=SCORE),),
            }
        )
        for week in each.data.weeks
    )
    shortfall = (Shortfall(demand=DEMAND.key, required=AMOUNT, projected=AMOUNT),)
    return marked(each, job=JOB, baseline_pain=SCORE, weeks=weeks, projected_shortfall=shortfall)


STORY: tuple[Event[Any], ...] = (
    event(InformationNeeded(clinic=CLINIC, missing=(CANARY,), eligibility=ELIGIBILITY, alerts=(CANARY,))),
    marked(opened(), eligibility=ELIGIBILITY),
    consent(*(grant(scope) for scope in SCOPES)),
    event(
        AssessmentCompleted(
            clinic=CLINIC,
            assessed_on=MONDAY,
            job=JOB,
            baseline=(CAPACITY,),
            baseline_pain=SCORE,
            tolerance_hours_per_day=SCORE,
            tolerance_days_per_week=5,
            alerts=(CANARY,),
        )
    ),
    planned(plan()),
    *(
        event(
            model(
                clinic=CLINIC,
                week=week,
                total_weeks=8,
                starts_on=MONDAY,
                through=MONDAY,
                plan_version=1,
                attendance=0.5,
                attained=(CAPACITY,),
                reasons=(Reason(code=CANARY, demand=DEMAND.key, attained=AMOUNT, target=AMOUNT),),
                final=False,
            )
        )
        for week, model in enumerate((WeekHeld, CaseEscalated), 1)
    ),
    event(AttendanceLapsed(clinic=CLINIC, week=1, planned=5, attended=2, through=MONDAY)),
    planned(revised(2)),
    event(
        ReadinessAssessed(
            clinic=CLINIC,
            week=4,
            readiness="not_yet",
            standings=(DemandStanding(demand=DEMAND.key, critical=True, required=AMOUNT, shown=AMOUNT, met=False),),
            restrictions=(LIMIT.model_copy(update={"activity": CANARY}),),
            vetoes=(CANARY,),
            confidence=SCORE,
            shift_hours_days=1,
            flags=(CANARY,),
            forecast=Forecast(status="expected", week=6.0, earliest=SCORE, latest=SCORE),
            assessed_through=MONDAY,
            expires_on=MONDAY + timedelta(days=14),
            final=False,
        )
    ),
    marked(ready(restrictions=(LIMIT,)), reason_code=CANARY, contradicts=True),
    marked(readiness_revoked(), reason_code=CANARY),
    marked(withdraw_case(), reason_code=CANARY),
    marked(closed("withdrawn"), reason_code=CANARY),
)


def test_the_story_tells_an_employer_everything_it_may_know() -> None:
    _, rows = given(STORY)
    told = [json.loads(row.body)["data"] for row in rows if isinstance(row, DeliveryRow)]
    assert [update["outcome"] for update in told][-3:] == ["ready_with_restrictions", "revoked", "discontinued"]
    assert {name for update in told for name in update.get("program", {})} == {
        "week",
        "total_weeks",
        "attendance",
        "expected_date",
        "demands_met",
        "demands_total",
    }


@settings(derandomize=True, deadline=None, max_examples=60)
@any_of(order=st.permutations(STORY))
def test_no_canary_reaches_an_employer_or_a_mail_in_any_order_of_events(order: list[Event[Any]]) -> None:
    case, rows = given(order)
    outward = [row for row in rows if isinstance(row, DeliveryRow | MessageRow)]
    assert outward
    for row in outward:
        text = row.body.decode() if isinstance(row, DeliveryRow) else row.subject + row.body
        assert CANARY not in text
        assert str(SCORE) not in text
    # The clinic reads what is its own.
    assert any(CANARY in json.dumps(row.event) for row in rows if isinstance(row, FeedRow))
    # And nothing clinical is even kept.
    held = known(case).model_dump_json(exclude={"stops", "answered"})
    assert CANARY not in held
    assert str(SCORE) not in held
