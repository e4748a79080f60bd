"""How cohorts fared: outcomes by clinic beside the published benchmark, what came after, and whom to ask now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; the percentage only where there are enough of them (`outcomes.LEAST`)."""

    name: str
    count: int
    of: int
    percent: float | None
    low: float | None
    high: float | None
    """The 95 % interval (Wilson), in per cent."""
    published: float | None = None
    """What the 36 programmes reported, in per cent; None where they reported nothing comparable."""


@dataclass(frozen=True, slots=True)
class MonthAfter:
    """What is known so many months after the program closed, of those who completed it."""

    month: int
    due: int
    """Cases whose month has come, or that were asked early."""
    asked: int
    """Of those, cases of which something was recorded; of the others nothing is known."""
    working: Share
    """In the usual job or modified work, of those of whom it is known."""
    retained: Share
    """The same, of those who had been signed ready."""
    reinjured: Share
    work_unknown: int
    """Asked, and not known whether they work."""
    injury_unknown: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One clinic's cohort, or all of them."""

    clinic: str | None
    """None: all clinics together."""
    ends: tuple[Share, ...]
    months: tuple[MonthAfter, ...]


@dataclass(frozen=True, slots=True)
class FollowUpDue:
    """A case that should be asked how it went."""

    ref: UUID
    clinic: str
    month: int
    due_on: date
    standing: Literal["due", "overdue"]


@dataclass(frozen=True, slots=True)
class OutcomesPage:
    """Clinicians see their clinics, operations all, without a case."""

    groups: tuple[Outcomes, ...]
    """All clinics first where there are several, then each."""
    due: tuple[FollowUpDue, ...]
    """The longest due first; for clinicians."""
    more: bool
    """There are more than are listed."""
