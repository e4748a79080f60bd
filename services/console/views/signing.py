"""What is signed, what employers would be told, and what they were told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.console.views.case import Grant, ReadinessShown, Signature
from services.console.views.caseload import CaseLine
from workhardening_contracts.clinic import ReadinessSigned, Restriction


@dataclass(frozen=True, slots=True)
class SignOffPage:
    """What is signed, and by whom it may be."""

    line: CaseLine
    readiness: ReadinessShown
    signature: Signature | None
    """A decision that stands and would be corrected."""
    recommended: Literal["ready", "ready_with_restrictions", "not_ready"]
    """Another decision needs a reason."""
    roles: tuple[str, ...]
    restrictions: tuple[Restriction, ...]
    """Those recommended, to begin with."""
    activities: tuple[str, ...]
    zones: tuple[str, ...]
    """What a restriction may name."""


@dataclass(frozen=True, slots=True)
class EmployerPreview:
    """What one employer would be told."""

    employer: str
    update: Mapping[str, Any] | None
    """The ReadinessUpdated's data, exactly as it would be built now; None when the employer would be told nothing."""
    why_not: str | None
    """`no_consent`, `stopped`, `nothing_new`; None when there is an update."""
    scopes: tuple[str, ...]
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What all employers of the case would be told, if it were signed so."""

    signed: ReadinessSigned
    contradicts: bool
    employers: tuple[EmployerPreview, ...]
    shown: str
    """Goes back with `sign`: only what was shown is sent."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The front door took the signature; what follows from it comes by the topics."""

    event_id: str


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One update that an employer was told, or may have been: it is recorded before each attempt."""

    employer: str
    event_id: str
    sequence: int
    first_at: datetime
    """When it was told first."""
    channel: str
    """`webhook`, `kafka` or `pull`."""
    scopes: tuple[str, ...]
    bases: tuple[str, ...]
    update: Mapping[str, Any] | None
    """The ReadinessUpdated's data as it was sent; None where only the record that it was sent is kept."""


@dataclass(frozen=True, slots=True)
class EmployerPage:
    """Who was told what, and when: from notify's disclosure log."""

    line: CaseLine
    grants: tuple[Grant, ...]
    disclosed: tuple[Disclosed, ...]
    """Newest first."""
