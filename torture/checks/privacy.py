"""I7: nobody learns what they may not know; no patient's text outside of where it must be; the erased stay erased."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, cast

from torture.checks.readers import is_own
from torture.checks.violation import Violation
from torture.evidence import EMPLOYER_TOPIC, Evidence, Row, Tables
from torture.reference.replay import REJECTED, clinic_topic
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.registry import CLINIC_TOPIC, INTAKE_TOPIC, REJECTIONS_TOPIC

FREE_TEXT = frozenset({"story", "note"})
"""Fields of clinic events that hold what people wrote; nothing but the events themselves may hold it."""
NO_PATIENT = (CaseErased.TYPE, REJECTED)
"""Types that hold codes and places only."""
LEAST = 12
"""Shorter texts occur by chance."""
WITHIN = frozenset(
    {
        # The plan and the demands it works towards.
        "assessment.functional_tests.amount.amount",
        "assessment.functional_tests.kind",
        "assessment.functional_tests.zone",
        "referral.job.title",
        # What the clinic itself gave as its reason, told back to it.
        "case.reason_code",
        "readiness.reason_code",
        # By which names an employer and a clinic know whom it is about.
        "referral.employee_key",
        "referral.worker_ref",
    }
)
"""Fields that the services tell each other, and clinics in their feeds. All others stay in the clinics' own events."""
JUDGED = frozenset(
    {"session.performed.amount.amount", "session.performed.kind", "session.performed.zone"}
)  # fmt: skip
"""What progress judges a week by, and keeps to itself."""
IN_MAIL = frozenset({"referral.worker_ref"})
"""The clinic passes a mail on, and must know to whom."""
NOWHERE: frozenset[str] = frozenset()


class _Place(NamedTuple):
    """Somewhere that patients' data must not be, but for the fields that it is there for."""

    name: str
    case: str | None
    text: bytes
    may: frozenset[str] = NOWHERE


def check(evidence: Evidence) -> list[Violation]:
    """Strings where they must not be, another tenant's rows, and what erasure left behind."""
    return [*_strings(evidence), *_tenants(evidence), *_erased(evidence)]


def _strings(evidence: Evidence) -> Iterator[Violation]:
    """Each field that leaked to a place. What stood around it is not told: it would leak once more."""
    secrets = _written(evidence) | {text.encode(): field for field, text in evidence.canaries.items()}
    for place in _places(evidence):
        for field in sorted({field for text, field in secrets.items() if text in place.text} - place.may):
            yield Violation("I7", place.case, f"{field} leaked", (), (place.name,))


def _written(evidence: Evidence) -> dict[bytes, str]:
    """What people wrote into clinic events -> the field's name."""
    found: dict[str, str] = {}
    for record in evidence.on_topic.get(CLINIC_TOPIC, ()):
        if record.envelope is not None and any(f'"{name}"'.encode() in record.envelope.data for name in FREE_TEXT):
            with suppress(ValueError):
                found |= _texts(json.loads(record.envelope.data))
    return {text.encode(): name for text, name in found.items() if len(text) >= LEAST and " " in text}


def _texts(value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            found |= {inner: name} if name in FREE_TEXT and isinstance(inner, str) else _texts(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            found |= _texts(inner)
    return found


def _places(evidence: Evidence) -> Iterator[_Place]:
    yield from _on_topics(evidence)
    for service, tables in evidence.services.items():
        yield from _in_tables(service, tables)
    for row in evidence.feed:
        yield _Place(f"feed of {row['clinic']}", row["case_ref"], _bytes(row["event"]), WITHIN)
    for row in evidence.deliveries:
        yield _Place(f"deliveries of {row['employer']}", row["case_ref"], _without_key(bytes(row["body"])))
    for row in evidence.messages:
        yield _Place(f"mail {row['kind']}", row["case_ref"], _bytes(dict(row)), IN_MAIL)
    for employer, book in (evidence.books or {}).items():
        for body in book.get("bodies", ()):
            yield _Place(f"received by {employer}", None, _without_key(body.encode()))
    for line in evidence.ledger or ():
        if line["what"] == "error":
            yield _Place(f"answer {line['status']}", None, line["text"].encode())
    for name, text in evidence.texts.items():
        yield _Place(name, None, text.encode())


def _on_topics(evidence: Evidence) -> Iterator[_Place]:
    for topic, here in evidence.on_topic.items():
        for record in here:
            said = b"\0".join(name.encode() + b"=" + (value or b"") for name, value in record.headers)
            yield _Place(f"headers of {record.place}", None, (record.key or b"") + b"\0" + said)
            case, value = record.event and record.event[0], record.value or b""
            if EMPLOYER_TOPIC.match(topic):
                yield _Place(record.place, case, _without_key(value))
            elif topic == REJECTIONS_TOPIC:
                yield _Place(record.place, case, value)
            elif topic != CLINIC_TOPIC and not is_own(topic):
                yield _Place(record.place, case, value, WITHIN)


def _in_tables(service: str, tables: Tables) -> Iterator[_Place]:
    for row in tables.cases:
        if service != "intake":
            may = WITHIN | JUDGED if service == "progress" else WITHIN
            yield _Place(f"{service}.cases", row["case_ref"], _bytes(row["state"]), may)
    for table, rows in (("parked", tables.parked), ("dead_letter", tables.dead)):
        for row in rows:
            yield _Place(f"{service}.{table}", row.get("case_ref"), _bytes({**row, "value": None}))
    for row in tables.log:
        said = [row["source"], row["id"], row["type"], row["causation"]]
        yield _Place(f"{service}.event_log", row["case_ref"], _bytes(said))


def _without_key(body: bytes) -> bytes:
    """An update without the employer's own key of the worker, which is told in that field and nowhere else."""
    try:
        update: dict[str, Any] = json.loads(body)
        # In a topic it stands alone, in a webhook within its envelope.
        update.get("data", update).pop("employee_key", None)
    except (ValueError, AttributeError):
        return body
    return _bytes(update)


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
