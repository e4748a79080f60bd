"""I5: what a group has committed was finished before. A sample at a time is held against when rows were written.

A row's `received_at` is when its transaction began, so a record below a sampled offset whose row began later than the
sample was certainly not finished when it was committed.
"""

from __future__ import annotations

from collections import defaultdict

from torture.checks.readers import due, logged
from torture.checks.violation import Violation
from torture.evidence import Evidence, moment


def check(evidence: Evidence) -> list[Violation]:
    """Each sample against the records below it."""
    finished: dict[tuple[str, str, int], list[tuple[int, float | None]]] = defaultdict(list)
    dead = {
        (name, row["topic"], row["partition"], row["offset"]): moment(row["received_at"])
        for name, tables in evidence.services.items()
        for row in tables.dead
    }
    for each in due(evidence):
        record = each.record
        row = logged(evidence, each)
        at = dead.get((each.service, record.topic, record.partition, record.offset))
        at = at if row is None else moment(row["received_at"])
        finished[each.service, record.topic, record.partition].append((record.offset, at))
    found: list[Violation] = []
    for sample in evidence.samples:
        for offset, at in finished.get((sample.service, sample.topic, sample.partition), ()):
            if offset < sample.committed and (at is None or at > sample.at):
                late = "never" if at is None else f"{at - sample.at:.3f} s later"
                text = f"{sample.service} had committed {sample.committed}, and finished an earlier record {late}"
                found.append(Violation("I5", None, text, (), (f"{sample.topic}/{sample.partition}/{offset}",)))
                break
    return found
