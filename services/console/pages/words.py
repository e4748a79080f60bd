"""How the pages say things: codes as words, dates in one form, amounts with their units. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from workhardening_contracts.clinic import Restriction
from workhardening_contracts.progress import Forecast, TrendWarning
from workhardening_contracts.quantity import Quantity

# Only what a code's own words do not say well enough; all others are said as they are.
_SAID = {
    "phq9_item9": "PHQ-9 item 9",
    "alert.phq9_item9": "PHQ-9 item 9 reported",
    "alert.red_flag": "Red flag reported",
    "floor_waist": "floor to waist",
    "waist_shoulder": "waist to shoulder",
    "shift": "Shift hours",
    "work_hours": "Working hours",
    "in_program": "In the program",
    "opened": "Plan on its way",
    "referred": "Information needed",
    "meets": "Meets the job",
    "meets_with_restrictions": "Meets it with restrictions",
    "not_yet": "Not yet",
    "insufficient_data": "Not enough data",
    "ready": "Ready for work",
    "ready_with_restrictions": "Ready with restrictions",
    "not_ready": "Not ready",
    "revoked": "No longer stands",
    "no_restrictions": "Able to work without restrictions",
    "with_restrictions": "Able to work with restrictions",
    "unable": "Unable to work",
    "demand_unmet": "Demand not met",
    "demand_not_shown": "Demand not shown in time",
    "hours_not_shown": "Shift hours not tolerated on enough days",
    "confidence_unknown": "Confidence not high enough, or not known",
    "veto": "Safety veto",
    "information": "Information",
    "no_consent": "Nothing is told: the worker has not consented, and no other legal basis stands.",
    "stopped": "Nothing is told: telling this employer is stopped.",
    "nothing_new": "Nothing is told: the employer knows this already.",
    "work_status": "Work status",
    "program_week": "Week of the program",
    "demands_met": "How many demands are met",
    "webhook": "Webhook",
    "kafka": "Kafka topic",
    "pull": "Pulled by the employer",
}


def words(code: str | None) -> str:
    """A code as words, e.g. `pain_flare` as `Pain flare`. Nothing for None."""
    if code is None:
        return ""
    said = _SAID.get(code) or code.replace("_", " ").replace(".", ": ")
    return said[:1].upper() + said[1:]


def lower(code: str | None) -> str:
    """As `words`, for the middle of a sentence; names that are not plain words keep their capitals."""
    said = words(code)
    return said if said[:3].isupper() else said[:1].lower() + said[1:]


def demand(key: str) -> str:
    """A demand's key `kind/zone/frequency` in words, e.g. `Lift, floor to waist, occasional`."""
    kind, *rest = key.split("/")
    return ", ".join([words(kind), *(lower(part) for part in rest if part != "-")])


def number(amount: float) -> str:
    """An amount as people write it: at most two decimals, none where there is nothing to say."""
    return f"{amount:.2f}".rstrip("0").rstrip(".")


def quantity(measured: Quantity | None) -> str:
    """An amount with its unit, e.g. `22.5 kg`; a dash where there is none."""
    return "–" if measured is None else amount(measured.amount, measured.unit)


def amount(value: float | None, unit: str) -> str:
    """As `quantity`, from its parts."""
    if value is None:
        return "–"
    return number(value) if unit == "score" else f"{number(value)} {unit}"


def percent(share: float) -> str:
    """0 to 1 as a percentage."""
    return f"{share * 100:.0f} %"


def day(on: date | str | None) -> str:
    """The one form of a date: `3 Mar 2025`. Takes ISO text, too, as updates hold it."""
    if on is None or on == "":
        return "–"
    parsed = date.fromisoformat(on) if isinstance(on, str) else on
    return f"{parsed.day} {parsed:%b %Y}"


def moment(at: datetime) -> str:
    """The one form of a time: `3 Mar 2025, 09:30 UTC`."""
    there = at.astimezone(UTC)
    return f"{there.day} {there:%b %Y, %H:%M} UTC"


def iso(at: date | datetime | str) -> str:
    """What a machine reads of a date or a time."""
    if isinstance(at, datetime):
        return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return at if isinstance(at, str) else at.isoformat()


def age(seconds: float | None) -> str:
    """How long, in the largest unit that says it: `45 s`, `12 min`, `3 h`, `2 d`."""
    if seconds is None:
        return "–"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def short(ref: UUID | str) -> str:
    """A case reference short enough for a table: both ends, since those of one day begin alike."""
    text = str(ref)
    return f"{text[:8]}…{text[-4:]}"


def restriction(told: Restriction) -> str:
    """A restriction as one line, e.g. `Lift, floor to waist, occasional: at most 10 kg`."""
    return limit(told.model_dump(mode="json"))


def limit(told: dict[str, Any]) -> str:
    """As `restriction`, from the JSON that an employer gets."""
    about = [words(told["activity"]), *(lower(told[part]) for part in ("zone", "frequency") if told.get(part))]
    most = told.get("limit")
    return f"{', '.join(about)}: {'not at all' if most is None else 'at most ' + amount(most['amount'], most['unit'])}"


def forecast(expected: Forecast) -> str:
    """When the critical demands are expected to be met, as a sentence."""
    if expected.status == "reached":
        return "The critical demands are met."
    if expected.status == "insufficient_data" or expected.week is None:
        return "Not enough data to say when the critical demands will be met."
    text = f"The critical demands are expected to be met in week {number(round(expected.week, 1))}"
    if expected.earliest is None or expected.latest is None:
        return text + "."
    return f"{text} (80 % interval: {number(round(expected.earliest, 1))} to {number(round(expected.latest, 1))})."


def warning(told: TrendWarning) -> str:
    """A trend as a sentence, with its evidence."""
    finding = "expected only after the last week" if told.code == "late" else lower(told.code)
    low, middle, high = (number(100 * slope) for slope in (told.slope_low, told.slope, told.slope_high))
    return (
        f"{demand(told.demand)}: {finding}. Weeks {told.from_week} to {told.through_week}: {middle} % of what the job"
        f" requires gained a week (80 % interval: {low} to {high})."
    )


def listed(codes: Sequence[str]) -> str:
    """Codes as one line."""
    return ", ".join([words(code) if index == 0 else lower(code) for index, code in enumerate(codes)])


FILTERS: dict[str, Any] = {
    "age": age, "amount": amount, "day": day, "demand": demand, "forecast": forecast, "iso": iso, "limit": limit,
    "listed": listed, "lower_words": lower, "moment": moment, "number": number, "percent": percent,
    "quantity": quantity, "restriction": restriction, "short": short, "warning": warning, "words": words,
}  # fmt: skip
