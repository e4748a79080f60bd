"""The week's home program: short, without equipment, without a weight. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from services.console.program.library import Exercise, library
from services.console.program.sheets import MINUTES_IN, STEP, in_turn
from services.console.program.week import Asked, barring, under
from workhardening_contracts.clinic import Restriction
from workhardening_contracts.planning import PlannedWeek
from workhardening_contracts.quantity import Quantity

WALK = "home_walk"
WALK_MINUTES = (10, 15)
"""Of the walk in the first week, and the most of it. It gains one a week: the program's own convention."""
EXERCISES = 3
"""Beside the walk: what is short is done."""
MINUTES_EACH = 3


@dataclass(frozen=True, slots=True)
class HomeItem:
    exercise: Exercise
    minutes: int


@dataclass(frozen=True, slots=True)
class Home:
    """What is done at home on each day of the week."""

    items: tuple[HomeItem, ...]
    minutes: int
    heaviest: Quantity | None
    """Nothing heavier is lifted or carried in the household: the lowest load of the week. None where it has none."""


def home_program(week: PlannedWeek, restrictions: Sequence[Restriction] = ()) -> Home:
    """A walk, and exercises for the week's demands, which take turns from week to week."""
    asked = [under(target, restrictions) for target in week.targets]
    there = [
        each
        for each in library().of("home")
        if each.id != WALK and barring(each, restrictions) is None and (each.general or _serves(each, asked))
    ]
    items = [HomeItem(each, MINUTES_EACH) for each in in_turn(there, week.number - 1, EXERCISES)]
    if walk := _walk(week, asked, restrictions):
        items.insert(0, walk)
    return Home(tuple(items), sum(each.minutes for each in items), _heaviest(asked))


def _serves(exercise: Exercise, asked: Sequence[Asked]) -> bool:
    return any(
        exercise in library().suited("home", each.target.kind, each.target.zone)
        for each in asked
        if each.allowed is not None and each.allowed.amount > 0
    )


def _walk(week: PlannedWeek, asked: Sequence[Asked], restrictions: Sequence[Restriction]) -> HomeItem | None:
    walk = next(each for each in library().of("home") if each.id == WALK)
    first, most = WALK_MINUTES
    minutes = min(most, first + week.number - 1)
    for each in asked:
        if each.target.kind == "walk" and each.target.amount.unit in MINUTES_IN:
            left = each.allowed
            minutes = min(minutes, 0 if left is None else floor(left.amount * MINUTES_IN[left.unit]))
    return HomeItem(walk, minutes) if minutes and barring(walk, restrictions) is None else None


def _heaviest(asked: Sequence[Asked]) -> Quantity | None:
    loads = [
        Quantity(amount=0, unit=each.target.amount.unit) if each.allowed is None else each.allowed
        for each in asked
        if each.target.kind in ("lift", "carry") and each.target.amount.unit in STEP
    ]
    weights = [each for each in loads if each.unit != "N"]
    return min(weights, key=lambda each: each.amount_in("kg"), default=None)
