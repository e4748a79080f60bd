"""Wherever a patient's data may leak to, a leak that is seeded there on purpose is reported: where, and which field."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from simulator.canaries import CANARIES, SPARED
from tests.torture.checker_world import cohort
from torture.checks.privacy import IN_MAIL, WITHIN, check
from torture.evidence import Evidence, Record, Tables
from workhardening_contracts.envelope import write_kafka
from workhardening_contracts.registry import CLINIC_TOPIC, INTAKE_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC

Leak = Callable[[Evidence, str], None]
"""Puts a text into one place of the evidence."""


@cache
def _clean() -> Evidence:
    return cohort(seed=3, cases=4, hostile=0.2).evidence()


def copied() -> Evidence:
    """The clean evidence, whose lists can be added to."""
    clean = _clean()
    return replace(
        clean,
        records=list(clean.records),
        services={
            name: Tables(list(t.cases), list(t.log), [], list(t.parked), list(t.dead))
            for name, t in clean.services.items()
        },
        deliveries=list(clean.deliveries),
        feed=list(clean.feed),
        messages=list(clean.messages),
        ledger=list(clean.ledger or ()),
        books={},
        texts={},
    )


def a_record(evidence: Evidence, topic: str) -> Record:
    return next(record for record in evidence.records if record.topic == topic and record.event is not None)


def _another_value(evidence: Evidence, record: Record, topic: str, said: dict[str, Any]) -> None:
    value = json.dumps(json.loads(record.value or b"") | said).encode()
    evidence.records.append(replace(record, topic=topic, offset=10**6, value=value))


def _text(place: str) -> Leak:
    def leak(evidence: Evidence, text: str) -> None:
        evidence.texts[place] = f"before {text} after"

    return leak


def key(evidence: Evidence, text: str) -> None:
    record = a_record(evidence, PROGRESS_TOPIC)
    evidence.records.append(replace(record, offset=10**6, key=text.encode()))


def header(evidence: Evidence, text: str) -> None:
    record = a_record(evidence, CLINIC_TOPIC)
    evidence.records.append(replace(record, offset=10**6, headers=(*record.headers, ("x-note", text.encode()))))


def header_name(evidence: Evidence, text: str) -> None:
    record = a_record(evidence, INTAKE_TOPIC)
    evidence.records.append(replace(record, offset=10**6, headers=(*record.headers, (text, None))))


def rejection(evidence: Evidence, text: str) -> None:
    _another_value(evidence, a_record(evidence, REJECTIONS_TOPIC), REJECTIONS_TOPIC, {"detail": text})


def employer_topic(evidence: Evidence, text: str) -> None:
    update = json.loads(bytes(_clean().deliveries[0]["body"]))["data"]
    _another_value(
        evidence, a_record(evidence, PROGRESS_TOPIC), "employer.acme.readiness.v1", update | {"status": text}
    )


def dead_letter(evidence: Evidence, text: str) -> None:
    evidence.services["intake"].dead.append({**evidence.services["intake"].dead[0], "reason": f"json.{text}"})


def dead_letters_headers(evidence: Evidence, text: str) -> None:
    evidence.services["intake"].dead.append(
        {**evidence.services["intake"].dead[0], "headers": json.dumps([["ce_x", text]])}
    )


def parked(evidence: Evidence, text: str) -> None:
    evidence.services["planning"].parked.append({"case_ref": None, "reason": f"handler.{text}", "value": b""})


def event_log(evidence: Evidence, text: str) -> None:
    tables = evidence.services["notify"]
    tables.log.append({**tables.log[0], "causation": text})


def delivery(evidence: Evidence, text: str) -> None:
    evidence.deliveries.append({**evidence.deliveries[0], "body": _update(text)})


def received(evidence: Evidence, text: str) -> None:
    evidence.books = {"acme": {"updates": [], "refused": [], "bodies": [_update(text).decode()]}}


def received_and_unreadable(evidence: Evidence, text: str) -> None:
    evidence.books = {"acme": {"updates": [], "refused": [], "bodies": [f'{{"data": {text}']}}


def _update(text: str) -> bytes:
    update = json.loads(bytes(_clean().deliveries[0]["body"]))
    update["data"]["restrictions"] = [{"activity": text}]
    return json.dumps(update).encode()


def answer(evidence: Evidence, text: str) -> None:
    assert evidence.ledger is not None
    evidence.ledger.append({"what": "error", "status": 422, "text": json.dumps({"detail": text})})


NOWHERE_TO_BE: dict[str, Leak] = {
    "intake.log": _text("intake.log"),
    "postgres.log": _text("postgres.log"),
    "kafka.log": _text("kafka.log"),
    "spans": _text("spans"),
    "metrics": _text("metrics"),
    "headers of progress.events.v1/": key,
    "headers of clinic.events.v1/": header,
    "headers of intake.events.v1/": header_name,
    "clinic.rejections.v1/": rejection,
    "employer.acme.readiness.v1/": employer_topic,
    "intake.dead_letter": dead_letter,
    "intake.dead_letter ": dead_letters_headers,
    "planning.parked": parked,
    "notify.event_log": event_log,
    "deliveries of ": delivery,
    "received by acme": received,
    "received by acme ": received_and_unreadable,
    "answer 422": answer,
}
"""How a place's name begins -> the leak into it."""


def found(evidence: Evidence) -> set[tuple[str, str]]:
    """(what leaked, where)."""
    return {(violation.text, violation.offsets[0]) for violation in check(evidence) if violation.offsets}


@pytest.mark.parametrize("field", ["session.note", "referral.worker_ref", "assessment.mobility.degrees"])
@pytest.mark.parametrize(("place", "leak"), NOWHERE_TO_BE.items())
def test_a_leak_is_reported_by_its_place_and_the_name_of_the_field(place: str, leak: Leak, field: str) -> None:
    evidence = copied()
    leak(evidence, CANARIES[field])
    ((text, where),) = found(evidence)
    assert text == f"{field} leaked"
    assert where.startswith(place.strip())
    assert CANARIES[field] not in where


def test_a_mail_names_the_worker_by_the_clinics_own_reference_and_nothing_else() -> None:
    evidence = copied()
    mail = evidence.messages[0]
    for field, text in CANARIES.items():
        evidence.messages.append({**mail, "body": text, "kind": field})
    assert found(evidence) == {(f"{field} leaked", f"mail {field}") for field in CANARIES.keys() - IN_MAIL}


def test_an_employer_is_told_its_own_key_of_the_worker_in_that_field_only() -> None:
    key_of_it = CANARIES["referral.employee_key"]
    bodies = [bytes(row["body"]).decode() for row in _clean().deliveries]
    assert any(key_of_it in body for body in bodies)
    evidence = copied()
    delivery(evidence, key_of_it)
    assert {text for text, _ in found(evidence)} == {"referral.employee_key leaked"}


def test_a_feed_holds_what_services_tell_each_other_and_no_more() -> None:
    evidence = copied()
    row = evidence.feed[0]
    for field, text in CANARIES.items():
        evidence.feed.append({**row, "clinic": field, "event": {**row["event"], "data": {"said": text}}})
    leaked = {text for text, where in found(evidence) if where.startswith("feed of ")}
    assert leaked == {f"{field} leaked" for field in CANARIES.keys() - WITHIN}


def test_a_service_keeps_no_field_in_its_state_that_it_was_not_told() -> None:
    evidence = copied()
    tables = evidence.services["notify"]
    row = next(row for row in tables.cases if row["state"] is not None)
    tables.cases.append({**row, "state": {**row["state"], "said": CANARIES["assessment.history_flags"]}})
    assert found(evidence) == {("assessment.history_flags leaked", "notify.cases")}


def test_an_internal_topic_carries_no_field_that_stays_in_the_clinics_events() -> None:
    evidence = copied()
    record = a_record(evidence, INTAKE_TOPIC)
    assert record.envelope is not None
    _another_value(evidence, record, INTAKE_TOPIC, {"said": CANARIES["referral.injury.body_part"]})
    assert {text for text, _ in found(evidence)} == {"referral.injury.body_part leaked"}
    assert write_kafka(record.envelope)[2] == record.value, "the record stands beside the one with the leak"


def test_only_fields_that_have_a_canary_are_let_through_anywhere() -> None:
    assert CANARIES.keys() >= WITHIN | IN_MAIL
    assert not (WITHIN | IN_MAIL) & SPARED.keys()


def test_clean_evidence_holds_canaries_where_they_belong_and_no_finding() -> None:
    assert check(_clean()) == []
    held = b"\0".join(record.value or b"" for record in _clean().records if record.topic == CLINIC_TOPIC)
    assert sum(text.encode() in held for text in CANARIES.values()) > len(CANARIES) / 2
    told = json.dumps([dict(row) for row in _clean().messages])
    assert all(CANARIES[field] in told for field in IN_MAIL)
