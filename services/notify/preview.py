"""What employers would be told if a clinician signed so: the events that would follow, folded as they would be.

Nothing is kept of it. Whoever signs sees what leaves the house before it does, by the very decisions that will send it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runtime.fold import Case, Handlers, Position, Received, fold
from services.notify.disclosure import disclosure, stopped
from services.notify.policy import Policy
from services.notify.rows import DeliveryRow
from services.notify.state import Heard, Known
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Event, clinic_source, event_of, read_structured, service_source
from workhardening_contracts.progress import CaseClosed, ReadinessRevoked, ReadyForWork
from workhardening_contracts.registry import PROGRESS_TOPIC

REASON = "signed"


@dataclass(frozen=True, slots=True)
class Previewed:
    """What one employer would be told."""

    employer: str
    update: dict[str, Any] | None
    """The ReadinessUpdated's data; None for nothing."""
    why_not: str | None
    """`no_consent`, `stopped`, `parked` or `nothing_new`."""
    scopes: tuple[str, ...]
    bases: tuple[str, ...]


def preview(
    case: Case[Heard | Known], signed: ReadinessSigned, final: bool, at: datetime, handlers: Handlers[Any, Policy]
) -> list[Previewed]:
    """By employer, what the signature would lead to. `final`: the assessment is the program's last."""
    state = case.state
    if not isinstance(state, Known):
        return []
    after, rows = replace(case, waiting=()), list[DeliveryRow]()
    for nth, data in enumerate(_following(state, signed, final, at)):
        envelope = event_of(data, id=f"preview-{nth}", source=service_source("progress"), subject=case.ref, time=at)
        folded = fold(after, Received(Event(envelope, data), Position(PROGRESS_TOPIC, case.partition, 0)), handlers)
        after = folded.case
        rows += [row for row in folded.effects if isinstance(row, DeliveryRow)]
    would = {row.employer: row for row in rows}
    known = {grant.employer for grant in state.grants} | {told.employer for told in state.told} | would.keys()
    if state.employer is not None:
        known.add(state.employer)
    signature = event_of(signed, id="preview", source=clinic_source(state.clinic), subject=case.ref, time=at)
    review_days = handlers.policy(Event(signature, signed)).review_days
    return [_previewed(employer, would.get(employer), after, at, review_days) for employer in sorted(known)]


def _following(state: Known, signed: ReadinessSigned, final: bool, at: datetime) -> Sequence[EventData]:
    """What progress says of a signature that stands (services/progress/signature.py)."""
    if signed.decision == "not_ready":
        if state.closed:
            revoked = ReadinessRevoked(
                clinic=state.clinic,
                supersedes="preview",
                revoked_on=signed.effective_from,
                role=signed.role,
                reason_code=signed.reason_code or REASON,
            )
            return [revoked] if getattr(state.standing, "what", None) == "signed" else []
        return [_closed(state, "not_ready", at)] if final else []
    ready = ReadyForWork(
        clinic=state.clinic,
        readiness_event=signed.readiness_event,
        decision=signed.decision,
        restrictions=signed.restrictions,
        effective_from=signed.effective_from,
        effective_through=signed.effective_through,
        role=signed.role,
        contradicts=False,
        reason_code=signed.reason_code,
    )
    return [ready] if state.closed else [ready, _closed(state, signed.decision, at)]


def _closed(state: Known, outcome: Any, at: datetime) -> CaseClosed:
    return CaseClosed(clinic=state.clinic, closed_on=at.date(), outcome=outcome, reason_code=REASON, weeks_judged=0)


def _previewed(employer: str, row: DeliveryRow | None, after: Case[Any], at: datetime, review_days: int) -> Previewed:
    state = after.state
    if row is not None and not after.parked:
        update = json.loads(read_structured(row.body).data)
        return Previewed(employer, update, None, row.scopes, row.bases)
    if after.parked:
        why = "parked"
    elif not isinstance(state, Known) or stopped(state):
        why = "stopped"
    elif disclosure(state, employer, at.date(), review_days) is None:
        why = "no_consent"
    else:
        why = "nothing_new"
    return Previewed(employer, None, why, (), ())
