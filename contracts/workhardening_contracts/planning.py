"""What planning says: the graded plan, and each revision that answers a verdict."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from workhardening_contracts.clinic import BlockMinutes
from workhardening_contracts.contract import Code, Contract, EventData, EventId, Ref, Score10
from workhardening_contracts.demand import Demand, DemandKey, DemandProfile
from workhardening_contracts.quantity import Quantity

Verdict = Literal["advance", "hold", "regress", "escalate"]


class Target(Demand):
    """What one week asks for one demand, in a demand's own terms: one rule says when a capacity satisfies either."""


class Station(Contract):
    """A job-simulation task made from a demand."""

    demand: DemandKey
    """The demand's key, `kind/zone/frequency`."""
    amount: Quantity
    minutes: Annotated[float, Field(ge=0, le=720)]
    """Minutes a day at this station."""


class PlannedWeek(Contract):
    """One week of the plan."""

    number: Annotated[int, Field(ge=1, le=52)]
    starts_on: date
    ends_on: date
    days: Annotated[int, Field(ge=1, le=7)]
    """Sessions planned in this week."""
    hours_per_day: Annotated[float, Field(gt=0, le=16)]
    """h."""
    targets: tuple[Target, ...]
    minutes: BlockMinutes
    """Minutes a day by block."""
    stations: tuple[Station, ...]
    education: tuple[Code, ...]
    """Topics: `body_mechanics`, `pacing`, `reinjury`, `pain_science`."""


class Shortfall(Contract):
    """A demand that the plan will not reach inside its caps. Reported, never hidden by a bigger step."""

    demand: DemandKey
    """The demand's key."""
    required: Quantity
    projected: Quantity
    """What the last week reaches."""


class _Plan(EventData):
    clinic: Ref
    plan_version: Annotated[int, Field(ge=1)]
    effective_from: date
    """The first day on which sessions are judged against this version."""
    job: DemandProfile
    baseline_pain: Score10
    current_week: Annotated[int, Field(ge=1, le=52)]
    """The number of the week that `effective_from` begins."""
    total_weeks: Annotated[int, Field(ge=1, le=52)]
    """Weeks of the program, held weeks included."""
    weeks: tuple[PlannedWeek, ...]
    """The weeks from `current_week` on."""
    projected_shortfall: tuple[Shortfall, ...]
    assumed: tuple[DemandKey, ...] = ()
    """Demands that were not tested: their start is assumed, and the first weeks show whether rightly."""


class PlanIssued(_Plan):
    """The first plan of a case, graded from the baseline to the job."""

    TYPE: ClassVar[str] = "org.workhardening.planning.plan.issued.v1"


class PlanRevised(_Plan):
    """A plan that answers a weekly verdict."""

    TYPE: ClassVar[str] = "org.workhardening.planning.plan.revised.v1"

    answers: EventId
    """The id of the verdict event that this plan answers."""
    verdict: Verdict
    frozen: bool
    """True after an escalation: no further session is planned until a clinician decides."""
    assessed_on: date | None = None
    """The day of the clean assessment that ended a freeze: alerts from before it are answered, later ones are not."""
