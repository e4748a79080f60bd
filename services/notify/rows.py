"""What a fold writes beside the case: rows for notify's own tables, each type with one set-based writer.

The runtime calls the writers in the order of `effects.WRITERS`, and two orders matter: `RemoveCase` must come after
everything that adds rows of a case, and `Withhold` after `DeliveryRow`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

Audience = Literal["worker", "clinician"]


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One event that a clinic may read in its feed."""

    clinic: str
    case_ref: UUID
    source: str
    event_id: str
    event: Mapping[str, Any]
    """The envelope in structured mode, data included."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message for the clinic's mailbox: to pass on to the worker, or for its clinicians."""

    event_id: str
    """The event that caused it; with `kind` the natural key."""
    kind: str
    clinic: str
    case_ref: UUID
    audience: Audience
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One ReadinessUpdated that an employer may be told."""

    employer: str
    case_ref: UUID
    event_id: str
    """Also the `webhook-id` over all retries."""
    sequence: int
    body: bytes
    """The event in structured mode, exactly as it is signed and sent."""
    scopes: tuple[str, ...]
    """What is disclosed, by scope."""
    bases: tuple[str, ...]
    """The legal basis of each scope, in the same order."""
    send_from: date
    """Not before this day: the consent may begin later than the fact."""
    occurred_at: datetime
    replaceable: bool = False
    """It says how things stand and takes back nothing: while it is unsent, a newer one may take its place."""
    traceparent: str | None = None
    """The trace of what caused it; it stays inside, an employer is not told it."""


@dataclass(frozen=True, slots=True)
class Withhold:
    """Updates that were decided on, may not have been sent yet, and may not be sent any more."""

    employer: str
    case_ref: UUID
    through_sequence: int


@dataclass(frozen=True, slots=True)
class RemoveCase:
    """The case was erased: delete what is held of it here. The disclosure log stays, as the law requires."""

    case_ref: UUID
