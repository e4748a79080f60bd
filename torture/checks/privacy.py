"""I7: nobody learns what they may not know; no patient's text outside of where it must be; the erased stay erased."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from torture.checks.readers import is_own
from torture.checks.violation import Violation
from torture.evidence import EMPLOYER_TOPIC, Evidence, Row
from torture.reference.replay import REJECTED, clinic_topic
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.registry import CLINIC_TOPIC, INTAKE_TOPIC

FREE_TEXT = frozenset({"story", "note"})
"""Fields of clinic events that hold what people wrote; nothing but the events themselves may hold it."""
NO_PATIENT = (CaseErased.TYPE, REJECTED)
"""Types that hold codes and places only."""
LEAST = 12
"""Shorter texts occur by chance."""


def check(evidence: Evidence) -> list[Violation]:
    """Strings where they must not be, another tenant's rows, and what erasure left behind."""
    return [*_strings(evidence), *_tenants(evidence), *_erased(evidence)]


def _strings(evidence: Evidence) -> Iterator[Violation]:
    secrets = {text.encode() for text in (*evidence.canaries, *_written(evidence))}
    if not secrets:
        return
    for place, case, text in _places(evidence):
        if any(secret in text for secret in secrets):
            yield Violation("I7", case, "a patient's text leaked", (), (place,))


def _written(evidence: Evidence) -> set[str]:
    """What people wrote into clinic events."""
    found: set[str] = set()
    for record in evidence.on_topic.get(CLINIC_TOPIC, ()):
        if record.envelope is not None and any(f'"{name}"'.encode() in record.envelope.data for name in FREE_TEXT):
            try:
                found |= _texts(json.loads(record.envelope.data))
            except ValueError:
                continue
    return {text for text in found if len(text) >= LEAST and " " in text}


def _texts(value: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            found |= {inner} if name in FREE_TEXT and isinstance(inner, str) else _texts(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            found |= _texts(inner)
    return found


def _places(evidence: Evidence) -> Iterator[tuple[str, str | None, bytes]]:
    """Every place where no patient's text may stand: (place, case, bytes)."""
    for here in evidence.on_topic.values():
        for record in here:
            said = b"\0".join(name.encode() + b"=" + (value or b"") for name, value in record.headers)
            yield f"headers of {record.place}", None, (record.key or b"") + b"\0" + said
            if record.topic != CLINIC_TOPIC and not is_own(record.topic):
                yield record.place, record.event and record.event[0], record.value or b""
    for service, tables in evidence.services.items():
        for row in tables.cases:
            if service != "intake":
                yield f"{service}.cases", row["case_ref"], _bytes(row["state"])
        for row in tables.parked:
            metadata = [row[name] for name in ("source", "event_id", "reason", "resolution_reason")]
            yield f"{service}.parked", row["case_ref"], _bytes(metadata)
        for row in tables.dead:
            yield f"{service}.dead_letter", None, _bytes(row["reason"])
        for row in tables.log:
            yield (
                f"{service}.event_log",
                row["case_ref"],
                _bytes([row["source"], row["id"], row["type"], row["causation"]]),
            )
    for row in evidence.deliveries:
        yield f"deliveries of {row['employer']}", row["case_ref"], bytes(row["body"])
    for row in evidence.feed:
        yield f"feed of {row['clinic']}", row["case_ref"], _bytes(row["event"])
    for place, text in evidence.texts.items():
        yield place, None, text.encode()


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=str).encode()


def _tenants(evidence: Evidence) -> Iterator[Violation]:
    """A clinic's feed holds its own cases and what it sent; an employer is told by consent to it."""
    owner = {row["case_ref"]: row["state"]["clinic"] for row in evidence.services["notify"].cases if row["state"]}
    consented: dict[str, set[str]] = {}
    for record in evidence.on_topic.get(INTAKE_TOPIC, ()):
        if record.envelope and b'"grants"' in record.envelope.data:
            data: Row = json.loads(record.envelope.data)
            case = str(record.envelope.subject)
            consented.setdefault(case, set()).update(grant["employer"] for grant in data["grants"])
    for row in evidence.feed:
        case, data = row["case_ref"], row["event"]["data"]
        source = data.get("rejected_source")
        belongs = f"/clinics/{row['clinic']}" == source if source else owner.get(case, row["clinic"]) == row["clinic"]
        if not belongs:
            about = (f"{row['source']}#{row['event_id']}",)
            yield Violation("I7", case, f"the feed of {row['clinic']} has another clinic's event", about)
    told = [(row["employer"], row["case_ref"], row["event_id"]) for row in evidence.deliveries]
    for topic, here in evidence.on_topic.items():
        if named := EMPLOYER_TOPIC.match(topic):
            told += [(named["employer"], r.event[0], r.event[2]) for r in here if r.event is not None]
    for employer, case, id_ in told:
        if employer not in consented.get(case, ()):
            yield Violation("I7", case, f"{employer} is told of a case without consent to it", (id_,))


def _erased(evidence: Evidence) -> Iterator[Violation]:
    """Of an erased case nothing is held but that its events were taken."""
    for service, tables in evidence.services.items():
        erased = {row["case_ref"]: row for row in tables.cases if row["erased"]}
        for case, row in erased.items():
            if row["state"] is not None or row["waiting"] or row["parked"]:
                yield Violation("I7", case, f"{service} holds the state of an erased case")
        for row in tables.log:
            if row["case_ref"] in erased and row["body"] is not None and row["type"] not in NO_PATIENT:
                about = (f"{row['source']}#{row['id']}",)
                if clinic_topic(row["type"]) or row["source"].startswith("/services/"):
                    yield Violation("I7", row["case_ref"], f"{service} keeps what was said of an erased case", about)
        for row in (*tables.parked, *tables.outbox):
            if row["case_ref"] in erased:
                yield Violation("I7", row["case_ref"], f"{service} keeps a record of an erased case")
    gone = {row["case_ref"] for row in evidence.services["notify"].cases if row["erased"]}
    for row in (*evidence.deliveries, *evidence.feed):
        if row["case_ref"] in gone:
            yield Violation("I7", row["case_ref"], "notify keeps a row of an erased case")
