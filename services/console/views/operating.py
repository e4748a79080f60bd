"""What an operations team sees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """One service, as one of its processes tells."""

    name: str
    live: bool | None
    """None: it does not answer."""
    ready: bool | None
    why: str
    lag: int | None
    """Records that are not folded yet, over all its topics."""
    outbox_rows: int | None
    outbox_age_s: float | None
    """Age of the oldest unpublished row, s."""
    outbox_held: int | None
    parked_cases: int | None
    dead_letters: int | None


@dataclass(frozen=True, slots=True)
class ParkedCase:
    """A case that waits behind a record that fails."""

    service: str
    case: UUID
    records: int
    since: datetime
    reason: str
    trace_url: str | None = None
    """The case in the trace viewer; None where there is none."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read and names no case."""

    service: str
    topic: str
    partition: int
    offset: int
    received_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One employer's endpoint."""

    employer: str
    status: str
    """`active`, `disabled`, ..."""
    breaker: str
    """`closed`, `open` or `half_open`."""
    failing_since: datetime | None
    pending: int
    """Updates that wait."""
    oldest_s: float | None
    """Age of the oldest that is due, s."""


@dataclass(frozen=True, slots=True)
class OperationsPage:
    services: tuple[ServiceHealth, ...]
    parked: tuple[ParkedCase, ...]
    dead_letters: tuple[DeadLetter, ...]
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Retried:
    """How far a parked case's records were folded."""

    folded: int
    left: int
    reason: str | None
    """Why the first that is left failed again."""
