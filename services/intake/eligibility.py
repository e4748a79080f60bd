"""Whether a referral is accepted, declined, or needs more information. Unknown is not no.

Five inclusion criteria: (a) `workplace_injury` is required, and at least a policy number (1) of (b) `demanding_job`,
(c) `difficulty_with_duties`, (d) `reinjury_risk`, (e) `gradual_exposure_needed`. Then nine gates, each of which must
be met. An answer that is not known makes the decision `information_needed`, unless something else already bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date
from typing import Literal

from pydantic import ConfigDict

from services.intake.policy import Policy
from workhardening_contracts.clinic import Authorisation, Override, Referral, Tri
from workhardening_contracts.contract import Code, Contract
from workhardening_contracts.intake import Eligibility

Verdict = Literal["accepted", "declined", "information_needed"]

REQUIRED = "workplace_injury"
FURTHER = ("demanding_job", "difficulty_with_duties", "reinjury_risk", "gradual_exposure_needed")
GATES = (
    "return_to_work_goal",
    "job_demand_profile",
    "medical_clearance",
    "red_flags",
    "treatment_consent",
    "tolerance_hours_per_day",
    "tolerance_days_per_week",
    "injury_age",
    "authorisation",
)

NEVER_OVERRIDDEN = frozenset({"treatment_consent"})
"""Nobody consents for the worker, whatever their role."""

NEEDED_AS_DATA = frozenset({"job_demand_profile", "tolerance_hours_per_day", "tolerance_days_per_week"})
"""The plan is computed from these: an override may set aside that a value is too low, never that it is absent."""


class Decision(Contract):
    """What was decided on a referral, and why."""

    model_config = ConfigDict(extra="ignore")  # it is stored: see state._Stored

    verdict: Verdict
    met: tuple[Code, ...]
    """Criteria and gates by name; a criterion or gate that an override sets aside stays where the facts put it."""
    unmet: tuple[Code, ...]
    unknown: tuple[Code, ...]
    missing: tuple[Code, ...]
    """Exactly the unknown answers that the decision waits for; empty unless `information_needed`."""
    reasons: tuple[Code, ...]
    overrides: tuple[Override, ...]
    """The overrides that were used."""

    @property
    def eligibility(self) -> Eligibility:
        """The decision as events carry it."""
        return Eligibility(
            met=self.met, unmet=self.unmet, unknown=self.unknown, reasons=self.reasons, overrides=self.overrides
        )


def eligibility(referral: Referral, policy: Policy, on: date) -> Decision:
    """Decide a referral as of the date `on` (the day the clinic sent it)."""
    answers: dict[str, Tri] = {**_criteria(referral), **_gates(referral, policy, on)}
    used, refused = _overrides(referral, answers, policy.override_roles)
    set_aside = {override.criterion for override in used}
    effective: dict[str, Tri] = {name: "yes" if name in set_aside else answer for name, answer in answers.items()}

    barred = [name for name in (REQUIRED, *GATES) if effective[name] == "no"]
    open_ = [name for name in (REQUIRED, *GATES) if effective[name] == "unknown"]
    further = _at_least(policy.further_criteria, [effective[name] for name in FURTHER])
    if further == "no":
        barred += [name for name in FURTHER if effective[name] == "no"]
    if further == "unknown":
        open_ += [name for name in FURTHER if effective[name] == "unknown"]

    verdict: Verdict = "declined" if barred else "information_needed" if open_ else "accepted"
    reasons = [f"unmet.{name}" for name in answers if name in barred]
    missing: list[str] = []
    if verdict == "information_needed":
        missing = [name for name in answers if name in open_]
        reasons += [f"unknown.{name}" for name in missing]
    reasons += [f"overridden.{override.criterion}" for override in used]
    return Decision(
        verdict=verdict,
        met=_named(answers, "yes"),
        unmet=_named(answers, "no"),
        unknown=_named(answers, "unknown"),
        missing=tuple(missing),
        reasons=(*reasons, *refused) or ("all_met",),
        overrides=used,
    )


def _criteria(referral: Referral) -> dict[str, Tri]:
    return {name: getattr(referral.criteria, name) for name in (REQUIRED, *FURTHER)}


def _gates(referral: Referral, policy: Policy, on: date) -> dict[str, Tri]:
    return {
        "return_to_work_goal": referral.return_to_work_goal,
        "job_demand_profile": "unknown" if referral.job is None else "yes",
        "medical_clearance": referral.medical_clearance,
        "red_flags": _tri(policy.barring_red_flags.isdisjoint(referral.red_flags)),
        "treatment_consent": referral.treatment_consent,
        "tolerance_hours_per_day": _reaches(referral.tolerance_hours_per_day, policy.min_hours_per_day),
        "tolerance_days_per_week": _reaches(referral.tolerance_days_per_week, policy.min_days_per_week),
        "injury_age": _recent(referral.injury.occurred_on, policy.max_injury_age_years, on),
        "authorisation": _authorised(referral.authorisation, on),
    }


def _tri(answer: bool) -> Tri:
    return "yes" if answer else "no"


def _reaches(value: float | None, least: float) -> Tri:
    return "unknown" if value is None else _tri(value >= least)


def _recent(occurred_on: date, years: int, on: date) -> Tri:
    """At most so many years ago, the anniversary included. The handlers refuse a date in the future."""
    # 29 February has its anniversary on 1 March of a common year: compared as (month, day), no date is made up.
    anniversary = (occurred_on.year + years, occurred_on.month, occurred_on.day)
    return _tri((on.year, on.month, on.day) <= anniversary)


def _authorised(authorisation: Authorisation | None, on: date) -> Tri:
    """In date where one is required, both ends included. No authorisation given means that none is required."""
    if authorisation is None or not authorisation.required:
        return "yes"
    begins, ends = authorisation.valid_from, authorisation.valid_through
    if (begins is not None and begins > on) or (ends is not None and ends < on):
        return "no"
    return "unknown" if begins is None or ends is None else "yes"


def _at_least(needed: int, answers: list[Tri]) -> Tri:
    """Tri-state "at least `needed` are yes": no only once the open answers could not suffice either."""
    if answers.count("yes") >= needed:
        return "yes"
    return "unknown" if answers.count("yes") + answers.count("unknown") >= needed else "no"


def _overrides(
    referral: Referral, answers: Mapping[str, Tri], roles: Set[str]
) -> tuple[tuple[Override, ...], list[str]]:
    """The overrides that set something aside (the first for each name), and the reason codes of the refused ones."""
    used: dict[str, Override] = {}
    refused: list[str] = []
    for override in referral.overrides:
        name = override.criterion
        if name not in answers:
            refused.append("override_names_nothing")
        elif answers[name] == "yes" or name in used:
            continue
        elif name in NEVER_OVERRIDDEN or (answers[name] == "unknown" and name in NEEDED_AS_DATA):
            refused.append(f"override_refused.{name}")
        elif override.role not in roles:
            refused.append(f"override_role_refused.{name}")
        else:
            used[name] = override
    return tuple(used.values()), list(dict.fromkeys(refused))


def _named(answers: Mapping[str, Tri], answer: Tri) -> tuple[str, ...]:
    return tuple(name for name, given in answers.items() if given == answer)
