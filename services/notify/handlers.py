"""Who is told what when an event arrives: one pure function per event, and the table of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime.fold import Handlers, Outcome, event_id
from runtime.policy import Policies
from services.notify import facts, messages
from services.notify.coalescing import replaceable
from services.notify.disclosure import Disclosure, disclosure, readiness_updated
from services.notify.policy import Policy
from services.notify.rows import DeliveryRow, FeedRow, MessageRow, RemoveCase, Withhold
from services.notify.state import MAX_TOLD, Heard, Known, State, Stop, Told
from services.table import table
from workhardening_contracts import registry
from workhardening_contracts.clinic import CaseErased, CaseWithdrawn, ConsentRevoked, ReadinessWithdrawn
from workhardening_contracts.envelope import Envelope, Event, service_source, write_structured
from workhardening_contracts.intake import (
    AssessmentCompleted,
    CaseDeclined,
    CaseOpened,
    ConsentChanged,
    ConsultationBooked,
    ConsultationCancelled,
    ConsultationReminderDue,
    InformationNeeded,
)
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import (
    AttendanceLapsed,
    CaseClosed,
    CaseEscalated,
    ReadinessAssessed,
    ReadinessRevoked,
    ReadyForWork,
    WeekAdvanced,
    WeekHeld,
    WeekRegressed,
)
from workhardening_contracts.readiness import EventRejected, ReadinessUpdated

Decided = Outcome[Heard | Known]
Judged = WeekAdvanced | WeekHeld | WeekRegressed | CaseEscalated


def on_case_opened(state: State | None, event: Event[CaseOpened], policy: Policy) -> Decided:
    return _told(facts.opened(state, event.data), event, policy, (_feed(event, event.data.clinic),))


def on_information_needed(state: State | None, event: Event[InformationNeeded], policy: Policy) -> Decided:
    after = state or Heard(clinic=event.data.clinic)
    return Outcome(after, effects=(_feed(event, after.clinic), *_alerts(event, event.data)))


def on_case_declined(state: State | None, event: Event[CaseDeclined], policy: Policy) -> Decided:
    rows = (_feed(event, event.data.clinic), *_alerts(event, event.data))
    return _told(facts.declined(state, event.data.clinic), event, policy, rows)


def on_assessment_completed(state: State | None, event: Event[AssessmentCompleted], policy: Policy) -> Decided:
    """Only its alerts matter here: the findings stay with the clinic."""
    after = state or Heard(clinic=event.data.clinic)
    return Outcome(after, effects=(_feed(event, after.clinic), *_alerts(event, event.data)))


def on_consent_changed(state: State | None, event: Event[ConsentChanged], policy: Policy) -> Decided:
    return _told(facts.consented(state, event), event, policy, (_feed(event, event.data.clinic),))


def on_consultation(
    state: State | None, event: Event[ConsultationBooked | ConsultationCancelled], policy: Policy
) -> Decided:
    """Only the clinic is told; the booking is no case, and may never become one."""
    after = state or Heard(clinic=event.data.clinic)
    return Outcome(after, effects=(_feed(event, after.clinic),))


def on_consultation_reminder_due(state: State | None, event: Event[ConsultationReminderDue], policy: Policy) -> Decided:
    after = state or Heard(clinic=event.data.clinic)
    return Outcome(after, effects=(_feed(event, after.clinic), messages.consultation_reminder(event)))


def on_consent_revoked(state: State | None, event: Event[ConsentRevoked], policy: Policy) -> Decided:
    stop = Stop(
        reference=event.reference, what="consent", employer=event.data.employer, scopes=tuple(event.data.scopes)
    )
    return _stopped(state, event, policy, stop)


def on_case_withdrawn(state: State | None, event: Event[CaseWithdrawn], policy: Policy) -> Decided:
    return _stopped(state, event, policy, Stop(reference=event.reference, what="case"))


def on_readiness_withdrawn(state: State | None, event: Event[ReadinessWithdrawn], policy: Policy) -> Decided:
    return _stopped(state, event, policy, Stop(reference=event.reference, what="readiness"))


def on_case_erased(state: State | None, event: Event[CaseErased], policy: Policy) -> Decided:
    # A case nobody knows yet is not erased: a stranger could otherwise bar a case that is about to be opened.
    if state is None:
        return Outcome(None, wait=True)
    return Outcome(None, effects=(RemoveCase(event.case),), erase=True)


def on_plan_issued(state: State | None, event: Event[PlanIssued], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    rows = (_feed(event, state.clinic), messages.plan_issued(event, state.worker_ref))
    return _told(facts.planned(state, event.data), event, policy, rows)


def on_plan_revised(state: State | None, event: Event[PlanRevised], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    summary = messages.week_summary(event, state.worker_ref)
    rows = (_feed(event, state.clinic), *((summary,) if summary else ()))
    return _told(facts.planned(state, event.data), event, policy, rows)


def on_week_judged(state: State | None, event: Event[Judged], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    feed = _feed(event, state.clinic)
    if isinstance(event.data, CaseEscalated):
        # An escalation may cut its week short: the sessions that were not held then were not missed.
        return _told(state, event, policy, (feed, messages.alert(event, state.clinic)))
    return _told(facts.judged(state, event.data.attendance), event, policy, (feed,))


def on_attendance_lapsed(state: State | None, event: Event[AttendanceLapsed], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    return Outcome(state, effects=(_feed(event, state.clinic),))


def on_readiness_assessed(state: State | None, event: Event[ReadinessAssessed], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    rows = (_feed(event, state.clinic), messages.sign_off_request(event))
    return _told(facts.assessed(state, event.data), event, policy, rows)


def on_ready_for_work(state: State | None, event: Event[ReadyForWork], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    rows = (_feed(event, state.clinic), messages.ready(event, state.worker_ref))
    return _told(facts.signed(state, event.data), event, policy, rows)


def on_readiness_revoked(state: State | None, event: Event[ReadinessRevoked], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    rows = (_feed(event, state.clinic), messages.revoked(event, state.clinic, state.worker_ref))
    return _told(facts.revoked(state, event), event, policy, rows)


def on_case_closed(state: State | None, event: Event[CaseClosed], policy: Policy) -> Decided:
    if not isinstance(state, Known):
        return Outcome(state, wait=True)
    return _told(facts.closed(state, event.data), event, policy, (_feed(event, state.clinic),))


def on_event_rejected(state: State | None, event: Event[EventRejected], policy: Policy) -> Decided:
    """Goes to the clinic that sent what was refused. It makes and changes no case of another clinic's."""
    clinic = registry.clinic_of(event)
    rows = (_feed(event, clinic),) if clinic else ()
    if state is None or clinic != state.clinic:
        return Outcome(state, effects=rows)
    return _told(facts.refused(state, event.data), event, policy, rows)


def _stopped(state: State | None, event: Event[Any], policy: Policy, stop: Stop) -> Decided:
    if state is None:
        return Outcome(None, wait=True)
    return _told(facts.stopping(state, stop), event, policy, ())


def _alerts(event: Event[Any], data: InformationNeeded | CaseDeclined | AssessmentCompleted) -> Sequence[MessageRow]:
    return (messages.alert(event, data.clinic),) if data.alerts else ()


def _feed(event: Event[Any], clinic: str) -> FeedRow:
    return FeedRow(clinic, event.case, event.source, event.id, write_structured(event.envelope))


def _told(state: Heard | Known, event: Event[Any], policy: Policy, rows: Sequence[object]) -> Decided:
    """Add what each employer must be told now, or must not be told any more."""
    if not isinstance(state, Known):
        return Outcome(state, effects=rows)
    as_of = event.time.date()
    employers = sorted({grant.employer for grant in state.grants} | {told.employer for told in state.told})
    told: list[Told] = []
    room = MAX_TOLD - len(state.told)
    added: list[object] = []
    for employer in employers:
        before = next((entry for entry in state.told if entry.employer == employer), None)
        allowed = disclosure(state, employer, as_of, policy.review_days)
        if allowed is None:
            if before is not None:
                if before.digest:
                    added.append(Withhold(employer, event.case, before.sequence))
                told.append(before.model_copy(update={"digest": ""}))
        elif before is not None and before.digest == allowed.digest:
            told.append(before)
        elif before is not None or room > 0:
            room -= before is None
            minted = _mint(allowed, before, event, nth=len(told))
            told.append(minted.told)
            added.append(minted.row)
    return Outcome(state.model_copy(update={"told": tuple(told)}), effects=(*rows, *added))


@dataclass(frozen=True, slots=True)
class _Minted:
    told: Told
    row: DeliveryRow


def _mint(allowed: Disclosure, before: Told | None, event: Event[Any], nth: int) -> _Minted:
    """The employer's next update: id and sequence follow from the case and the event alone."""
    sequence = before.sequence + 1 if before else 1
    data = readiness_updated(allowed, event.case, before, sequence)
    # The id is also the webhook-id, and a signature joins id, time and body by full stops: an id has none.
    identity = event_id("notify", event, nth).replace(".", "-")
    row = DeliveryRow(
        employer=allowed.employer,
        case_ref=event.case,
        event_id=identity,
        sequence=sequence,
        body=_body(data, identity, event),
        scopes=allowed.scopes,
        bases=allowed.bases,
        send_from=allowed.on,
        occurred_at=event.time,
        replaceable=replaceable(data),
        traceparent=event.envelope.traceparent,
    )
    told = Told(
        employer=allowed.employer,
        sequence=sequence,
        digest=allowed.digest,
        ready_update=_ready_update(data, identity, before),
    )
    return _Minted(told, row)


def _ready_update(data: ReadinessUpdated, identity: str, before: Told | None) -> str | None:
    if data.outcome in ("ready", "ready_with_restrictions"):
        return identity
    if data.outcome == "revoked":
        return None
    return before.ready_update if before else None


def _body(data: ReadinessUpdated, identity: str, event: Event[Any]) -> bytes:
    """Without cause, trace or policy: an employer needs none of them, and a cause names the clinic's event."""
    envelope = Envelope(
        id=identity,
        source=service_source("notify"),
        type=data.TYPE,
        subject=event.case,
        time=event.time,
        data=data.model_dump_json(exclude_none=True).encode(),
        dataschema=data.dataschema(),
    )
    return json.dumps(write_structured(envelope), separators=(",", ":")).encode()


def handlers(policies: Policies[Policy]) -> Handlers[Heard | Known, Policy]:
    """The table. Notify is the judge of no event: what it cannot use it leaves to the service that is."""

    def owner(state: Heard | Known) -> str:
        return state.clinic

    return table(
        "notify",
        State,
        {
            CaseOpened: on_case_opened,
            InformationNeeded: on_information_needed,
            CaseDeclined: on_case_declined,
            AssessmentCompleted: on_assessment_completed,
            ConsentChanged: on_consent_changed,
            ConsultationBooked: on_consultation,
            ConsultationCancelled: on_consultation,
            ConsultationReminderDue: on_consultation_reminder_due,
            ConsentRevoked: on_consent_revoked,
            CaseWithdrawn: on_case_withdrawn,
            ReadinessWithdrawn: on_readiness_withdrawn,
            CaseErased: on_case_erased,
            PlanIssued: on_plan_issued,
            PlanRevised: on_plan_revised,
            WeekAdvanced: on_week_judged,
            WeekHeld: on_week_judged,
            WeekRegressed: on_week_judged,
            CaseEscalated: on_week_judged,
            AttendanceLapsed: on_attendance_lapsed,
            ReadinessAssessed: on_readiness_assessed,
            ReadyForWork: on_ready_for_work,
            ReadinessRevoked: on_readiness_revoked,
            CaseClosed: on_case_closed,
            EventRejected: on_event_rejected,
        },
        policies,
        owner=owner,
    )
