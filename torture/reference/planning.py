"""Planning: which version of the plan stands, from which week, of how many, and whether it is frozen.

What the plan asks for in each week is a fact here, read from the events themselves.
"""

from __future__ import annotations

from datetime import date, timedelta

from torture.reference import numbers
from torture.reference.replay import Event, Json, Model, State, Waits, on_erased

Answer = tuple[State, list[tuple[str, Json]]]


def on_assessment_completed(state: State, event: Event) -> Answer:
    assessment = event.data
    on = event.day.isoformat()
    if state is None or state["phase"] == "held":
        if assessment.get("alerts"):
            return {"phase": "held", "clinic": assessment["clinic"]}, []
        state = _begun(assessment, 1, on)
        return state, [("planning.plan.issued", _plan(state))]
    if state["phase"] == "ended":
        return state, []
    if state["phase"] == "planned" and not state["answered"] and not assessment.get("alerts"):
        again = _begun(assessment, state["version"] + 1, on)
        if max(assessment["assessed_on"], on) >= state["started_on"]:
            again["started_on"] = state["started_on"]  # a program that has begun keeps its calendar
        return again, [("planning.plan.issued", _plan(again))]
    state |= {"reassessed": assessment, "reassessed_by": on}
    if state["phase"] == "frozen":
        if assessment.get("alerts"):  # it must itself be answered by a later one
            state["through"] = max(state["through"], assessment["assessed_on"])
        return _resumed(state)
    return state, []


def _begun(assessment: Json, version: int, known_on: str) -> Json:
    """From the Monday after the assessment, and after the day on which it was complete."""
    weeks = assessment.get("authorised_weeks")
    return {
        "phase": "planned",
        "clinic": assessment["clinic"],
        "version": version,
        "week": 1,
        "total_weeks": min(numbers.WEEKS, weeks or numbers.WEEKS),
        "started_on": _monday_after(max(assessment["assessed_on"], known_on)).isoformat(),
        "authorised": weeks,
        "extensions": 0,
        "frozen_weeks": 0,
        "answered": False,
        "reassessed": None,
    }


def on_judged(state: State, event: Event) -> Answer:
    """A verdict is answered by the next week's plan; `hold` adds a week where it may; `escalate` freezes."""
    if state is None or state["phase"] == "held":
        raise Waits
    if event.data["final"]:
        return {"phase": "ended", "clinic": state["clinic"]}, []
    if state["phase"] != "planned" or event.data["week"] != state["week"]:
        return state, []
    verdict = {
        "progress.week.advanced": "advance",
        "progress.week.held": "hold",
        "progress.week.regressed": "regress",
        "progress.case.escalated": "escalate",
    }[event.name]
    state["version"] += 1
    state["answered"] = True
    alerted = bool(state["reassessed"] and state["reassessed"].get("alerts"))
    if verdict == "escalate" or alerted:
        through = event.data["through"] if verdict == "escalate" else state["reassessed"]["assessed_on"]
        state |= {"phase": "frozen", "escalation": event.id, "through": through, "verdict": verdict}
        frozen = _plan(state | {"week": state["week"] + 1})
        frozen |= {"weeks": [], "answers": event.id, "verdict": verdict, "frozen": True}
        state, said = _resumed(state)
        return state, [("planning.plan.revised", frozen), *said]
    state["week"] += 1
    most = min((state["authorised"] or numbers.LAST_WEEK) + state["frozen_weeks"], numbers.LAST_WEEK)
    if verdict == "hold" and state["extensions"] < numbers.EXTENSIONS and state["total_weeks"] < most:
        state["extensions"] += 1
        state["total_weeks"] += 1
    _take_reassessment(state)
    said = _plan(state) | {"answers": event.id, "verdict": verdict, "frozen": False}
    return state, [("planning.plan.revised", said)]


def _resumed(state: Json) -> Answer:
    """A clean assessment of the escalated week's end or later lets the program go on; the frozen weeks are added."""
    assessment = state["reassessed"]
    if assessment is None or assessment.get("alerts") or assessment["assessed_on"] <= state["through"]:
        return state, []
    monday = _monday_after(max(assessment["assessed_on"], state["reassessed_by"]))
    week = max(state["week"], (monday - date.fromisoformat(state["started_on"])).days // 7) + 1
    frozen_for = week - state["week"] - 1
    if state["total_weeks"] + frozen_for > numbers.LAST_WEEK:
        return state, []
    escalation = state.pop("escalation")
    verdict = state.pop("verdict")
    state.pop("through")
    state |= {
        "phase": "planned",
        "version": state["version"] + 1,
        "week": week,
        "total_weeks": state["total_weeks"] + frozen_for,
        "frozen_weeks": state["frozen_weeks"] + frozen_for,
    }
    _take_reassessment(state)
    said = _plan(state) | {"answers": escalation, "verdict": verdict, "frozen": False}
    said["assessed_on"] = assessment["assessed_on"]
    return state, [("planning.plan.revised", said)]


def _take_reassessment(state: Json) -> None:
    """A newer assessment takes effect; a shortened authorisation shortens the program."""
    assessment, state["reassessed"] = state["reassessed"], None
    if assessment is None:
        return
    state["authorised"] = assessment.get("authorised_weeks")
    if state["authorised"] is not None:
        allowed = min(state["total_weeks"], state["authorised"] + state["frozen_weeks"])
        state["total_weeks"] = max(state["week"], allowed)


def on_case_closed(state: State, event: Event) -> Answer:
    return {"phase": "ended", "clinic": event.data["clinic"]}, []


def _plan(state: Json) -> Json:
    starts = date.fromisoformat(state["started_on"]) + timedelta(weeks=state["week"] - 1)
    numbers_ = range(state["week"], state["total_weeks"] + 1)
    return {
        "clinic": state["clinic"],
        "plan_version": state["version"],
        "effective_from": starts.isoformat(),
        "current_week": state["week"],
        "total_weeks": state["total_weeks"],
        "weeks": [
            [number, (starts + timedelta(weeks=nth)).isoformat(), (starts + timedelta(weeks=nth, days=6)).isoformat()]
            for nth, number in enumerate(numbers_)
        ],
    }


def _monday_after(day: str) -> date:
    on = date.fromisoformat(day)
    return on + timedelta(days=7 - on.weekday())


MODEL = Model(
    "planning",
    {
        "intake.assessment.completed": on_assessment_completed,
        "progress.week.advanced": on_judged,
        "progress.week.held": on_judged,
        "progress.week.regressed": on_judged,
        "progress.case.escalated": on_judged,
        "progress.case.closed": on_case_closed,
        "clinic.case.erased": on_erased,
    },
)
