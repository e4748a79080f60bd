"""A week of the plan as session sheets: what is done on each day, how much of it, and for how long. Pure.

The plan decides how much and how long. A sheet only names what it is done with: never more than the week's target,
never more than a restriction, in the plan's own minutes. The same week gives the same sheets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import ceil, floor, fsum
from typing import TypeVar

from services.console.program.library import Block, Exercise, library
from services.console.program.week import Asked, barring, concerns, under
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.planning import PlannedWeek
from workhardening_contracts.quantity import Quantity, Unit, comparable

OPENING_MOST = 10
"""Most minutes of warm-up, and of cool-down. Both are of the plan's mobility, of which each takes at most a third."""
MINUTES_EACH: dict[Block, int] = {"mobility": 4, "strengthening": 6, "endurance": 10, "job_simulation": 5}
"""Fewest minutes that an exercise of a block needs, rests and changing over included: so many fit into it."""
SPREAD: dict[int, tuple[int, ...]] = {1: (2,), 2: (0, 3), 3: (0, 2, 4), 4: (0, 1, 3, 4), 5: (0, 1, 2, 3, 4)}
"""Sessions a week -> days from its first, with days of rest in between. The plan says how many days, not which."""
STEP: dict[Unit, float] = {"kg": 0.5, "lb": 1.0, "N": 5.0}
"""Loads of exercises are rounded down to what can be put together. A job simulation has the target as it is."""
MINUTES_IN: dict[Unit, float] = {"min": 1.0, "h": 60.0}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """One exercise on one day."""

    exercise: Exercise
    demands: tuple[str, ...]
    """Keys of the demands it is done for."""
    minutes: int | None
    """None: alongside the other items of its part, which it does not lengthen."""
    amount: Quantity | None
    """The load, or what is to be reached that day; None: the body's own weight."""
    repetitions: int | None
    """A set."""


@dataclass(frozen=True, slots=True)
class Part:
    """One block of a day."""

    block: str
    """A block of the library, or `education`."""
    minutes: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """One day."""

    number: int
    on: date
    """A proposal."""
    minutes: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Sheets:
    """One week."""

    asked: tuple[Asked, ...]
    sessions: tuple[Session, ...]
    shortened_by: Restriction | None
    """A restriction of working hours that is below the plan's hours a day."""


def sheets(week: PlannedWeek, restrictions: Sequence[Restriction] = ()) -> Sheets:
    """The week's sheets, a session for each of its days; none where a restriction leaves no minute."""
    asked = tuple(_practicable(under(target, restrictions), restrictions) for target in week.targets)
    minutes, shortened_by = _length(week, restrictions)
    days = [
        Session(
            day + 1, week.starts_on + timedelta(days=offset), minutes, _parts(week, asked, restrictions, minutes, day)
        )
        for day, offset in enumerate(SPREAD.get(week.days, tuple(range(week.days))))
    ]
    return Sheets(asked, tuple(days) if minutes else (), shortened_by)


def shared(whole: int, weights: Sequence[float]) -> tuple[int, ...]:
    """`whole` in whole parts by weight, which add up to it (largest remainder); equal parts where no weight is."""
    total = fsum(weights)
    exact = [whole * (weight / total if total else 1 / len(weights)) for weight in weights]
    parts = [floor(each + 1e-9) for each in exact]
    by_remainder = sorted(range(len(exact)), key=lambda nth: parts[nth] - exact[nth])
    for nth in by_remainder[: whole - sum(parts)]:
        parts[nth] += 1
    return tuple(parts)


def in_turn(pool: Sequence[T], day: int, count: int) -> list[T]:
    """`count` of the pool, each day those that follow on the day before's; all of them where fewer are there."""
    return [pool[(day * count + nth) % len(pool)] for nth in range(min(count, len(pool)))]


def _practicable(each: Asked, restrictions: Sequence[Restriction]) -> Asked:
    """Nothing of a demand is asked when a restriction bars every way in which it is simulated."""
    ways = library().suited("job_simulation", each.target.kind, each.target.zone)
    bars = [barring(way, restrictions) for way in ways]
    return replace(each, allowed=None, by=bars[0]) if bars and all(bars) else each


def _length(week: PlannedWeek, restrictions: Sequence[Restriction]) -> tuple[int, Restriction | None]:
    """Minutes a day: the plan's, whole ones, or what a restriction of working hours leaves of them."""
    planned = floor(fsum(dict(week.minutes).values()) + 1e-9)
    left, by = planned, None
    for each in restrictions:
        if concerns(each, "shift", None, "constant"):
            most = _minutes(each.limit, 0)
            if most < left:
                left, by = most, each
    return left, by


def _parts(
    week: PlannedWeek, asked: Sequence[Asked], restrictions: Sequence[Restriction], minutes: int, day: int
) -> tuple[Part, ...]:
    planned = dict(week.minutes)
    of = dict(zip(planned, shared(minutes, list(planned.values())), strict=True))
    opening = min(OPENING_MOST, of["mobility"] // 3)
    parts = (
        _filled("warm_up", opening, (), (), day),
        _filled("mobility", of["mobility"] - 2 * opening, asked, restrictions, day),
        _filled("strengthening", of["strengthening"], asked, restrictions, day),
        _filled("endurance", of["endurance"], asked, restrictions, day),
        _simulation(week, of["job_simulation"], asked, restrictions, day),
        Part("education", of["education"], ()),
        _filled("cool_down", opening, (), (), day),
    )
    # What is taught is taken home where a short day has no minute for it.
    return tuple(part for part in parts if part.minutes or part.items or (part.block == "education" and week.education))


def _filled(block: Block, minutes: int, asked: Sequence[Asked], restrictions: Sequence[Restriction], day: int) -> Part:
    """A block whose minutes its exercises share. What none of them may take goes to a general one."""
    if minutes == 0:
        return Part(block, 0, ())
    pool = [item for exercise, served in _fitting(block, asked, restrictions) if (item := _item(exercise, served))]
    items = in_turn(pool, day, max(1, minutes // MINUTES_EACH.get(block, minutes)))
    allowed = {each.key: each.allowed for each in asked}
    shares = shared(minutes, [1] * len(items)) if items else ()
    taken = [
        min(share, *(_minutes(allowed[key], share) for key in item.demands))
        for item, share in zip(items, shares, strict=True)
    ]
    filled = [replace(item, minutes=most) for item, most in zip(items, taken, strict=True) if most]
    if left := minutes - sum(taken):
        general = library().general(block)
        exercise = general[day % len(general)]
        filled.append(Item(exercise, (), left, None, exercise.repetitions))
    return Part(block, minutes, tuple(filled))


def _fitting(
    block: Block, asked: Sequence[Asked], restrictions: Sequence[Restriction]
) -> list[tuple[Exercise, list[Asked]]]:
    """The block's exercises that train what is asked, each with what it is done for, as the library lists them."""
    served: dict[str, list[Asked]] = {}
    for each in asked:
        # Of a time or a count of nothing there is nothing to do yet; a load of nothing is a movement still.
        if each.allowed is not None and (each.allowed.amount > 0 or each.allowed.unit in STEP):
            for exercise in library().suited(block, each.target.kind, each.target.zone):
                served.setdefault(exercise.id, []).append(each)
    return [
        (exercise, served[exercise.id])
        for exercise in library().of(block)
        if exercise.id in served and barring(exercise, restrictions) is None
    ]


def _item(exercise: Exercise, served: Sequence[Asked]) -> Item | None:
    """An exercise dosed from the lowest of what it is done for; None where that is less than one repetition a set."""
    amounts = [each.allowed for each in served if each.allowed is not None]
    repetitions = exercise.repetitions
    for counted in (each for each in amounts if each.unit == "repetitions"):
        if repetitions is not None:
            repetitions = min(repetitions, floor(counted.amount / (exercise.sets or 1)))
    if repetitions == 0:
        return None
    loads = [each for each in amounts if each.unit in STEP]
    load = None
    if exercise.share is not None and loads:
        if not all(comparable(each, loads[0]) for each in loads):
            return None  # a load in kg and one in N have no lower one
        unit = loads[0].unit
        lowest = min(each.amount_in(unit) for each in loads) * exercise.share
        load = Quantity(amount=floor(lowest / STEP[unit]) * STEP[unit], unit=unit)
    return Item(exercise, tuple(each.key for each in served), None, load if load and load.amount else None, repetitions)


def _simulation(
    week: PlannedWeek, minutes: int, asked: Sequence[Asked], restrictions: Sequence[Restriction], day: int
) -> Part:
    """The plan's stations in the plan's shares of the time; alongside them what is the whole day's business.

    Where the day is too short for all stations they take turns, so that each has its day in the week.
    """
    left = {each.key: each for each in asked if each.allowed is not None}
    stations = [each for each in week.stations if each.demand in left]
    named = {each.demand for each in stations}
    fit = minutes // MINUTES_EACH["job_simulation"]
    today = in_turn(stations, day, max(ceil(len(stations) / week.days), min(len(stations), fit)))
    shares = shared(minutes, [each.minutes for each in today]) if today else ()
    items = [
        _simulated(left[station.demand], restrictions, share or None, day)
        for station, share in zip(today, shares, strict=True)
    ]
    if minutes and not today:
        items.append(Item(library().general("job_simulation")[0], (), minutes, None, None))
    items += [_simulated(each, restrictions, None, day) for key, each in left.items() if key not in named]
    return Part("job_simulation", minutes, tuple(items))


def _simulated(each: Asked, restrictions: Sequence[Restriction], minutes: int | None, day: int) -> Item:
    """A demand as the job has it, with all that the week asks of it. Ways take turns from day to day."""
    suited = library().suited("job_simulation", each.target.kind, each.target.zone)
    ways = [way for way in suited if barring(way, restrictions) is None] or library().general("job_simulation")
    return Item(ways[day % len(ways)], (each.key,), minutes, each.allowed, None)


def _minutes(most: Quantity | None, otherwise: int) -> int:
    """An amount of time in whole minutes; `otherwise` where it is none."""
    if most is None or most.unit not in MINUTES_IN:
        return otherwise
    return floor(most.amount * MINUTES_IN[most.unit] + 1e-9)
