"""What workers and clinicians are written, as rows for the clinic's mailbox.

No message names a diagnosis, a body part, pain or a score: mail is read on shared screens and kept for years. The
worker is named by the clinic's own `worker_ref`; the clinic passes the message on (ADR 0004).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.notify.rows import Audience, MessageRow
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import ConsultationReminderDue
from workhardening_contracts.planning import PlanIssued, PlannedWeek, PlanRevised
from workhardening_contracts.progress import ReadinessAssessed, ReadyForWork

# Plain text: there is no markup to escape into.
_TEMPLATES = Environment(
    loader=PackageLoader("services.notify"),
    autoescape=False,  # noqa: S701
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)

# What each education topic teaches, in words for the worker. A topic that is not here is named by its code.
EDUCATION: Mapping[str, str] = {
    "body_mechanics": "how to lift, carry and turn so that the load stays close to you",
    "pacing": "how to spread the work over the day, with short breaks before you need them",
    "reinjury": "how to notice early signs of strain at work, and what to change then",
    "pain_science": "why an ache during training is often not a sign of harm, and when to speak up",
}

_VERDICTS: Mapping[str, str] = {
    "advance": "You reached the week's targets. The next week asks a little more.",
    # Not "the same targets": an assessment that was made in between changes them.
    "hold": "You get more time at this stage, so that you can settle into it.",
    "regress": "The next week goes one step back, so that you can build up again safely.",
}


def plan_issued(event: Event[PlanIssued], worker_ref: str) -> MessageRow:
    """For the worker: the program begins."""
    facts = {"total_weeks": event.data.total_weeks, "starts_on": event.data.effective_from, **_next_week(event.data)}
    return _message(event, event.data.clinic, "plan_issued", "worker", "Your program", worker_ref, facts)


def week_summary(event: Event[PlanRevised], worker_ref: str) -> MessageRow | None:
    """For the worker: how the week went, and what the next one brings. None while the plan is frozen."""
    if event.data.frozen or not event.data.weeks:
        return None
    facts = {
        "week": event.data.current_week,
        "total_weeks": event.data.total_weeks,
        "verdict": _VERDICTS.get(event.data.verdict, "Your program goes on."),
        **_next_week(event.data),
    }
    return _message(event, event.data.clinic, "week_summary", "worker", "Your next week", worker_ref, facts)


def alert(event: Event[Any], clinic: str) -> MessageRow:
    """For the clinicians, the same day: something needs them. What it is stands in the clinic's own system."""
    return _message(event, clinic, "alert", "clinician", "Clinical review needed today", None, {})


def consultation_reminder(event: Event[ConsultationReminderDue]) -> MessageRow:
    """For whoever booked: the clinic knows who that is by the booking."""
    facts = {"starts_at": event.data.starts_at}
    return _message(event, event.data.clinic, "consultation", "worker", "Consultation reminder", None, facts)


def sign_off_request(event: Event[ReadinessAssessed]) -> MessageRow:
    """For the clinicians: a readiness assessment waits for a signature."""
    facts = {"readiness_event": event.id, "expires_on": event.data.expires_on, "final": event.data.final}
    return _message(event, event.data.clinic, "sign_off", "clinician", "Signature requested", None, facts)


def ready(event: Event[ReadyForWork], worker_ref: str) -> MessageRow:
    """For the worker: a clinician signed."""
    facts = {
        "restricted": event.data.decision == "ready_with_restrictions",
        "effective_from": event.data.effective_from,
        "effective_through": event.data.effective_through,
    }
    return _message(event, event.data.clinic, "ready", "worker", "Your return to work", worker_ref, facts)


def revoked(event: Event[Any], clinic: str, worker_ref: str) -> MessageRow:
    """For the worker: the earlier decision no longer stands."""
    return _message(event, clinic, "revoked", "worker", "Your return to work", worker_ref, {})


def _next_week(plan: PlanIssued | PlanRevised) -> dict[str, Any]:
    week: PlannedWeek | None = plan.weeks[0] if plan.weeks else None
    return {
        "next": week,
        "topics": [EDUCATION.get(topic, topic.replace("_", " ")) for topic in (week.education if week else ())],
    }


def _message(
    event: Event[Any],
    clinic: str,
    kind: str,
    audience: Audience,
    subject: str,
    worker_ref: str | None,
    facts: Mapping[str, Any],
) -> MessageRow:
    body = _TEMPLATES.get_template(f"{kind}.txt").render(
        case_ref=str(event.case), worker_ref=worker_ref, day=_day, **facts
    )
    return MessageRow(
        event_id=event.id,
        kind=kind,
        clinic=clinic,
        case_ref=event.case,
        audience=audience,
        # The reference tells the clinic whose message it is; nothing else stands in a subject line.
        subject=f"{subject} ({worker_ref or event.case})",
        body=body,
    )


def _day(given: date) -> str:
    return f"{given:%A} {given.isoformat()}"
