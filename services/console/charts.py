"""Demands against capacity, week by week: what each plan asked for and what each week showed. Pure."""

from __future__ import annotations

from services.console.story import Story
from services.console.views import DemandChart, WeekPoint
from workhardening_contracts.demand import Demand, best_capacity
from workhardening_contracts.intake import AssessmentCompleted
from workhardening_contracts.planning import PlanIssued, PlannedWeek, PlanRevised
from workhardening_contracts.progress import CaseEscalated, WeekAdvanced, WeekHeld, WeekRegressed
from workhardening_contracts.quantity import comparable


def demand_charts(story: Story) -> tuple[DemandChart, ...]:
    """A chart for each demand of the job; empty before there is a plan.

    A week's target is that of the plan in force when it was trained, and of weeks to come that of the latest plan. The
    point of week 0 is the baseline. Of a week that was held and repeated, the last time it was trained counts.
    """
    latest = story.last(PlanIssued, PlanRevised)
    if latest is None:
        return ()
    weeks: dict[int, PlannedWeek] = {}
    for _, plan in story.of(PlanIssued, PlanRevised):
        weeks = {number: week for number, week in weeks.items() if number < plan.current_week}
        weeks |= {week.number: week for week in plan.weeks}
    return tuple(_chart(story, demand, weeks) for demand in latest[1].job.demands)


def _chart(story: Story, demand: Demand, weeks: dict[int, PlannedWeek]) -> DemandChart:
    unit = demand.amount.unit
    targets: dict[int, float] = {}
    shown: dict[int, float] = {}
    ends = {number: week.ends_on for number, week in weeks.items()}
    for number, week in weeks.items():
        for target in week.targets:
            same = (target.kind, target.zone, target.frequency) == (demand.kind, demand.zone, demand.frequency)
            if same and comparable(target.amount, demand.amount):
                targets[number] = target.amount.amount_in(unit)
    baseline = story.last(AssessmentCompleted)
    if baseline is not None:
        best = best_capacity(baseline[1].baseline, demand)
        if best is not None:
            shown[0] = best.amount.amount_in(unit)
        ends[0] = baseline[1].assessed_on
    for _, judged in story.of(WeekAdvanced, WeekHeld, WeekRegressed, CaseEscalated):
        best = best_capacity(judged.attained, demand)
        if best is not None:
            shown[judged.week] = best.amount.amount_in(unit)
        ends[judged.week] = judged.through
    return DemandChart(
        key=demand.key,
        kind=demand.kind,
        zone=demand.zone,
        frequency=demand.frequency,
        critical=demand.critical,
        unit=unit,
        required=demand.amount.amount,
        points=tuple(
            WeekPoint(number, ends[number], targets.get(number), shown.get(number)) for number in sorted(ends)
        ),
    )
