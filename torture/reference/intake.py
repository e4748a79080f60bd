"""Intake: is the referral accepted, what is missing, is the assessment complete, who consented to what."""

from __future__ import annotations

from datetime import date
from typing import Any

from torture.reference import numbers
from torture.reference.replay import Event, Json, Model, Refused, State, Waits, on_erased

FURTHER = ["demanding_job", "difficulty_with_duties", "reinjury_risk", "gradual_exposure_needed"]
NEEDED = ["job_demand_profile", "tolerance_hours_per_day", "tolerance_days_per_week"]
"""Gates whose value the plan is computed from: no override stands in for a value that is absent."""
PARTS = ["history_flags", "physical_examination", "posture", "mobility", "functional_tests", "baseline_pain"]


def decide(referral: Json, on: date) -> Json:
    """Accepted, declined or information needed: an answer that is open bars nothing, and leads to nothing."""
    answers = _answers(referral, on)
    used, refused = _overrides(referral, answers)
    effective = {name: "yes" if name in used else answer for name, answer in answers.items()}
    further = [effective[name] for name in FURTHER]
    enough = further.count("yes") >= numbers.FURTHER_CRITERIA
    hopeless = not enough and further.count("no") > len(FURTHER) - numbers.FURTHER_CRITERIA
    barred = [n for n, a in effective.items() if a == "no" and (n not in FURTHER or hopeless)]
    asked = [n for n, a in effective.items() if a == "unknown" and (n not in FURTHER or not (enough or hopeless))]
    verdict = "declined" if barred else "information_needed" if asked else "accepted"
    return {
        "verdict": verdict,
        "met": [n for n, a in answers.items() if a == "yes"],
        "unmet": [n for n, a in answers.items() if a == "no"],
        "unknown": [n for n, a in answers.items() if a == "unknown"],
        "missing": asked if verdict == "information_needed" else [],
        "overrides": list(used.values()),
        "refused": refused,
    }


def _answers(referral: Json, on: date) -> dict[str, str]:
    criteria = referral["criteria"]
    injured = date.fromisoformat(referral["injury"]["occurred_on"])
    latest = (injured.year + numbers.INJURY_YEARS, injured.month, injured.day)
    recent = _yes((on.year, on.month, on.day) <= latest)
    return {
        "workplace_injury": criteria["workplace_injury"],
        **{name: criteria[name] for name in FURTHER},
        "return_to_work_goal": referral["return_to_work_goal"],
        "job_demand_profile": "yes" if referral.get("job") else "unknown",
        "medical_clearance": referral["medical_clearance"],
        "red_flags": _yes(not numbers.BARRING & set(referral.get("red_flags", []))),
        "treatment_consent": referral["treatment_consent"],
        "tolerance_hours_per_day": _at_least(referral.get("tolerance_hours_per_day"), numbers.LEAST_HOURS),
        "tolerance_days_per_week": _at_least(referral.get("tolerance_days_per_week"), numbers.LEAST_DAYS),
        "injury_age": recent,
        "authorisation": _authorised(referral.get("authorisation"), on),
    }


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _at_least(value: float | None, least: float) -> str:
    return "unknown" if value is None else _yes(value >= least)


def _authorised(authorisation: Json | None, on: date) -> str:
    if not authorisation or not authorisation["required"]:
        return "yes"
    begins, ends = authorisation.get("valid_from"), authorisation.get("valid_through")
    if (begins and date.fromisoformat(begins) > on) or (ends and date.fromisoformat(ends) < on):
        return "no"
    return "yes" if begins and ends else "unknown"


def _overrides(referral: Json, answers: dict[str, str]) -> tuple[dict[str, Json], list[str]]:
    """The first override of each answer that may be set aside, and those that are refused."""
    used: dict[str, Json] = {}
    refused: list[str] = []
    for override in referral.get("overrides", []):
        name = override["criterion"]
        if name not in answers:
            refused.append("override_names_nothing")
        elif answers[name] == "yes" or name in used:
            continue
        elif name == "treatment_consent" or (answers[name] == "unknown" and name in NEEDED):
            refused.append(name)
        elif override["role"] not in numbers.OVERRIDERS:
            refused.append(f"{name} by this role")
        else:
            used[name] = override
    return used, list(dict.fromkeys(refused))


def on_referral_received(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    if state and state["phase"] == "closed":
        raise Refused("case_closed")
    if state and state["opened"]:
        raise Refused("case_exists")
    fresh: Json = {
        "clinic": event.source.removeprefix("/clinics/"), "grants": [], "ids": [], "parts": [], "told": [],
        "told_alerts": [], "opened": None, "completed": None, "completions": 0,
    }  # fmt: skip
    return _referred(state or fresh, event)


def on_referral_corrected(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    state = _live(state)
    if event.data["supersedes"] not in state["ids"]:
        raise Refused("supersedes_unknown")
    return _referred(state, event)


def _referred(state: Json, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    if _to_come(event.data["referral"]["injury"]["occurred_on"], event):
        raise Refused("occurred_on_to_come")
    state["ids"] = [*state["ids"], event.id][-numbers.CORRECTIONS :]
    state["referral"] = event.data["referral"]
    state["decision"] = decide(event.data["referral"], event.day)
    return _settled(state, event, assessed=False)


def on_assessment_recorded(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    state = _live(state)
    if _to_come(event.data["assessed_on"], event):
        raise Refused("assessed_on_to_come")
    if any(_to_come(test["measured_on"], event) for test in _tests(event.data)):
        raise Refused("measured_on_to_come")
    corrects = event.data.get("supersedes")
    part = {"ids": [event.id], "round": state["completions"], "data": event.data}
    known = next((old for old in state["parts"] if corrects in old["ids"]), None)
    if corrects is not None and known is None:
        raise Refused("supersedes_unknown")
    if known is None and len(state["parts"]) >= numbers.PARTS:
        raise Refused("too_many_parts")
    if known is not None:
        known["ids"] = [*known["ids"], event.id][-numbers.CORRECTIONS :]
        known["data"] = event.data
    else:
        state["parts"].append(part)
    return _settled(state, event, assessed=True)


def _settled(state: Json, event: Event, *, assessed: bool) -> tuple[State, list[tuple[str, Json]]]:
    """Say what has become known."""
    said: list[tuple[str, Json]] = []
    decision, referral = state["decision"], state["referral"]
    accepted, declined = decision["verdict"] == "accepted", decision["verdict"] == "declined"
    clinic = {"clinic": state["clinic"]}
    alerts = _alerts(state["parts"])
    news = not set(alerts) <= set(state["told_alerts"])
    if declined and (news or not assessed):
        said.append(("intake.case.declined", clinic | {"unmet": decision["unmet"], "alerts": alerts}))
    if accepted:
        opened = clinic | {
            "worker_ref": referral["worker_ref"],
            "employer": referral.get("employer"),
            "employee_key": referral.get("employee_key"),
            "opened_on": state["opened"]["opened_on"] if state["opened"] else event.day.isoformat(),
        }
        whole = opened | {"why": {name: decision[name] for name in decision if name not in ("verdict", "missing")}}
        if whole != state["opened"]:
            said.append(("intake.case.opened", opened))
        state["opened"] = whole
    parts_missing = _parts_missing(state["parts"])
    missing = [] if declined else [*decision["missing"], *(parts_missing if state["parts"] else [])]
    if missing and (missing != state["told"] or news):
        said.append(("intake.information.needed", clinic | {"missing": missing, "alerts": alerts}))
    completed = _completed(state, alerts) if accepted and not parts_missing else None
    if completed is not None and (assessed or completed != state["completed"]):
        said.append(("intake.assessment.completed", completed))
        state["completions"] += 1
    if completed is not None:
        state["completed"] = completed
    state["told"], state["told_alerts"] = missing, alerts
    state["phase"] = "assessed" if completed else "opened" if accepted else "declined" if declined else "pending"
    return state, said


def _to_come(day: str, event: Event) -> bool:
    return (date.fromisoformat(day) - event.day).days > numbers.AHEAD_DAYS


def _tests(assessment: Json) -> list[Json]:
    return assessment.get("functional_tests") or []


def _parts_missing(parts: list[Json]) -> list[str]:
    def has(data: Json, name: str) -> bool:
        # An examination may find nothing; mobility and functional tests are measurements.
        return bool(data.get(name)) if name in ("mobility", "functional_tests") else data.get(name) is not None

    return [f"assessment.{name}" for name in PARTS if not any(has(part["data"], name) for part in parts)]


def _alerts(parts: list[Json]) -> list[str]:
    """PHQ-9 item 9 until it is answered 0; red flags of the latest round of assessment."""
    item9 = [part["data"]["phq9_item9"] for part in _by_day(parts) if part["data"].get("phq9_item9") is not None]
    last = max((part["round"] for part in parts), default=0)
    flagged = any(part["data"].get("red_flags") for part in parts if part["round"] == last)
    return ["phq9_item9"] * (item9[-1:] > [0]) + ["red_flag"] * flagged


def _by_day(parts: list[Json]) -> list[Json]:
    return sorted(parts, key=lambda part: str(part["data"]["assessed_on"]))


def _completed(state: Json, alerts: list[str]) -> Json:
    parts, referral = _by_day(state["parts"]), state["referral"]
    baseline: dict[Any, Json] = {}
    for part in parts:
        for test in _tests(part["data"]):
            named = (test["kind"], test.get("zone"), test["frequency"])
            if named not in baseline or test["measured_on"] >= baseline[named]["measured_on"]:
                baseline[named] = test
    authorisation: Json = referral.get("authorisation") or {}
    return {
        "clinic": state["clinic"],
        "assessed_on": parts[-1]["data"]["assessed_on"],
        "job": referral["job"],
        "baseline": list(baseline.values()),
        "baseline_pain": [p["data"]["baseline_pain"] for p in parts if p["data"].get("baseline_pain") is not None][-1],
        "tolerance_hours_per_day": referral["tolerance_hours_per_day"],
        "tolerance_days_per_week": referral["tolerance_days_per_week"],
        "authorised_weeks": authorisation.get("weeks"),
        "authorised_hours_per_day": authorisation.get("hours_per_day"),
        "alerts": alerts,
    }


def on_consent_recorded(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    """The last word for each employer and scope."""
    if state is None:
        raise Waits
    said = event.data
    given = [
        {"employer": said["employer"], "scope": scope}
        | {name: said.get(name) for name in ("basis", "valid_from", "valid_through")}
        for scope in dict.fromkeys(said["scopes"])
    ]
    grants = [*_without(state["grants"], said), *given]
    if len(grants) > numbers.GRANTS:
        raise Refused("too_many_grants")
    return _consented(state, grants)


def on_consent_revoked(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    if state is None:
        raise Waits
    return _consented(state, _without(state["grants"], event.data))


def _without(grants: list[Json], said: Json) -> list[Json]:
    return [g for g in grants if g["employer"] != said["employer"] or g["scope"] not in said["scopes"]]


def _consented(state: Json, grants: list[Json]) -> tuple[State, list[tuple[str, Json]]]:
    state["grants"] = sorted(grants, key=lambda grant: (grant["employer"], grant["scope"]))
    return state, [("intake.consent.changed", {"clinic": state["clinic"], "grants": state["grants"]})]


def on_closed(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    if state is None:
        raise Waits
    return {"phase": "closed", "clinic": state["clinic"], "grants": state["grants"], "opened": None}, []


def on_rejected(state: State, event: Event) -> tuple[State, list[tuple[str, Json]]]:
    """Only a receipt changes."""
    return state, []


def _live(state: State) -> Json:
    if state is None:
        raise Waits
    if state["phase"] == "closed":
        raise Refused("case_closed")
    return state


MODEL = Model(
    "intake",
    {
        "clinic.referral.received": on_referral_received,
        "clinic.referral.corrected": on_referral_corrected,
        "clinic.assessment.recorded": on_assessment_recorded,
        "clinic.consent.recorded": on_consent_recorded,
        "clinic.consent.revoked": on_consent_revoked,
        "clinic.case.withdrawn": on_closed,
        "progress.case.closed": on_closed,
        "clinic.case.erased": on_erased,
        "rejections.event.rejected": on_rejected,
    },
)
