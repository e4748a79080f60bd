"""What a day consists of: minutes by block, job-simulation stations and the week's education."""

from __future__ import annotations

from collections.abc import Sequence

from services.planning.trajectory import SHIFT
from workhardening_contracts.clinic import BlockMinutes
from workhardening_contracts.demand import MENTAL_KINDS, Demand, Frequency
from workhardening_contracts.planning import Station
from workhardening_contracts.quantity import Quantity

# Block -> share of the day in the first and in the last week; between them linear. The program starts by making the
# body ready (mobility, strengthening) and ends as the job itself (endurance, job simulation). Each column sums to 1.
MIX: dict[str, tuple[float, float]] = {
    "mobility": (0.30, 0.10),
    "strengthening": (0.30, 0.15),
    "endurance": (0.20, 0.30),
    "job_simulation": (0.15, 0.40),
    "education": (0.05, 0.05),
}

TOPICS = ("body_mechanics", "pacing", "reinjury", "pain_science")
"""What is taught against re-injury, a topic a week in turn."""

# Minutes at a station go by how much of the shift its demand takes: the middle of each band (ORS 2018: up to 2 %, up
# to 1/3, 1/3 to 2/3, above).
FREQUENCY_SHARE: dict[Frequency, float] = {"seldom": 0.02, "occasional": 0.2, "frequent": 0.5, "constant": 0.85}


def minutes_by_block(hours: float, week: int, total_weeks: int) -> BlockMinutes:
    """Whole minutes a day by block in week `week` of `total_weeks`; together the day's hours."""
    along = min(1.0, (week - 1) / (total_weeks - 1)) if total_weeks > 1 else 1.0
    day = hours * 60
    minutes = {name: float(int(day * (first + (last - first) * along))) for name, (first, last) in MIX.items()}
    minutes["job_simulation"] += day - sum(minutes.values())
    return BlockMinutes(**minutes)


def education(week: int) -> tuple[str, ...]:
    """The week's topics. Never empty: education belongs to every week."""
    return (TOPICS[(week - 1) % len(TOPICS)],)


def stations(demands: Sequence[Demand], amounts: Sequence[Quantity], minutes: float) -> tuple[Station, ...]:
    """A station for each physical demand, which share the day's `minutes` of job simulation by frequency.

    Mental demands and the shift have no station of their own: they are trained by all of them.
    """
    physical = [(d, a) for d, a in zip(demands, amounts, strict=True) if d.kind not in MENTAL_KINDS | {SHIFT}]
    whole = sum(FREQUENCY_SHARE[demand.frequency] for demand, _ in physical)
    return tuple(
        Station(demand=demand.key, amount=amount, minutes=minutes * FREQUENCY_SHARE[demand.frequency] / whole)
        for demand, amount in physical
    )
