"""May this signature stand, and what follows from it?

A recommendation is signed as it is, or against it with a reason, while it is fresh. Signed again, it is corrected.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Literal

from services.progress.readiness import Readiness
from services.progress.settle import Name, Step, close
from services.progress.state import Assessed, Closed, InProgram
from workhardening_contracts.clinic import ReadinessSigned, Restriction
from workhardening_contracts.contract import EventData
from workhardening_contracts.progress import ReadinessRevoked, ReadyForWork

Decision = Literal["ready", "ready_with_restrictions", "not_ready"]
Objection = Literal[
    "readiness_unknown",
    "readiness_superseded",
    "readiness_expired",
    "role_not_allowed",
    "restriction_not_allowed",
    "reason_required",
]

ACTIVITIES = frozenset(
    {"work_hours", "lift", "carry", "push", "pull", "stand", "walk", "sit", "climb", "stoop", "kneel", "crouch"}
    | {"crawl", "reach", "grip", "balance", "shift"}
)
ZONES = frozenset({"floor_waist", "waist_shoulder", "overhead", "forward"})
"""The documented vocabulary (`workhardening_contracts.demand`). An employer is told a restriction word for word, so it
may name these and what the job itself names, and nothing else: no diagnosis, no body part, no mental demand."""

RECOMMENDED: dict[Readiness, Decision] = {
    "meets": "ready",
    "meets_with_restrictions": "ready_with_restrictions",
    "not_yet": "not_ready",
    "insufficient_data": "not_ready",
}
"""What signing an assessment as it is means."""


NO_REASON = "signed_not_ready"
"""The reason code of an end that was signed as recommended, which needs no other reason."""


def contradicts(latest: Assessed, decision: Decision, *, alerted: bool) -> bool:
    """Whether a decision is another than recommended, in either direction.

    `alerted`: a safety alert was reported since the assessment; with it the recommendation would be not ready.
    """
    return decision != ("not_ready" if alerted else RECOMMENDED[latest.readiness])


def objection(
    latest: Assessed | None,
    signed: ReadinessSigned,
    on: date,
    roles: Collection[str],
    *,
    outdated: bool,
    corrects: bool,
    alerted: bool,
) -> Objection | None:
    """Why the signature of the day `on` may not stand; None when it may. `roles` are those that may sign.

    `outdated`: a week that was closed since is about to be judged, so another assessment is on its way.
    `corrects`: a signed readiness stands and this replaces it. That needs no fresh tests, since leaving the old
    decision in force would be worse. `alerted`: as in `contradicts`.
    """
    if latest is None:
        return "readiness_unknown"
    if signed.readiness_event != latest.id or outdated:
        return "readiness_superseded"
    if on > latest.expires_on and not corrects:
        return "readiness_expired"
    if signed.role not in roles:
        return "role_not_allowed"
    if not all(_may_be_told(each, latest) for each in signed.restrictions):
        return "restriction_not_allowed"
    if signed.reason_code is None and contradicts(latest, signed.decision, alerted=alerted):
        return "reason_required"
    return None


def _may_be_told(restriction: Restriction, latest: Assessed) -> bool:
    zone = restriction.zone
    return (restriction.activity in ACTIVITIES or restriction.activity in latest.activities) and (
        zone is None or zone in ZONES or zone in latest.zones
    )


def sign(case: InProgram, signed: ReadinessSigned, on: date, name: Name, *, alerted: bool) -> Step:
    """What the signature of an open case leads to. `not_ready` before the last week lets the program go on."""
    assert case.readiness is not None
    if signed.decision == "not_ready":
        if not case.readiness.final:
            return case, []
        closed, closing = close(case, "not_ready", on, signed.reason_code or NO_REASON)
        return closed.model_copy(update={"signed": True, "alerted": alerted}), closing
    closed, closing = close(case, signed.decision, on, "signed")
    closed = closed.model_copy(update={"signed": True, "alerted": alerted, "ready_event": name(0)})
    return closed, [_ready(closed, signed, None), *closing]


def sign_again(case: Closed, signed: ReadinessSigned, name: Name) -> tuple[Closed, list[EventData]]:
    """A correction: it replaces the decision that stands, or revokes it."""
    if signed.decision != "not_ready":
        decided = case.model_copy(update={"outcome": signed.decision, "ready_event": name(0)})
        return decided, [_ready(decided, signed, case.ready_event)]
    if case.ready_event is None:
        return case, []
    return revoke(case, case.ready_event, signed.effective_from, signed.role, signed.reason_code or NO_REASON)


def revoke(case: Closed, standing: str, on: date, role: str, reason_code: str) -> tuple[Closed, list[EventData]]:
    """The signed readiness `standing` (the id of its ReadyForWork event) holds no longer."""
    revoked = ReadinessRevoked(
        clinic=case.clinic, supersedes=standing, revoked_on=on, role=role, reason_code=reason_code
    )
    return case.model_copy(update={"outcome": "not_ready", "ready_event": None}), [revoked]


def _ready(case: Closed, signed: ReadinessSigned, supersedes: str | None) -> ReadyForWork:
    assert case.readiness is not None
    assert signed.decision != "not_ready"
    return ReadyForWork(
        clinic=case.clinic,
        readiness_event=signed.readiness_event,
        decision=signed.decision,
        restrictions=signed.restrictions,
        effective_from=signed.effective_from,
        effective_through=signed.effective_through,
        role=signed.role,
        contradicts=contradicts(case.readiness, signed.decision, alerted=case.alerted),
        reason_code=signed.reason_code,
        supersedes=supersedes,
    )
