"""The disclosure log as a chain: what a seal says, and what it shows when a row is no longer as it was sealed.

The disclosures of each employer are numbered from 1 in the order in which they are sealed. A seal is the SHA-256 of the
seal before it (32 zero bytes before the first) followed by the disclosure as canonical JSON (RFC 8785) with its number
and the time of sealing. So no row can be changed, removed, inserted or moved without a seal that does not fit; and who
rewrites all seals from there on contradicts every seal that somebody else has kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

BEFORE_THE_FIRST = bytes(32)

What = Literal["changed", "row_missing", "seal_missing", "rewritten"]


@dataclass(frozen=True, slots=True)
class Row:
    """A disclosure, as it is in the table."""

    id: int
    employer: str
    case_ref: str
    event_id: str
    sequence: int
    channel: str
    scopes: tuple[str, ...]
    bases: tuple[str, ...]
    body_sha256: bytes
    disclosed_at: datetime


@dataclass(frozen=True, slots=True)
class Anchor:
    """A seal that somebody has kept: the hash that the chain of an employer had at a number."""

    employer: str
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """One place of an employer's chain."""

    employer: str
    number: int
    disclosure_id: int
    sealed_at: datetime
    hash: bytes

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.employer, self.number, self.hash)


@dataclass(frozen=True, slots=True)
class Link:
    """A seal with what it stands on."""

    seal: Seal
    row: Row | None
    """The disclosure; None when there is none of this id any more."""
    previous: Anchor | None
    """The nearest seal before it in its employer's chain; None when there is none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A place at which the log is not what was sealed."""

    employer: str
    number: int
    disclosure_id: int | None
    what: What

    def __str__(self) -> str:
        named = f"{self.employer}, number {self.number}"
        if self.disclosure_id is not None:
            named += f" (disclosure {self.disclosure_id})"
        return f"{named}: {_SAID[self.what]}"


_SAID: Mapping[What, str] = {
    "changed": "the row, its seal or its place is not what was sealed",
    "row_missing": "the row was removed",
    "seal_missing": "the seal was removed, or the row with it",
    "rewritten": "the chain is another than it was when this seal was kept",
}


def chained(rows: Iterable[Row], heads: Mapping[str, Anchor], sealed_at: datetime) -> list[Seal]:
    """The seals of rows in the order given, continuing each employer's chain from its head."""
    last = dict(heads)
    seals: list[Seal] = []
    for row in rows:
        before = last.get(row.employer)
        number = before.number + 1 if before else 1
        link = linked(before.hash if before else BEFORE_THE_FIRST, row, number, sealed_at)
        seals.append(Seal(row.employer, number, row.id, sealed_at, link))
        last[row.employer] = seals[-1].anchor
    return seals


def linked(previous: bytes, row: Row, number: int, sealed_at: datetime) -> bytes:
    """SHA-256 of the seal before and the canonical row."""
    return hashlib.sha256(previous + canonical(document(row, number, sealed_at))).digest()


def document(row: Row, number: int, sealed_at: datetime) -> dict[str, Any]:
    """What is sealed of a disclosure: each column by name, so that one that is added later changes no old seal.

    The time of sealing is in it because it is ours: a row that is put in later with an earlier date shows by it.
    """
    return {
        "id": row.id,
        "employer": row.employer,
        "case_ref": row.case_ref,
        "event_id": row.event_id,
        "sequence": row.sequence,
        "channel": row.channel,
        "scopes": list(row.scopes),
        "bases": list(row.bases),
        "body_sha256": row.body_sha256.hex(),
        "disclosed_at": _instant(row.disclosed_at),
        "number": number,
        "sealed_at": _instant(sealed_at),
    }


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON in the one form of RFC 8785, for objects of text, whole numbers and lists of text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def faults(links: Iterable[Link]) -> Iterator[Fault]:
    """Where links do not hold. Each is held against the seal stored before it, so a change is named where it was made.

    What was cut off at the end of a chain leaves no link: only a kept anchor tells.
    """
    for link in links:
        if (fault := _fault(link)) is not None:
            yield fault


def _fault(link: Link) -> Fault | None:
    seal, before = link.seal, link.previous
    expected = before.number + 1 if before else 1
    if seal.number != expected:
        return Fault(seal.employer, expected, None, "seal_missing")
    if link.row is None:
        return Fault(seal.employer, seal.number, seal.disclosure_id, "row_missing")
    previous = before.hash if before else BEFORE_THE_FIRST
    if seal.employer != link.row.employer or seal.hash != linked(previous, link.row, seal.number, seal.sealed_at):
        return Fault(seal.employer, seal.number, seal.disclosure_id, "changed")
    return None


def exported(link: Link) -> str:
    """A line that an outsider can check alone: without `previous` and `hash` it is what was sealed.

    Raises ValueError for a link whose row is missing.
    """
    seal, row = link.seal, link.row
    if row is None:
        raise ValueError("there is no row to export")
    previous = link.previous.hash if link.previous else BEFORE_THE_FIRST
    sealed = document(row, seal.number, seal.sealed_at)
    return canonical({**sealed, "previous": previous.hex(), "hash": seal.hash.hex()}).decode()


def heads_line(heads: Sequence[Anchor]) -> str:
    """The last line of an export: where each chain ended."""
    ends = [{"employer": head.employer, "number": head.number, "hash": head.hash.hex()} for head in heads]
    return json.dumps({"heads": ends}, separators=(",", ":"), ensure_ascii=False)


def anchors_in(line: str) -> list[Anchor]:
    """The anchors that a line of an export or of the sealer's log holds; none in a line of anything else.

    Raises ValueError for a line that is no JSON, or an anchor that is none.
    """
    read: Any = json.loads(line)
    if not isinstance(read, dict):
        raise ValueError("a line is a JSON object")
    found = cast("dict[str, Any]", read)
    heads = found.get("heads")
    if isinstance(heads, list):
        return [_anchor(entry) for entry in cast("list[Any]", heads)]
    return [_anchor(found)] if {"employer", "number", "hash"} <= set(found) else []


def _anchor(entry: Any) -> Anchor:
    match entry:
        case {"employer": str(employer), "number": int(number), "hash": str(text)} if type(number) is int:
            pass
        case _:
            raise ValueError("an anchor is an employer, a number and a hash")
    return Anchor(employer, number, bytes.fromhex(text))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
