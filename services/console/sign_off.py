"""Sign-off: from the page's form to a clinic's event. A seal binds what is sent to what was shown."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken
from pydantic import ValidationError

from runtime.http import Problem
from services.console.views import EmployerPreview, ReadinessShown
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.contract import violation_of
from workhardening_contracts.envelope import clinic_source, event_of, write_structured

Decision = Literal["ready", "ready_with_restrictions", "not_ready"]

RECOMMENDED: dict[str, Decision] = {
    "meets": "ready",
    "meets_with_restrictions": "ready_with_restrictions",
    "not_yet": "not_ready",
    "insufficient_data": "not_ready",
}
"""What signing an assessment as it is means. Progress judges; this shows beforehand what it will ask for."""

ACTIVITIES = (
    "work_hours", "lift", "carry", "push", "pull", "stand", "walk", "sit", "climb", "stoop", "kneel", "crouch",
    "crawl", "reach", "grip", "balance", "shift",
)  # fmt: skip
ZONES = ("floor_waist", "waist_shoulder", "overhead", "forward")
"""The documented vocabulary (`workhardening_contracts.demand`), of which an employer may be told."""

SHOWN_S = 3600
"""A preview is good for so long; after it the form is shown again."""

_RESTRICTION = ("activity", "zone", "frequency", "limit", "unit")


def read_form(form: Mapping[str, Sequence[str]], assessed: ReadinessShown) -> ReadinessSigned:
    """The signature that the form means. Raises Problem 422 with the field."""
    data: dict[str, Any] = {"readiness_event": assessed.event_id}
    for name in ("role", "decision", "effective_from", "effective_through", "reason_code"):
        if given := next(iter(form.get(name, ())), "").strip():
            data[name] = given
    if data.get("decision") == "ready_with_restrictions":
        data["restrictions"] = _restrictions(form)
    try:
        signed = ReadinessSigned.model_validate_json(json.dumps(data))
    except ValidationError as error:
        found = violation_of(error)
        raise Problem(422, "form.invalid", found.detail, field=found.field) from None
    if contradicts(signed, assessed) and signed.reason_code is None:
        raise Problem(
            422, "reason_required", "another decision than the recommended one needs a reason", field="/reason_code"
        )
    return signed


def contradicts(signed: ReadinessSigned, assessed: ReadinessShown) -> bool:
    """Whether a decision is another than recommended, in either direction."""
    return signed.decision != RECOMMENDED[assessed.readiness]


def _restrictions(form: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    columns = [form.get(name, ()) for name in _RESTRICTION]
    found: list[dict[str, Any]] = []
    for activity, zone, frequency, limit, unit in zip(*columns, strict=False):
        if not activity.strip():
            continue
        row: dict[str, Any] = {"activity": activity.strip()}
        row |= {name: text.strip() for name, text in (("zone", zone), ("frequency", frequency)) if text.strip()}
        if limit.strip():
            try:
                row["limit"] = {"amount": float(limit), "unit": unit.strip()}
            except ValueError:
                raise Problem(422, "form.invalid", "a limit is a number", field=f"/limit/{len(found)}") from None
        found.append(row)
    return found


def seal(sealer: Fernet, case: UUID, signed: ReadinessSigned, employers: Sequence[EmployerPreview]) -> str:
    """What a browser brings back to say: this is what I was shown."""
    shown = {"case": str(case), "told": _digest(signed, employers), "once": secrets.token_hex(16)}
    return sealer.encrypt(json.dumps(shown).encode()).decode()


def opened(
    sealer: Fernet, shown: str, case: UUID, signed: ReadinessSigned, employers: Sequence[EmployerPreview]
) -> str:
    """The name of the signature that was shown: one for each preview, so that a second click sends nothing new.

    Raises Problem 409 when employers would be told something else than was shown, or it was shown too long ago.
    """
    try:
        found: dict[str, str] = json.loads(sealer.decrypt(shown, ttl=SHOWN_S))
    except (InvalidToken, ValueError):
        found = {}
    if (found.get("case"), found.get("told")) != (str(case), _digest(signed, employers)):
        raise Problem(409, "not_as_shown", "this is not what was shown: look at what would be told once more")
    return f"console-{found['once']}"


def _digest(signed: ReadinessSigned, employers: Sequence[EmployerPreview]) -> str:
    told = [[each.employer, each.update, each.why_not] for each in employers]
    text = json.dumps([signed.model_dump(mode="json"), told], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def signature_event(id_: str, case: UUID, clinic: str, signed: ReadinessSigned, at: datetime) -> dict[str, Any]:
    """The clinic's event, in structured mode."""
    return write_structured(event_of(signed, id=id_, source=clinic_source(clinic), subject=case, time=at))


def previews(document: Any) -> tuple[EmployerPreview, ...]:
    """What notify says each employer would be told."""
    return tuple(
        EmployerPreview(
            employer=each["employer"],
            update=each["update"],
            why_not=each["why_not"],
            scopes=tuple(each["scopes"]),
            bases=tuple(each["bases"]),
        )
        for each in document["employers"]
    )
