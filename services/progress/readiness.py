"""Readiness: where the case stands against the job, as a recommendation that a clinician signs or does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.progress.policy import Policy
from services.progress.session_log import Entry, Shown, capacities, pain_after_a_day, performances
from services.progress.verdict import below, deciding, flare_at
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.demand import MENTAL_KINDS, Demand, DemandProfile, best_capacity
from workhardening_contracts.progress import DemandStanding
from workhardening_contracts.quantity import Quantity, at_least

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

    @property
    def met(self) -> bool:
        return self.readiness in ("meets", "meets_with_restrictions")


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
    demands = tuple(_standing(demand, shown, policy) for demand in job.demands)
    decide = deciding(demands)
    decisive = {standing.demand for standing in decide}
    unmet = [
        (demand, standing)
        for demand, standing in zip(job.demands, demands, strict=True)
        if not standing.met and standing.demand not in decisive
    ]
    confidence = next((each.confidence for each in reversed(valid) if each.confidence is not None), None)
    if confidence is None:
        confidence = _performed_confidence(valid)
    shift = min(job.shift_hours, policy.max_hours)
    days = sum(not below(each.hours, shift) for each in valid)
    vetoes = list(alerts)
    if _flare_unresolved(valid, baseline_pain, policy):
        vetoes.append("unresolved_flare")
    # Of a mental demand an employer is told nothing, so it cannot become a restriction; the clinician sees it flagged.
    restrictions = tuple(_restriction(d, standing) for d, standing in unmet if d.kind not in MENTAL_KINDS)
    flags = [f"unmet.{demand.kind}" for demand, _ in unmet if demand.kind in MENTAL_KINDS]
    flags += [_flag("not_shown", demand.kind) for demand, standing in unmet if standing.shown is None]
    flags += [
        _flag("hours_capped", demand.kind)
        for demand, standing in zip(job.demands, demands, strict=True)
        if standing.required.amount != demand.amount.amount
    ]
    if job.shift_hours > policy.max_hours:
        flags.append(_flag("hours_capped", "shift"))
    if _pain_above_baseline(valid, baseline_pain):
        flags.append("pain_above_baseline")

    failed = (
        bool(vetoes)
        or any(each.met is False for each in decide)
        or (confidence is not None and confidence < policy.confidence)
        or (bool(valid) and days < policy.shift_days)
    )
    unknown = (
        not valid
        or confidence is None
        or any(each.met is None for each in decide)
        or all(each.pain_before is None and each.pain_after is None and each.pain_next_day is None for each in valid)
    )
    readiness: Readiness = "meets_with_restrictions" if restrictions else "meets"
    if failed:
        readiness = "not_yet"
    elif unknown:
        readiness = "insufficient_data"
    return Standing(readiness, demands, restrictions, tuple(vetoes), confidence, days, tuple(dict.fromkeys(flags)))


def requirement(demand: Demand, policy: Policy) -> Quantity:
    """What must be shown of a demand, in its unit: no more hours of it than the program's longest day has.

    A ten-hour shift cannot be shown in a day of eight. It is flagged, and the clinician judges the hours beyond.
    """
    if demand.amount.unit not in ("h", "min"):
        return demand.amount
    longest = policy.max_hours * (1 if demand.amount.unit == "h" else 60)
    if demand.amount.amount <= longest:
        return demand.amount
    return demand.amount.model_copy(update={"amount": longest})


def activities(job: DemandProfile) -> tuple[str, ...]:
    """The job's kinds that an employer may be told of."""
    return tuple(dict.fromkeys(demand.kind for demand in job.demands if demand.kind not in MENTAL_KINDS))


def zones(job: DemandProfile) -> tuple[str, ...]:
    """The zones that the job's demands name."""
    return tuple(dict.fromkeys(demand.zone for demand in job.demands if demand.zone is not None))


def expires_on(through: date, policy: Policy) -> date:
    """The last day on which an assessment of the day `through` may be signed."""
    return through + timedelta(days=policy.retest_days)


def _in_time(each: Entry, through: date, policy: Policy) -> bool:
    return through - timedelta(days=policy.retest_days) < each.held_on <= through


def _standing(demand: Demand, shown: Mapping[str, Sequence[Shown]], policy: Policy) -> DemandStanding:
    best, required = best_capacity(shown.get(demand.kind, ()), demand), requirement(demand, policy)
    return DemandStanding(
        demand=demand.key,
        critical=demand.critical,
        required=required,
        shown=None if best is None else best.amount.in_unit(demand.amount.unit),
        met=None if best is None else at_least(best.amount, required),
    )


def _performed_confidence(valid: Sequence[Entry]) -> float | None:
    """Confidence where it was reported as a performance of the demand instead of the session's own rating."""
    for each in reversed(valid):
        for thing, amount in performances(each):
            kind, _, _, unit = thing.split("/")
            if (kind, unit) == ("confidence", "score"):
                return min(10.0, amount)
    return None


def _flare_unresolved(valid: Sequence[Entry], baseline_pain: float, policy: Policy) -> bool:
    """Whether the last pain that is known a day after a session was still raised."""
    known = [pain for nth in range(len(valid)) if (pain := pain_after_a_day(valid, nth)) is not None]
    return bool(known) and known[-1] >= flare_at(baseline_pain, policy)


def _flag(code: str, kind: str) -> str:
    """A flag about a kind of demand, cut to what a code may hold: kinds are as long as codes."""
    return f"{code}.{kind}"[:64]


def _pain_above_baseline(valid: Sequence[Entry], baseline_pain: float) -> bool:
    return bool(valid) and valid[-1].pain_after is not None and valid[-1].pain_after > baseline_pain


def _restriction(demand: Demand, standing: DemandStanding) -> Restriction:
    """The unmet demand as a limit; what was not shown at all is not allowed at all."""
    if demand.kind == "shift":
        return Restriction(activity="work_hours", limit=standing.shown)
    return Restriction(activity=demand.kind, zone=demand.zone, frequency=demand.frequency, limit=standing.shown)
