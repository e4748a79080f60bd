"""I11: every effect has one chain of causes to its clinic event, and one trace."""

from __future__ import annotations

from collections.abc import Iterator

from torture.checks.readers import is_own
from torture.checks.violation import Violation
from torture.evidence import Evidence, Record
from torture.reference.replay import REJECTED


def check(evidence: Evidence) -> list[Violation]:
    """Each published event's cause, the chain it begins, and its trace; and the cause of each row in a feed."""
    return [*_chains(evidence), *_fed(evidence)]


def _chains(evidence: Evidence) -> Iterator[Violation]:
    by_reference: dict[tuple[str, str], Record] = {}
    for (_, key), record in evidence.first.items():
        by_reference.setdefault((key[0], f"{key[1]}#{key[2]}"), record)
    own = {(k[0], f"{k[1]}#{k[2]}") for topic, k in evidence.first if is_own(topic)}
    for service, here in evidence.said.items():
        taken = {(key[0], f"{key[1]}#{key[2]}") for key in evidence.services[service].by_key}
        for record in here:
            envelope = record.envelope
            assert envelope is not None
            case, cause = str(envelope.subject), envelope.causationid
            about = (envelope.reference,)
            if cause is None:
                yield Violation("I11", case, f"{service} published an event without a cause", about, (record.place,))
            elif (case, cause) not in taken and not (envelope.type == REJECTED and (case, cause) in own):
                text = f"{service} published an event whose cause it never took"
                yield Violation("I11", case, text, (*about, cause), (record.place,))
            else:
                yield from _up(case, record, by_reference)


def _up(case: str, record: Record, by_reference: dict[tuple[str, str], Record]) -> Iterator[Violation]:
    """Follow the causes up to a clinic's event."""
    seen: set[str] = set()
    here: Record | None = record
    while here is not None and here.envelope is not None:
        envelope = here.envelope
        if envelope.source.startswith("/clinics/"):
            return
        cause = envelope.causationid
        if cause is None or cause in seen:
            break
        seen.add(cause)
        parent = by_reference.get((case, cause))
        if parent is not None and parent.envelope is not None and here is record:
            mine, theirs = _trace(envelope.traceparent), _trace(parent.envelope.traceparent)
            if theirs is not None and mine is not None and mine != theirs:
                yield Violation("I11", case, "an event is in another trace than its cause", (envelope.reference, cause))
        here = parent
    yield Violation(
        "I11", case, "a chain of causes ends before a clinic's event", (_reference(record),), (record.place,)
    )


def _reference(record: Record) -> str:
    return record.envelope.reference if record.envelope else record.place


def _trace(parent: str | None) -> str | None:
    return parent.split("-")[1] if parent else None


def _fed(evidence: Evidence) -> Iterator[Violation]:
    taken = evidence.services["notify"].by_key
    for row in evidence.feed:
        if (row["case_ref"], row["source"], row["event_id"]) not in taken:
            about = (f"{row['source']}#{row['event_id']}",)
            yield Violation("I11", row["case_ref"], "a clinic's feed has an event that notify never took", about)
