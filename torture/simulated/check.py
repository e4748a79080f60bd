"""The invariants at the end of a seed, against the ledger of what was sent. Written without the runtime's decisions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from torture.simulated import toy
from torture.simulated.broker import Entry, Place
from torture.simulated.plan import Sent

Published = tuple[UUID, dict[str, str], bytes]
"""Case, attributes and body of an event that was published."""


@dataclass
class Evidence:
    """What a run left: the ledger of what was sent, the tables, the logs, and what was found on the way."""

    sent: Mapping[tuple[str, int, int], Sent]
    tables: Mapping[str, Mapping[Any, Mapping[str, Any]]]
    logs: Mapping[Place, Sequence[Entry]]
    found: Sequence[str] = ()


def violations_of(run: Evidence) -> list[str]:
    """Every violated invariant, each with its case."""
    erased = {ref for ref, case in run.tables["cases"].items() if case["erased"]}
    published, doubts = _published(run)
    found = [*run.found, *doubts]
    found += _one_outcome(run, erased, published)
    found += _order(run)
    found += _sequences(run, erased, published)
    found += versions_wrong(run.tables)
    found += _states(run, erased, published)
    found += _at_rest(run)
    found += _erased(run, erased)
    return found


def finished(tables: Mapping[str, Mapping[Any, Any]], sent: Sent, at: tuple[str, int, int]) -> bool:
    """Whether the database holds what became of the record that stands `at` (topic, partition, offset)."""
    if sent.kind in ("dead", "reused"):
        return at in tables["dead_letter"]
    if sent.kind == "unread":
        return (sent.case, f"kafka:{at[0]}", f"{at[1]}/{at[2]}") in tables["event_log"]
    return (sent.case, *sent.reference.split("#")) in tables["event_log"]


def _published(run: Evidence) -> tuple[list[Published], list[str]]:
    """The first occurrence of every event that was published, partition by partition."""
    seen: dict[str, tuple[Any, bytes | None]] = {}
    first: list[Published] = []
    doubts: list[str] = []
    for place, log in run.logs.items():
        for entry in log if place[0] == toy.OUT else ():
            attributes = _attributes(entry)
            content = (entry.headers, entry.value)
            if attributes["id"] not in seen:
                seen[attributes["id"]] = content
                first.append((UUID(attributes["subject"]), attributes, entry.value or b""))
            elif seen[attributes["id"]] != content:
                doubts.append(f"I3: {attributes['id']} was published with two contents")
    return first, doubts


def _attributes(entry: Entry) -> dict[str, str]:
    return {name.removeprefix("ce_"): (text or b"").decode() for name, text in entry.headers}


def _one_outcome(run: Evidence, erased: set[UUID], published: list[Published]) -> Iterator[str]:
    """I1, I3: each event that could be read has one effect, or one rejection, or was given up by a person."""
    tables = run.tables
    effects = Counter((row["case_ref"], row["reference"]) for row in tables["noted"].values())
    sums: Counter[tuple[UUID, str]] = Counter()
    rejections: Counter[tuple[UUID, str]] = Counter()
    for case, attributes, _ in published:
        kind = sums if attributes["type"] == toy.Summed.TYPE else rejections
        kind[case, attributes["causationid"]] += 1
    for at in run.sent:
        if not finished(run.tables, run.sent[at], at):
            yield f"I1: the record at {at} has left no trace"
    discarded: Counter[tuple[UUID, str]] = Counter()
    for (case, source, id), row in tables["event_log"].items():
        discarded[case, f"{source}#{id}"] += row["result"] == "discarded"
    for sent in _distinct(run):
        key = (sent.case, sent.reference)
        outcome = {
            "effects": effects[key],
            "rejections": rejections[key],
            "discarded": discarded[key],
        }
        if sent.case in erased:
            continue
        if sum(outcome.values()) != 1:
            yield f"I1/I3: {sent.reference} of {sent.case} has {outcome}"
        row = tables["event_log"].get((sent.case, *sent.reference.split("#")))
        if row is not None and not outcome.get(_OUTCOMES.get(row["result"], ""), 0):
            yield f"I1: the log says that {sent.reference} of {sent.case} was {row['result']}, and it has {outcome}"
        spoken = 0 if sent.reference.endswith("#open") else effects[key]
        if sums[key] != spoken:
            yield f"I3: {sent.reference} of {sent.case} was published {sums[key]} times for {spoken} effects"


_OUTCOMES = {"folded": "effects", "rejected": "rejections", "discarded": "discarded"}


def _distinct(run: Evidence) -> Iterator[Any]:
    seen: set[tuple[UUID, str]] = set()
    for _, sent in sorted(run.sent.items(), key=lambda item: item[0]):
        if sent.kind in ("event", "broken") and (sent.case, sent.reference) not in seen:
            seen.add((sent.case, sent.reference))
            yield sent


def _order(run: Evidence) -> Iterator[str]:
    """I4 at the inbox: within a case and a topic, effects come in the order of the first occurrences."""
    wanted: dict[tuple[UUID, str], list[str]] = {}
    for sent in _distinct(run):
        wanted.setdefault((sent.case, sent.topic), []).append(sent.reference)
    got: dict[UUID, list[str]] = {}
    for _, row in sorted(run.tables["noted"].items()):
        got.setdefault(row["case_ref"], []).append(row["reference"])
    for (case, topic), references in wanted.items():
        mine = [reference for reference in got.get(case, []) if reference in references]
        kept = [reference for reference in references if reference in mine]
        if topic == toy.CLINIC:
            # What came before its case was opened had to wait for it.
            kept.sort(key=lambda reference: not reference.endswith("#open"))
        if mine != kept:
            yield f"I4: effects of {case} from {topic} came as {mine}, not as {kept}"


def _sequences(run: Evidence, erased: set[UUID], published: list[Published]) -> Iterator[str]:
    """I4 at the outbox: per case, first occurrences are numbered 1..n without gap or inversion."""
    numbers: dict[UUID, list[int]] = {}
    for case, attributes, _ in published:
        if "sequence" in attributes:
            numbers.setdefault(case, []).append(int(attributes["sequence"]))
    for case, row in run.tables["cases"].items():
        count = json.loads(row["sequences"]).get(toy.OUT, 0)
        mine = numbers.pop(case, [])
        # Erasure takes back what was not published yet, which leaves gaps.
        wanted = sorted(set(mine)) if case in erased else list(range(1, count + 1))
        if mine != wanted:
            yield f"I4: sequences of {case} are {mine}, not {wanted}"
    for case in numbers:
        yield f"I4: {case} was published and is not stored"


def versions_wrong(tables: Mapping[str, Mapping[Any, Mapping[str, Any]]]) -> Iterator[str]:
    """I2: each version of a case belongs to one log row: to its taking, its retry or its giving up."""
    versions: dict[UUID, list[int]] = {}
    for (case, _, _), row in tables["event_log"].items():
        made = (row["case_version"], row["retried_version"], row["discarded_version"])
        versions.setdefault(case, []).extend(version for version in made if version is not None)
    for case, row in tables["cases"].items():
        mine = sorted(versions.get(case, []))
        if mine != list(range(1, row["version"] + 1)):
            yield f"I2: {case} is at version {row['version']}, its log holds {mine}"


def _states(run: Evidence, erased: set[UUID], published: list[Published]) -> Iterator[str]:
    """I12: a case's total, and the last total that was published of it, is the sum of its effects."""
    sums: Counter[UUID] = Counter()
    for row in run.tables["noted"].values():
        sums[row["case_ref"]] += row["amount"]
    said = {case: json.loads(body)["total"] for case, attributes, body in published if "sequence" in attributes}
    for case, row in run.tables["cases"].items():
        if case in erased:
            continue
        total = json.loads(row["state"])["total"] if row["state"] else 0
        if total != sums[case] or said.get(case, total) != total:
            yield f"I12: {case} stands at {total}, its effects at {sums[case]}, and said {said.get(case)}"


def _at_rest(run: Evidence) -> Iterator[str]:
    """I9: nothing waits, nothing is parked or promised."""
    for case, row in run.tables["cases"].items():
        open_rows = sum(
            parked["case_ref"] == case and parked["resolution"] is None for parked in run.tables["parked"].values()
        )
        if row["erased"]:
            if row["parked"]:
                yield f"erasure: {case} counts {row['parked']} parked records though erased"
        elif row["parked"] != open_rows or open_rows:
            yield f"I9: {case} counts {row['parked']} parked records and has {open_rows}"
        if row["waiting"] != "[]":
            yield f"I9: {case} still waits"
    if run.tables["outbox"]:
        yield "I9: the outbox is not empty"


def _erased(run: Evidence, erased: set[UUID]) -> Iterator[str]:
    """An erased case keeps that events were taken, and nothing of what they said."""
    tables = run.tables
    for case in erased:
        row = tables["cases"][case]
        if row["state"] is not None:
            yield f"erasure: {case} still has a state"
        for name in ("noted", "parked"):
            if any(other["case_ref"] == case for other in tables[name].values()):
                yield f"erasure: {name} still holds rows of {case}"
        if any(row["body"] is not None for key, row in tables["event_log"].items() if key[0] == case):
            yield f"erasure: the log still holds bodies of {case}"
