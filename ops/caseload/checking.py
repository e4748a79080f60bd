"""The whole file is looked at before the first of its lines is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ops.caseload.columns import CASE_NUMBER
from ops.caseload.events import said
from ops.caseload.fault import Fault
from ops.caseload.reading import read


@dataclass
class Checked:
    """What a file holds."""

    sha256: str
    lines: int = 0
    events: int = 0
    """Of the lines that can be sent."""
    faulty: set[int] = field(default_factory=set[int])
    """Numbers of lines that can not."""


def check(file: Path, clinic: str, now: datetime, found: Callable[[Fault], None]) -> Checked:
    """Read all of a file, and tell each fault as it is found.

    Raises Unusable and OSError. What it keeps is a number for each case number and each faulty line, and no line.
    """
    checked = Checked(sha256_of(file))
    with file.open("rb") as content:
        first: dict[str, int] = {}
        for line in read(content).lines:
            what = said(line, clinic, now)
            checked.lines += 1
            checked.events += len(what.documents)
            for fault in what.faults:
                checked.faulty.add(line.number)
                found(fault)
            before = first.setdefault(what.known_by, line.number) if what.known_by else line.number
            if before != line.number:
                checked.events -= len(what.documents)
                # Which of the two is right is not ours to guess: neither is sent.
                for number, other in ((before, line.number), (line.number, before)):
                    checked.faulty.add(number)
                    found(_twice(number, other, what.known_by))
    return checked


def sha256_of(file: Path) -> str:
    """What a file is known again by."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _twice(number: int, other: int, known_by: str) -> Fault:
    if known_by.startswith("#"):
        return Fault(number, "/id", "event.twice", f"line {other} has this id, too: keep one of them")
    return Fault(number, CASE_NUMBER, "row.twice", f"line {other} has this case number, too: keep one of them")


def copy_faulty(file: Path, faulty: set[int], to: Path) -> None:
    """Write the faulty lines as they stand into a file of their own, to be mended and imported alone.

    They hold patients' data, so that the file is its owner's only.
    """
    half = to.with_name(f".{to.name}.half")
    half.touch(mode=0o600)
    with file.open("rb") as content, half.open("w", encoding="utf-8", errors="surrogateescape", newline="") as copy:
        reading = read(content)
        copy.write(reading.head)
        for line in reading.lines:
            if line.number in faulty:
                copy.write(line.raw if line.raw.endswith("\n") else f"{line.raw}\n")
    half.replace(to)
