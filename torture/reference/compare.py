"""Hold a stored state and what was really said against the model's, in the terms that the design fixes."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isclose
from typing import Any, cast

from torture.reference.replay import Json, Said, State


def differences(model: Any, stored: Any, path: str = "") -> list[str]:
    """Where two projections differ, by path; never the values, which may be patients' data. Absent is null."""
    if isinstance(model, dict) and isinstance(stored, dict):
        left, right = cast("Json", model), cast("Json", stored)
        names = sorted(left.keys() | right.keys())
        return [line for name in names for line in differences(left.get(name), right.get(name), f"{path}/{name}")]
    if isinstance(model, list) and isinstance(stored, list):
        mine, theirs = cast("list[Any]", model), cast("list[Any]", stored)
        if len(mine) != len(theirs):
            return [f"{path} (length)"]
        pairs = enumerate(zip(mine, theirs, strict=True))
        return [line for nth, (a, b) in pairs for line in differences(a, b, f"{path}/{nth}")]
    if isinstance(model, int | float) and isinstance(stored, int | float) and not isinstance(model, bool):
        return [] if isclose(model, stored, rel_tol=1e-9, abs_tol=1e-12) else [path]
    return [] if model == stored else [path]


def projected(service: str, state: State) -> Json | None:
    """The model's state in the terms that are compared."""
    return None if state is None else _MODEL[service](state)


def stored(service: str, state: Json | None) -> Json | None:
    """A stored state in the terms that are compared."""
    return None if state is None else _STORED[service](state)


def unsaid(expected: Said, actual: Json) -> list[str]:
    """Where an event as it was published differs from what the model decides of it."""
    view = _EVENTS.get(expected.type, dict)(actual)
    return differences(expected.data, {name: view.get(name) for name in expected.data})


def _keep(state: Json, *names: str) -> Json:
    return {name: state.get(name) for name in names}


def _intake_model(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic", "grants")
    if state["phase"] == "closed":
        return kept
    opened, completed = state["opened"], state["completed"]
    return kept | {
        "decision": _keep(state["decision"], "verdict", "met", "unmet", "unknown", "missing"),
        "told": state["told"],
        "alerts": state["told_alerts"],
        "opened": opened and _keep(opened, "employer", "employee_key", "opened_on"),
        "completed": completed,
        "completions": state["completions"],
        "parts": [part["ids"] for part in state["parts"]],
    }


def _intake_stored(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic", "grants")
    if state["phase"] == "closed":
        return kept
    opened = state.get("opened")
    return kept | {
        "decision": _keep(state["referred"]["decision"], "verdict", "met", "unmet", "unknown", "missing"),
        "told": state["told"],
        "alerts": state["told_alerts"],
        "opened": opened and _keep(opened, "employer", "employee_key", "opened_on"),
        "completed": state.get("completed"),
        "completions": state["completions"],
        "parts": [part["ids"] for part in state["parts"]],
    }


PLAN = ("version", "week", "total_weeks", "started_on", "extensions", "frozen_weeks")


def _planning_model(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic")
    if state["phase"] in ("ended", "held"):
        return kept
    return (
        kept
        | _keep(state, *PLAN, "escalation", "through")
        | {
            "reassessed": bool(state["reassessed"]),
            "authorised": state["authorised"],
        }
    )


def _planning_stored(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic")
    if state["phase"] in ("ended", "held"):
        return kept
    planned = state.get("planned", state)
    return (
        kept
        | _keep(planned, *PLAN)
        | _keep(state, "escalation", "through")
        | {
            "reassessed": bool(planned.get("reassessed")),
            "authorised": planned["basis"].get("authorised_weeks"),
        }
    )


COUNTED = ("judged_through", "cleared_through", "weeks_judged", "holds", "stalled")
READINESS = ("id", "readiness", "expires_on", "final")


def _signable(state: Json) -> Json | None:
    readiness = state.get("readiness")
    return readiness and _keep(readiness, *READINESS)


def _progress_model(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic")
    if state["phase"] == "closed":
        signed = _keep(state, "outcome", "signed", "alerted", "ready_event")
        return kept | signed | {"readiness": _signable(state), "follow_ups": state["follow_ups"]}
    leaving = state["withdrawn"]
    kept |= {
        "closed_through": state["closed_through"],
        "withdrawn": leaving and {"on": leaving["withdrawn_on"], "closed_through": leaving["closed_through"]},
        "log": [_keep(each, "id", "replaces", "after", "held_on", "attendance", "alerts") for each in state["log"]],
    }
    if state["phase"] == "opened":
        return kept
    plan = _keep(state["plan"], "version", "total_weeks") | {"week": state["plan"]["week"]["number"]}
    return kept | _keep(state, *COUNTED, "status", "awaits", "best") | {"plan": plan, "readiness": _signable(state)}


def _progress_stored(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic")
    if state["phase"] == "closed":
        follow_ups = {str(each["month"]): each for each in state["follow_ups"]}
        signed = _keep(state, "outcome", "signed", "alerted", "ready_event")
        return kept | signed | {"readiness": _signable(state), "follow_ups": follow_ups}
    leaving = state.get("withdrawn")
    log = [each | {"after": each.get("reported_after")} for each in state["log"]]
    kept |= {
        "closed_through": state.get("closed_through"),
        "withdrawn": leaving and _keep(leaving, "on", "closed_through"),
        "log": [_keep(each, "id", "replaces", "after", "held_on", "attendance", "alerts") for each in log],
    }
    if state["phase"] == "opened":
        return kept
    best: dict[str, float] = {}
    for point in state["trend"]:
        best[point["demand"]] = max(point["amount"], best.get(point["demand"], 0.0))
    plan = _keep(state["plan"], "version", "total_weeks") | {"week": state["plan"]["week"]["number"]}
    status = {"status": state["status"]["status"], "awaits": state["status"].get("verdict")}
    return kept | _keep(state, *COUNTED) | status | {"best": best, "plan": plan, "readiness": _signable(state)}


def _notify_model(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic", "grants", "answered")
    kept["stops"] = [[stop["what"], stop["reference"]] for stop in state["stops"]]
    if state["phase"] == "heard":
        return kept
    standing = state["standing"]
    told = {name: [entry["sequence"], entry["content"] is not None] for name, entry in state["told"].items()}
    return (
        kept
        | _keep(state, "employer", "employee_key", "declined", "closed", "program")
        | {
            "standing": standing and standing["what"],
            "told": told,
        }
    )


def _notify_stored(state: Json) -> Json:
    kept = _keep(state, "phase", "clinic", "grants", "answered")
    kept["stops"] = [[stop["what"], stop["reference"]] for stop in state["stops"]]
    if state["phase"] == "heard":
        return kept
    standing: Json = state.get("standing") or {}
    # A decision or an outcome says more than that something was signed or has ended.
    what = standing.get("decision") or standing.get("outcome") or standing.get("what")
    told = {entry["employer"]: [entry["sequence"], bool(entry["digest"])] for entry in state["told"]}
    return (
        kept
        | _keep(state, "employer", "employee_key", "declined", "closed", "program")
        | {
            "standing": what,
            "told": told,
        }
    )


_MODEL: dict[str, Callable[[Json], Json]] = {
    "intake": _intake_model,
    "planning": _planning_model,
    "progress": _progress_model,
    "notify": _notify_model,
}
_STORED: dict[str, Callable[[Json], Json]] = {
    "intake": _intake_stored,
    "planning": _planning_stored,
    "progress": _progress_stored,
    "notify": _notify_stored,
}


def _plan_event(data: Json) -> Json:
    return data | {"weeks": [[week["number"], week["starts_on"], week["ends_on"]] for week in data["weeks"]]}


def _verdict_event(data: Json) -> Json:
    return data | {"reasons": sorted(([each["code"], each.get("demand")] for each in data["reasons"]), key=str)}


def _readiness_event(data: Json) -> Json:
    return data | {
        "standings": {each["demand"]: each.get("met") for each in data["standings"]},
        "restrictions": [each["activity"] for each in data["restrictions"]],
    }


def _declined_event(data: Json) -> Json:
    return data | {"unmet": data["eligibility"]["unmet"]}


def delivery(body: bytes, by_event: dict[str, int]) -> Json:
    """A delivery's body in the terms that are compared; `by_event`: event id -> sequence, for what it supersedes."""
    data: Json = json.loads(body)["data"]
    supersedes = data.get("supersedes")
    return data | {"supersedes": supersedes and by_event.get(supersedes, -1)}


_EVENTS: dict[str, Callable[[Json], Json]] = {
    "org.workhardening.planning.plan.issued.v1": _plan_event,
    "org.workhardening.planning.plan.revised.v1": _plan_event,
    "org.workhardening.progress.week.advanced.v1": _verdict_event,
    "org.workhardening.progress.week.held.v1": _verdict_event,
    "org.workhardening.progress.week.regressed.v1": _verdict_event,
    "org.workhardening.progress.case.escalated.v1": _verdict_event,
    "org.workhardening.progress.readiness.assessed.v1": _readiness_event,
    "org.workhardening.intake.case.declined.v1": _declined_event,
}
