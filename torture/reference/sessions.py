"""A case's reports of sessions, and what they show. A report knows the last day that was closed before it came."""

from __future__ import annotations

from datetime import date, timedelta

from torture.reference import numbers
from torture.reference.replay import Json

DAY = timedelta(days=1)


def report(id_: str, session: Json, closed: str | None, replaces: str | None = None) -> Json:
    """One report of one session."""
    alerts = [
        name
        for name, raised in [
            ("red_flag", bool(session.get("red_flags"))),
            ("safety_stop", session.get("safety_stop", False)),
            ("phq9_item9", (session.get("phq9_item9") or 0) > 0),
        ]
        if raised
    ]
    return {"id": id_, "replaces": replaces, "after": closed, "alerts": alerts, **session}


def standing(log: list[Json]) -> list[Json]:
    """The reports that no other replaces, by date."""
    replaced = {each["replaces"] for each in log}
    return sorted((each for each in log if each["id"] not in replaced), key=lambda each: str(each["held_on"]))


def in_time(each: Json, closed: str) -> bool:
    """Whether it was reported before that day was closed."""
    return each["after"] is None or each["after"] < closed


def as_of(log: list[Json], closed: str) -> list[Json]:
    """What was known when that day was closed: a verdict rests on nothing else, whenever it is made."""
    return standing([each for each in log if in_time(each, closed)])


def attended(sessions: list[Json]) -> list[Json]:
    """A session that was cut short was attended."""
    return [each for each in sessions if each["attendance"] in ("attended", "partial")]


def shown(sessions: list[Json]) -> list[Json]:
    """What was done, and what holds for the whole day: its hours and the confidence that was stated."""
    found: list[Json] = []
    for each in sessions:
        found += each.get("performed", [])
        found.append(_all_day("shift", each["hours"], "h"))
        if each.get("confidence") is not None:
            found.append(_all_day("confidence", each["confidence"], "score"))
    return found


def _all_day(kind: str, amount: float, unit: str) -> Json:
    return {"kind": kind, "frequency": "constant", "amount": {"amount": amount, "unit": unit}}


def pains(sessions: list[Json]) -> list[float | None]:
    """For each attended session the pain 24 hours later: as reported, or as the next day's session began."""
    found: list[float | None] = []
    for nth, each in enumerate(sessions):
        pain = each.get("pain_next_day")
        if pain is None and nth + 1 < len(sessions):
            tomorrow = (date.fromisoformat(each["held_on"]) + DAY).isoformat()
            pain = sessions[nth + 1].get("pain_before") if sessions[nth + 1]["held_on"] == tomorrow else None
        found.append(pain)
    return found


def flares(sessions: list[Json], baseline: float) -> tuple[int, int]:
    """Sessions with pain still raised 24 h later, and those of which it is not known and was raised right after."""
    raised = flare_at(baseline)
    count = unknown = 0
    lasting = False
    for each, pain in zip(sessions, pains(sessions), strict=True):
        if pain is not None:
            # Raised after one session and still after the next is one flare that has not settled.
            count += pain >= raised and not lasting
            lasting = pain >= raised
        elif each.get("pain_after") is not None and each["pain_after"] < raised:
            lasting = False
        else:
            unknown += 1
    return count, unknown


def flare_at(baseline: float) -> float:
    """The pain from which it is a flare."""
    return min(10.0, baseline + numbers.FLARE) - 1e-9
