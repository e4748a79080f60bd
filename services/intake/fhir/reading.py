"""From the resources of one request to the clinic's events, or to why not. Pure.

A referral takes the Condition, Coverage and Observations that it names with it, a report its results, a session the
Observations and Procedures that name its Encounter. What is left names no case, and is told as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.fhir import elements
from services.intake.fhir.assessments import FINAL, NOT_FINAL, WITHDRAWN, assessment
from services.intake.fhir.bundle import Entries, Entry, case_named, case_of, event_id, replaced
from services.intake.fhir.outcome import Issue, error, left_out, refused
from services.intake.fhir.referrals import referral
from services.intake.fhir.sessions import missed, session
from services.intake.fhir.values import Fault, Json, built, code_in, day, effective, moment, term
from workhardening_contracts import fhir
from workhardening_contracts.clinic import (
    CaseWithdrawn,
    ReferralCorrected,
    ReferralReceived,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope, clinic_source, event_of

RANK = {"ServiceRequest": 0, "DiagnosticReport": 1, "Encounter": 2, "Observation": 1, "Appointment": 2, "Task": 3}
"""What events are read from, in the order of reading: what has parts before what may be one. The numbers are the order
of the events of one request: the case is opened before anything is said of it, and withdrawn last."""

NO_CASE = "it names no case: refer to the referral's identifier in basedOn"


@dataclass(frozen=True, slots=True)
class Said:
    """An event, and the resource that it was read from."""

    entry: Entry
    envelope: Envelope


@dataclass
class _Reading:
    """What has been read so far."""

    clinic: str
    entries: Entries
    said: list[Said] = field(default_factory=list[Said])
    issues: list[Issue] = field(default_factory=list[Issue])
    taken: list[Entry] = field(default_factory=list[Entry])
    """Entries of which something was taken, or tried to be."""


def read(clinic: str, entries: Sequence[Entry], checked: Sequence[Issue]) -> tuple[list[Said], list[Issue]]:
    """The events of these resources in the order in which they are to be taken in, and all that is to be said of them,
    `checked` (what FHIR itself has to say) included.

    With an error among the issues there are no events: a request is mapped whole or not at all.
    """
    if refused(checked):
        return [], list(checked)
    reading = _Reading(clinic, Entries(entries))
    for kind in RANK:
        for entry in (each for each in entries if each.kind == kind and each not in reading.taken):
            try:
                READERS[kind](reading, entry)
            except Fault as fault:
                reading.issues.append(fault.issue)
    for entry in entries:
        if entry in reading.taken:
            reading.issues += elements.unread(entry.kind, entry.resource.unread, entry.at)
        elif not any(issue.at.startswith(entry.at) for issue in reading.issues):
            reading.issues.append(left_out(entry.at, NO_CASE))
    ranked = sorted(reading.said, key=lambda each: (RANK[each.entry.kind], each.envelope.time))
    return ([] if refused(reading.issues) else ranked), [*checked, *reading.issues]


def _referral(reading: _Reading, entry: Entry) -> None:
    resource, at = entry.resource, entry.at
    if term(resource.get("code"), fhir.PROGRAM) is None:
        reading.issues.append(left_out(f"{at}.code", "it asks for another service than this program"))
        return
    reading.taken.append(entry)
    if resource.get("status") != "active":
        text = "a referral is an active ServiceRequest; end a case by a Task that is cancelled"
        raise Fault("business-rule", f"{at}.status", text)
    asked, parts, issues = referral(reading.clinic, entry, reading.entries)
    _take(reading, entry, parts)
    reading.issues += issues
    authored = resource.get("authoredOn")
    if authored is None:
        raise Fault("required", f"{at}.authoredOn", "say when the worker was referred")
    case = case_of(reading.clinic, entry.identifiers, f"{at}.identifier")
    if asked is not None:
        data = _new_or_corrected(reading, entry, ReferralReceived, ReferralCorrected, referral=asked)
        _say(reading, entry, case, moment(authored, f"{at}.authoredOn"), data)


def _report(reading: _Reading, entry: Entry) -> None:
    resource, at = entry.resource, entry.at
    case = _case(reading, entry, resource.get("basedOn", ()))
    if case is None or not _final(reading, entry):
        return
    results: list[Entry] = []
    for number, reference in enumerate(resource.get("result", ())):
        found = reading.entries.find(reference, "Observation")
        if found is None:
            text = "send the results of a report along with it"
            reading.issues.append(error("not-found", f"{at}.result[{number}]", text))
        else:
            results.append(found)
    _assess(reading, entry, case, results)


def _observation(reading: _Reading, entry: Entry) -> None:
    case = _case(reading, entry, entry.resource.get("basedOn", ()))
    if case is not None and _final(reading, entry):
        _assess(reading, entry, case, [entry])


def _assess(reading: _Reading, entry: Entry, case: UUID, observations: list[Entry]) -> None:
    _take(reading, entry, observations)
    text, place = effective(entry.resource, entry.at)
    at = moment(text, place)
    before = replaced(reading.clinic, entry)
    data, issues = assessment(observations, entry.at, day(text, place), before)
    reading.issues += issues
    if data is not None:
        _say(reading, entry, case, at, data)


def _encounter(reading: _Reading, entry: Entry) -> None:
    resource, at = entry.resource, entry.at
    if not any(term(kind, fhir.SESSION_TYPES) for kind in resource.get("type", ())):
        reading.issues.append(left_out(f"{at}.type", "an encounter of another type is no session of the program"))
        return
    case = _case(reading, entry, resource.get("basedOn", ()))
    if case is None:
        return
    parts = [
        each
        for each in reading.entries.all
        if each.kind in ("Observation", "Procedure")
        and each not in reading.taken  # a report's result, which is a part of the assessment
        and reading.entries.find(each.resource.get("encounter"), "Encounter") is entry
    ]
    _take(reading, entry, parts)
    held, issues = session(entry, parts)
    reading.issues += issues
    if held is not None:
        period: Json = resource["period"]
        ended = "end" if "end" in period else "start"
        _say_session(reading, entry, case, moment(period[ended], f"{at}.period.{ended}"), held)


def _appointment(reading: _Reading, entry: Entry) -> None:
    absent, issues = missed(entry)
    reading.issues += issues
    if absent is None:
        return
    case = _case(reading, entry, entry.resource.get("basedOn", ()))
    if case is not None:
        start = f"{entry.at}.start"
        _say_session(reading, entry, case, moment(entry.resource["start"], start), absent)


def _task(reading: _Reading, entry: Entry) -> None:
    resource, at = entry.resource, entry.at
    case = _case(reading, entry, [resource["focus"]] if "focus" in resource else [])
    if case is None:
        return
    if resource.get("status") != "cancelled":
        text = "the referral is its ServiceRequest; of a Task only that it is cancelled is taken in"
        reading.issues.append(left_out(f"{at}.status", text))
        return
    if "lastModified" not in resource:
        raise Fault("required", f"{at}.lastModified", "say when the case was withdrawn")
    when = moment(resource["lastModified"], f"{at}.lastModified")
    reason = code_in(resource.get("statusReason"), fhir.REASON) or "other"
    withdrawn_on = day(resource["lastModified"], f"{at}.lastModified")
    data = built(CaseWithdrawn, f"{at}.statusReason", withdrawn_on=withdrawn_on, reason_code=reason)
    _say(reading, entry, case, when, data)


READERS = {
    "ServiceRequest": _referral,
    "DiagnosticReport": _report,
    "Observation": _observation,
    "Encounter": _encounter,
    "Appointment": _appointment,
    "Task": _task,
}


def _case(reading: _Reading, entry: Entry, references: Iterable[Json]) -> UUID | None:
    case = case_named(reading.clinic, references, reading.entries, f"{entry.at}.basedOn")
    if case is None:
        reading.issues.append(left_out(entry.at, NO_CASE))
    else:
        reading.taken.append(entry)
    return case


def _take(reading: _Reading, entry: Entry, parts: Iterable[Entry]) -> None:
    """These are read as parts of an event. One of another worker would be told of this one."""
    whose = _subject(entry)
    for part in parts:
        reading.taken.append(part)
        if _subject(part) != whose:
            text = "it is of another subject than the resource that it is a part of"
            reading.issues.append(error("business-rule", f"{part.at}.subject", text))


def _subject(entry: Entry) -> Any:
    subject: Json = entry.resource.get("subject") or entry.resource.get("beneficiary") or {}
    identifier: Json = subject.get("identifier", {})
    return subject.get("reference") or (identifier.get("system"), identifier.get("value"))


def _final(reading: _Reading, entry: Entry) -> bool:
    status = entry.resource.get("status")
    if status in WITHDRAWN:
        raise Fault(
            "business-rule", f"{entry.at}.status", "send the assessment anew as it should be, as a correction (PUT)"
        )
    if status not in FINAL:
        reading.issues.append(left_out(f"{entry.at}.status", NOT_FINAL))
    return status in FINAL


def _say_session(reading: _Reading, entry: Entry, case: UUID, time: datetime, held: Any) -> None:
    data = _new_or_corrected(reading, entry, SessionRecorded, SessionCorrected, session=held)
    _say(reading, entry, case, time, data)


def _new_or_corrected(
    reading: _Reading, entry: Entry, new: type[EventData], corrected: type[EventData], **content: Any
) -> EventData:
    """What a resource says: for the first time, or in the place of what it replaces. Raises Fault."""
    before = replaced(reading.clinic, entry)
    if before is None:
        return new(**content)
    return built(corrected, f"{entry.at.removesuffix('.resource')}.request.ifMatch", **content, supersedes=before)


def _say(reading: _Reading, entry: Entry, case: UUID, time: datetime, data: EventData) -> None:
    source = clinic_source(reading.clinic)
    envelope = event_of(data, id=event_id(reading.clinic, entry), source=source, subject=case, time=time)
    reading.said.append(Said(entry, envelope))
