"""Readiness: where the case stands against the job, as a recommendation that a clinician signs or does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.progress.policy import Policy
from services.progress.session_log import Entry, capacities, pain_after_a_day
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.demand import MENTAL_KINDS, Capacity, Demand, DemandProfile, best_capacity
from workhardening_contracts.progress import DemandStanding
from workhardening_contracts.quantity import at_least

Readiness = Literal["meets", "meets_with_restrictions", "not_yet", "insufficient_data"]


@dataclass(frozen=True)
class Standing:
    """A readiness and what it rests on."""

    readiness: Readiness
    demands: tuple[DemandStanding, ...]
    restrictions: tuple[Restriction, ...]
    vetoes: tuple[str, ...]
    confidence: float | None
    shift_hours_days: int
    flags: tuple[str, ...]


def assess(
    job: DemandProfile,
    sessions: Sequence[Entry],
    through: date,
    alerts: Sequence[str],
    baseline_pain: float,
    policy: Policy,
) -> Standing:
    """Readiness at the end of the day `through`, from the sessions of the last `retest_days` up to it, in date order.

    `alerts` are the week's safety alerts; each is a veto. A demand is met at its frequency or not at all. What has
    failed outranks what is not known: `insufficient_data` says that nothing failed, but not all was shown in time.
    """
    valid = [each for each in sessions if _in_time(each, through, policy) and each.attended]
    shown = capacities(valid)
    demands = tuple(_standing(demand, shown) for demand in job.demands)
    critical = [each for each in demands if each.critical]
    unmet = [
        (demand, standing)
        for demand, standing in zip(job.demands, demands, strict=True)
        if not demand.critical and not standing.met
    ]
    confidence = next((each.confidence for each in reversed(valid) if each.confidence is not None), None)
    if confidence is None:
        confidence = _performed_confidence(valid)
    shift = min(job.shift_hours, policy.max_hours)
    days = sum(each.hours >= shift for each in valid)
    vetoes = list(alerts)
    if _flare_unresolved(valid, baseline_pain, policy):
        vetoes.append("unresolved_flare")
    # Of a mental demand an employer is told nothing, so it cannot become a restriction; the clinician sees it flagged.
    restrictions = tuple(_restriction(d, standing) for d, standing in unmet if d.kind not in MENTAL_KINDS)
    flags = [f"unmet.{demand.kind}" for demand, _ in unmet if demand.kind in MENTAL_KINDS]
    if _pain_above_baseline(valid, baseline_pain):
        flags.append("pain_above_baseline")

    failed = (
        bool(vetoes)
        or any(each.met is False for each in critical)
        or (confidence is not None and confidence < policy.confidence)
        or (bool(valid) and days < policy.shift_days)
    )
    unknown = not valid or confidence is None or any(each.met is None for each in critical)
    readiness: Readiness = "meets_with_restrictions" if restrictions else "meets"
    if failed:
        readiness = "not_yet"
    elif unknown:
        readiness = "insufficient_data"
    return Standing(readiness, demands, restrictions, tuple(vetoes), confidence, days, tuple(dict.fromkeys(flags)))


def expires_on(through: date, policy: Policy) -> date:
    """The last day on which an assessment of the day `through` may be signed."""
    return through + timedelta(days=policy.retest_days)


def _in_time(each: Entry, through: date, policy: Policy) -> bool:
    return through - timedelta(days=policy.retest_days) < each.held_on <= through


def _standing(demand: Demand, shown: Sequence[Capacity]) -> DemandStanding:
    best = best_capacity(shown, demand)
    return DemandStanding(
        demand=demand.key,
        critical=demand.critical,
        required=demand.amount,
        shown=None if best is None else best.amount.in_unit(demand.amount.unit),
        met=None if best is None else at_least(best.amount, demand.amount),
    )


def _performed_confidence(valid: Sequence[Entry]) -> float | None:
    """Confidence where it was reported as a performance of the demand instead of the session's own rating."""
    for each in reversed(valid):
        for done in each.performed:
            if done.kind == "confidence" and done.amount.unit == "score":
                return min(10.0, done.amount.amount)
    return None


def _flare_unresolved(valid: Sequence[Entry], baseline_pain: float, policy: Policy) -> bool:
    """Whether the last pain that is known a day after a session was still raised."""
    known = [pain for nth in range(len(valid)) if (pain := pain_after_a_day(valid, nth)) is not None]
    return bool(known) and known[-1] >= baseline_pain + policy.flare_rise


def _pain_above_baseline(valid: Sequence[Entry], baseline_pain: float) -> bool:
    return bool(valid) and valid[-1].pain_after is not None and valid[-1].pain_after > baseline_pain


def _restriction(demand: Demand, standing: DemandStanding) -> Restriction:
    """The unmet demand as a limit; what was not shown at all is not allowed at all."""
    if demand.kind == "shift":
        return Restriction(activity="work_hours", limit=standing.shown)
    return Restriction(activity=demand.kind, zone=demand.zone, frequency=demand.frequency, limit=standing.shown)
