"""I6: each employer holds what it may, nothing else, in order, to the last. I8: every disclosure is logged, once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from torture.checks.violation import Violation
from torture.evidence import EMPLOYER_TOPIC, Evidence, Row

Told = tuple[str, str, str]
"""(employer, case, event id)."""


def check(evidence: Evidence) -> list[Violation]:
    """Receivers and employers' topics against what was to be delivered, and the disclosure log against both."""
    return [*_topics(evidence), *_books(evidence), *_complete(evidence), *_replaced(evidence), *_disclosed(evidence)]


def _key(row: Row) -> Told:
    return row["employer"], row["case_ref"], row["event_id"]


def _topics(evidence: Evidence) -> Iterator[Violation]:
    """An employer's topic is one more receiver."""
    rows = {_key(row): row for row in evidence.deliveries}
    erased = {ref for (service, ref), row in evidence.case_of.items() if service == "notify" and row["erased"]}
    held: set[Told] = set()
    for topic, here in evidence.on_topic.items():
        named = EMPLOYER_TOPIC.match(topic)
        last: Counter[str] = Counter()
        for record in here if named else ():
            assert named is not None
            if record.envelope is None or record.event is None:
                yield Violation("I6", None, f"{topic} holds what is no update", (), (record.place,))
                continue
            case, _, id_ = record.event
            key = (named["employer"], case, id_)
            row = rows.get(key)
            if key in held or case in erased:
                continue
            held.add(key)
            if row is None or row["attempts"] == 0:
                yield Violation("I6", case, f"{topic} holds an update that nobody sent", (id_,), (record.place,))
                continue
            if row["sequence"] <= last[case]:
                yield Violation("I6", case, f"{topic} has an update after a newer one", (id_,), (record.place,))
            last[case] = max(last[case], row["sequence"])
    kinds = {row["employer"]: row["kind"] for row in evidence.endpoints}
    for key, row in rows.items():
        if kinds.get(key[0]) == "kafka" and row["status"] == "delivered" and key not in held:
            yield Violation("I6", key[1], f"the topic of {key[0]} lacks a delivered update", (key[2],))


def _books(evidence: Evidence) -> Iterator[Violation]:
    if evidence.books is None:
        return
    rows = {_key(row): row for row in evidence.deliveries}
    held: set[Told] = set()
    for employer, book in evidence.books.items():
        for update in book["refused"]:
            yield Violation(
                "I6", update["case_ref"] or None, f"{employer} was sent what it could not verify", (update["event_id"],)
            )
        last: Counter[str] = Counter()
        for update in book["updates"]:
            case = update["case_ref"]
            key = (employer, case, update["event_id"])
            about = (update["event_id"],)
            row = rows.get(key)
            if key in held:
                yield Violation("I6", case, f"{employer} counted an update twice", about)
            elif update["sequence"] <= last[case]:
                yield Violation("I6", case, f"{employer} took an update after a newer one", about)
            held.add(key)
            last[case] = max(last[case], update["sequence"])
            if evidence.erased("notify", case):
                continue
            if row is None or row["attempts"] == 0:
                yield Violation("I6", case, f"{employer} holds an update that nobody sent", about)
            elif (row["sequence"], *_status(row)) != (update["sequence"], update["status"], update["outcome"]):
                yield Violation("I6", case, f"{employer} holds another update than was sent", about)
    for key, row in rows.items():
        if row["status"] == "delivered" and key[0] in evidence.books and key not in held:
            yield Violation("I6", key[1], f"{key[0]} lacks a delivered update", (key[2],))


def _status(row: Row) -> tuple[str, str]:
    data: dict[str, Any] = json.loads(row["body"])["data"]
    return data["status"], data["outcome"]


def _complete(evidence: Evidence) -> Iterator[Violation]:
    """Per case and employer 1..n, and each is delivered, or is recorded as left out or failed; the last one counts."""
    by_case: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in evidence.deliveries:
        by_case[row["employer"], row["case_ref"]].append(row)
    for (employer, case), rows in by_case.items():
        numbers = sorted(int(row["sequence"]) for row in rows)
        if numbers != list(range(1, len(numbers) + 1)):
            yield Violation("I6", case, f"the updates of {employer} are not 1 to {len(numbers)}")
        for row in rows:
            if row["status"] in ("withheld", "failed") and not row["reason"]:
                yield Violation("I6", case, f"an update of {employer} was left out for no reason", (row["event_id"],))
            if _overdue(evidence, row):
                yield Violation("I9", case, f"an update of {employer} is due and was not sent", (row["event_id"],))


def _overdue(evidence: Evidence, row: Row) -> bool:
    enabled = any(each["enabled"] for each in evidence.endpoints if each["employer"] == row["employer"])
    case = evidence.case_of.get(("notify", row["case_ref"]))
    parked = case is not None and case["parked"] > 0
    return row["status"] == "pending" and row["due"] and enabled and not parked


def _replaced(evidence: Evidence) -> Iterator[Violation]:
    """What gave way to a newer update says to which; that needs no more consent and is settled, or gave way in turn.
    What takes something back gives way to nothing."""
    rows = {_key(row): row for row in evidence.deliveries}
    for (employer, case, id_), row in rows.items():
        if row["status"] != "coalesced":
            continue
        data: dict[str, Any] = json.loads(row["body"])["data"]
        if data.get("supersedes") is not None or data["outcome"] in ("revoked", "discontinued"):
            yield Violation("I6", case, f"an update of {employer} that takes something back was left out", (id_,))
        if row["attempts"] > 0:
            yield Violation("I6", case, f"an update of {employer} was tried and left out", (id_,))
        taker = rows.get((employer, case, row["superseded_by"]))
        if taker is None or taker["sequence"] <= row["sequence"] or not set(taker["scopes"]) <= set(row["scopes"]):
            yield Violation("I6", case, f"an update of {employer} was left out for none that takes its place", (id_,))
        elif _overdue(evidence, taker):
            yield Violation("I6", case, f"an update of {employer} was left out for one that was not sent", (id_,))


def _disclosed(evidence: Evidence) -> Iterator[Violation]:
    rows = {_key(row): row for row in evidence.deliveries}
    logged: Counter[tuple[Told, str]] = Counter((_key(row), row["channel"]) for row in evidence.disclosures)
    for (key, channel), times in logged.items():
        if times > 1:
            yield Violation("I8", key[1], f"a disclosure to {key[0]} by {channel} is logged {times} times", (key[2],))
    pushed = {key for key, channel in logged if channel != "pull"}
    for key, row in rows.items():
        if row["status"] == "delivered" and key not in pushed:
            yield Violation("I8", key[1], f"{key[0]} was told, and no disclosure says so", (key[2],))
    for line in evidence.disclosures:
        key = _key(line)
        row = rows.get(key)
        if row is None:
            if not evidence.erased("notify", key[1]):
                yield Violation(
                    "I8", key[1], f"a disclosure to {key[0]} is of an update that was never made", (key[2],)
                )
            continue
        if line["channel"] != "pull" and row["attempts"] == 0:
            yield Violation("I8", key[1], f"a disclosure to {key[0]} was never tried", (key[2],))
        if line["channel"] != "pull" and bytes(line["body_sha256"]) != hashlib.sha256(row["body"]).digest():
            yield Violation("I8", key[1], f"a disclosure to {key[0]} is of another body than was sent", (key[2],))
        if line["sequence"] != row["sequence"] or list(line["scopes"]) != list(row["scopes"]):
            yield Violation("I8", key[1], f"a disclosure to {key[0]} names another update or scope", (key[2],))
