"""I9: everything comes to rest after the last fault. I10: a poisoned record delays its own case, and no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from torture.checks.violation import Violation
from torture.evidence import Evidence, Row

DRAINED_S = 60.0
IDLE_S = 10.0
"""What `idle_in_transaction_session_timeout` allows."""


def check(evidence: Evidence) -> list[Violation]:
    """What is left over, and what is parked for no fault of its own."""
    return [*_left(evidence), *_parked(evidence)]


def _left(evidence: Evidence) -> Iterator[Violation]:
    if evidence.drained_s is not None and evidence.drained_s > DRAINED_S:
        yield Violation("I9", None, f"took {evidence.drained_s:.0f} s to come to rest")
    for service, tables in evidence.services.items():
        if tables.outbox:
            held = sum(row["held"] is not None for row in tables.outbox)
            case = tables.outbox[0]["case_ref"]
            yield Violation("I9", case, f"{service} has {len(tables.outbox)} rows in its outbox, {held} of them held")
    for (service, topic), count in evidence.behind.items():
        if count:
            yield Violation("I9", None, f"{service} has not committed {count} records of {topic}")
    yield from sessions(evidence)


def sessions(evidence: Evidence) -> Iterator[Violation]:
    """No transaction is left open, and nobody holds a lock that others wait for."""
    for row in evidence.sessions:
        about = f"session {row['pid']} of {row['role']}"
        if str(row["state"]).startswith("idle in transaction") and row["seconds"] > IDLE_S:
            yield Violation("I9", None, f"{about} is idle in a transaction for {row['seconds']:.0f} s")
        elif row["blocking"] and row["seconds"] > IDLE_S:
            yield Violation("I9", None, f"{about} keeps {row['blocking']} others from a lock")


def _parked(evidence: Evidence) -> Iterator[Violation]:
    for service, tables in evidence.services.items():
        open_: dict[str, list[Row]] = defaultdict(list)
        poisoned: set[str] = set()
        for row in sorted(tables.parked, key=lambda each: int(each["id"])):
            if row["resolved_at"] is None:
                open_[row["case_ref"]].append(row)
            if row["reason"] != "behind_parked":
                poisoned.add(row["case_ref"])
            elif row["case_ref"] not in poisoned:
                about = (f"{row['source']}#{row['event_id']}",)
                yield Violation("I10", row["case_ref"], f"{service} parked an event behind nothing", about)
        for row in tables.cases:
            queued = open_.get(row["case_ref"], [])
            if row["parked"] != len(queued):
                text = f"{service} counts {row['parked']} parked records, {len(queued)} are open"
                yield Violation("I10", row["case_ref"], text)
            if queued:
                yield from _passed(service, row["case_ref"], queued[0], tables.log_of.get(row["case_ref"], []))


def _passed(service: str, case: str, first: Row, log: list[Row]) -> Iterator[Violation]:
    """Nothing of a case passes the record that it is parked at: its successors queue behind it."""
    place = (first["topic"], first["partition"], first["offset"])
    at = next((row for row in log if (row["topic"], row["partition"], row["offset"]) == place), None)
    for row in log:
        if at is not None and row["case_version"] > at["case_version"] and row["result"] in ("folded", "waiting"):
            if row["retried_version"] is not None or row["topic"] == "runtime":
                continue
            about = (f"{row['source']}#{row['id']}",)
            yield Violation("I10", case, f"{service} let an event pass a parked one", about)
