"""Which version of the plan a week follows, and what restricts it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.console.program.library import Exercise
from services.console.views import PlanShown, Signature
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.demand import Frequency, frequency_covers
from workhardening_contracts.planning import PlannedWeek, Target
from workhardening_contracts.quantity import Quantity, comparable

ACCESSORY: Frequency = "occasional"
"""How often an exercise that is no demand of the job is done: in its block, which is at most a third of the day."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A week, and the version of the plan that says it."""

    week: PlannedWeek
    plan: PlanShown


@dataclass(frozen=True, slots=True)
class Asked:
    """What a week asks for one demand, and what restrictions leave of it."""

    target: Target
    allowed: Quantity | None
    """At most the target; None: not at all."""
    by: Restriction | None
    """What restricts it."""

    @property
    def key(self) -> str:
        return f"{self.target.kind}/{self.target.zone or '-'}/{self.target.frequency}"


def week_in_force(plans: Sequence[PlanShown], number: int) -> InForce | None:
    """The week as the latest plan has it that says something of it; None where no session is planned in it.

    A revision takes the place of all weeks from its own on, and one that is frozen plans none.
    """
    found: InForce | None = None
    for plan in plans:
        if plan.current_week <= number:
            found = next((InForce(week, plan) for week in plan.weeks if week.number == number), None)
    return found


def restrictions_in(signature: Signature | None, week: PlannedWeek) -> tuple[Restriction, ...]:
    """The signed restrictions that hold on any day of the week.

    What an assessment only recommends restricts no training: it says what was shown so far, and the plan goes on from
    there.
    """
    if signature is None or signature.effective_from > week.ends_on:
        return ()
    ended = signature.effective_through is not None and signature.effective_through < week.starts_on
    return () if ended else signature.restrictions


def under(target: Target, restrictions: Sequence[Restriction]) -> Asked:
    """The target under what restricts it. A limit in a unit that does not compare with it allows nothing of it."""
    allowed, by = target.amount, None
    for each in restrictions:
        if not concerns(each, target.kind, target.zone, target.frequency):
            continue
        if forbids(each) or each.limit is None or not comparable(each.limit, allowed):
            return Asked(target, None, each)
        if each.limit.amount_in(allowed.unit) < allowed.amount:
            allowed, by = each.limit.in_unit(allowed.unit), each
    return Asked(target, allowed, by)


def barring(exercise: Exercise, restrictions: Sequence[Restriction]) -> Restriction | None:
    """The restriction that bars an exercise, whichever demand it is done for."""
    for activity in exercise.barred_by:
        kind, _, zone = activity.partition("/")
        for each in restrictions:
            if forbids(each) and concerns(each, kind, zone or None, ACCESSORY):
                return each
    return None


def forbids(restriction: Restriction) -> bool:
    """Whether it allows nothing at all."""
    return restriction.limit is None or restriction.limit.amount == 0


def concerns(restriction: Restriction, kind: str, zone: str | None, frequency: Frequency) -> bool:
    """Whether a restriction is about this. One at a frequency is about all that is done as often, or more often."""
    return (
        (restriction.activity == kind or (restriction.activity == "work_hours" and kind == "shift"))
        and (restriction.zone is None or zone is None or restriction.zone == zone)
        and (restriction.frequency is None or frequency_covers(frequency, restriction.frequency))
    )
