"""The revised NIOSH lifting equation (Waters, Putz-Anderson, Garg: Applications Manual, NIOSH 94-110).

RWL = LC × HM × VM × DM × AM × FM × CM and LI = load / RWL. It grades tasks of a job, never patients.

The manual defines the equation twice, in cm and kg and in inches and pounds, with constants that are rounded for
each system (25 cm is not 10 in). A task is therefore computed in the system it was measured in and nothing is
converted: only so do the manual's own worked examples come out.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Coupling = Literal["good", "fair", "poor"]
UnitSystem = Literal["metric", "us"]


class NotApplicable(Exception):
    """The equation does not apply to this task (NIOSH 94-110, 1.2). `code` names the reason."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class LiftingTask(BaseModel):
    """One two-handed lift. Lengths in cm or in, loads in kg or lb, as `unit_system` says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    unit_system: UnitSystem
    load: Annotated[float, Field(gt=0)]
    """kg or lb."""
    horizontal: Annotated[float, Field(ge=0)]
    """H: hands from the mid-point between the ankles, cm or in."""
    vertical: Annotated[float, Field(ge=0)]
    """V: hands above the floor, cm or in."""
    travel: Annotated[float, Field(ge=0)]
    """D: vertical travel between origin and destination, cm or in."""
    asymmetry: Annotated[float, Field(ge=0, le=180)] = 0.0
    """A: degrees of turn from the sagittal plane."""
    lifts_per_minute: Annotated[float, Field(ge=0)]
    """F, averaged over 15 minutes."""
    duration_hours: Annotated[float, Field(gt=0)]
    """h of lifting at a stretch; the manual's classes are up to 1, 2 and 8 h."""
    coupling: Coupling
    hands: Literal[1, 2] = 2
    posture: Literal["standing", "seated", "kneeling"] = "standing"
    load_stability: Literal["stable", "unstable"] = "stable"
    activity: Literal["lift", "lower", "carry", "push", "pull"] = "lift"


class LiftingIndex(BaseModel):
    """What the equation answers."""

    model_config = ConfigDict(frozen=True)

    unit_system: UnitSystem
    low: bool
    """The hands begin below 75 cm (30 in), which decides FM from 9 lifts a minute on, and CM."""
    rwl: float
    """Recommended weight limit, kg or lb."""
    lifting_index: float | None
    """load / RWL; null where RWL is 0, for there the task lies outside any limit."""
    lc: float
    hm: float
    vm: float
    dm: float
    am: float
    fm: float
    cm: float


@dataclass(frozen=True, slots=True)
class _System:
    """The constants of one unit system (NIOSH 94-110, 1.3)."""

    load: float
    horizontal_min: float
    horizontal_max: float
    vertical_optimum: float
    vertical_slope: float
    vertical_max: float
    travel_min: float
    travel_max: float
    travel_slope: float


_SYSTEMS: dict[str, _System] = {
    "metric": _System(23.0, 25.0, 63.0, 75.0, 0.003, 175.0, 25.0, 175.0, 4.5),
    "us": _System(51.0, 10.0, 25.0, 30.0, 0.0075, 70.0, 10.0, 70.0, 1.8),
}

# Table 5: lifts a minute -> FM up to 1 h, 2 h and 8 h, below the knuckle height of 75 cm (30 in) and from there up.
_FREQUENCIES = (0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0)
LEAST_FREQUENCY = _FREQUENCIES[0]
"""Lifts a minute: a task done less often counts as done so often."""
_UP_TO_8 = {
    1: (1.00, 0.97, 0.94, 0.91, 0.88, 0.84, 0.80, 0.75, 0.70, 0.60),
    2: (0.95, 0.92, 0.88, 0.84, 0.79, 0.72, 0.60, 0.50, 0.42, 0.35),
    8: (0.85, 0.81, 0.75, 0.65, 0.55, 0.45, 0.35, 0.27, 0.22, 0.18),
}
_FROM_9_LOW = {
    1: (0.52, 0.45, 0.41, 0.37, 0.0, 0.0, 0.0),
    2: (0.30, 0.26, 0.0, 0.0, 0.0, 0.0, 0.0),
    8: (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
_FROM_9_HIGH = {
    1: (0.52, 0.45, 0.41, 0.37, 0.34, 0.31, 0.28),
    2: (0.30, 0.26, 0.23, 0.21, 0.0, 0.0, 0.0),
    8: (0.15, 0.13, 0.0, 0.0, 0.0, 0.0, 0.0),
}

# Table 7: coupling -> CM below 75 cm (30 in) and from there up.
_COUPLING: dict[str, tuple[float, float]] = {"good": (1.0, 1.0), "fair": (0.95, 1.0), "poor": (0.90, 0.90)}


def lifting_index(task: LiftingTask) -> LiftingIndex:
    """Grade one lift. Raises NotApplicable, by name, for what the equation was not made for."""
    _check_applicable(task)
    system = _SYSTEMS[task.unit_system]
    low = task.vertical < system.vertical_optimum
    hm = _horizontal(task.horizontal, system)
    vm = _vertical(task.vertical, system)
    dm = _travel(task.travel, system)
    am = 0.0 if task.asymmetry > 135 else 1 - 0.0032 * task.asymmetry
    fm = frequency_multiplier(task.lifts_per_minute, task.duration_hours, low=low)
    cm = _COUPLING[task.coupling][0 if low else 1]
    rwl = system.load * hm * vm * dm * am * fm * cm
    return LiftingIndex(
        unit_system=task.unit_system,
        low=low,
        rwl=rwl,
        lifting_index=task.load / rwl if rwl > 0 else None,
        lc=system.load,
        hm=hm,
        vm=vm,
        dm=dm,
        am=am,
        fm=fm,
        cm=cm,
    )


def frequency_multiplier(lifts_per_minute: float, duration_hours: float, *, low: bool) -> float:
    """FM of table 5, linear between its rows; 0.2 lifts a minute and fewer count as 0.2, above 15 it is 0.

    `low`: the hands begin below 75 cm (30 in). Raises NotApplicable beyond 8 h.
    """
    if duration_hours > 8:
        raise NotApplicable("over_8_hours", "the equation covers up to 8 hours of lifting")
    duration = 1 if duration_hours <= 1 else 2 if duration_hours <= 2 else 8
    if lifts_per_minute > _FREQUENCIES[-1]:
        return 0.0
    row = _UP_TO_8[duration] + (_FROM_9_LOW if low else _FROM_9_HIGH)[duration]
    if lifts_per_minute <= _FREQUENCIES[0]:
        return row[0]
    above = bisect_left(_FREQUENCIES, lifts_per_minute)
    left, right = _FREQUENCIES[above - 1], _FREQUENCIES[above]
    share = (lifts_per_minute - left) / (right - left)
    # Weighted, not row[above - 1] + share * difference, so that a row of the table comes out exactly.
    return row[above - 1] * (1 - share) + row[above] * share


def _check_applicable(task: LiftingTask) -> None:
    if task.activity in {"carry", "push", "pull"}:
        raise NotApplicable(f"activity_{task.activity}", "the equation grades lifting and lowering only")
    if task.hands == 1:
        raise NotApplicable("one_handed", "the equation grades two-handed lifts only")
    if task.posture != "standing":
        raise NotApplicable(task.posture, "the equation grades lifts of a standing worker only")
    if task.load_stability == "unstable":
        raise NotApplicable("unstable_load", "the equation grades stable loads only")
    if task.duration_hours > 8:
        raise NotApplicable("over_8_hours", "the equation covers up to 8 hours of lifting")


def _horizontal(horizontal: float, system: _System) -> float:
    if horizontal > system.horizontal_max:
        return 0.0
    return system.horizontal_min / max(horizontal, system.horizontal_min)


def _vertical(vertical: float, system: _System) -> float:
    if vertical > system.vertical_max:
        return 0.0
    return 1 - system.vertical_slope * abs(vertical - system.vertical_optimum)


def _travel(travel: float, system: _System) -> float:
    if travel > system.travel_max:
        return 0.0
    return 0.82 + system.travel_slope / max(travel, system.travel_min)
