"""Jobs to go back to: one worker's demands, drawn from how the workers of an occupation really spread over levels.

Source: BLS Occupational Requirements Survey 2018, see `data/PROVENANCE.md`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random

from workhardening_contracts.demand import Demand, DemandProfile, Frequency
from workhardening_contracts.quantity import Quantity

# An element whose published levels cover less than this share of the workers says too little to draw from.
ENOUGH_PUBLISHED = 40.0

LIFTING: Mapping[str, Frequency] = {
    "Lifting/carrying Seldom": "seldom",
    "Lifting/carrying Occasionally": "occasional",
    "Lifting/carrying Frequently": "frequent",
}

# Level -> loads in lb that lie in it, in steps of a 5 lb plate. Up to 1 lb is `NEGLIGIBLE`: nothing to train.
LOADS: Mapping[str, Sequence[int]] = {
    "NONE": (),
    "NEGLIGIBLE": (),
    ">1 LBS, <=10 POUNDS": (5, 10),
    "> 10 LBS, = 20 LBS": (15, 20),
    "> 10 LBS, = 25 LBS": (15, 20, 25),
    "> 20 LBS, = 50 LBS": (25, 30, 35, 40, 45, 50),
    "> 25 LBS, = 50 LBS": (30, 35, 40, 45, 50),
    ">50 LBS, = 100 LBS": (55, 60, 65, 70, 75, 80, 85, 90, 95, 100),
    "> 100 LBS": (105, 110, 115, 120),
}

FREQUENCIES: Mapping[str, Frequency | None] = {
    "NOT PRESENT": None,
    "SELDOM": "seldom",
    "OCCASIONALLY": "occasional",
    "FREQUENTLY": "frequent",
    "CONSTANTLY": "constant",
}

# Frequency -> shares of the shift that lie in it (ORS 2018).
SHARES: Mapping[Frequency, tuple[float, float]] = {
    "seldom": (0.01, 0.02),
    "occasional": (0.05, 0.33),
    "frequent": (0.34, 0.66),
    "constant": (0.67, 0.85),
}

# Element -> kind and zone. A colleague can take over a posture or a reach, so none of these bars a return to work.
POSTURES: Mapping[str, tuple[str, str | None]] = {
    "Pushing/pulling: Hands/arms": ("push", None),
    "Reaching overhead": ("reach", "overhead"),
    "Reaching at/below the shoulder": ("reach", "forward"),
    "Stooping": ("stoop", None),
    "Kneeling": ("kneel", None),
    "Crouching": ("crouch", None),
    "Crawling": ("crawl", None),
    "Climbing ladders, ropes, or scaffolds": ("climb", None),
    "Gross manipulation": ("grip", None),
}

# 7 of 10 is the self-efficacy from which readiness is recommended. It is critical because an unmet demand that is not
# critical becomes a restriction, and an employer can neither act on a low confidence nor may it be told of one.
CONFIDENCE = Demand(kind="confidence", frequency="constant", amount=Quantity(amount=7.0, unit="score"), critical=True)

SHIFTS_H: Sequence[float] = (6.0, 8.0, 8.0, 8.0, 8.0, 8.0)

Elements = Mapping[str, Mapping[str, float]]


@cache
def occupations() -> Mapping[str, Elements]:
    """Occupation -> element -> level -> % of its workers, in the file's order (rising levels)."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    text = files("simulator").joinpath("data/ors_2018_jobs.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        levels = found.setdefault(row["occupation"], {}).setdefault(row["element"], {})
        levels[row["level"]] = float(row["percent"])
    return found


def level_at(levels: Mapping[str, float], quantile: float) -> str | None:
    """The level of the worker at this quantile (0 to 1) of the published levels; None when too little is published."""
    published = sum(levels.values())
    if published < ENOUGH_PUBLISHED:
        return None
    reached = 0.0
    for level, percent in levels.items():
        reached += percent
        if quantile * published < reached:
            return level
    return list(levels)[-1]


def draw(random: Random, occupation: str | None = None) -> DemandProfile:
    """One worker's job, of the given occupation or of any. Loads in lb, postures in min and standing in h a shift."""
    title = occupation or random.choice(list(occupations()))
    elements = occupations()[title]
    shift = random.choice(SHIFTS_H)
    demands = [*_lifting(elements, random), _standing(elements, shift)]
    for element, (kind, zone) in POSTURES.items():
        frequency = FREQUENCIES[level_at(elements.get(element, {}), random.random()) or "NOT PRESENT"]
        if frequency is not None:
            low, high = SHARES[frequency]
            minutes = max(1.0, float(round(random.uniform(low, high) * shift * 60)))
            amount = Quantity(amount=minutes, unit="min")
            demands.append(Demand(kind=kind, zone=zone, frequency=frequency, amount=amount, critical=False))
    demands.append(CONFIDENCE)
    return DemandProfile(title=title, basis="job_analysis", demands=tuple(demands), shift_hours=shift)


def _lifting(elements: Elements, random: Random) -> list[Demand]:
    # One quantile for all frequencies: who lifts more than most now and then also lifts more than most often.
    quantile, within = random.random(), random.random()
    demands: list[Demand] = []
    ceiling = max(max(loads, default=0) for loads in LOADS.values())
    for element, frequency in LIFTING.items():
        loads = LOADS[level_at(elements.get(element, {}), quantile) or "NONE"]
        if not loads:
            continue
        # What is lifted often is not heavier than what is lifted now and then.
        load = ceiling = min(loads[int(within * len(loads))], ceiling)
        # The rare heavy lift can be shared or done with a hoist; the everyday one cannot.
        critical = frequency != "seldom"
        amount = Quantity(amount=float(load), unit="lb")
        demands.append(Demand(kind="lift", zone="floor_waist", frequency=frequency, amount=amount, critical=critical))
    return demands


def _standing(elements: Elements, shift: float) -> Demand:
    hours = round(elements["Standing/walking"]["MEAN"] / 100 * shift, 1)
    return Demand(
        kind="stand", frequency=_frequency_of(hours / shift), amount=Quantity(amount=hours, unit="h"), critical=True
    )


def _frequency_of(share: float) -> Frequency:
    for frequency, (_, high) in SHARES.items():
        if share <= high:
            return frequency
    return "constant"
