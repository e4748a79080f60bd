"""Readiness as FHIR: where each demand stands, the document around it, and whose word each is. Pure."""

from __future__ import annotations

from html import escape

from services.console.fhir.observations import Json, coded, measured, name_of
from services.console.story import Logged, Story
from workhardening_contracts import fhir
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.progress import DemandStanding, ReadinessAssessed, ReadinessRevoked, ReadyForWork

PARTICIPATION = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
PROGRAM = {"display": "Work Hardening Program"}


def readiness_observations(story: Story, subject: Json) -> list[Json]:
    """The latest assessment of readiness; none before the first."""
    latest = story.last(ReadinessAssessed)
    if latest is None:
        return []
    event, assessed = latest
    return [
        {
            "resourceType": "Observation",
            "id": name_of(event.id, "observation"),
            "identifier": [{"system": "urn:workhardening:event", "value": event.id}],
            "status": "final",
            "code": coded(fhir.READINESS, "readiness"),
            "subject": subject,
            "effectiveDateTime": assessed.assessed_through.isoformat(),
            "issued": event.time.isoformat(),
            "valueCodeableConcept": coded(fhir.READINESS, assessed.readiness),
            "component": [_standing(standing) for standing in assessed.standings],
        }
    ]


def compositions(story: Story, subject: Json) -> list[Json]:
    """The latest assessment of readiness as a document: preliminary until a clinician has signed it."""
    latest = story.last(ReadinessAssessed)
    if latest is None:
        return []
    event, assessed = latest
    signed = _signature(story)
    restrictions = signed[1].restrictions if signed else assessed.restrictions
    observed = {"entry": [{"reference": f"Observation/{name_of(event.id, 'observation')}"}]}
    return [
        {
            "resourceType": "Composition",
            "id": name_of(event.id, "composition"),
            "identifier": {"system": "urn:workhardening:event", "value": event.id},
            "status": "final" if signed else "preliminary",
            "type": coded(fhir.READINESS, "readiness"),
            "subject": subject,
            "date": (signed[0] if signed else event).time.isoformat(),
            "author": [PROGRAM],
            "title": "Readiness for work",
            **({"attester": [_attester(*signed)]} if signed else {}),
            "section": [
                {
                    "title": "Demands of the job",
                    "code": coded(fhir.READINESS, "standings"),
                    "text": _told([assessed.readiness, *(_said(standing) for standing in assessed.standings)]),
                    **observed,
                },
                *_section("Restrictions", "restrictions", [_limit(each) for each in restrictions]),
                *_section("Safety vetoes", "vetoes", list(assessed.vetoes)),
                *_section("Signed decision", "signature", _decision(signed[1]) if signed else []),
            ],
        }
    ]


def provenances(story: Story) -> list[Json]:
    """Who said it: the program, by which policy; and the clinician's role, once it is signed."""
    latest = story.last(ReadinessAssessed)
    if latest is None:
        return []
    event, _ = latest
    targets = [f"Composition/{name_of(event.id, 'composition')}", f"Observation/{name_of(event.id, 'observation')}"]
    policy = {"policy": [f"urn:workhardening:policy:{event.policy_version}"]} if event.policy_version else {}
    told = [{**_provenance(event, targets, "assembler", PROGRAM), **policy}]
    signed = _signature(story)
    if signed is not None:
        told.append(_provenance(signed[0], targets[:1], "verifier", {"display": signed[1].role}))
    return told


def _signature(story: Story) -> tuple[Logged, ReadyForWork] | None:
    """The signature of the latest assessment, if it stands."""
    latest, assessed = story.last(ReadyForWork, ReadinessRevoked), story.last(ReadinessAssessed)
    if latest is None or assessed is None or not isinstance(latest[1], ReadyForWork):
        return None
    return (latest[0], latest[1]) if latest[1].readiness_event == assessed[0].id else None


def _provenance(event: Logged, targets: list[str], kind: str, who: Json) -> Json:
    return {
        "resourceType": "Provenance",
        "id": name_of(event.id, "provenance"),
        "target": [{"reference": target} for target in targets],
        "recorded": event.time.isoformat(),
        "agent": [{"type": coded(PARTICIPATION, kind), "who": who}],
        "entity": [
            {"role": "source", "what": {"identifier": {"system": "urn:workhardening:event", "value": event.id}}}
        ],
    }


def _attester(event: Logged, signed: ReadyForWork) -> Json:
    return {"mode": "professional", "time": event.time.isoformat(), "party": {"display": signed.role}}


def _standing(standing: DemandStanding) -> Json:
    shown = {} if standing.shown is None else {"valueQuantity": measured(standing.shown)}
    absent = (
        {}
        if shown
        else {"dataAbsentReason": coded("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown")}
    )
    met = {True: "met", False: "unmet", None: "unknown"}[standing.met]
    marks = [coded(fhir.READINESS, met), *([coded(fhir.CRITICAL, "critical")] if standing.critical else [])]
    required = {"low": measured(standing.required), "text": "what the job requires"}
    code = coded(fhir.DEMAND, standing.demand)
    return {"code": code, **shown, **absent, "interpretation": marks, "referenceRange": [required]}


def _section(title: str, code: str, lines: list[str]) -> list[Json]:
    return [{"title": title, "code": coded(fhir.READINESS, code), "text": _told(lines)}] if lines else []


def _told(lines: list[str]) -> Json:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><ul>{items}</ul></div>'}


def _said(standing: DemandStanding) -> str:
    shown = "not shown" if standing.shown is None else f"{standing.shown.amount:g} {standing.shown.unit}"
    return f"{standing.demand}: {shown} of {standing.required.amount:g} {standing.required.unit}"


def _limit(restriction: Restriction) -> str:
    named = "/".join(filter(None, (restriction.activity, restriction.zone, restriction.frequency)))
    limit = restriction.limit
    return f"{named}: not at all" if limit is None else f"{named}: at most {limit.amount:g} {limit.unit}"


def _decision(signed: ReadyForWork) -> list[str]:
    until = f" through {signed.effective_through}" if signed.effective_through else ""
    return [f"{signed.decision} from {signed.effective_from}{until}"]
