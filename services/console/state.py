"""What the console holds of a case between events: what each service said last.

The console decides nothing, so this is no state machine. Each group of facts is written by the events of one topic,
which keep their order; so it makes no difference in which order the topics are read.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from workhardening_contracts.planning import Verdict

MAX_SIGNATURES = 50
"""Signatures of a case that are remembered. Clinicians sign once or twice; without an end the state would grow."""

MAX_FOLLOW_UPS = 50
"""Follow-ups of a case that are remembered: four are asked, and any may be corrected."""


class _Fact(BaseModel):
    # What a newer release stored is read by an older one: a release that is rolled back must not park every case.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


class Referred(_Fact):
    """What intake said last."""

    standing: Literal["needs_information", "declined", "opened"]
    alerts: tuple[str, ...] = ()


class Planned(_Fact):
    """The plan in hand."""

    job_title: str
    current_week: int
    total_weeks: int
    answers: str | None
    """The id of the verdict it answers; None for the first plan."""
    frozen: bool
    shortfall: bool


class Judged(_Fact):
    """The last week's verdict."""

    id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    """Codes of what was found."""


class Assessed(_Fact):
    """Readiness as assessed last."""

    id: str
    readiness: Literal["meets", "meets_with_restrictions", "not_yet", "insufficient_data"]
    vetoes: tuple[str, ...]
    final: bool


class Signed(_Fact):
    """A clinic sent a signature; whether it stands is told by progress."""

    id: str
    readiness_event: str


class FollowedUp(_Fact):
    """How it went after the program, as its clinic recorded it."""

    id: str
    month: int
    as_of: date
    reinjured: str
    working: str


class Followed(_Fact):
    """One case."""

    clinic: str
    last_event_at: datetime
    worker_ref: str | None = None
    job_title: str | None = None
    """As assessed, before there is a plan."""
    referred: Referred | None = None
    planned: Planned | None = None
    judged: Judged | None = None
    assessed: Assessed | None = None
    outcome: str | None = None
    """Of a closed case."""
    closed_on: date | None = None
    signed: tuple[Signed, ...] = ()
    withdrawals: tuple[str, ...] = ()
    """Ids of the events by which the clinic took the case back."""
    refused: tuple[str, ...] = ()
    """Ids of signatures, withdrawals and follow-ups that were refused."""
    follow_ups: tuple[FollowedUp, ...] = ()
