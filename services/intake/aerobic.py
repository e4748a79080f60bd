"""The aerobic demand of a job, and what a 6-minute walk should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

REST = 3.5
"""Oxygen uptake at 1 MET, ml/kg/min (by definition)."""


@dataclass(frozen=True, slots=True)
class Work:
    """A stretch of the shift at one intensity."""

    met: float
    """Intensity, multiples of rest."""
    hours: float
    """h."""


def sustainable_fraction(hours: float) -> float:
    """The share of aerobic capacity that can be kept up: 50 % for up to 1 h, 40 % up to 2 h, 33 % up to 8 h (NIOSH
    1991 committee, in Waters et al. 1993). Raises ValueError outside 0 to 8 h."""
    if not 0 < hours <= 8:
        raise ValueError("hours must be above 0 and at most 8")
    return 0.50 if hours <= 1 else 0.40 if hours <= 2 else 0.33


def mean_met(shift: Sequence[Work]) -> float:
    """The time-weighted mean intensity, MET. Raises ValueError for an empty shift or negative values."""
    hours = sum(work.hours for work in shift)
    if hours <= 0 or any(work.hours < 0 or work.met < 0 for work in shift):
        raise ValueError("a shift needs hours above 0 and no negative value")
    return sum(work.met * work.hours for work in shift) / hours


def required_vo2max(shift: Sequence[Work]) -> float:
    """The capacity that the shift asks for, ml/kg/min: 3.5 × mean MET / sustainable fraction.

    The fraction holds for the mean of the shift, never for a task's peak. Raises ValueError as its parts do.
    """
    return REST * mean_met(shift) / sustainable_fraction(sum(work.hours for work in shift))


@dataclass(frozen=True, slots=True)
class WalkReference:
    """The distance a healthy adult is expected to walk."""

    metres: float
    outside_ages: bool
    """The worker is outside the 40 to 80 years from which the equation was derived: read with care."""


def six_minute_walk_reference(
    sex: Literal["male", "female"], *, height_cm: float, weight_kg: float, age_years: float
) -> WalkReference:
    """Enright & Sherrill 1998: men 7.57h - 5.02a - 1.76w - 309, women 2.11h - 2.29w - 5.78a + 667 (m).

    Raises ValueError when a measure is not above 0. A distance below 0 is answered as 0.
    """
    if min(height_cm, weight_kg, age_years) <= 0:
        raise ValueError("height, weight and age must be above 0")
    if sex == "male":
        metres = 7.57 * height_cm - 5.02 * age_years - 1.76 * weight_kg - 309
    else:
        metres = 2.11 * height_cm - 2.29 * weight_kg - 5.78 * age_years + 667
    return WalkReference(max(metres, 0.0), not 40 <= age_years <= 80)
