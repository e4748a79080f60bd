"""I2: each version of a case belongs to one log row. I4: what a case says and hears keeps its order, without a gap."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from torture.checks.violation import Violation
from torture.evidence import Evidence, Row, effective


def check(evidence: Evidence) -> list[Violation]:
    """Versions, published sequences, and the order in which each consumer took them."""
    return [*_versions(evidence), *_sequences(evidence), *_consumed(evidence)]


def _versions(evidence: Evidence) -> Iterator[Violation]:
    for service, tables in evidence.services.items():
        for case in tables.log_of.keys() - {row["case_ref"] for row in tables.cases}:
            yield Violation("I2", case, f"{service} logged events of a case that it does not hold")
        for row in tables.cases:
            case, last = row["case_ref"], int(row["version"])
            owners: dict[int, list[str]] = defaultdict(list)
            for entry in tables.log_of.get(case, []):
                for version in (entry["case_version"], entry["retried_version"], entry["discarded_version"]):
                    if version is not None:
                        owners[int(version)].append(f"{entry['source']}#{entry['id']}")
            for version, names in sorted(owners.items()):
                if len(names) > 1:
                    yield Violation("I2", case, f"{service} made version {version} more than once", tuple(names))
                elif version > last:
                    yield Violation("I2", case, f"{service} is behind version {version} of its log", tuple(names))
            nobodys = [version for version in range(1, last + 1) if version not in owners]
            if nobodys:
                yield Violation("I2", case, f"{service} has version {nobodys[-1]} from no event")


def _sequences(evidence: Evidence) -> Iterator[Violation]:
    places: dict[tuple[str, str], set[int]] = defaultdict(set)
    for here in evidence.on_topic.values():
        for record in here:
            if record.event is not None and record.topic.endswith(".events.v1"):
                places[record.topic, record.event[0]].add(record.partition)
    for (topic, case), partitions in places.items():
        if len(partitions) > 1:
            yield Violation("I4", case, f"{topic} holds the case in partitions {sorted(partitions)}")
    for service, here in evidence.said.items():
        numbers: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        for record in here:
            if record.envelope and record.envelope.sequence is not None:
                numbers[record.topic, str(record.envelope.subject)].append((record.envelope.sequence, record.place))
        for (topic, case), found in numbers.items():
            yield from _counted(service, topic, case, found, evidence.forgotten(topic))
            row = evidence.case_of.get((service, case))
            if row is None or found[-1][0] > row["sequences"].get(topic, 0):
                yield Violation(
                    "I2", case, f"{service} published more on {topic} than its case counts", (), (found[-1][1],)
                )


def _counted(service: str, topic: str, case: str, found: list[tuple[int, str]], forgotten: bool) -> Iterator[Violation]:
    """First occurrences are 1..n, or m..n where the first are deleted by now. One finding each is enough."""
    seen = [number for number, _ in found]
    if len(set(seen)) < len(seen):
        twice = next(number for number, times in Counter(seen).items() if times > 1)
        at = tuple(place for number, place in found if number == twice)
        yield Violation("I3", case, f"{service} used sequence {twice} on {topic} for two events", (), at)
    for nth, (number, place) in enumerate(found[1:], 1):
        if number < found[nth - 1][0]:
            yield Violation(
                "I4", case, f"{topic} has {number} after {found[nth - 1][0]}", (), (found[nth - 1][1], place)
            )
            break
    missing = sorted(set(range(min(seen) if forgotten else 1, max(seen) + 1)) - set(seen))
    if missing:
        yield Violation("I4", case, f"{topic} lacks sequence {missing[0]} of {max(seen)}", (), (found[-1][1],))


def _consumed(evidence: Evidence) -> Iterator[Violation]:
    for service, tables in evidence.services.items():
        for case, rows in tables.log_of.items():
            taken: dict[tuple[str, int], Row] = {}
            counted: dict[tuple[str, str], Row] = {}
            for row in sorted(rows, key=effective):
                if row["topic"] == "runtime" or row["result"] in ("parked", "discarded", "rejected", "ignored"):
                    continue
                before = taken.get((row["topic"], row["partition"]))
                if before is not None and row["offset"] < before["offset"]:
                    yield Violation("I4", case, f"{service} took {row['topic']} out of order", *_both(before, row))
                taken[row["topic"], row["partition"]] = row
                if row["sequence"] is not None:
                    last = counted.get((row["topic"], row["source"]))
                    if last is not None and row["sequence"] <= last["sequence"]:
                        text = f"{service} took sequence {row['sequence']} after {last['sequence']} of {row['source']}"
                        yield Violation("I4", case, text, *_both(last, row))
                    counted[row["topic"], row["source"]] = row
                yield from _first_taken(evidence, service, case, row)


def _first_taken(evidence: Evidence, service: str, case: str, row: Row) -> Iterator[Violation]:
    """An event is taken where it first stands: one that was passed over and rescued by a copy was lost for a while."""
    first = evidence.first.get((row["topic"], (case, row["source"], row["id"])))
    if (
        first is not None
        and not evidence.outlived(row)
        and (first.partition, first.offset) != (row["partition"], row["offset"])
    ):
        places = (first.place, f"{row['topic']}/{row['partition']}/{row['offset']}")
        text = f"{service} passed over an event and took a later copy of it"
        yield Violation("I4", case, text, (f"{row['source']}#{row['id']}",), places)


def _both(before: Row, row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(f"{each['source']}#{each['id']}" for each in (before, row)),
        tuple(f"{each['topic']}/{each['partition']}/{each['offset']}" for each in (before, row)),
    )
