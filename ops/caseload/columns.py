"""The columns of a caseload: what each is called, how its cells are written, and where in an event they go.

docs/import.md shows this table to clinics, and a test holds it to this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workhardening_contracts.clinic import AssessmentRecorded, ConsentRecorded, ReferralReceived
from workhardening_contracts.contract import EventData, Ref


class Unfit(ValueError):
    """A cell that is not written as its column wants. Holds the code and how to write it; never the cell."""

    def __init__(self, code: str, mend: str) -> None:
        super().__init__(code)
        self.code = code
        self.mend = mend


Parse = Callable[[str], Any]
"""A cell that is not empty, as JSON has it. Raises Unfit."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE = re.compile(r"-?[0-9]{1,9}")
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
_MEASURED = re.compile(
    r"([a-z0-9_.-]+)/(-|[a-z0-9_.-]+)/(seldom|occasional|frequent|constant) +([0-9]{1,9}(?:\.[0-9]{1,9})?) *([A-Za-z]+)"
    r"( +critical)?"
)
_MOBILITY = re.compile(
    r"([a-z0-9_.-]+)/([a-z0-9_.-]+)/(left|right|both|not_applicable) +(-?[0-9]{1,3}(?:\.[0-9]{1,9})?)"
)

_REFERENCE: TypeAdapter[str] = TypeAdapter(Ref)

NOTHING = "none"
"""Says of a list that it was asked for and is empty; an empty cell says that nobody asked."""


def text(cell: str) -> str:
    return cell


def reference(cell: str) -> str:
    try:
        return _REFERENCE.validate_python(cell)
    except ValidationError:
        mend = "write letters, digits and _.:- only, at most 64, and nothing made of a person's data"
        raise Unfit("cell.reference", mend) from None


def day(cell: str) -> str:
    try:
        if _DAY.fullmatch(cell):
            return date.fromisoformat(cell).isoformat()
    except ValueError:  # 30 February
        pass
    raise Unfit("cell.date", "write a day of the calendar as YYYY-MM-DD")


def tri(cell: str) -> str:
    answer = cell.lower()
    if answer not in ("yes", "no", "unknown"):
        raise Unfit("cell.answer", "write yes, no or unknown; an empty cell is unknown")
    return answer


def yes_no(cell: str) -> bool:
    answer = cell.lower()
    if answer not in ("yes", "no"):
        raise Unfit("cell.answer", "write yes or no")
    return answer == "yes"


def whole(cell: str) -> int:
    if not _WHOLE.fullmatch(cell):
        raise Unfit("cell.number", "write a whole number")
    return int(cell)


def number(cell: str) -> float:
    if not _NUMBER.fullmatch(cell):
        raise Unfit("cell.number", "write a number with a point, such as 2.5")
    return float(cell)


def codes(cell: str) -> list[str]:
    return [] if cell == NOTHING else cell.split()


def findings(cell: str) -> list[dict[str, str]]:
    return [
        {"code": code, **({"side": side} if at else {})} for code, at, side in (f.partition("/") for f in codes(cell))
    ]


def mobility(cell: str) -> list[dict[str, Any]]:
    read = [_MOBILITY.fullmatch(part.strip()) for part in cell.split("|")]
    if None in read:
        raise Unfit("cell.list", "write joint/movement/side degrees, with | between two")
    return [
        {"joint": joint, "movement": movement, "side": side, "degrees": float(degrees)}
        for joint, movement, side, degrees in (found.groups() for found in read if found)
    ]


def demands(cell: str) -> list[dict[str, Any]]:
    return [{**measured, "critical": critical} for measured, critical in _measured(cell)]


def capacities(cell: str) -> list[dict[str, Any]]:
    read = _measured(cell)
    if any(critical for _, critical in read):
        raise Unfit("cell.list", "`critical` is said of a job's demand, not of a test")
    return [measured for measured, _ in read]


def _measured(cell: str) -> list[tuple[dict[str, Any], bool]]:
    read = [_MEASURED.fullmatch(part.strip()) for part in cell.split("|")]
    if None in read:
        raise Unfit(
            "cell.list", "write kind/zone/frequency amount unit, with | between two, such as lift/overhead/seldom 5 kg"
        )
    return [
        (
            {
                "kind": kind,
                **({} if zone == "-" else {"zone": zone}),
                "frequency": frequency,
                "amount": {"amount": float(amount), "unit": unit},
            },
            critical is not None,
        )
        for kind, zone, frequency, amount, unit, critical in (found.groups() for found in read if found)
    ]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `path` is where in the event's data its cells go; empty for what the row itself is known by."""

    name: str
    parse: Parse
    event: type[EventData] | None = None
    path: tuple[str, ...] = ()


CASE_NUMBER = "case_number"
REFERRED_ON = "referred_on"
INJURY_DATE = "injury_date"

_REFERRED: Mapping[str, tuple[Parse, tuple[str, ...]]] = {
    "worker_ref": (text, ("worker_ref",)),
    "employer": (text, ("employer",)),
    "employee_key": (text, ("employee_key",)),
    INJURY_DATE: (day, ("injury", "occurred_on")),
    "body_part": (text, ("injury", "body_part")),
    "injury_story": (text, ("injury", "story")),
    "workplace_injury": (tri, ("criteria", "workplace_injury")),
    "demanding_job": (tri, ("criteria", "demanding_job")),
    "difficulty_with_duties": (tri, ("criteria", "difficulty_with_duties")),
    "reinjury_risk": (tri, ("criteria", "reinjury_risk")),
    "gradual_exposure_needed": (tri, ("criteria", "gradual_exposure_needed")),
    "return_to_work_goal": (tri, ("return_to_work_goal",)),
    "medical_clearance": (tri, ("medical_clearance",)),
    "treatment_consent": (tri, ("treatment_consent",)),
    "red_flags": (codes, ("red_flags",)),
    "job_demands": (demands, ("job", "demands")),
    "job_title": (text, ("job", "title")),
    "job_basis": (text, ("job", "basis")),
    "job_shift_hours": (number, ("job", "shift_hours")),
    "tolerance_hours_per_day": (number, ("tolerance_hours_per_day",)),
    "tolerance_days_per_week": (whole, ("tolerance_days_per_week",)),
    "authorisation_required": (yes_no, ("authorisation", "required")),
    "authorised_from": (day, ("authorisation", "valid_from")),
    "authorised_through": (day, ("authorisation", "valid_through")),
    "authorised_weeks": (whole, ("authorisation", "weeks")),
    "authorised_hours_per_day": (number, ("authorisation", "hours_per_day")),
}
_ASSESSED: Mapping[str, tuple[Parse, tuple[str, ...]]] = {
    "assessed_on": (day, ("assessed_on",)),
    "history_flags": (codes, ("history_flags",)),
    "examination": (findings, ("physical_examination",)),
    "posture": (findings, ("posture",)),
    "mobility": (mobility, ("mobility",)),
    "functional_tests": (capacities, ("functional_tests",)),
    "baseline_pain": (number, ("baseline_pain",)),
    "phq9_item9": (whole, ("phq9_item9",)),
    "assessment_red_flags": (codes, ("red_flags",)),
}
_CONSENTED: Mapping[str, tuple[Parse, tuple[str, ...]]] = {
    "consent_scopes": (codes, ("scopes",)),
    "consent_basis": (text, ("basis",)),
    "consent_from": (day, ("valid_from",)),
    "consent_through": (day, ("valid_through",)),
}

COLUMNS: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column(CASE_NUMBER, reference),
        Column(REFERRED_ON, day),
        *(Column(name, parse, ReferralReceived, ("referral", *path)) for name, (parse, path) in _REFERRED.items()),
        *(Column(name, parse, AssessmentRecorded, path) for name, (parse, path) in _ASSESSED.items()),
        *(Column(name, parse, ConsentRecorded, path) for name, (parse, path) in _CONSENTED.items()),
    )
}
REQUIRED = (CASE_NUMBER, REFERRED_ON, "worker_ref", INJURY_DATE, "body_part")
"""Columns that every file has, and cells that every row fills."""
