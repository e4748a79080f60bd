"""The plan in force as a FHIR CarePlan, and its targets as Goals, one for each demand. Pure."""

from __future__ import annotations

from services.console.fhir.observations import Json, coded, measured, name_of
from services.console.story import Story
from workhardening_contracts import fhir
from workhardening_contracts.planning import PlanIssued, PlannedWeek, PlanRevised, Target
from workhardening_contracts.progress import CaseClosed, ReadinessAssessed

Plan = PlanIssued | PlanRevised

PRIORITY = "http://terminology.hl7.org/CodeSystem/goal-priority"
ACHIEVEMENT = "http://terminology.hl7.org/CodeSystem/goal-achievement"


def care_plans(story: Story, subject: Json) -> list[Json]:
    """The plan in force; none before the first."""
    latest = story.last(PlanIssued, PlanRevised)
    if latest is None:
        return []
    event, plan = latest
    return [
        {
            "resourceType": "CarePlan",
            "id": name_of(event.id),
            "identifier": [{"system": "urn:workhardening:event", "value": event.id}],
            "status": _status(story, plan),
            "intent": "plan",
            "title": plan.job.title,
            "subject": subject,
            "period": {"start": plan.effective_from.isoformat(), **_end(plan)},
            "created": event.time.isoformat(),
            "goal": [{"reference": f"Goal/{name_of(event.id, key)}"} for key in _targets(plan)],
            "activity": [_activity(plan, week) for week in plan.weeks],
        }
    ]


def goals(story: Story, subject: Json) -> list[Json]:
    """A goal for each demand of the plan in force, with what each week asks for."""
    latest = story.last(PlanIssued, PlanRevised)
    if latest is None:
        return []
    event, plan = latest
    return [
        {
            "resourceType": "Goal",
            "id": name_of(event.id, key),
            "lifecycleStatus": _LIFECYCLE[_status(story, plan)],
            "achievementStatus": coded(ACHIEVEMENT, _achieved(story, key)),
            "priority": coded(PRIORITY, "high-priority" if targets[0][1].critical else "medium-priority"),
            "description": {**coded(fhir.DEMAND, key), "text": key},
            "subject": subject,
            "startDate": plan.effective_from.isoformat(),
            "target": [
                {
                    "measure": coded(fhir.DEMAND, key),
                    "detailQuantity": measured(target.amount),
                    "dueDate": week.ends_on.isoformat(),
                }
                for week, target in targets
            ],
        }
        for key, targets in _targets(plan).items()
    ]


_LIFECYCLE = {"active": "active", "on-hold": "on-hold", "completed": "completed"}


def _status(story: Story, plan: Plan) -> str:
    if story.last(CaseClosed) is not None:
        return "completed"
    return "on-hold" if isinstance(plan, PlanRevised) and plan.frozen else "active"


def _end(plan: Plan) -> Json:
    return {"end": plan.weeks[-1].ends_on.isoformat()} if plan.weeks else {}


def _activity(plan: Plan, week: PlannedWeek) -> Json:
    frozen = isinstance(plan, PlanRevised) and plan.frozen
    repeat = {
        "boundsPeriod": {"start": week.starts_on.isoformat(), "end": week.ends_on.isoformat()},
        "frequency": week.days,
        "period": 1,
        "periodUnit": "wk",
        "duration": week.hours_per_day,
        "durationUnit": "h",
    }
    return {
        "detail": {
            "code": coded(fhir.SERVICE, "work_hardening"),
            "status": "on-hold" if frozen else "scheduled",
            "scheduledTiming": {"repeat": repeat},
            "description": f"week {week.number} of {plan.total_weeks}",
        }
    }


def _targets(plan: Plan) -> dict[str, list[tuple[PlannedWeek, Target]]]:
    found: dict[str, list[tuple[PlannedWeek, Target]]] = {}
    for week in plan.weeks:
        for target in week.targets:
            key = f"{target.kind}/{target.zone or '-'}/{target.frequency}"
            found.setdefault(key, []).append((week, target))
    return found


def _achieved(story: Story, key: str) -> str:
    latest = story.last(ReadinessAssessed)
    met = {standing.demand: standing.met for standing in latest[1].standings} if latest else {}
    return "achieved" if met.get(key) else "in-progress"
