"""What a day consists of: minutes by block, job-simulation stations and the week's education."""

from __future__ import annotations

from collections.abc import Sequence

from services.planning.policy import Policy
from services.planning.trajectory import SHIFT, TIMES
from workhardening_contracts.clinic import BlockMinutes
from workhardening_contracts.demand import MENTAL_KINDS, Demand
from workhardening_contracts.planning import Station
from workhardening_contracts.quantity import Quantity

TOPICS = ("body_mechanics", "pacing", "reinjury", "pain_science")
"""What is taught against re-injury, a topic a week in turn."""


def minutes_by_block(hours: float, week: int, total_weeks: int, policy: Policy) -> BlockMinutes:
    """Whole minutes a day by block in week `week` of `total_weeks`; together the day's hours."""
    along = min(1.0, (week - 1) / (total_weeks - 1)) if total_weeks > 1 else 1.0
    day = hours * 60
    minutes = {name: float(int(day * (first + (last - first) * along))) for name, (first, last) in policy.mix.items()}
    minutes["job_simulation"] += day - sum(minutes.values())
    return BlockMinutes(**minutes)


def education(week: int) -> tuple[str, ...]:
    """The week's topics. Never empty: education belongs to every week."""
    return (TOPICS[(week - 1) % len(TOPICS)],)


def stations(
    demands: Sequence[Demand], amounts: Sequence[Quantity], minutes: float, policy: Policy
) -> tuple[Station, ...]:
    """A station for each load and each repetition, which share the day's `minutes` of job simulation by frequency.

    Times are the whole day's business (nobody stands for four hours at a station of twenty minutes), and mental demands
    are trained by all of it.
    """
    physical = [
        (demand, amount)
        for demand, amount in zip(demands, amounts, strict=True)
        if demand.kind not in MENTAL_KINDS | {SHIFT} and demand.amount.unit not in TIMES
    ]
    whole = sum(policy.station_share[demand.frequency] for demand, _ in physical)
    return tuple(
        Station(demand=demand.key, amount=amount, minutes=minutes * policy.station_share[demand.frequency] / whole)
        for demand, amount in physical
    )
