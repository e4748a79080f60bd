"""From the facts of a case to exactly one statement of work status, modelled on the Texas form DWC-73.

No restrictions from DATE; with restrictions DATE to DATE; unable DATE to DATE. `Upon follow-up` does not exist: only
`no_restrictions` may be without an end (28 Tex. Admin. Code 129.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.notify.state import Ended, Program, Revoked, Signed
from workhardening_contracts.clinic import Restriction

Outcome = Literal["in_program", "ready", "ready_with_restrictions", "not_ready", "discontinued", "revoked"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What may be said of the ability to work."""

    status: Literal["no_restrictions", "with_restrictions", "unable"]
    effective_from: date
    effective_through: date | None
    """None only with `no_restrictions`."""
    restrictions: tuple[Restriction, ...]
    outcome: Outcome
    certifier_role: str | None
    """Who signed, by role; None where nobody did."""


def statement(program: Program | None, standing: Signed | Revoked | Ended | None, review_days: int) -> Statement | None:
    """The statement that stands, or None before there is a plan. `review_days` ends a statement that has no end.

    What progress said last outweighs the plan, so the order in which plans and verdicts arrive does not matter.
    Raises ValueError when a signature says `with restrictions` and names none: it cannot be told truthfully.
    """
    if isinstance(standing, Signed):
        return _signed(standing, review_days)
    if isinstance(standing, Revoked):
        return _unable(standing.revoked_on, standing.revoked_on + timedelta(review_days), "revoked", standing.role)
    if isinstance(standing, Ended):
        return _unable(standing.ended_on, standing.ended_on + timedelta(review_days), standing.outcome, None)
    if program is not None:
        return _unable(program.starts_on, max(program.starts_on, program.ends_on), "in_program", None)
    return None


def _signed(signed: Signed, review_days: int) -> Statement:
    if signed.decision == "ready":
        through = signed.effective_through
        return Statement("no_restrictions", signed.effective_from, through, (), "ready", signed.role)
    if not signed.restrictions:
        raise ValueError("ready_with_restrictions without a restriction")
    through = signed.effective_through or signed.effective_from + timedelta(review_days)
    return Statement(
        "with_restrictions", signed.effective_from, through, signed.restrictions, "ready_with_restrictions", signed.role
    )


def _unable(start: date, end: date, outcome: Outcome, role: str | None) -> Statement:
    return Statement("unable", start, end, (), outcome, role)
