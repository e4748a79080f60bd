"""From a baseline capacity to a job's demand: how much each week asks for. Pure arithmetic, demand by demand.

A path is stepwise: each week follows from the one before and the number of weeks left, so a plan and its revisions
are the same sum. Loads (kg, lb, N) grow geometrically, since strength does; times, scores and repetitions linearly.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from services.planning.policy import Policy
from workhardening_contracts.demand import FREQUENCY_ORDER, Capacity, Demand, best_capacity
from workhardening_contracts.quantity import KG_PER_LB, Quantity, Unit

SHIFT = "shift"
"""The demand kind that is the shift itself; its weekly target is the day's planned hours."""
TIMES: frozenset[Unit] = frozenset({"h", "min"})
"""Units of which a day holds no more than its hours."""

_STANDARD_GRAVITY = 9.80665  # N per kg, exact by definition (CGPM 1901)
_UNITS_PER_KG: dict[Unit, float] = {"kg": 1.0, "lb": 1 / KG_PER_LB, "N": _STANDARD_GRAVITY}
_MOST = 100_000.0  # the largest amount that the contracts carry
_CLOSE = 1e-9  # one part in 10^9, as quantities are compared: far below what any scale shows


def aim(demand: Demand, policy: Policy) -> float:
    """What the last week should ask for, in the demand's unit: the demand times the safety margin."""
    if demand.amount.unit == "score" or demand.kind == SHIFT:
        return demand.amount.amount
    return min(demand.amount.amount * policy.safety_margin, _MOST)


def starting_point(demand: Demand, baseline: Iterable[Capacity], policy: Policy) -> tuple[float, bool]:
    """Where the path starts, in the demand's unit, and whether that is assumed for want of a test."""
    tested = best_capacity(baseline, demand)
    if tested is None:
        # What was shown less often is more than can be done as often as the job asks.
        seldom = demand.model_copy(update={"frequency": FREQUENCY_ORDER[0]})
        shown = best_capacity(baseline, seldom)
        assumed = aim(demand, policy) * policy.assumed_share
        return assumed if shown is None else min(assumed, shown.amount.amount_in(demand.amount.unit)), True
    return tested.amount.amount_in(demand.amount.unit), False


def ceiling(amount: float, unit: Unit, policy: Policy) -> float:
    """The most that the week after one at `amount` may ask for; no bound where the unit is not a load."""
    if unit not in _UNITS_PER_KG:
        return float("inf")
    return max(amount * (1 + policy.load_step), amount + policy.load_stage_kg * _UNITS_PER_KG[unit])


def next_amount(amount: float, target: float, weeks_left: int, unit: Unit, policy: Policy) -> float:
    """The next week's amount on the way to `target`, which is due in `weeks_left` weeks (1 or more).

    Never past the target, never above the ceiling. A load takes a larger step than the geometric one where the caps
    would otherwise make the target unreachable later: small loads may grow by a stage, which is more than 20 %.
    """
    if amount >= target * (1 - _CLOSE):
        return target
    if unit not in _UNITS_PER_KG:
        linear = amount + (target - amount) / weeks_left
        return target if weeks_left == 1 else min(target, ceil(linear - _CLOSE) if unit == "repetitions" else linear)
    even = amount * (target / amount) ** (1 / weeks_left) if amount > 0 else target
    wanted = max(even, _least(target, weeks_left - 1, unit, policy))
    reached = min(wanted, ceiling(amount, unit, policy), target)
    return target if reached >= target * (1 - _CLOSE) else reached


def path(start: float, target: float, weeks: int, unit: Unit, policy: Policy) -> tuple[float, ...]:
    """The amounts of `weeks` weeks from `start` on, the start itself not included."""
    amounts: list[float] = []
    amount = start
    for weeks_left in range(weeks, 0, -1):
        amount = next_amount(amount, target, weeks_left, unit, policy)
        amounts.append(amount)
    return tuple(amounts)


def falls_short(reached: float, target: float) -> bool:
    """Whether `reached` is below the target by more than rounding."""
    return reached < target * (1 - _CLOSE)


def quantity(demand: Demand, amount: float) -> Quantity:
    """An amount in the demand's unit."""
    return Quantity(amount=amount, unit=demand.amount.unit)


def _least(target: float, weeks: int, unit: Unit, policy: Policy) -> float:
    """The least amount from which `weeks` steps at the ceiling reach the target: the ceiling, walked backwards."""
    amount = target
    for _ in range(weeks):
        amount = max(0.0, min(amount / (1 + policy.load_step), amount - policy.load_stage_kg * _UNITS_PER_KG[unit]))
    return amount
