"""I1: what was accepted is folded, waits, is parked, rejected or dead-lettered, at each consumer; nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any

from torture.checks.readers import Due, due, is_own, logged
from torture.checks.violation import Violation
from torture.evidence import Evidence, Record, Row, Tables, moment
from torture.reference.replay import REJECTED
from workhardening_contracts.registry import CLINIC_TOPIC, REJECTIONS_TOPIC

Tally = dict[str, Counter[str]]


def check(evidence: Evidence) -> list[Violation]:
    """Every event at every consumer, what was answered 202, what went by the bridge, and what was promised."""
    return [*_consumers(evidence), *_sent(evidence), *bridge(evidence), *_promised(evidence)]


def tally(evidence: Evidence) -> Tally:
    """Service -> how many of its events were accepted, and what came of them: the sum of the one side is the other."""
    found: Tally = {name: Counter() for name in evidence.services}
    dead = {name: {_place(row) for row in tables.dead} for name, tables in evidence.services.items()}
    counted: set[tuple[str, Any]] = set()
    for each in due(evidence):
        if (each.service, _name(each)) in counted:
            continue
        counted.add((each.service, _name(each)))
        row = logged(evidence, each)
        here = _place_of(each) in dead[each.service]
        found[each.service]["accepted"] += 1
        if row is None:
            missing = "in flight" if evidence.in_flight(f"whp.{each.service}", each.record) else "lost"
            found[each.service]["dead-lettered" if here else missing] += 1
        else:
            found[each.service][str(row["result"])] += 1
    return found


def _name(each: Due) -> Any:
    """What tells it apart: the event, or the place of a record that names none."""
    return each.event or _place_of(each)


def _place_of(each: Due) -> tuple[str, int, int]:
    return each.record.topic, each.record.partition, each.record.offset


def _consumers(evidence: Evidence) -> Iterator[Violation]:
    answered = _answered(evidence)
    first_answer = min((record.timestamp for record in evidence.on_topic.get(REJECTIONS_TOPIC, [])), default=inf)
    expected_to_wait = _expected_to_wait(evidence)
    dead = {name: {_place(row) for row in tables.dead} for name, tables in evidence.services.items()}
    counted: set[tuple[str, Any]] = set()
    for each in due(evidence):
        record = each.record
        if (each.service, _name(each)) in counted:
            continue
        counted.add((each.service, _name(each)))
        row = logged(evidence, each)
        here = _place_of(each) in dead[each.service]
        case = each.event[0] if each.event else None
        about = ("#".join(each.event[1:]),) if each.event else ()
        if row is None and not here:
            if not evidence.in_flight(f"whp.{each.service}", record):
                yield Violation("I1", case, f"{each.service} lost a record", about, (record.place,))
        elif row is not None and here and not evidence.outlived(row):
            yield Violation("I1", case, f"{each.service} took a record and dead-lettered it", about, (record.place,))
        elif row is not None and row["result"] == "rejected" and (each.service, *about) not in answered:
            if evidence.forgotten(REJECTIONS_TOPIC) and moment(row["received_at"]) < first_answer:
                continue  # what was answered then is deleted by now
            yield Violation("I1", case, f"{each.service} rejected an event and told nobody", about, (record.place,))
        elif row is not None and row["result"] in ("parked", "discarded"):
            yield from _parked(evidence, each.service, row)
    for service, tables in evidence.services.items():
        yield from _waiting(service, tables)
        for row in tables.cases:
            for waiting in row["waiting"]:
                reference = f"{waiting['event']['source']}#{waiting['event']['id']}"
                if expected_to_wait is not None and reference not in expected_to_wait:
                    yield Violation("I1", row["case_ref"], f"{service} still waits, and the premise came", (reference,))


def _waiting(service: str, tables: Tables) -> Iterator[Violation]:
    """What is said to wait does wait, and what waits is said to."""
    held = {(row["case_ref"], x["event"]["source"], x["event"]["id"]) for row in tables.cases for x in row["waiting"]}
    said = {key for key, row in tables.by_key.items() if row["result"] == "waiting"}
    for case, source, id_ in sorted(said - held):
        yield Violation("I1", case, f"{service} says that an event waits, and it does not", (f"{source}#{id_}",))
    for case, source, id_ in sorted(held - said):
        yield Violation("I1", case, f"{service} lets an event wait, and its log does not say so", (f"{source}#{id_}",))


def _parked(evidence: Evidence, service: str, row: Row) -> Iterator[Violation]:
    """What is said to be parked or discarded stands in the queue, open or given up by a person."""
    case = str(row["case_ref"])
    if evidence.erased(service, case):
        return
    places = {_place(parked): parked for parked in evidence.services[service].parked}
    parked = places.get(_place(row))
    resolution = "none" if parked is None else parked["resolution"]
    reference = f"{row['source']}#{row['id']}"
    if row["result"] == "parked" and resolution is not None:
        yield Violation("I1", case, f"{service} says that it parked an event that no queue holds", (reference,))
    expired = any(each["topic"] == "runtime" for each in evidence.services[service].log_of[case])
    if row["result"] == "discarded" and resolution not in ("discarded", "retried") and not (parked is None and expired):
        yield Violation(
            "I1", case, f"{service} says that it gave up an event, and neither a person nor time did", (reference,)
        )


def _answered(evidence: Evidence) -> set[tuple[str, str]]:
    """(judge, what was refused) of all rejections, published or promised."""
    found: set[tuple[str, str]] = set()
    for (_, key), record in evidence.first.items():
        if record.envelope and record.envelope.type == REJECTED and record.envelope.causationid:
            found.add((key[1].removeprefix("/services/"), record.envelope.causationid))
    for service, tables in evidence.services.items():
        for row in tables.outbox:
            found.add((service, json.loads(row["headers"]).get("ce_causationid", "")))
    return found


def _expected_to_wait(evidence: Evidence) -> set[str] | None:
    if evidence.ledger is None:
        return None
    return {
        f"{line['source']}#{line['id']}"
        for line in evidence.ledger
        if line["what"] == "sent" and line["expected"] == "wait"
    }


def _sent(evidence: Evidence) -> Iterator[Violation]:
    """What was answered 202 is on its topic; what was refused is not."""
    sent = [line for line in evidence.ledger or () if line["what"] == "sent" and line["type"]]
    admitted = {key for topic, key in evidence.first if topic == CLINIC_TOPIC}
    written = admitted | {key for topic, key in evidence.first if is_own(topic)}
    taken = {(x["case"], x["source"], x["id"]) for x in sent if x["answer"] in (202, None)}
    for line in sent:
        key = (line["case"], line["source"], line["id"])
        about = (f"{key[1]}#{key[2]}",)
        if line["answer"] is None and key not in written:
            yield Violation("I1", key[0], "an acknowledged record is not on its clinic's topic", about)
        elif line["answer"] == 202 and key not in admitted:
            yield Violation("I1", key[0], "answered 202 and not on the topic", about)
        elif key in admitted and key not in taken and (line["answer"] or 0) in range(400, 500):
            yield Violation("I1", key[0], f"answered {line['answer']} and yet on the topic", about)


def bridge(evidence: Evidence) -> Iterator[Violation]:
    """Each record of a clinic's own topic was admitted, answered or dead-lettered by intake's bridge."""
    for record, fate in bridged(evidence):
        if fate == "lost":
            yield Violation("I1", record.event and record.event[0], "the bridge lost a record", (), (record.place,))


def bridged(evidence: Evidence) -> Iterator[tuple[Record, str]]:
    """What became of each record of a clinic's own topic, named as `tally` names it."""
    dead = {_place(row) for row in evidence.services["intake"].dead}
    answered = {
        key[2].removeprefix("intake.")
        for (_, key), record in evidence.first.items()
        if record.envelope and record.envelope.type == REJECTED
    }
    admitted = {key[1:] for topic, key in evidence.first if topic == CLINIC_TOPIC}
    admitted |= {(row["source"], row["id"]) for row in evidence.receipts if row["status"] != "pending"}
    for topic, here in evidence.on_topic.items():
        for record in here if is_own(topic) else ():
            if (record.topic, record.partition, record.offset) in dead:
                yield record, "dead-lettered"
            elif f"{topic}.{record.partition}.{record.offset}" in answered:
                yield record, "rejected"
            elif record.event is not None and record.event[1:] in admitted:
                yield record, "folded"
            else:
                yield record, "in flight" if evidence.in_flight("whp.intake-bridge", record) else "lost"


def _promised(evidence: Evidence) -> Iterator[Violation]:
    """The last event that a case was promised on a topic is there, or still in the outbox."""
    reached: dict[tuple[str, str], int] = {}
    for here in evidence.said.values():
        for record in here:
            if record.envelope:
                place = (record.topic, str(record.envelope.subject))
                reached[place] = max(reached.get(place, 0), record.envelope.sequence or 0)
    for service, tables in evidence.services.items():
        kept = {(row["topic"], row["case_ref"]) for row in tables.outbox}
        for row in tables.cases:
            for topic, last in row["sequences"].items():
                at = (topic, row["case_ref"])
                if at not in reached and evidence.forgotten(topic):
                    continue  # nothing of the case is young enough to be held still
                if reached.get(at, 0) < last and at not in kept and not row["erased"]:
                    text = f"{service} promised {last} events on {topic}, {reached.get(at, 0)} came"
                    yield Violation("I1", row["case_ref"], text)


def _place(row: Row) -> tuple[str, int, int]:
    return row["topic"], row["partition"], row["offset"]
