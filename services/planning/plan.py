"""The plan: begin it from an assessment, revise it on a verdict, resume it after a freeze, and write it as events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from services.planning import blocks, hours, trajectory
from services.planning.policy import Policy
from services.planning.state import Basis, Frozen, Level, Planned
from workhardening_contracts.demand import Capacity, best_capacity
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.planning import PlanIssued, PlannedWeek, PlanRevised, Shortfall, Target, Verdict
from workhardening_contracts.quantity import Quantity

WEEK = timedelta(days=7)
_TAKEN = {"reassessed": None, "reassessed_by": None}
LAST_WEEK = 52
"""The largest week number that the contracts carry."""
WORK_HOURS = "work_hours/-/constant"
"""The shift in the form of a demand's key, for jobs that do not name it among their demands."""


def monday_after(day: date) -> date:
    """The first Monday after `day`: plans begin with a calendar week, as clinics book them."""
    return day + timedelta(days=7 - day.weekday())


def begin(clinic: str, assessment: AssessmentCompleted, known_on: date, policy: Policy) -> Planned:
    """The first plan, from the first Monday after the assessment and after the day on which it was complete."""
    total = min(policy.weeks, assessment.authorised_weeks or policy.weeks)
    basis, levels = _start(assessment, total, policy)
    return Planned(
        clinic=clinic,
        basis=basis,
        started_on=monday_after(max(assessment.assessed_on, known_on)),
        version=1,
        week=1,
        total_weeks=total,
        levels=levels,
    )


def begin_again(planned: Planned, assessment: AssessmentCompleted, known_on: date, policy: Policy) -> Planned:
    """The first plan anew, because the assessment was repeated or corrected before any verdict.

    A program that has begun keeps its calendar: sessions of its first week may have been held already.
    """
    again = begin(planned.clinic, assessment, known_on, policy)
    begun = max(assessment.assessed_on, known_on) >= planned.started_on
    return again.model_copy(
        update={
            "version": planned.version + 1,
            "started_on": planned.started_on if begun else again.started_on,
        }
    )


def revise(planned: Planned, verdict: Verdict, attained: Sequence[Capacity], policy: Policy) -> Planned:
    """The plan from the week after the judged one: advance climbs, hold repeats, regress steps down.

    A newer assessment outranks the verdict: what was just measured is where the plan goes on from.
    """
    week = planned.week + 1
    extended = verdict == "hold" and _may_extend(planned, policy)
    total = planned.total_weeks + extended
    common = {
        "version": planned.version + 1,
        "week": week,
        "total_weeks": total,
        "extensions": planned.extensions + extended,
        "answered": True,
    }
    if planned.reassessed is not None:
        return _from_assessment(planned.model_copy(update=common), planned.reassessed, policy)
    levels = planned.levels
    if verdict == "advance":
        shown = _attained(planned, attained)
        levels = (*levels, _step(shown, planned.basis, total - week + 1, policy))
    elif verdict == "regress" and len(levels) > 1:
        levels = levels[:-1]
    return planned.model_copy(update={**common, "levels": levels})


def freeze(planned: Planned, answers: str, verdict: Verdict, alerted_on: date) -> Frozen:
    """The plan after a safety alert, its next week not yet known; `answers` is the id of the verdict event."""
    stopped = planned.model_copy(update={"version": planned.version + 1, "answered": True})
    return Frozen(clinic=planned.clinic, planned=stopped, escalation=answers, verdict=verdict, through=alerted_on)


def reassess(frozen: Frozen, assessment: AssessmentCompleted, known_on: date) -> Frozen:
    """A frozen plan with another assessment. One that shows an alert must itself be answered by a later one."""
    waiting = frozen.planned.model_copy(update={"reassessed": assessment, "reassessed_by": known_on})
    through = max(frozen.through, assessment.assessed_on) if assessment.alerts else frozen.through
    return frozen.model_copy(update={"planned": waiting, "through": through})


def resume(planned: Planned, assessment: AssessmentCompleted, policy: Policy) -> Planned | None:
    """The plan from the first Monday after a clean assessment and after the day on which it was complete.

    None where no week number is left to carry it.

    Weeks keep the calendar's numbers. Frozen weeks were not trained, so they are added to the program and are not
    taken from the authorised ones.
    """
    monday = monday_after(max(assessment.assessed_on, planned.reassessed_by or assessment.assessed_on))
    week = max(planned.week, (monday - planned.started_on).days // 7) + 1
    total = planned.total_weeks + week - planned.week - 1
    if total > LAST_WEEK:
        return None
    resumed = planned.model_copy(
        update={
            "version": planned.version + 1,
            "week": week,
            "total_weeks": total,
            "frozen_weeks": planned.frozen_weeks + week - planned.week - 1,
        }
    )
    return _from_assessment(resumed, assessment, policy)


def issued(planned: Planned, policy: Policy) -> PlanIssued:
    """The first plan as it is published."""
    weeks, shortfall = _weeks(planned, policy)
    return PlanIssued(
        clinic=planned.clinic,
        plan_version=planned.version,
        effective_from=_starts(planned, planned.week),
        job=planned.basis.job,
        baseline_pain=planned.basis.baseline_pain,
        current_week=planned.week,
        total_weeks=planned.total_weeks,
        weeks=weeks,
        projected_shortfall=shortfall,
        assumed=planned.basis.assumed,
    )


def revised(planned: Planned, answers: str, verdict: Verdict, policy: Policy) -> PlanRevised:
    """A revision as it is published; `answers` is the id of the verdict event."""
    first = issued(planned, policy)
    return PlanRevised(**dict(first), answers=answers, verdict=verdict, frozen=False)


def frozen(stopped: Frozen) -> PlanRevised:
    """The plan of a frozen case: it names the week that would follow, and plans none."""
    planned = stopped.planned
    return PlanRevised(
        clinic=planned.clinic,
        plan_version=planned.version,
        effective_from=_starts(planned, planned.week + 1),
        job=planned.basis.job,
        baseline_pain=planned.basis.baseline_pain,
        current_week=planned.week + 1,
        total_weeks=planned.total_weeks,
        weeks=(),
        projected_shortfall=(),
        answers=stopped.escalation,
        verdict=stopped.verdict,
        frozen=True,
    )


def _start(assessment: AssessmentCompleted, weeks: int, policy: Policy) -> tuple[Basis, tuple[Level, ...]]:
    """The basis, and the ladder with the start below and the first of `weeks` weeks on top.

    The first week asks for the first step of each demand, but for no more hours than are tolerated today.
    """
    demands = assessment.job.demands
    starts = [trajectory.starting_point(demand, assessment.baseline, policy) for demand in demands]
    goal = hours.goal_hours(assessment.job.shift_hours, assessment.authorised_hours_per_day, policy)
    basis = Basis(
        job=assessment.job,
        baseline_pain=assessment.baseline_pain,
        authorised_weeks=assessment.authorised_weeks,
        goal_hours=goal,
        assumed=tuple(demand.key for demand, (_, assumed) in zip(demands, starts, strict=True) if assumed),
    )
    start = Level(
        days=hours.first_days(assessment.tolerance_days_per_week, policy),
        hours=hours.first_hours(assessment.tolerance_hours_per_day, goal),
        amounts=tuple(
            min(amount, trajectory.aim(demand, policy)) for demand, (amount, _) in zip(demands, starts, strict=True)
        ),
    )
    first = _step(start, basis, weeks, policy).model_copy(update={"days": start.days, "hours": start.hours})
    return basis, (start, first)


def _from_assessment(planned: Planned, assessment: AssessmentCompleted, policy: Policy) -> Planned:
    """The same week of the same program, measured anew. A shortened authorisation shortens the program."""
    total = planned.total_weeks
    if assessment.authorised_weeks is not None:
        total = max(planned.week, min(total, assessment.authorised_weeks + planned.frozen_weeks))
    basis, levels = _start(assessment, total - planned.week + 1, policy)
    return planned.model_copy(update={"basis": basis, "levels": levels, "total_weeks": total, **_TAKEN})


def _may_extend(planned: Planned, policy: Policy) -> bool:
    authorised = (planned.basis.authorised_weeks or LAST_WEEK) + planned.frozen_weeks
    return planned.extensions < policy.max_extensions and planned.total_weeks < min(authorised, LAST_WEEK)


def _attained(planned: Planned, attained: Sequence[Capacity]) -> Level:
    """This week's level with what was really shown; a demand that nobody showed takes no step."""
    level = planned.levels[-1]
    shown = [best_capacity(attained, demand) for demand in planned.basis.job.demands]
    amounts = tuple(
        amount if best is None else best.amount.amount_in(demand.amount.unit)
        for demand, amount, best in zip(planned.basis.job.demands, level.amounts, shown, strict=True)
    )
    return level.model_copy(update={"amounts": amounts})


def _step(level: Level, basis: Basis, weeks_left: int, policy: Policy) -> Level:
    """The level of the first of the `weeks_left` weeks."""
    return Level(
        days=hours.next_days(level.days, weeks_left, policy),
        hours=hours.next_hours(level.hours, basis.goal_hours, weeks_left, policy),
        amounts=tuple(
            trajectory.next_amount(amount, trajectory.aim(demand, policy), weeks_left, demand.amount.unit, policy)
            for demand, amount in zip(basis.job.demands, level.amounts, strict=True)
        ),
    )


def _weeks(planned: Planned, policy: Policy) -> tuple[tuple[PlannedWeek, ...], tuple[Shortfall, ...]]:
    levels = [planned.levels[-1]]
    for weeks_left in range(planned.total_weeks - planned.week, 0, -1):
        levels.append(_step(levels[-1], planned.basis, weeks_left, policy))
    weeks = tuple(_week(planned, planned.week + nth, level, policy) for nth, level in enumerate(levels))
    return weeks, _shortfalls(planned.basis, weeks[-1], policy)


def _week(planned: Planned, number: int, level: Level, policy: Policy) -> PlannedWeek:
    starts_on = _starts(planned, number)
    targets = _targets(planned.basis, level, policy)
    minutes = blocks.minutes_by_block(level.hours, number, planned.total_weeks, policy)
    return PlannedWeek(
        number=number,
        starts_on=starts_on,
        ends_on=starts_on + timedelta(days=6),
        days=level.days,
        hours_per_day=level.hours,
        targets=targets,
        minutes=minutes,
        stations=blocks.stations(
            planned.basis.job.demands, [target.amount for target in targets], minutes.job_simulation, policy
        ),
        education=blocks.education(number),
    )


def _targets(basis: Basis, level: Level, policy: Policy) -> tuple[Target, ...]:
    targets: list[Target] = []
    for demand, amount in zip(basis.job.demands, level.amounts, strict=True):
        if demand.amount.unit in trajectory.TIMES:
            # Nobody can show more hours than the day has.
            planned_hours = level.hours * (1 if demand.amount.unit == "h" else 60)
            wanted = trajectory.aim(demand, policy) if demand.kind == trajectory.SHIFT else amount
            amount = min(wanted, planned_hours)
        targets.append(
            Target(
                kind=demand.kind,
                zone=demand.zone,
                frequency=demand.frequency,
                amount=trajectory.quantity(demand, amount),
                critical=demand.critical,
            )
        )
    return tuple(targets)


def _shortfalls(basis: Basis, last: PlannedWeek, policy: Policy) -> tuple[Shortfall, ...]:
    short = [
        Shortfall(
            demand=demand.key,
            required=trajectory.quantity(demand, trajectory.aim(demand, policy)),
            projected=target.amount,
        )
        for demand, target in zip(basis.job.demands, last.targets, strict=True)
        if trajectory.falls_short(target.amount.amount, trajectory.aim(demand, policy))
    ]
    named = any(demand.kind == trajectory.SHIFT for demand in basis.job.demands)
    if not named and trajectory.falls_short(last.hours_per_day, basis.job.shift_hours):
        required, projected = (Quantity(amount=h, unit="h") for h in (basis.job.shift_hours, last.hours_per_day))
        short.append(Shortfall(demand=WORK_HOURS, required=required, projected=projected))
    return tuple(short)


def _starts(planned: Planned, week: int) -> date:
    return planned.started_on + WEEK * (week - 1)
