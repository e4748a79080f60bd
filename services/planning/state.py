"""A case as planning holds it: a tagged union of phases, and the ladder of levels a plan climbs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from workhardening_contracts.contract import Contract
from workhardening_contracts.demand import DemandProfile
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.planning import Verdict


class Level(Contract):
    """One step of the ladder: what a week at this level asks for."""

    days: int
    hours: float
    """h a day."""
    amounts: tuple[float, ...]
    """By demand, in the job's order and each in its demand's unit."""


class Basis(Contract):
    """What a plan is made from, until another assessment replaces it."""

    job: DemandProfile
    baseline_pain: float
    authorised_weeks: int | None = None
    goal_hours: float
    """h a day in the last week."""
    assumed: tuple[str, ...]
    """Keys of the demands that were not tested: their start is a policy share of the target."""


class Held(Contract):
    """Assessed, with a safety alert: no plan before an assessment without one."""

    phase: Literal["held"] = "held"
    clinic: str


class Planned(Contract):
    """A plan is in force."""

    phase: Literal["planned"] = "planned"
    clinic: str
    basis: Basis
    started_on: date
    """The Monday of week 1."""
    version: int
    week: int
    """The week that the plan begins with: the one whose verdict is awaited."""
    total_weeks: int
    extensions: int = 0
    """Weeks that held weeks have added."""
    frozen_weeks: int = 0
    """Weeks of the total in which the case was frozen; they are not taken from the authorised ones."""
    levels: tuple[Level, ...]
    """The ladder climbed so far, the start below, this week's level on top; `regress` steps down."""
    answered: bool = False
    """A verdict has been answered: from now on another assessment waits for the next one."""
    reassessed: AssessmentCompleted | None = None
    """An assessment that takes effect with the next revision."""
    reassessed_by: date | None = None
    """The day on which that assessment was complete."""


class Frozen(Contract):
    """A safety alert stopped the training: nothing is planned until an assessment without one."""

    phase: Literal["frozen"] = "frozen"
    clinic: str
    planned: Planned
    escalation: str
    """The id of the verdict event that froze the plan; the plan that resumes answers it too."""
    verdict: Verdict = "escalate"
    """`escalate`, or any other where an assessment showed the alert."""
    through: date
    """The day of the alert: only what is assessed later answers it."""


class Ended(Contract):
    """The program is over for this case; nothing more is planned."""

    phase: Literal["ended"] = "ended"
    clinic: str


State = Annotated[Held | Planned | Frozen | Ended, Field(discriminator="phase")]
