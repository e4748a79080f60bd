"""Progress: record what is reported; judge a week once it is closed and its plan is there; close on a signature."""

from __future__ import annotations

from datetime import date, timedelta

from torture.reference import anew, numbers, sessions, verdict
from torture.reference.replay import Event, Json, Model, Refused, State, Waits, on_erased, own_id

Answer = tuple[State, list[tuple[str, Json]]]
EVENTS = {
    "advance": "progress.week.advanced",
    "hold": "progress.week.held",
    "regress": "progress.week.regressed",
    "escalate": "progress.case.escalated",
}
ACTIVITIES = {
    "work_hours", "lift", "carry", "push", "pull", "stand", "walk", "sit", "climb", "stoop", "kneel", "crouch", "crawl",
    "reach", "grip", "balance", "shift",
}  # fmt: skip
ZONES = {"floor_waist", "waist_shoulder", "overhead", "forward"}
RECOMMENDED = {
    "meets": "ready",
    "meets_with_restrictions": "ready_with_restrictions",
    "not_yet": "not_ready",
    "insufficient_data": "not_ready",
}


def on_case_opened(state: State, event: Event) -> Answer:
    fresh: Json = {
        "phase": "opened", "clinic": event.data["clinic"], "opened_on": event.data["opened_on"], "log": [],
        "closed_through": None, "withdrawn": None,
    }  # fmt: skip
    return state or fresh, []


def on_plan_issued(state: State, event: Event) -> Answer:
    if state is None:
        raise Waits
    if state["phase"] == "opened":
        state |= {
            "phase": "in_program", "status": "judging", "plan": _in_hand(event.data), "judged_through": None,
            "cleared_through": None, "weeks_judged": 0, "holds": 0, "stalled": 0, "best": {},
            "readiness": None, "awaits": None, "corrected": None,
        }  # fmt: skip
        return _settled(state, event)
    if state["phase"] == "in_program" and state["weeks_judged"] == 0:
        _take_in_hand(state, event.data)
        return _settled(state, event)
    return state, []


def on_plan_revised(state: State, event: Event) -> Answer:
    """The plan that answers the verdict; a frozen one plans no week."""
    if state is None or state["phase"] == "opened":
        raise Waits
    plan = event.data
    if state["phase"] == "closed" or state["awaits"] != plan["answers"]:
        return state, []
    if plan["frozen"]:
        state["status"] = "frozen"  # an assessment with alerts freezes too, whatever the verdict was
        return _settled(state, event)
    if state["status"] == "frozen":
        state["cleared_through"] = _days(plan.get("assessed_on") or plan["effective_from"], -1)
    _take_in_hand(state, plan)
    state |= {"status": "judging", "awaits": None}
    return _settled(state, event)


def _take_in_hand(state: Json, plan: Json) -> None:
    state["plan"] = _in_hand(plan)
    known = state["corrected"]
    if known and (known["job"], known["baseline_pain"]) == (plan["job"], plan["baseline_pain"]):
        state["corrected"] = None


def _in_hand(plan: Json) -> Json:
    return {
        "version": plan["plan_version"],
        "job": plan["job"],
        "baseline_pain": plan["baseline_pain"],
        "total_weeks": plan["total_weeks"],
        "week": plan["weeks"][0],
    }


def on_session_recorded(state: State, event: Event) -> Answer:
    state = _open(state)
    session = event.data["session"]
    _recordable(state, session, event)
    if any(each["held_on"] == session["held_on"] for each in sessions.standing(state["log"])):
        raise Refused("session_exists")
    state["log"].append(sessions.report(event.id, session, state["closed_through"]))
    return state, _counted(state, event, 0)


def on_session_corrected(state: State, event: Event) -> Answer:
    state = _open(state)
    session, replaced = event.data["session"], event.data["supersedes"]
    _recordable(state, session, event)
    if all(each["id"] != replaced for each in state["log"]):
        raise Refused("session_unknown")
    if any(each["replaces"] == replaced for each in state["log"]):
        raise Refused("session_superseded")
    there = [each["id"] for each in sessions.standing(state["log"]) if each["held_on"] == session["held_on"]]
    if there and there[0] != replaced:
        raise Refused("session_exists")
    state["log"].append(sessions.report(event.id, session, state["closed_through"], replaced))
    return state, _counted(state, event, 0)


def on_day_closed(state: State, event: Event) -> Answer:
    """An absence is now an absence."""
    if state is None:
        raise Waits
    if state["phase"] == "closed" or state["withdrawn"]:
        return state, []
    if _to_come(event.data["through"], event):
        raise Refused("day_to_come")
    if event.data["through"] <= (state["closed_through"] or ""):
        return state, []
    state["closed_through"] = event.data["through"]
    return _settled(state, event) if state["phase"] == "in_program" else (state, [])


def on_case_withdrawn(state: State, event: Event) -> Answer:
    """What was closed before is judged first. Without a plan and a session there is nothing to judge."""
    if state is None:
        raise Waits
    if state["phase"] == "closed" or state["withdrawn"]:
        return state, []
    if state["phase"] == "opened" and not state["log"]:
        state["weeks_judged"], state["readiness"] = 0, None
        return _closed(state, "withdrawn", event.data["withdrawn_on"], event.data["reason_code"])
    state["withdrawn"] = {**event.data, "closed_through": state["closed_through"]}
    return _settled(state, event) if state["phase"] == "in_program" else (state, [])


def on_readiness_signed(state: State, event: Event) -> Answer:
    """A fresh assessment is signed, against its recommendation only with a reason; signed again, it is corrected."""
    if state is None:
        raise Waits
    signed, on = event.data, event.day.isoformat()
    if state["phase"] == "opened" and not state["withdrawn"]:
        raise Refused("readiness_unknown")
    open_ = state["phase"] == "in_program" and not state["withdrawn"]
    if not open_ and not (state["phase"] == "closed" and state["signed"]):
        raise Refused("readiness_expired" if state.get("outcome") == "not_ready" else "case_closed")
    alerted = (
        any(each["alerts"] and verdict.is_news(each, state) for each in sessions.standing(state["log"]))
        if open_
        else state["alerted"]
    )
    corrects = not open_ and state["ready_event"] is not None
    readiness = state["readiness"]
    if readiness is None:
        raise Refused("readiness_unknown")
    if signed["readiness_event"] != readiness["id"] or (open_ and _waits_for_plan(state, state["closed_through"])):
        raise Refused("readiness_superseded")
    if on > readiness["expires_on"] and not corrects:
        raise Refused("readiness_expired")
    if signed["role"] not in numbers.SIGNERS:
        raise Refused("role_not_allowed")
    if not all(_may_be_told(each, readiness["job"]) for each in signed.get("restrictions", [])):
        raise Refused("restriction_not_allowed")
    recommended = "not_ready" if alerted else RECOMMENDED[readiness["readiness"]]
    contradicts = signed["decision"] != recommended
    if contradicts and signed.get("reason_code") is None:
        raise Refused("reason_required")

    refused = signed["decision"] == "not_ready"
    if open_ and refused and not readiness["final"]:
        return state, []
    if not open_ and refused:
        if state["ready_event"] is None:
            return state, []
        reason = signed.get("reason_code") or "signed_not_ready"
        return _revoked(state, signed["effective_from"], signed["role"], reason)
    said: list[tuple[str, Json]] = []
    supersedes = None if open_ else state["ready_event"]
    if not refused:
        kept = ("readiness_event", "decision", "restrictions", "effective_from", "effective_through", "role")
        ready = {name: signed.get(name) for name in kept}
        ready["restrictions"] = ready["restrictions"] or []
        ready |= {"clinic": state["clinic"], "contradicts": contradicts, "supersedes": supersedes}
        said.append(("progress.readiness.ready", ready))
    if open_:
        reason = signed.get("reason_code") or "signed_not_ready" if refused else "signed"
        state, closing = _closed(state, signed["decision"], on, reason)
        said += closing
        state |= {"signed": True, "alerted": alerted}
    state["outcome"] = signed["decision"]
    state["ready_event"] = None if refused else own_id("progress", event, 0)
    return state, said


def on_readiness_withdrawn(state: State, event: Event) -> Answer:
    if state is None:
        raise Waits
    if state["phase"] != "closed" or state["ready_event"] is None:
        raise Refused("nothing_to_withdraw")
    if event.data["role"] not in numbers.SIGNERS:
        raise Refused("role_not_allowed")
    return _revoked(state, event.data["withdrawn_on"], event.data["role"], event.data["reason_code"])


def on_follow_up_recorded(state: State, event: Event) -> Answer:
    """The latest word for each month; it waits for the case to be closed."""
    if state is None or state["phase"] != "closed":
        raise Waits
    known = state["follow_ups"].get(str(event.data["month"]))
    if known is None or known["as_of"] <= event.data["as_of"]:
        state["follow_ups"][str(event.data["month"])] = event.data
    return state, []


def _settled(state: Json, event: Event) -> Answer:
    """Take every step that the facts allow; a withdrawal comes last."""
    said: list[tuple[str, Json]] = []
    while state["phase"] == "in_program":
        said += _counted(state, event, len(said))
        leaving = state["withdrawn"]
        closed = (leaving["closed_through"] if leaving else state["closed_through"]) or ""
        readiness, week = state["readiness"], state["plan"]["week"]
        due = _judged_on(state, week["starts_on"], week["ends_on"], closed)
        if state["status"] == "judging" and due:
            state, more = _judged(state, due, event, len(said))
        elif state["status"] == "awaiting_signature" and closed > readiness["expires_on"]:
            state, more = _closed(state, "not_ready", readiness["expires_on"], "unsigned")
        elif state["status"] == "frozen" and closed >= (last := _days(week["ends_on"], 7 * numbers.FROZEN_WEEKS)):
            state, more = _closed(state, "discontinued", last, "frozen_too_long")
        elif leaving and not _waits_for_plan(state, closed):
            state, more = _closed(state, "withdrawn", leaving["withdrawn_on"], leaving["reason_code"])
        else:
            break
        said += more
    return state, said


def _judged(state: Json, through: str, event: Event, before: int) -> tuple[Json, list[tuple[str, Json]]]:
    plan, week = state["plan"], state["plan"]["week"]
    found = verdict.judge(state, through)
    clinic = {"clinic": state["clinic"], "week": week["number"]}
    final = week["number"] >= plan["total_weeks"] or found["discontinue"]
    said: list[tuple[str, Json]] = []
    if not found["alerts"] and found["attended"] + found["excused"] < week["days"]:
        lapsed = {"planned": week["days"], "attended": found["attended"], "through": week["ends_on"]}
        said.append(("progress.attendance.lapsed", clinic | lapsed))
    verdict_id = own_id("progress", event, before + len(said))
    judged = {
        "total_weeks": plan["total_weeks"],
        "starts_on": week["starts_on"],
        "through": through,
        "plan_version": plan["version"],
        "attendance": found["attendance"],
        "reasons": found["reasons"],
        "final": final,
    }
    said.append((EVENTS[found["verdict"]], clinic | judged))
    state |= {
        "judged_through": through,
        "weeks_judged": state["weeks_judged"] + 1,
        "holds": state["holds"] + 1 if found["verdict"] == "hold" else 0,
        "stalled": found["stalled"],
        "best": {
            name: max(found["best"].get(name, 0.0), state["best"].get(name, 0.0))
            for name in found["best"].keys() | state["best"].keys()
        },
        "awaits": verdict_id,
    }
    if found["discontinue"]:
        state, closing = _closed(state, "discontinued", week["ends_on"], "no_compliance_or_gain")
        return state, said + closing
    if final or week["number"] >= numbers.READINESS_FROM:
        known = sum(sessions.in_time(each, through) for each in state["log"])
        plan = anew.as_known(plan, state["corrected"], through)
        on = {"plan": plan, "through": through, "alerts": found["alerts"], "reports": known}
        assessed = verdict.assess(plan, through, found["view"], found["alerts"])[0] | {"final": final}
        state["readiness"] = {name: assessed[name] for name in ("readiness", "expires_on", "final")}
        state["readiness"] |= {"id": own_id("progress", event, before + len(said)), "job": plan["job"]["demands"]}
        state["readiness"]["on"] = on
        said.append(("progress.readiness.assessed", clinic | assessed | {"supersedes": None}))
    state["status"] = "awaiting_signature" if final else "frozen" if found["verdict"] == "escalate" else "awaiting_plan"
    if final:
        state["awaits"] = None
    return state, said


def _counted(state: Json, event: Event, before: int) -> list[tuple[str, Json]]:
    """What is said anew for the reports that came since the latest readiness."""
    if state["phase"] != "in_program" or state["readiness"] is None:
        return []
    return anew.by_reports(state, event, before, lambda closed: _gone_on(state, closed))


def _gone_on(state: Json, closed: str) -> bool:
    """Whether, with that day closed, the next week is due or the case is over."""
    week = state["plan"]["week"]
    match state["status"]:
        case "judging":
            return _judged_on(state, week["starts_on"], week["ends_on"], closed) is not None
        case "frozen":
            return closed >= _days(week["ends_on"], 7 * numbers.FROZEN_WEEKS)
        case "awaiting_signature":
            return closed > state["readiness"]["expires_on"]
        case _:
            return _waits_for_plan(state, closed)


def _closed(state: Json, outcome: str, on: str, reason: str) -> tuple[Json, list[tuple[str, Json]]]:
    said = {
        "clinic": state["clinic"],
        "closed_on": on,
        "outcome": outcome,
        "reason_code": reason,
        "weeks_judged": state["weeks_judged"],
    }
    after: Json = {
        "phase": "closed", "clinic": state["clinic"], "outcome": outcome, "readiness": state["readiness"],
        "signed": False, "alerted": False, "ready_event": None, "follow_ups": {}, "withdrawn": None, "awaits": None,
    }  # fmt: skip
    return after, [("progress.case.closed", said)]


def _revoked(state: Json, on: str, role: str, reason: str) -> Answer:
    said = {"clinic": state["clinic"], "supersedes": state["ready_event"], "revoked_on": on, "role": role}
    state |= {"outcome": "not_ready", "ready_event": None}
    return state, [("progress.readiness.revoked", said | {"reason_code": reason})]


def _waits_for_plan(state: Json, closed: str | None) -> bool:
    """Whether a closed week is only not judged because its plan has not come."""
    if state["status"] != "awaiting_plan":
        return False
    judged = state["judged_through"]
    return _judged_on(state, _days(judged, 1), _days(judged, 7), closed or "") is not None


def _judged_on(state: Json, starts_on: str, ends_on: str, closed: str) -> str | None:
    """The day whose closing judges a week: the first by which a safety alert is known, or its last."""
    day = starts_on
    while day <= min(ends_on, closed):
        known = sessions.as_of(state["log"], day)
        if any(each["alerts"] and each["held_on"] <= day and verdict.is_news(each, state) for each in known):
            return day
        day = _days(day, 1)
    return ends_on if closed >= ends_on else None


def _recordable(state: Json, session: Json, event: Event) -> None:
    if _to_come(session["held_on"], event):
        raise Refused("held_on_to_come")
    if session["held_on"] < _days(state["opened_on"], -numbers.EARLIEST_DAYS):
        raise Refused("held_on_out_of_range")
    if len(state["log"]) >= numbers.REPORTS:
        raise Refused("too_many_reports")


def _to_come(day: str, event: Event) -> bool:
    return (date.fromisoformat(day) - event.day).days > numbers.AHEAD_DAYS


def _may_be_told(restriction: Json, job: list[Json]) -> bool:
    """Of what an employer is told, word for word: a documented activity or zone, or one of the job's."""
    physical = {demand["kind"] for demand in job if demand["kind"] not in verdict.MENTAL}
    zones = {demand.get("zone") for demand in job}
    return restriction["activity"] in ACTIVITIES | physical and restriction.get("zone") in ZONES | zones | {None}


def _open(state: State) -> Json:
    if state is None:
        raise Waits
    if state["phase"] == "closed" or state["withdrawn"]:
        raise Refused("case_closed")
    return state


def _days(day: str, count: int) -> str:
    return (date.fromisoformat(day) + timedelta(days=count)).isoformat()


MODEL = Model(
    "progress",
    {
        "intake.case.opened": on_case_opened,
        "intake.assessment.completed": anew.on_assessment_completed,
        "planning.plan.issued": on_plan_issued,
        "planning.plan.revised": on_plan_revised,
        "clinic.session.recorded": on_session_recorded,
        "clinic.session.corrected": on_session_corrected,
        "clinic.day.closed": on_day_closed,
        "clinic.case.withdrawn": on_case_withdrawn,
        "clinic.readiness.signed": on_readiness_signed,
        "clinic.readiness.withdrawn": on_readiness_withdrawn,
        "clinic.follow_up.recorded": on_follow_up_recorded,
        "clinic.case.erased": on_erased,
    },
)
