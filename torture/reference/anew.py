"""Readiness said again: by a report, a job or a baseline that would have had it say something else."""

from __future__ import annotations

from collections.abc import Callable

from torture.reference import sessions, verdict
from torture.reference.replay import Event, Json, State, own_id


def by_reports(state: Json, event: Event, before: int, gone_on: Callable[[str], bool]) -> list[tuple[str, Json]]:
    """Readiness said again for each report that came after it, and before the case went on, and changes what it says.

    The plan and the day are those of the first saying. Alerts only ever come to it. `gone_on` tells whether the case
    had gone on from it once a day was closed.
    """
    said: list[tuple[str, Json]] = []
    on, log = state["readiness"]["on"], state["log"]
    for nth in range(on["reports"], len(log)):
        each, through = log[nth], on["through"]
        days = [each["held_on"], *(other["held_on"] for other in log[:nth] if other["id"] == each["replaces"])]
        if min(days) > through:
            continue
        if gone_on(each["after"] or ""):
            break
        alerts: list[str] = on["alerts"]
        if each["held_on"] <= through and verdict.is_news(each, state):
            alerts = sorted({*alerts, *each["alerts"]})
        earlier = verdict.assess(on["plan"], through, sessions.standing(log[:nth]), on["alerts"])
        later = verdict.assess(on["plan"], through, sessions.standing(log[: nth + 1]), alerts)
        on |= {"reports": nth + 1, "alerts": alerts}
        if later != earlier:
            said += _replaced(state, event, later[0], before + len(said))
    return said


def on_assessment_completed(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    """A job or a baseline that the plan in hand does not know yet: readiness is held against it at once."""
    if state is None or state["phase"] != "in_program" or state["withdrawn"]:
        return state, []
    plan, known = state["plan"], {name: event.data[name] for name in ("job", "baseline_pain", "assessed_on")}
    planned = (plan["job"], plan["baseline_pain"]) == (known["job"], known["baseline_pain"])
    state["corrected"] = None if planned else known
    if state["readiness"] is None:
        return state, []
    on = state["readiness"]["on"]
    through, before = on["through"], on["plan"]
    on["plan"] = as_known(before, known, through)
    view = sessions.standing(state["log"][: on["reports"]])
    earlier, later = (verdict.assess(each, through, view, on["alerts"]) for each in (before, on["plan"]))
    return state, _replaced(state, event, later[0], 0) if later != earlier else []


def as_known(plan: Json, known: Json | None, through: str) -> Json:
    """A plan with the job as it is known, and the baseline if it was measured by that day."""
    if known is None:
        return plan
    pain = known["baseline_pain"] if known["assessed_on"] <= through else plan["baseline_pain"]
    return plan | {"job": known["job"], "baseline_pain": pain}


def _replaced(state: Json, event: Event, assessed: Json, nth: int) -> list[tuple[str, Json]]:
    """The same readiness as it should have been said."""
    readiness, week = state["readiness"], state["readiness"]["on"]["plan"]["week"]["number"]
    told = {"clinic": state["clinic"], "week": week, "final": readiness["final"], "supersedes": readiness["id"]}
    readiness |= {"readiness": assessed["readiness"], "id": own_id("progress", event, nth)}
    readiness["job"] = readiness["on"]["plan"]["job"]["demands"]
    return [("progress.readiness.assessed", told | assessed)]
