"""One injured worker: what they can do, how they respond to training, how pain, confidence and attendance go.

A seeded model, not a description of anybody. It never decides an outcome: it only does, day by day, what a plan asks
as far as it can, and the services judge what was done.

Capacities are shares of the job's demands. With every session trained they approach a ceiling,
`share(n) = ceiling - (ceiling - start) * exp(-n / adaptation)`, so that the early weeks bring most. Lifting starts at
a third to a half of the job and the usual ceiling is a little over it: it doubles or triples in about seven weeks, as
in functional restoration (PILE, Mayer 1988).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Literal

from workhardening_contracts.clinic import Performed, Session
from workhardening_contracts.demand import MENTAL_KINDS, Demand, DemandProfile
from workhardening_contracts.planning import PlannedWeek, Target
from workhardening_contracts.quantity import Quantity

Response = Literal["full", "partial", "plateau"]
"""Full: reaches the whole job. Partial: what is not critical stays behind. Plateau: something critical does."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as they are today. Shares are of the job's demands, in their order."""

    job: DemandProfile
    response: Response
    start: tuple[float, ...]
    ceiling: tuple[float, ...]
    adaptation: float
    """Sessions after which 63 % of the way to the ceiling is gone."""
    hours: float
    """Hours tolerated a day at the start, h."""
    hours_ceiling: float
    """h."""
    pain: float
    """NPRS 0-10 at the assessment."""
    flare_hazard: float
    """Chance of a flare, per session."""
    attendance: float
    """Chance to come on a planned day."""
    leave_week: int
    """The week of training in which the worker leaves, if the program lasts that long."""
    says_so: bool
    """Tells the clinic when leaving; otherwise simply no longer comes."""
    stop_hazard: float
    """Chance of a safety stop or a red flag, per session."""
    trained: int = 0
    """Sessions attended so far."""
    sore_days: int = 0
    """Days that a flare still lasts."""
    gone: bool = False
    """No longer comes."""


# Shares of the responses, and the hazards below, are set so that a cohort judged by the default policies comes near
# what 36 work hardening programmes reported (AJOT 1994;48(4):327): 24.6 % did not complete; at discharge 48.2 % to the
# usual job, 30.5 % to alternate or modified work.
RESPONSES: Mapping[Response, float] = {"full": 0.51, "partial": 0.38, "plateau": 0.11}


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a worker stands in their cohort, as quantiles (0 to 1) of what decides most about how a case goes.

    A cohort spreads them evenly instead of drawing each by itself (systematic sampling): the rates of sixty workers
    then lie as near the published ones as those of six thousand, and nobody's outcome is set by it.
    """

    eligibility: float
    response: float
    temperament: float
    """Low: pain flares easily. High: does not keep appointments."""
    leaving: float


def meet(job: DemandProfile, fate: Fate, random: Random) -> Worker:
    """A new worker with this job."""
    response = _response(fate.response)
    critical = [i for i, demand in enumerate(job.demands) if demand.critical and demand.kind not in MENTAL_KINDS]
    other = [i for i, demand in enumerate(job.demands) if not demand.critical]
    start = [_start(demand, random) for demand in job.demands]
    ceiling = [random.uniform(1.1, 1.3) for _ in job.demands]
    if response == "partial" and other:
        for index in random.sample(other, k=min(len(other), random.randint(1, 2))):
            ceiling[index] = max(random.uniform(0.6, 0.85), start[index])
    if response == "plateau":
        for index in random.sample(critical, k=min(len(critical), random.randint(1, 2))):
            ceiling[index] = max(random.uniform(0.62, 0.82), start[index])
    irritable, unreliable = fate.temperament < 0.12, fate.temperament > 0.92
    leave_hazard = random.uniform(0.06, 0.1) if unreliable or irritable else random.uniform(0.01, 0.026)
    return Worker(
        job=job,
        response=response,
        start=tuple(start),
        ceiling=tuple(ceiling),
        adaptation=random.uniform(9, 14),
        hours=random.choice((2.0, 2.5, 3.0, 3.0, 4.0)),
        hours_ceiling=job.shift_hours + random.uniform(0.7, 2.0),
        pain=float(random.randint(2, 6)),
        flare_hazard=random.uniform(0.03, 0.07) if irritable else random.uniform(0.0, 0.012),
        attendance=random.uniform(0.62, 0.8) if unreliable else random.uniform(0.95, 1.0),
        leave_week=1 + int(math.log(1 - fate.leaving) / math.log(1 - leave_hazard)),
        says_so=random.random() < 0.6,
        stop_hazard=0.0006,
    )


def _response(quantile: float) -> Response:
    reached = 0.0
    for response, portion in RESPONSES.items():
        reached += portion
        if quantile < reached:
            return response
    return "plateau"


def _start(demand: Demand, random: Random) -> float:
    match demand.kind:
        case "lift" | "carry":
            return random.uniform(0.34, 0.55)
        case _:
            return random.uniform(0.45, 0.75)


def share(worker: Worker, index: int) -> float:
    """Today's capacity for the demand at this index of the job, as a share of it."""
    gap = worker.ceiling[index] - worker.start[index]
    return worker.ceiling[index] - gap * math.exp(-worker.trained / worker.adaptation)


def capacity(worker: Worker, index: int) -> Quantity:
    """Today's capacity for the demand at this index, in the demand's unit; a score ends at 10."""
    demand = worker.job.demands[index]
    return _measured(share(worker, index) * demand.amount.amount, demand.amount)


def tolerated_hours(worker: Worker) -> float:
    """Hours tolerated today, h."""
    gap = worker.hours_ceiling - worker.hours
    return worker.hours_ceiling - gap * math.exp(-worker.trained / worker.adaptation)


def training_days(week: PlannedWeek) -> list[date]:
    """The dates of the week's sessions, rest days between them where the number allows."""
    offsets = {1: (0,), 2: (0, 3), 3: (0, 2, 4), 4: (0, 1, 3, 4), 5: (0, 1, 2, 3, 4), 6: range(6), 7: range(7)}
    return [week.starts_on + timedelta(days=offset) for offset in offsets[week.days]]


def day(worker: Worker, week: PlannedWeek, on: date, random: Random) -> tuple[Worker, Session | None]:
    """One planned day: the worker afterwards, and what the clinic writes down; None when it has nothing to write."""
    if worker.gone:
        return worker, None
    if random.random() >= worker.attendance:
        return replace(worker, sore_days=max(0, worker.sore_days - 1)), _missed(on, random)
    stopped = random.random() < worker.stop_hazard
    flares = random.random() < worker.flare_hazard
    sore = worker.sore_days > 0
    vigour = (0.8 if sore else 1.0) * random.uniform(0.97, 1.03)
    hours = 0.5 if stopped else min(week.hours_per_day, tolerated_hours(worker))
    performed = () if stopped else tuple(_perform(worker, target, vigour, hours, random) for target in week.targets)
    eased = worker.pain * (0.55 + 0.45 * math.exp(-worker.trained / 25))
    before = _score(eased + random.uniform(-0.6, 0.4) + (2.2 if sore else 0))
    after = _score(before + random.uniform(0, 1.2))
    next_day = _score(worker.pain + random.uniform(2.1, 3.5) if flares else eased + random.uniform(-0.6, 0.8))
    session = Session(
        held_on=on,
        attendance="partial" if stopped else "attended",
        hours=round(hours, 2),
        performed=performed,
        minutes=None if stopped else week.minutes,
        exertion=_score(random.uniform(3.5, 7.5)),
        pain_before=before,
        pain_after=after,
        pain_next_day=next_day,
        heart_rate_peak=random.randint(105, 150),
        confidence=_confidence(worker),
        safety_stop=stopped,
        red_flags=("chest_pain",) if stopped and random.random() < 0.3 else (),
    )
    sore_days = random.randint(1, 2) if flares else max(0, worker.sore_days - 1)
    return replace(worker, trained=worker.trained + 1, sore_days=sore_days), session


def _missed(on: date, random: Random) -> Session | None:
    how = random.random()
    if how < 0.3:
        return None  # nobody wrote it down; closing the day makes it an absence
    return Session(held_on=on, attendance="excused" if how < 0.6 else "absent", hours=0.0)


def _perform(worker: Worker, target: Target, vigour: float, hours: float, random: Random) -> Performed:
    # Who has strength to spare does a little more than asked (the 2-for-2 rule of progression), never all they could.
    asked = target.amount.amount * (1.0 if target.kind in MENTAL_KINDS else random.uniform(1.0, 1.06))
    able = _able(worker, target, vigour)
    amount = able if target.kind in MENTAL_KINDS else min(able, asked, _within(hours, target.amount))
    return Performed(
        kind=target.kind, zone=target.zone, frequency=target.frequency, amount=_measured(amount, target.amount)
    )


def _within(hours: float, like: Quantity) -> float:
    """The most of a time that a day of so many hours has room for, in the time's unit; no bound for anything else."""
    return {"h": hours, "min": hours * 60}.get(like.unit, math.inf)


def _able(worker: Worker, target: Target, vigour: float) -> float:
    for index, demand in enumerate(worker.job.demands):
        if (demand.kind, demand.zone, demand.frequency) == (target.kind, target.zone, target.frequency):
            able = capacity(worker, index).amount_in(target.amount.unit)
            return able if demand.kind in MENTAL_KINDS else able * vigour
    return target.amount.amount  # the plan asks for something that the job does not: it is no hardship


def _confidence(worker: Worker) -> float | None:
    for index, demand in enumerate(worker.job.demands):
        if demand.kind == "confidence":
            return capacity(worker, index).amount
    return None


def _measured(amount: float, like: Quantity) -> Quantity:
    ceiling = 10.0 if like.unit == "score" else 100_000.0
    return Quantity(amount=round(min(max(amount, 0.0), ceiling), 2), unit=like.unit)


def _score(value: float) -> float:
    return round(min(max(value, 0.0), 10.0), 1)
