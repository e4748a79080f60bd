"""I3: one effect for each (consumer, source, id), and one meaning for each id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from torture.checks.violation import Violation
from torture.evidence import Evidence, Record


def check(evidence: Evidence) -> list[Violation]:
    """Log rows, published events, and notify's rows: nothing stands twice, and a copy is a copy."""
    return [*_logged(evidence), *_copies(evidence), *_rows(evidence)]


def _logged(evidence: Evidence) -> Iterator[Violation]:
    for service, tables in evidence.services.items():
        keys = Counter((row["case_ref"], row["source"], row["id"]) for row in tables.log)
        for (case, source, id_), times in keys.items():
            if times > 1:
                yield Violation("I3", case, f"{service} took an event {times} times", (f"{source}#{id_}",))
        places = Counter(
            (row["topic"], row["partition"], row["offset"])
            for row in tables.log
            if row["topic"] != "runtime" and row["result"] != "discarded"
        )
        for place, times in places.items():
            if times > 1:
                at = "/".join(map(str, place))
                yield Violation("I3", None, f"{service} took one record as {times} events", (), (at,))
        for row in tables.cases:
            waiting = Counter(f"{each['event']['source']}#{each['event']['id']}" for each in row["waiting"])
            for reference, times in waiting.items():
                if times > 1:
                    yield Violation("I3", row["case_ref"], f"{service} lets an event wait {times} times", (reference,))


def _copies(evidence: Evidence) -> Iterator[Violation]:
    """An event of ours that is published again says the same again; anything else was decided twice."""
    for here in evidence.on_topic.values():
        for record in here:
            if record.envelope is None or record.event is None or not record.event[1].startswith("/services/"):
                continue
            first = evidence.first[record.topic, record.event]
            if _said(first) != _said(record):
                text = f"{record.event[1]} published one id with two meanings"
                places = (first.place, record.place)
                yield Violation("I3", record.event[0], text, ("#".join(record.event[1:]),), places)


def _said(record: Record) -> Any:
    envelope = record.envelope
    return envelope and (envelope.type, envelope.sequence, envelope.causationid, envelope.time, envelope.data)


def _rows(evidence: Evidence) -> Iterator[Violation]:
    yield from _twice(
        ((x["case_ref"], x["source"], x["event_id"]) for x in evidence.feed), "a clinic's feed has an event"
    )
    yield from _twice(
        ((x["case_ref"], x["employer"], x["sequence"]) for x in evidence.deliveries), "an update was made"
    )
    yield from _twice(
        ((x["case_ref"], x["employer"], x["event_id"]) for x in evidence.deliveries), "an update was made"
    )
    for service, tables in evidence.services.items():
        places = ((x["case_ref"], x["topic"], f"{x['partition']}/{x['offset']}") for x in tables.parked)
        yield from _twice(places, f"{service} parked a record")


def _twice(rows: Iterable[tuple[Any, Any, Any]], what: str) -> Iterator[Violation]:
    for (case, first, second), times in Counter(rows).items():
        if times > 1:
            yield Violation("I3", case, f"{what} {times} times", (f"{first}#{second}",))
