"""What notify holds of a case: who consented to what, what was said of readiness, and what each employer was told.

No clinical fact is kept: what is not here cannot be disclosed by mistake.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from workhardening_contracts.clinic import Restriction
from workhardening_contracts.intake import ConsentGrant

# How many answers are remembered whose question has not been read yet. The clinic's topic and ours lie seconds apart;
# a question that comes after more answers than this stops the sending, which is the safe side.
MAX_ANSWERED = 20

# How many employers one case may be told to. An employer that was told once is remembered for as long as the case is,
# since its sequence goes on when consent is given again; consent can be given and revoked without end, and the state is
# rewritten with every event. A worker has a handful of employers; one more than this is not told, the safe side.
MAX_TOLD = 100


class _Fact(BaseModel):
    # What a newer release stored is read by an older one: a release that is rolled back must not park every case.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


class Stop(_Fact):
    """The clinic took something back; sending stopped at once, until the service that judges it has answered."""

    reference: str
    """`source#id` of the clinic's event."""
    what: Literal["consent", "readiness", "case"]
    employer: str | None = None
    scopes: tuple[str, ...] = ()


class Program(_Fact):
    """Where the plan in hand stands."""

    starts_on: date
    """The first day of the program, kept over all plan versions."""
    ends_on: date
    """The last planned day."""
    week: int
    total_weeks: int


class Progressed(_Fact):
    """What an employer may be told of the progress, with consent."""

    attendance: float | None = None
    demands_met: int | None = None
    demands_total: int | None = None
    forecast_week: float | None = None
    """Weeks since the program began."""
    reached_on: date | None = None


class Signed(_Fact):
    """A clinician signed: ready."""

    what: Literal["signed"] = "signed"
    decision: Literal["ready", "ready_with_restrictions"]
    restrictions: tuple[Restriction, ...]
    effective_from: date
    effective_through: date | None
    role: str


class Revoked(_Fact):
    """A signed readiness no longer stands."""

    what: Literal["revoked"] = "revoked"
    revoked_on: date
    role: str


class Ended(_Fact):
    """The program ended without readiness."""

    what: Literal["ended"] = "ended"
    ended_on: date
    outcome: Literal["not_ready", "discontinued"]


Standing = Annotated[Signed | Revoked | Ended, Field(discriminator="what")]


class Told(_Fact):
    """What one employer was told last."""

    employer: str
    sequence: int
    digest: str
    """Of the content and the grants it rests on; empty when the same content must be sent again once permitted."""
    ready_update: str | None = None
    """The id of the last update that said `ready`: what a correction or a revocation supersedes."""


class _Case(_Fact):
    clinic: str
    grants: tuple[ConsentGrant, ...] = ()
    """All consent, as intake stated it last."""
    stops: tuple[Stop, ...] = ()
    answered: tuple[str, ...] = ()
    """References of clinic events whose answer was read before themselves."""


class Heard(_Case):
    """The case is not in the program (yet): nothing is told to anyone but the clinic."""

    phase: Literal["heard"] = "heard"


class Known(_Case):
    """The case is, or was, in the program."""

    phase: Literal["known"] = "known"
    worker_ref: str
    employer: str | None
    employee_key: str | None
    """The key of `employer`; no other employer is told it."""
    declined: bool = False
    """A correction of the referral was declined after the case had been opened."""
    closed: bool = False
    program: Program | None = None
    progressed: Progressed = Progressed()
    standing: Standing | None = None
    told: tuple[Told, ...] = ()


State = Annotated[Heard | Known, Field(discriminator="phase")]
