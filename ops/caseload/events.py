"""What a line of a caseload says, as the events that the clinic would have published. Pure; the clock is an argument.

Ids are derived from the clinic and its own case number and from nothing else, so that importing again, after a kill or
with other lines mended, says the same events again. No content is in them: it could be guessed from a plain hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ops.caseload.columns import CASE_NUMBER, COLUMNS, INJURY_DATE, REFERRED_ON, REQUIRED, Unfit, tri
from ops.caseload.fault import Fault
from ops.caseload.reading import Line
from services.intake.screening import AHEAD, ALL_CASES, EARLIEST, Refused, screen
from workhardening_contracts.clinic import AssessmentRecorded, ConsentRecorded, ReferralReceived
from workhardening_contracts.contract import PRINTABLE, EventData, Violation
from workhardening_contracts.envelope import clinic_source, read_structured

CASES = UUID("3d7c5ef1-8a2b-5c64-9f0e-6b1d4a7720c3")
"""The name space of case references derived from (clinic, case number)."""

# Consent stands before the assessment completes the case, so that the first plan may be told.
_SAID_ON: Mapping[type[EventData], str] = {
    ReferralReceived: REFERRED_ON,
    ConsentRecorded: "consent_from",
    AssessmentRecorded: "assessed_on",
}
"""The events of a row in their order, and the column with the day on which each was said."""

_WORDS = {
    PRINTABLE: "write one line of text, without control characters",
    "^[a-z0-9]": "write words of small letters, digits and _.- only",
    "^[A-Za-z0-9]": "write letters, digits and _.:- only, and nothing made of a person's data",
}
"""The beginning of a pattern of the contracts, and how to write what it wants."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a line came to: events as structured documents, or faults; never both."""

    known_by: str
    """A row's case number, or # and an event's id; empty where neither can be read."""
    documents: tuple[Mapping[str, Any], ...]
    faults: tuple[Fault, ...]


def case_of(clinic: str, case_number: str) -> UUID:
    """The case reference of a clinic's own case number."""
    return uuid5(CASES, f"{clinic}/{case_number}")


def said(line: Line, clinic: str, now: datetime) -> Said:
    """The events of a line, checked as the front door will check them at `now`."""
    if line.faults:
        return Said("", (), line.faults)
    if line.event is not None:
        return _event(line.number, line.event, clinic, now)
    return _row(line.number, line.cells, clinic, now)


def _event(number: int, document: Mapping[str, Any], clinic: str, now: datetime) -> Said:
    try:
        envelope = screen(read_structured(json.dumps(document).encode()), clinic, now).envelope
    except Violation as error:
        return Said("", (), (Fault(number, error.field, error.code, error.detail),))
    except Refused as refused:
        return Said("", (), (Fault(number, refused.field or "", refused.code, f"{refused.detail}; {refused.mend}"),))
    if envelope.subject == ALL_CASES:
        mend = "close a day for all cases at the front door, when the import is done"
        return Said("", (), (Fault(number, "/subject", "nil_subject", mend),))
    return Said(f"#{envelope.id}", (document,), ())


def _row(number: int, cells: Mapping[str, str], clinic: str, now: datetime) -> Said:
    values, faults = _values(number, cells)
    faults += _days(number, values, now)
    case_number = cells.get(CASE_NUMBER, "")
    documents: list[Mapping[str, Any]] = []
    for model in _SAID_ON:
        if model is ReferralReceived or any(COLUMNS[name].event is model for name in cells):
            data = _data(model, values)
            faults += _broken(number, model, data)
            documents.append(_document(clinic, case_of(clinic, case_number), model, values, data))
    # What a column was not fit for is also missing in the event, and one word to mend is enough of a cell.
    one_each = {fault.column: fault for fault in reversed(faults)}
    found = tuple(fault for fault in faults if one_each[fault.column] is fault)
    return Said(case_number, () if found else tuple(documents), found)


def _values(number: int, cells: Mapping[str, str]) -> tuple[dict[str, Any], list[Fault]]:
    """The cells as JSON has them, and what is missing or not written as its column wants."""
    values: dict[str, Any] = {}
    faults = [Fault(number, name, "cell.required", "fill this cell") for name in REQUIRED if name not in cells]
    for name, cell in cells.items():
        try:
            values[name] = COLUMNS[name].parse(cell)
        except Unfit as unfit:
            faults.append(Fault(number, name, unfit.code, unfit.mend))
    return values, faults


def _days(number: int, values: Mapping[str, Any], now: datetime) -> list[Fault]:
    """What the front door and the judge of referrals would refuse about the days of a row."""
    faults = [
        Fault(number, column, "date.range", "the day is before 2000, or has not come")
        for column in _SAID_ON.values()
        if column in values and not EARLIEST <= datetime.fromisoformat(_noon(values[column])) <= now + AHEAD
    ]
    if {INJURY_DATE, REFERRED_ON} <= values.keys():
        injured, referred = date.fromisoformat(values[INJURY_DATE]), date.fromisoformat(values[REFERRED_ON])
        if injured - referred > timedelta(days=1):
            faults.append(Fault(number, INJURY_DATE, "date.order", "the injury is later than the referral"))
    return faults


def _document(
    clinic: str, case: UUID, model: type[EventData], values: Mapping[str, Any], data: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"import-{uuid5(case, model.TYPE)}",
        "source": clinic_source(clinic),
        "type": model.TYPE,
        "subject": str(case),
        "time": _noon(values.get(_SAID_ON[model], "")),
        "data": data,
    }


def _noon(day: str) -> str:
    """The table knows days. At noon in UTC nearly every clinic has the same one."""
    return f"{day}T12:00:00Z"


def _data(model: type[EventData], values: Mapping[str, Any]) -> dict[str, Any]:
    """An event's data with what the row fills and nothing else, so that the same row says the same for ever."""
    data: dict[str, Any] = {}
    for name, column in COLUMNS.items():
        if column.event is model and (name in values or column.parse is tri):
            *above, last = column.path
            part = data
            for key in above:
                part = part.setdefault(key, {})
            part[last] = values.get(name, "unknown")
    if model is ConsentRecorded and "employer" in values:
        data["employer"] = values["employer"]
    if "assessed_on" not in values:
        data.pop("functional_tests", None)  # what is to be mended is the day alone
    for test in data.get("functional_tests", ()):
        test["measured_on"] = values["assessed_on"]
    return data


def _broken(number: int, model: type[EventData], data: Mapping[str, Any]) -> list[Fault]:
    """What the contract says of it, each breach at the column that it comes from."""
    try:
        model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
    else:
        return []
    return [Fault(number, _column(model, each["loc"]), *_code_and_mend(each)) for each in found]


def _code_and_mend(error: ErrorDetails) -> tuple[str, str]:
    if error["type"] == "missing":
        return "cell.required", "fill this cell, or empty all that go with it"
    wanted = str(error.get("ctx", {}).get("pattern", ""))
    mend = next((mend for pattern, mend in _WORDS.items() if wanted.startswith(pattern)), error["msg"])
    return f"contract.{error['type']}", mend


def _column(model: type[EventData], place: tuple[int | str, ...]) -> str:
    """The column whose cells go to this place, or to one above or below it."""
    if model is ConsentRecorded and place == ("employer",):
        return "employer"  # a referral has this column, too
    return next(
        (
            name
            for name, column in COLUMNS.items()
            if column.event is model and all(a == b for a, b in zip(column.path, place, strict=False))
        ),
        "",
    )
