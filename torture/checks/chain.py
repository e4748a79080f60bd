"""I8, the chain: each disclosure is sealed in time, and the log still says what was sealed (ADR 17)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from torture.checks.violation import Violation
from torture.evidence import Evidence, Row

BEFORE_THE_FIRST = bytes(32)
UNSEALED_S = 60.0
"""Sealed every 5 s, and everything comes to rest within a minute of whatever stopped it (I9)."""


def check(evidence: Evidence) -> list[Violation]:
    """Every seal against the seal before it and the row that it seals, and every row that has none."""
    chains: dict[str, list[Row]] = defaultdict(list)
    for seal in evidence.seals:
        chains[seal["employer"]].append(seal)
    rows = {row["id"]: row for row in evidence.disclosures}
    found = [each for employer, chain in chains.items() for each in _chain(employer, chain, rows)]
    return [*found, *_sealed_once(evidence)]


def _chain(employer: str, chain: list[Row], rows: dict[int, Row]) -> Iterator[Violation]:
    """A link is held against the seal that is stored before it, so that only what was touched is named."""
    last, before = 0, BEFORE_THE_FIRST
    for seal in sorted(chain, key=lambda each: int(each["number"])):
        row, number, link = rows.get(seal["disclosure_id"]), int(seal["number"]), bytes(seal["hash"])
        case, event = (row["case_ref"], (row["event_id"],)) if row else (None, ())
        if number != last + 1:
            yield Violation("I8", case, f"the chain of {employer} has number {number} after {last}", event)
        elif row is None:
            yield Violation("I8", None, f"number {number} of {employer} seals a disclosure that is gone")
        elif row["employer"] != employer or link != _link(before, row, seal):
            yield Violation("I8", case, f"number {number} of {employer} is not what was sealed", event)
        last, before = number, link


def _sealed_once(evidence: Evidence) -> Iterator[Violation]:
    times = Counter(seal["disclosure_id"] for seal in evidence.seals)
    for row in evidence.disclosures:
        about = (row["event_id"],)
        if times[row["id"]] > 1:
            yield Violation("I8", row["case_ref"], f"a disclosure to {row['employer']} is sealed twice", about)
        elif not times[row["id"]] and row["age"] > UNSEALED_S:
            text = f"a disclosure to {row['employer']} has no seal after {row['age']:.0f} s"
            yield Violation("I8", row["case_ref"], text, about)


def _link(before: bytes, row: Row, seal: Row) -> bytes:
    """SHA-256 of the seal before and the canonical JSON of the row's columns, the number and the time of sealing."""
    sealed = {name: row[name] for name in ("id", "employer", "case_ref", "event_id", "sequence", "channel")}
    sealed |= {name: list(row[name]) for name in ("scopes", "bases")}
    sealed |= {"body_sha256": bytes(row["body_sha256"]).hex(), "disclosed_at": _utc(row["disclosed_at"])}
    sealed |= {"number": seal["number"], "sealed_at": _utc(seal["sealed_at"])}
    members = (f"{_json(name)}:{_json(sealed[name])}" for name in sorted(sealed))
    return hashlib.sha256(before + f"{{{','.join(members)}}}".encode()).digest()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
