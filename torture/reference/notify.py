"""Notify: what each employer may be told, told in order; and what clinics read in their feed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from torture.reference import numbers
from torture.reference.replay import CLINIC, Event, Json, Model, State, Waits, on_erased

Answer = tuple[State, list[tuple[str, Json]]]


def on_case_opened(state: State, event: Event) -> Answer:
    if state is None or state["phase"] == "heard":
        state = _heard(state, event) | {
            "phase": "known", "closed": False, "program": None, "progressed": {}, "standing": None, "told": {},
        }  # fmt: skip
    state |= {"employer": event.data.get("employer"), "employee_key": event.data.get("employee_key"), "declined": False}
    return _tell(state, event)


def on_heard(state: State, event: Event) -> Answer:
    """For the clinic only."""
    state = state or _heard(None, event)
    return state, [_feed(event, state["clinic"])]


def on_case_declined(state: State, event: Event) -> Answer:
    state = state or _heard(None, event)
    if state["phase"] == "known":
        state["declined"] = True
    return _tell(state, event)


def on_consent_changed(state: State, event: Event) -> Answer:
    state = state or _heard(None, event)
    state["grants"] = event.data["grants"]
    _answered(state, event.cause)
    return _tell(state, event)


def on_taken_back(state: State, event: Event) -> Answer:
    """Sending stops at once, until whoever judges it has answered."""
    if state is None:
        raise Waits
    what = {"consent.revoked": "consent", "case.withdrawn": "case", "readiness.withdrawn": "readiness"}
    stop = {"what": what[event.name.removeprefix("clinic.")], "reference": event.reference}
    stop |= {"employer": event.data.get("employer"), "scopes": event.data.get("scopes", [])}
    if event.reference in state["answered"]:
        state["answered"].remove(event.reference)
    elif not (stop["what"] == "case" and state.get("closed")):
        state["stops"].append(stop)
    return _tell(state, event, feed=False)


def on_plan(state: State, event: Event) -> Answer:
    state, plan = _known(state), event.data
    weeks = max(1, plan["total_weeks"] - plan["current_week"] + 1)
    counted = (date.fromisoformat(plan["effective_from"]) + timedelta(days=7 * weeks - 1)).isoformat()
    # A plan that is issued again, before anything was judged, begins the program anew.
    before: Json = state["program"] or {}
    begins = not before or event.name == "planning.plan.issued"
    state["program"] = {
        "starts_on": plan["effective_from"] if begins else before["starts_on"],
        "ends_on": plan["weeks"][-1]["ends_on"] if plan["weeks"] else counted,
        "week": plan["current_week"],
        "total_weeks": plan["total_weeks"],
    }
    return _tell(state, event)


def on_judged(state: State, event: Event) -> Answer:
    state = _known(state)
    if event.name != "progress.case.escalated":  # an escalated week may be cut short
        state["progressed"]["attendance"] = event.data["attendance"]
    return _tell(state, event)


def on_lapsed(state: State, event: Event) -> Answer:
    state = _known(state)
    return state, [_feed(event, state["clinic"])]


def on_assessed(state: State, event: Event) -> Answer:
    state, found = _known(state), event.data
    forecast = found["forecast"]
    # An employer that read a date would expect the worker, whatever else still speaks against work.
    reached = forecast["status"] == "reached" and found["readiness"].startswith("meets")
    state["progressed"] |= {
        "demands_met": sum(each.get("met") is True for each in found["standings"]),
        "demands_total": len(found["standings"]),
        "forecast": forecast.get("week") if forecast["status"] == "expected" else None,
        "reached_on": found["assessed_through"] if reached else None,
    }
    return _tell(state, event)


def on_ready(state: State, event: Event) -> Answer:
    state = _known(state)
    state["standing"] = event.data | {"what": event.data["decision"]}
    return _tell(state, event)


def on_revoked(state: State, event: Event) -> Answer:
    state = _known(state)
    state["standing"] = event.data | {"what": "revoked"}
    _answered(state, event.cause)
    return _tell(state, event)


def on_case_closed(state: State, event: Event) -> Answer:
    """Whether the worker withdrew is the worker's business: an employer reads `discontinued`."""
    state, outcome = _known(state), event.data["outcome"]
    state["closed"] = True
    state["stops"] = [stop for stop in state["stops"] if stop["what"] != "case"]
    if outcome in ("not_ready", "discontinued", "withdrawn"):
        what = "not_ready" if outcome == "not_ready" else "discontinued"
        state["standing"] = {"what": what, "ended_on": event.data["closed_on"]}
    return _tell(state, event)


def on_rejected(state: State, event: Event) -> Answer:
    """What was refused stops nothing any more."""
    data = event.data
    clinic = data["rejected_source"].removeprefix("/clinics/")
    feed = [_feed(event, clinic)] if data["rejected_source"].startswith("/clinics/") else []
    if state is None or clinic != state["clinic"]:
        return state, feed
    stopping = [f"{CLINIC}{name}.v1" for name in ("consent.revoked", "case.withdrawn", "readiness.withdrawn")]
    if data["rejected_type"] in stopping:
        _answered(state, f"{data['rejected_source']}#{data['rejected_id']}")
    return _tell(state, event)


def _heard(state: State, event: Event) -> Json:
    fresh: Json = {"phase": "heard", "clinic": event.data["clinic"], "grants": [], "stops": [], "answered": []}
    return fresh | (state or {})


def _known(state: State) -> Json:
    if state is None or state["phase"] != "known":
        raise Waits
    return state


def _answered(state: Json, reference: str | None) -> None:
    if reference is None:
        return
    left = [stop for stop in state["stops"] if stop["reference"] != reference]
    if len(left) < len(state["stops"]):
        state["stops"] = left
    elif reference not in state["answered"]:
        state["answered"] = [*state["answered"], reference][-numbers.ANSWERS :]


def _feed(event: Event, clinic: str) -> tuple[str, Json]:
    return "feed", {"source": event.source, "event_id": event.id, "clinic": clinic}


def _tell(state: Json, event: Event, *, feed: bool = True) -> Answer:
    """A new update for each employer that may be told and was not told this; none for one that may not be told."""
    said = [_feed(event, event.data.get("clinic", state["clinic"]))] if feed else []
    if state["phase"] != "known":
        return state, said
    for employer in sorted({grant["employer"] for grant in state["grants"]} | state["told"].keys()):
        before = state["told"].get(employer)
        now = _allowed(state, employer, event.day.isoformat())
        if now is None:
            if before is not None:
                before["content"] = None
            continue
        if before is not None and before["content"] == now:
            continue
        if before is None and len(state["told"]) >= numbers.TOLD:
            continue
        sequence = before["sequence"] + 1 if before else 1
        supersedes = before["ready"] if before else None
        of_readiness = now["outcome"] in ("ready", "ready_with_restrictions", "revoked")
        update = {name: now[name] for name in now if name != "grants"}
        update |= {"employer": employer, "sequence": sequence, "supersedes": supersedes if of_readiness else None}
        said.append(("delivery", update))
        # The id of an update is a fact; the sequence of the last `ready` says which one a correction replaces.
        ready = {"ready": sequence, "ready_with_restrictions": sequence, "revoked": None}.get(
            now["outcome"], supersedes
        )
        state["told"][employer] = {"sequence": sequence, "content": now, "ready": ready}
    return state, said


def _allowed(state: Json, employer: str, on: str) -> Json | None:
    """The one statement that stands, with what this employer may know beside it; None for nothing."""
    statement = _statement(state)
    if statement is None or state["declined"] or any(s["what"] in ("readiness", "case") for s in state["stops"]):
        return None
    revoked = {(s["employer"], scope) for s in state["stops"] if s["what"] == "consent" for scope in s["scopes"]}
    grants = [g for g in state["grants"] if g["employer"] == employer and (employer, g["scope"]) not in revoked]
    days = [
        max(on, grant["valid_from"])
        for grant in grants
        if grant["scope"] == "work_status" and _ends(grant) >= max(on, grant["valid_from"])
    ]
    if not days:
        return None
    valid = {g["scope"]: g for g in reversed(grants) if g["valid_from"] <= min(days) <= _ends(g)}
    told = _program(state) if statement["outcome"] == "in_program" else {}
    told = {scope: facts for scope, facts in told.items() if scope in valid}
    program: Json = {}
    for facts in told.values():
        program |= facts
    return statement | {
        "employee_key": state["employee_key"] if employer == state["employer"] else None,
        "program": program or None,
        "grants": [valid[scope] for scope in ("work_status", *told)],
    }


def _ends(grant: Json) -> str:
    return grant.get("valid_through") or "9999-12-31"


def _program(state: Json) -> Json:
    """What may be told of a running program, by scope."""
    program, progressed = state["program"], state["progressed"]
    expected = progressed.get("reached_on")
    if expected is None and progressed.get("forecast") is not None:
        days = round(progressed["forecast"] * 7)
        expected = (date.fromisoformat(program["starts_on"]) + timedelta(days=days)).isoformat()
    facts: dict[str, Any] = {
        "program_week": {"week": program["week"], "total_weeks": program["total_weeks"]},
        "attendance": {"attendance": progressed.get("attendance")},
        "expected_date": {"expected_date": expected},
        "demands_met": {name: progressed.get(name) for name in ("demands_met", "demands_total")},
    }
    return {scope: said for scope, said in facts.items() if None not in said.values()}


def _statement(state: Json) -> Json | None:
    standing, program = state["standing"], state["program"]
    if standing is None and program is None:
        return None
    if standing is None:
        through = max(program["starts_on"], program["ends_on"])
        return _said("unable", program["starts_on"], through, "in_program")
    what = standing["what"]
    if what == "ready":
        through = standing.get("effective_through")
        return _said("no_restrictions", standing["effective_from"], through, what, standing["role"])
    if what == "ready_with_restrictions":
        begins = standing["effective_from"]
        through = standing.get("effective_through") or _review(begins)
        return _said("with_restrictions", begins, through, what, standing["role"]) | {
            "restrictions": standing["restrictions"]
        }
    begins = standing["revoked_on"] if what == "revoked" else standing["ended_on"]
    return _said("unable", begins, _review(begins), what, standing.get("role"))


def _said(status: str, begins: str, through: str | None, outcome: str, role: str | None = None) -> Json:
    return {
        "status": status,
        "effective_from": begins,
        "effective_through": through,
        "restrictions": [],
        "outcome": outcome,
        "certifier_role": role,
    }


def _review(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=numbers.REVIEW_DAYS)).isoformat()


MODEL = Model(
    "notify",
    {
        "intake.case.opened": on_case_opened,
        "intake.information.needed": on_heard,
        "intake.case.declined": on_case_declined,
        "intake.assessment.completed": on_heard,
        "intake.consent.changed": on_consent_changed,
        "clinic.consent.revoked": on_taken_back,
        "clinic.case.withdrawn": on_taken_back,
        "clinic.readiness.withdrawn": on_taken_back,
        "clinic.case.erased": on_erased,
        "planning.plan.issued": on_plan,
        "planning.plan.revised": on_plan,
        "progress.week.advanced": on_judged,
        "progress.week.held": on_judged,
        "progress.week.regressed": on_judged,
        "progress.case.escalated": on_judged,
        "progress.attendance.lapsed": on_lapsed,
        "progress.readiness.assessed": on_assessed,
        "progress.readiness.ready": on_ready,
        "progress.readiness.revoked": on_revoked,
        "progress.case.closed": on_case_closed,
        "rejections.event.rejected": on_rejected,
    },
)
