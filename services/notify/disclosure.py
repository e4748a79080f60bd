"""What an employer may be told now: an allow-list of named fields, scope by scope, on a recorded legal basis.

Work status only, and the minimum of it (45 CFR 164.512(l) and 164.502(b); 29 CFR 1630.14). What is not named here does
not leave, however the state or the contract may grow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from services.notify.state import Heard, Known, Told
from services.notify.work_status import Statement, statement
from workhardening_contracts.intake import ConsentGrant
from workhardening_contracts.readiness import ProgramProgress, ReadinessUpdated

WORK_STATUS = "work_status"
PROGRAM_SCOPES = ("program_week", "attendance", "expected_date", "demands_met")


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What one employer may be told, and why that is lawful."""

    employer: str
    employee_key: str | None
    statement: Statement
    program: ProgramProgress | None
    grants: tuple[ConsentGrant, ...]
    """The grant of each scope that is disclosed, `work_status` first."""
    on: date
    """The first day on which it may be told."""

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(grant.scope for grant in self.grants)

    @property
    def bases(self) -> tuple[str, ...]:
        return tuple(grant.basis for grant in self.grants)

    @property
    def digest(self) -> str:
        """Tells two disclosures apart; a renewed grant counts as a change, so the then-current status is sent again."""
        said = {
            "key": self.employee_key,
            "status": self.statement.status,
            "from": self.statement.effective_from.isoformat(),
            "through": self.statement.effective_through and self.statement.effective_through.isoformat(),
            "restrictions": [restriction.model_dump(mode="json") for restriction in self.statement.restrictions],
            "outcome": self.statement.outcome,
            "role": self.statement.certifier_role,
            "program": self.program and self.program.model_dump(mode="json"),
            "grants": [grant.model_dump(mode="json") for grant in self.grants],
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def stopped(state: Known) -> bool:
    """Whether nobody may be told anything: the clinic took the case or its readiness back, or intake declined it."""
    return state.declined or any(stop.what in ("readiness", "case") for stop in state.stops)


def granted(state: Heard | Known) -> tuple[ConsentGrant, ...]:
    """The grants that stand: as intake stated them, less what the clinic revoked since."""
    revoked = {(stop.employer, scope) for stop in state.stops if stop.what == "consent" for scope in stop.scopes}
    return tuple(grant for grant in state.grants if (grant.employer, grant.scope) not in revoked)


def permitted(grants: Iterable[ConsentGrant], employer: str, on: date) -> Mapping[str, ConsentGrant]:
    """Scope -> the grant by which this employer may be told it on this day."""
    valid: dict[str, ConsentGrant] = {}
    for grant in grants:
        ended = grant.valid_through is not None and grant.valid_through < on
        if grant.employer == employer and grant.valid_from <= on and not ended:
            valid.setdefault(grant.scope, grant)
    return valid


def disclosure(state: Known, employer: str, as_of: date, review_days: int) -> Disclosure | None:
    """What this employer may be told, from `as_of` on or from when its consent begins; None for nothing."""
    stands = statement(state.program, state.standing, review_days)
    if stands is None or stopped(state):
        return None
    grants = granted(state)
    on = _first_day(grants, employer, as_of)
    if on is None:
        return None
    valid = permitted(grants, employer, on)
    program, told_of = _program(state, valid) if stands.outcome == "in_program" else (None, ())
    return Disclosure(
        employer=employer,
        employee_key=state.employee_key if employer == state.employer else None,
        statement=stands,
        program=program,
        grants=tuple(valid[scope] for scope in (WORK_STATUS, *told_of)),
        on=on,
    )


def still_permitted(state: Heard | Known | None, employer: str, scopes: Iterable[str], on: date) -> bool:
    """Whether what was decided earlier may be told today: asked again before each attempt and each pull."""
    if not isinstance(state, Known) or stopped(state):
        return False
    return set(scopes) <= permitted(granted(state), employer, on).keys()


def readiness_updated(allowed: Disclosure, case: UUID, told: Told | None, sequence: int) -> ReadinessUpdated:
    """The employer's event: each field named. `told` is what went before.

    Raises pydantic.ValidationError for dates that no statement can have.
    """
    of_readiness = allowed.statement.outcome in ("ready", "ready_with_restrictions", "revoked")
    return ReadinessUpdated(
        case_ref=str(case),
        employee_key=allowed.employee_key,
        status=allowed.statement.status,
        effective_from=allowed.statement.effective_from,
        effective_through=allowed.statement.effective_through,
        restrictions=allowed.statement.restrictions,
        outcome=allowed.statement.outcome,
        certifier_role=allowed.statement.certifier_role,
        sequence=sequence,
        previous_sequence=sequence - 1,
        supersedes=told.ready_update if told is not None and of_readiness else None,
        program=allowed.program,
    )


def _first_day(grants: Iterable[ConsentGrant], employer: str, as_of: date) -> date | None:
    days = [
        max(as_of, grant.valid_from)
        for grant in grants
        if grant.employer == employer
        and grant.scope == WORK_STATUS
        and (grant.valid_through is None or grant.valid_through >= max(as_of, grant.valid_from))
    ]
    return min(days, default=None)


def _program(state: Known, valid: Mapping[str, ConsentGrant]) -> tuple[ProgramProgress | None, tuple[str, ...]]:
    """The progress of a running program, as far as scopes allow, and the scopes that were used."""
    week = total_weeks = attendance = expected = met = demands = None
    progressed, used = state.progressed, list[str]()
    if "program_week" in valid and state.program is not None:
        week, total_weeks = state.program.week, state.program.total_weeks
        used.append("program_week")
    if "attendance" in valid and progressed.attendance is not None:
        attendance = progressed.attendance
        used.append("attendance")
    if "expected_date" in valid and (expected := _expected(state)) is not None:
        used.append("expected_date")
    if "demands_met" in valid and progressed.demands_met is not None:
        met, demands = progressed.demands_met, progressed.demands_total
        used.append("demands_met")
    if not used:
        return None, ()
    program = ProgramProgress(
        week=week,
        total_weeks=total_weeks,
        attendance=attendance,
        expected_date=expected,
        demands_met=met,
        demands_total=demands,
    )
    return program, tuple(used)


def _expected(state: Known) -> date | None:
    if state.progressed.reached_on is not None:
        return state.progressed.reached_on
    if state.program is None or state.progressed.forecast_week is None:
        return None
    return state.program.starts_on + timedelta(days=round(state.progressed.forecast_week * 7))
