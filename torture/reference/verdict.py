"""The weekly verdict and readiness, from the sessions that were known when the week was closed."""

from __future__ import annotations

from datetime import date, timedelta

from torture.reference import amounts, numbers, sessions
from torture.reference.replay import Json

MENTAL = ["concentration", "pace", "stress_tolerance", "confidence"]


def judge(case: Json, through: str) -> Json:
    """The week up to a day: the verdict, its reasons and what it counted. Never `advance` with something missing."""
    week, pain = case["plan"]["week"], case["plan"]["baseline_pain"]
    view = sessions.as_of(case["log"], through)
    held = [each for each in view if week["starts_on"] <= each["held_on"] <= through]
    late = [each for each in view if each["held_on"] < week["starts_on"] and is_news(each, case)]
    there = sessions.attended(held)
    excused = sum(each["attendance"] == "excused" for each in held)
    did = sessions.shown(there)
    tops = {amounts.key(target): amounts.best(did, target) for target in week["targets"]}
    counting = amounts.deciding(week["targets"])
    shares = [
        None if (top := tops[amounts.key(target)]) is None else amounts.share(top, target["amount"])
        for target in counting
    ]
    known = [share for share in shares if share is not None]
    flared, unknown = sessions.flares(there, pain)
    alerts = sorted({alert for each in [*held, *late] for alert in each["alerts"]})

    attendance = min(1.0, len(there) / week["days"])
    monday = (date.fromisoformat(week["starts_on"]) - timedelta(days=7)).isoformat()
    lately = [each for each in sessions.attended(view) if monday <= each["held_on"] < week["starts_on"]]
    second_flare = flared > 0 and flared + (sessions.flares(lately, pain)[0] > 0) >= 2
    mean = sum(min(1.0, share) for share in known) / len(known) if known else 1.0
    low = amounts.below(mean, numbers.REGRESS_BELOW)
    absent = amounts.below(attendance, numbers.ATTENDANCE)
    lacking = not shares or None in shares or any(amounts.below(min(1.0, s), numbers.ATTAINED) for s in known)
    hold = absent or lacking or flared > 0 or unknown > 0
    too_often = hold and case["holds"] >= numbers.HOLDS
    if alerts:
        verdict = "escalate"
    elif second_flare or low or too_often:
        verdict = "regress"
    else:
        verdict = "hold" if hold else "advance"

    complied = not amounts.below(len(there), numbers.ATTENDANCE * max(0, week["days"] - excused))
    best_so_far = case["best"]
    gained = any(
        (top := tops[name]) is not None and name in best_so_far and top > best_so_far[name] * (1 + numbers.GAIN)
        for name in map(amounts.key, counting)
    )
    stalled = 0 if complied or gained else case["stalled"] + (not alerts)
    did_late = sessions.shown([*there, *sessions.attended(late)])
    best = {amounts.key(t): top for t in counting if (top := amounts.best(did_late, t)) is not None}
    ends = verdict in ("hold", "regress") and stalled >= numbers.STALLED

    reasons = [[_of_target(tops[amounts.key(t)], t), amounts.key(t)] for t in week["targets"]]
    of_the_week = {
        **dict.fromkeys(alerts, True),
        "second_flare": second_flare,
        "attainment_low": low,
        "attendance_low": absent and not alerts,
        "pain_flare": flared > 0,
        "pain_not_reported": unknown > 0,
        "held_too_often": too_often,
        "late_session": bool(late),
        "discontinued": ends,
        "no_targets": not week["targets"],
    }
    reasons += [[code, None] for code, given in of_the_week.items() if given]
    return {
        "verdict": verdict,
        "reasons": sorted(reasons, key=str),
        "attendance": attendance,
        "attended": len(there),
        "excused": excused,
        "alerts": alerts,
        "stalled": stalled,
        "best": best,
        "discontinue": ends,
        "view": view,
    }


def _of_target(top: float | None, target: Json) -> str:
    if top is None:
        return "not_performed"
    missed = amounts.below(amounts.share(top, target["amount"]), numbers.ATTAINED)
    return "target_missed" if missed else "target_attained"


def is_news(each: Json, case: Json) -> bool:
    """Whether no verdict has counted this report, and no assessment has answered it since."""
    if case["cleared_through"] is not None and each["held_on"] <= case["cleared_through"]:
        return False
    judged = case["judged_through"]
    return judged is None or each["held_on"] > judged or not sessions.in_time(each, judged)


def assess(plan: Json, through: str, view: list[Json], alerts: list[str]) -> tuple[Json, Json]:
    """Readiness at the end of a day, and what else is told with it. What failed outranks what is not known."""
    since = (date.fromisoformat(through) - timedelta(days=numbers.RETEST_DAYS)).isoformat()
    valid = sessions.attended([each for each in view if since < each["held_on"] <= through])
    did = sessions.shown(valid)
    met: dict[str, bool | None] = {}
    most: dict[str, float | None] = {}
    for demand in plan["job"]["demands"]:
        top = most[amounts.key(demand)] = amounts.best(did, demand)
        met[amounts.key(demand)] = None if top is None else top >= _required(demand) * (1 - 1e-9)
    decide = amounts.deciding(plan["job"]["demands"])
    critical = [met[amounts.key(demand)] for demand in decide]
    other = [d for d in plan["job"]["demands"] if d not in decide and not met[amounts.key(d)]]
    restrictions = ["work_hours" if d["kind"] == "shift" else d["kind"] for d in other if d["kind"] not in MENTAL]
    confidence = _confidence(valid)
    shift = min(plan["job"]["shift_hours"], numbers.FULL_SHIFT)
    days = sum(not amounts.below(each["hours"], shift) for each in valid)
    known = [pain for pain in sessions.pains(valid) if pain is not None]
    unresolved = bool(known) and known[-1] >= sessions.flare_at(plan["baseline_pain"])
    vetoes = [*alerts, *(["unresolved_flare"] if unresolved else [])]
    failed = (
        bool(vetoes)
        or False in critical
        or (confidence is not None and confidence < numbers.CONFIDENCE)
        or (bool(valid) and days < numbers.SHIFT_DAYS)
    )
    if failed:
        readiness = "not_yet"
    elif not valid or confidence is None or None in critical or not any(map(_asked, valid)):
        readiness = "insufficient_data"
    else:
        readiness = "meets_with_restrictions" if restrictions else "meets"
    last_pain = valid[-1].get("pain_after") if valid else None
    beside = {
        "shown": most,
        "asked": [
            [amounts.key(each), each["critical"], _required(each), each["amount"]] for each in plan["job"]["demands"]
        ],
        "shift": [shift, plan["job"]["shift_hours"] > shift],
        "pain_above_baseline": last_pain is not None and last_pain > plan["baseline_pain"],
    }
    assessed = {
        "readiness": readiness,
        "standings": met,
        "restrictions": restrictions,
        "vetoes": vetoes,
        "confidence": confidence,
        "shift_hours_days": days,
        "assessed_through": through,
        "expires_on": (date.fromisoformat(through) + timedelta(days=numbers.RETEST_DAYS)).isoformat(),
    }
    return assessed, beside


def _required(demand: Json) -> float:
    """No more hours of a demand than the longest day of the program has."""
    amount, unit = demand["amount"]["amount"], demand["amount"]["unit"]
    longest = {"h": numbers.FULL_SHIFT, "min": numbers.FULL_SHIFT * 60}
    return min(amount, longest.get(unit, amount))


def _asked(session: Json) -> bool:
    """Whether pain was written down at all."""
    return any(session.get(name) is not None for name in ("pain_before", "pain_after", "pain_next_day"))


def _confidence(valid: list[Json]) -> float | None:
    """As the last session states it, or else as the last one shows it."""
    stated = [each["confidence"] for each in valid if each.get("confidence") is not None]
    if stated:
        return float(stated[-1])
    for each in reversed(valid):
        for done in each.get("performed", []):
            if done["kind"] == "confidence" and done["amount"]["unit"] == "score":
                return min(10.0, done["amount"]["amount"])
    return None
