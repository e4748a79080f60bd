"""I12: each state, and all that was said on the way to it, is what the model makes of the case's log."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any

from torture.checks.readers import MODELS, too_far_ahead
from torture.checks.violation import Violation
from torture.evidence import Evidence, Row, moment
from torture.reference import compare
from torture.reference.numbers import PATIENCE_DAYS
from torture.reference.replay import REJECTED, Event, Model, Replay, Said, read

DEFAULT = ("", "default-1")
"""The policies whose numbers the model knows."""


def check(evidence: Evidence) -> list[Violation]:
    """Replay every case of every service."""
    found: list[Violation] = []
    said = _published(evidence)
    deliveries: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.deliveries:
        deliveries[row["case_ref"]].append(row)
    for service, model in MODELS.items():
        for row in evidence.services[service].cases:
            case = row["case_ref"]
            log = evidence.services[service].log_of.get(case, [])
            if row["erased"] or not all(entry["policy_version"] in DEFAULT for entry in log):
                continue
            replay = Replay()
            try:
                found += _replayed(evidence, model, replay, log)
                found += _stands(service, row, replay)
                if service == "notify":
                    found += _told(case, replay.said, deliveries[case])
                    found += _fed(case, replay.said, evidence)
                else:
                    found += _says(service, case, replay.said, said[service, case])
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                # What is stored may be anything; one case that cannot be replayed must not hide the others.
                text = f"{service} holds a log or a state that cannot be replayed ({type(error).__name__})"
                found.append(Violation("I12", case, text))
    return found


def _replayed(evidence: Evidence, model: Model, case: Replay, log: list[Row]) -> Iterator[Violation]:
    """Take the log's events; what became of each in the end must be what the log says."""
    taken: dict[str, Row] = {}
    queued = {_place(row) for row in evidence.services[model.service].parked}
    for row in log:
        if row["result"] == "parked" or (row["result"] == "discarded" and _place(row) in queued):
            continue
        if row["topic"] == "runtime":
            before = moment(row["time"] - timedelta(days=PATIENCE_DAYS))
            late = [event for event in case.waiting if moment(taken[event.reference]["received_at"]) < before]
            model.give_up(case, late)
            continue
        record = evidence.first.get((row["topic"], (row["case_ref"], row["source"], row["id"])))
        event = _event(row)
        taken[event.reference] = row
        if record is not None and too_far_ahead(record):
            case.results[event.reference] = model.refuse(case, event, "time_out_of_range")
        else:
            model.take(case, event)
    for reference, row in taken.items():
        if case.results[reference] != row["result"]:
            came = case.results[reference]
            text = f"{model.service} says that an event was {row['result']}, the model that it was {came}"
            yield Violation("I12", row["case_ref"], text, (reference,), (_place(row),))


def _event(row: Row) -> Event:
    """The event of a log row, by the log alone: its time bears the sender's offset, since dates are the sender's."""
    time = row["time"].astimezone(timezone(timedelta(seconds=row["utc_offset"])))
    return Event(
        row["source"], row["id"], row["type"], row["case_ref"], time, read(bytes(row["body"]), row["type"]),
        row["causation"],
    )  # fmt: skip


def _stands(service: str, row: Row, replay: Replay) -> Iterator[Violation]:
    case = row["case_ref"]
    model, stored = compare.projected(service, replay.state), compare.stored(service, row["state"])
    for path in compare.differences(model, stored)[:5]:
        yield Violation("I12", case, f"the state of {service} is not the fold of its log at {path or '/'}")
    waiting = [event.reference for event in replay.waiting]
    kept = [f"{each['event']['source']}#{each['event']['id']}" for each in row["waiting"]]
    if waiting != kept:
        text = f"{service} lets {len(kept)} events wait, the model {len(waiting)}"
        yield Violation("I12", case, text, tuple(sorted(set(waiting) ^ set(kept))))
    sequences = {topic: last for topic, last in replay.sequences.items() if topic.endswith(".v1")}
    if sequences != dict(row["sequences"]):
        yield Violation("I12", case, f"{service} counts other sequences than the model")


def _published(evidence: Evidence) -> dict[tuple[str, str], dict[str, Any]]:
    """(service, case) -> id -> (type, sequence, cause, data) of what is on topics or in the outbox."""
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for service, here in evidence.said.items():
        for record in here:
            envelope = record.envelope
            assert envelope is not None
            known = (envelope.type, envelope.sequence, envelope.causationid, json.loads(envelope.data))
            found[service, str(envelope.subject)][envelope.id] = known
    for service, tables in evidence.services.items():
        for row in tables.outbox:
            headers = json.loads(row["headers"])
            sequence = int(headers["ce_sequence"]) if "ce_sequence" in headers else None
            known = (headers["ce_type"], sequence, headers.get("ce_causationid"), json.loads(bytes(row["value"])))
            found[service, row["case_ref"]].setdefault(headers["ce_id"], known)
    return found


def _says(service: str, case: str, expected: list[Said], published: dict[str, Any]) -> Iterator[Violation]:
    """Each event of the model was published once, as decided; and nothing else was."""
    refusals = {(known[2], known[3].get("code")): id_ for id_, known in published.items() if known[0] == REJECTED}
    codes = {known[2] for known in published.values() if known[0] == REJECTED}
    left = {id_ for id_, known in published.items() if known[0] != REJECTED}
    for each in expected:
        if each.type == REJECTED:
            code = each.data.get("code")
            if not ((each.cause, code) in refusals or (code is None and each.cause in codes)):
                text = f"{service} did not refuse an event as the model does ({code})"
                yield Violation("I12", case, text, (each.cause,))
            continue
        known = published.get(each.id)
        about = (f"/services/{service}#{each.id}", each.cause)
        if known is None:
            yield Violation("I3", case, f"{service} did not publish {each.type}, which its log makes", about)
            continue
        left.discard(each.id)
        if known[:3] != (each.type, each.sequence, each.cause):
            yield Violation("I12", case, f"{service} published another type, sequence or cause than {each.type}", about)
        else:
            for path in compare.unsaid(each, known[3])[:5]:
                yield Violation("I12", case, f"{service} decided {each.type} otherwise than the model at {path}", about)
    for id_ in sorted(left):
        yield Violation(
            "I3", case, f"{service} published an event that its log does not make", (f"/services/{service}#{id_}",)
        )


def _told(case: str, expected: list[Said], rows: list[Row]) -> Iterator[Violation]:
    """I6: what employers are to be told is what they may be told."""
    by_place = {(row["employer"], row["sequence"]): row for row in rows}
    ids = {row["event_id"]: int(row["sequence"]) for row in rows}
    due = {
        (each.data["employer"], each.data["sequence"]): each for each in expected if each.type.endswith(".delivery.v1")
    }
    for place in by_place.keys() - due.keys():
        yield Violation("I6", case, f"{place[0]} is told more than it may know", (by_place[place]["event_id"],))
    for place, each in due.items():
        row = by_place.get(place)
        if row is None:
            yield Violation("I6", case, f"update {place[1]} for {place[0]} was not made", (each.cause,))
            continue
        view = compare.delivery(bytes(row["body"]), ids)
        said = {name: value for name, value in each.data.items() if name != "employer"}
        for path in compare.differences(said, {name: view.get(name) for name in said})[:5]:
            yield Violation("I6", case, f"{place[0]} is told otherwise than decided at {path}", (row["event_id"],))


def _fed(case: str, expected: list[Said], evidence: Evidence) -> Iterator[Violation]:
    """I3: a clinic reads each event in its feed once, and only its own."""
    due = {
        (each.data["clinic"], f"{each.data['source']}#{each.data['event_id']}")
        for each in expected
        if each.type.endswith(".feed.v1")
    }
    kept = {(row["clinic"], f"{row['source']}#{row['event_id']}") for row in evidence.feed_of.get(case, [])}
    for clinic, reference in sorted(due - kept):
        yield Violation("I3", case, f"the feed of {clinic} lacks an event", (reference,))
    for clinic, reference in sorted(kept - due):
        yield Violation("I3", case, f"the feed of {clinic} has an event that is not for it", (reference,))


def _place(row: Row) -> str:
    return f"{row['topic']}/{row['partition']}/{row['offset']}"
