"""Canaries: words and numbers that occur nowhere else, one for each field in which a clinic writes of a patient.

Planted in all that a simulated clinic says, they make a leak visible, and each names the field that it leaked from.
They change no decision: vocabularies that decide, and figures that do, are left as they are (`SPARED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workhardening_contracts.clinic import (
    AssessmentRecorded,
    CaseErased,
    CaseWithdrawn,
    Finding,
    JointMobility,
    OutcomeTotal,
    Performed,
    ReadinessSigned,
    ReadinessWithdrawn,
    Referral,
    ReferralCorrected,
    ReferralReceived,
    Session,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import Capacity
from workhardening_contracts.quantity import Quantity

_WORDS = (
    "assessment.functional_tests.kind",
    "assessment.functional_tests.zone",
    "assessment.history_flags",
    "assessment.mobility.joint",
    "assessment.mobility.movement",
    "assessment.outcome_measures.measure",
    "assessment.physical_examination.code",
    "assessment.physical_examination.note",
    "assessment.posture.code",
    "assessment.posture.note",
    "assessment.red_flags",
    "case.reason_code",
    "readiness.reason_code",
    "referral.employee_key",
    "referral.injury.body_part",
    "referral.injury.story",
    "referral.job.title",
    "referral.overrides.reason_code",
    "referral.red_flags",
    "referral.worker_ref",
    "session.note",
    "session.performed.kind",
    "session.performed.zone",
    "session.red_flags",
)

NUMBERS: Mapping[str, float] = {
    "assessment.aerobic.vo2max": 33.29471,
    "assessment.functional_tests.amount.amount": 12.34571,
    "assessment.mobility.degrees": 41.73519,
    "assessment.outcome_measures.total": 52.81937,
    "session.performed.amount.amount": 17.65433,
}
"""More digits than any scale shows, so that none of them occurs by chance."""

CANARIES: Mapping[str, str] = {path: f"canary.{path}" for path in _WORDS} | {
    path: str(number) for path, number in NUMBERS.items()
}
"""Field -> the text by which its value is found. A field's path begins with the noun of the event's type."""

_ID = "an id that its sender minted of nothing of a person; it tells events apart in logs and traces"
_PARTNER = "a partner's own id: it says whose door a status goes to"
_DECIDES = "a word of a vocabulary that decides; another one is another case"
_FIGURE = "a figure that decides, or has too few digits to be told apart"
_TOLD = "the employer is told it as it stands"
_BASIS = "a word of the policy, which the disclosure log names"

SPARED: Mapping[str, str] = {
    "assessment.aerobic.six_minute_walk_m": _FIGURE,
    "assessment.baseline_pain": _FIGURE,
    "assessment.supersedes": _ID,
    "consent.basis": _BASIS,
    "consent.employer": _PARTNER,
    "consent.scopes": _BASIS,
    "readiness.readiness_event": _ID,
    "readiness.restrictions.activity": _TOLD,
    "readiness.restrictions.limit.amount": _TOLD,
    "readiness.restrictions.zone": _TOLD,
    "readiness.role": _TOLD,
    "referral.authorisation.hours_per_day": _FIGURE,
    "referral.employer": _PARTNER,
    "referral.job.basis": _DECIDES,
    "referral.job.demands.amount.amount": _FIGURE,
    "referral.job.demands.kind": _DECIDES,
    "referral.job.demands.zone": _DECIDES,
    "referral.job.shift_hours": _FIGURE,
    "referral.overrides.criterion": _DECIDES,
    "referral.overrides.role": _DECIDES,
    "referral.supersedes": _ID,
    "referral.tolerance_hours_per_day": _FIGURE,
    "session.confidence": _FIGURE,
    "session.exertion": _FIGURE,
    "session.hours": _FIGURE,
    "session.minutes.education": _FIGURE,
    "session.minutes.endurance": _FIGURE,
    "session.minutes.job_simulation": _FIGURE,
    "session.minutes.mobility": _FIGURE,
    "session.minutes.strengthening": _FIGURE,
    "session.pain_after": _FIGURE,
    "session.pain_before": _FIGURE,
    "session.pain_next_day": _FIGURE,
    "session.supersedes": _ID,
}
"""Field of text or with a decimal point -> why it has no canary. Dates, whole numbers, yes and no, and words of a
closed list have none either: what they may hold stands everywhere."""


def plant(data: EventData) -> EventData:
    """The same event with a canary in each of its fields that can have one. The same for the same event.

    What is left out stays so where that decides: a part of an assessment, a flag, a reason.
    """
    match data:
        case ReferralReceived() | ReferralCorrected():
            return data.model_copy(update={"referral": _referral(data.referral)})
        case AssessmentRecorded():
            return _assessment(data)
        case SessionRecorded() | SessionCorrected():
            return data.model_copy(update={"session": _session(data.session)})
        case ReadinessSigned() | ReadinessWithdrawn():
            return data.model_copy(update={"reason_code": _beside("readiness.reason_code", data.reason_code)})
        case CaseWithdrawn() | CaseErased():
            return data.model_copy(update={"reason_code": _beside("case.reason_code", data.reason_code)})
        case _:
            return data


def _beside(path: str, given: str | None) -> str | None:
    """The canary before a code or a reference, which keeps what tells it from others; None stays None."""
    return given and f"{CANARIES[path]}.{given}"


def _line(path: str, given: str | None) -> str:
    """The canary before a line of text, or in the place of one that was left empty."""
    return f"{CANARIES[path]} {given}" if given else CANARIES[path]


def _referral(referral: Referral) -> Referral:
    injury, job = referral.injury, referral.job
    return referral.model_copy(
        update={
            "worker_ref": _beside("referral.worker_ref", referral.worker_ref),
            "employee_key": _beside("referral.employee_key", referral.employee_key),
            "injury": injury.model_copy(
                update={
                    "body_part": _line("referral.injury.body_part", injury.body_part),
                    "story": _line("referral.injury.story", injury.story),
                }
            ),
            # Which flags bar is listed by name: one that nobody knows bars nobody.
            "red_flags": (*referral.red_flags, CANARIES["referral.red_flags"]),
            "job": job and job.model_copy(update={"title": _line("referral.job.title", job.title)}),
            "overrides": tuple(
                each.model_copy(update={"reason_code": _beside("referral.overrides.reason_code", each.reason_code)})
                for each in referral.overrides
            ),
        }
    )


def _assessment(data: AssessmentRecorded) -> AssessmentRecorded:
    tests = data.functional_tests and (*data.functional_tests, _test(data))
    return data.model_copy(
        update={
            "history_flags": _more(data.history_flags, CANARIES["assessment.history_flags"]),
            "physical_examination": _more(data.physical_examination, _finding("physical_examination")),
            "posture": _more(data.posture, _finding("posture")),
            "mobility": data.mobility and (*data.mobility, _MOBILITY),
            "functional_tests": tests,
            "aerobic": data.aerobic
            and data.aerobic.model_copy(update={"vo2max": NUMBERS["assessment.aerobic.vo2max"]}),
            "outcome_measures": (*data.outcome_measures, _TOTAL),
            # Any flag of an examination alerts a clinician, and any of a session stops the program.
            "red_flags": data.red_flags and (*data.red_flags, CANARIES["assessment.red_flags"]),
        }
    )


def _session(session: Session) -> Session:
    return session.model_copy(
        update={
            "performed": session.performed and (*session.performed, _PERFORMED),
            "red_flags": session.red_flags and (*session.red_flags, CANARIES["session.red_flags"]),
            "note": _line("session.note", session.note),
        }
    )


def _more(given: tuple[Any, ...] | None, one: Any) -> tuple[Any, ...] | None:
    """One more in a part that was done; a part that is left out is not done."""
    return None if given is None else (*given, one)


def _finding(part: str) -> Finding:
    return Finding(code=CANARIES[f"assessment.{part}.code"], note=CANARIES[f"assessment.{part}.note"])


def _test(data: AssessmentRecorded) -> Capacity:
    return Capacity(
        kind=CANARIES["assessment.functional_tests.kind"],
        zone=CANARIES["assessment.functional_tests.zone"],
        frequency="seldom",
        amount=Quantity(amount=NUMBERS["assessment.functional_tests.amount.amount"], unit="kg"),
        measured_on=data.assessed_on,
    )


_MOBILITY = JointMobility(
    joint=CANARIES["assessment.mobility.joint"],
    movement=CANARIES["assessment.mobility.movement"],
    degrees=NUMBERS["assessment.mobility.degrees"],
    side="left",
)
_TOTAL = OutcomeTotal(
    measure=CANARIES["assessment.outcome_measures.measure"], total=NUMBERS["assessment.outcome_measures.total"]
)
_PERFORMED = Performed(
    kind=CANARIES["session.performed.kind"],
    zone=CANARIES["session.performed.zone"],
    frequency="seldom",
    amount=Quantity(amount=NUMBERS["session.performed.amount.amount"], unit="kg"),
)
