"""May this signature stand? A recommendation is signed as it is, or against it with a reason, while it is fresh."""

from __future__ import annotations

from datetime import date
from typing import Literal

from services.progress.readiness import Readiness
from services.progress.state import Assessed
from workhardening_contracts.clinic import ReadinessSigned

Decision = Literal["ready", "ready_with_restrictions", "not_ready"]
Objection = Literal["readiness_unknown", "readiness_superseded", "readiness_expired", "reason_required"]

RECOMMENDED: dict[Readiness, Decision] = {
    "meets": "ready",
    "meets_with_restrictions": "ready_with_restrictions",
    "not_yet": "not_ready",
    "insufficient_data": "not_ready",
}
"""What signing an assessment as it is means."""


def contradicts(latest: Assessed, decision: Decision) -> bool:
    """Whether a decision is another than recommended, in either direction."""
    return decision != RECOMMENDED[latest.readiness]


def objection(
    latest: Assessed | None, signed: ReadinessSigned, on: date, *, outdated: bool, corrects: bool
) -> Objection | None:
    """Why the signature of the day `on` may not stand; None when it may.

    `outdated`: a week that was closed since is about to be judged, so another assessment is on its way.
    `corrects`: a signed readiness stands and this replaces it. That needs no fresh tests, since leaving the old
    decision in force would be worse.
    """
    if latest is None:
        return "readiness_unknown"
    if signed.readiness_event != latest.id or outdated:
        return "readiness_superseded"
    if on > latest.expires_on and not corrects:
        return "readiness_expired"
    if signed.reason_code is None and contradicts(latest, signed.decision):
        return "reason_required"
    return None
