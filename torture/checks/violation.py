"""What a check reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One thing that may never happen, and did. Names and places only, no patient's data."""

    invariant: str
    """`I1` to `I12`."""
    case: str | None
    text: str
    records: tuple[str, ...] = ()
    """Events, as `source#id`."""
    offsets: tuple[str, ...] = ()
    """Records, as `topic/partition/offset`."""

    def __str__(self) -> str:
        about = " ".join((*self.records, *self.offsets))
        return f"{self.invariant} {self.case or '-'}: {self.text}{f' [{about}]' if about else ''}"
