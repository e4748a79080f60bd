"""The numbers progress decides by: defaults, the bounds a clinic may move them in, and where they come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """Progress's policy. A clinic may change each number within its bounds.

    Where no source is named the number is the program's own convention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: str = "default-1"
    attendance: Annotated[float, Field(ge=0.6, le=1.0)] = 0.8
    """Least share of the planned sessions that a week needs to advance."""
    attained: Annotated[float, Field(ge=0.7, le=1.0)] = 0.9
    """Least share of a critical target that counts as attained."""
    regress_below: Annotated[float, Field(ge=0.3, le=0.7)] = 0.6
    """Mean share of the critical targets below which the week steps back."""
    flare_rise: Annotated[float, Field(ge=1, le=4)] = 2.0
    """Points of NPRS above the baseline, still there after 24 hours, that make a flare. Two points are the least
    clinically important change of the scale (Farrar 2001)."""
    max_holds: Annotated[int, Field(ge=1, le=4)] = 2
    """How often in a row the same targets are held; after that the week steps back, since they are out of reach."""
    stalled_weeks: Annotated[int, Field(ge=2, le=4)] = 2
    """Weeks in a row with neither compliance nor gain that end the program."""
    gain: Annotated[float, Field(ge=0, le=0.1)] = 0.02
    """Growth over the best so far that counts as a gain; less is within the reading of a scale or a stop-watch."""
    readiness_from_week: Annotated[int, Field(ge=1, le=12)] = 4
    """The first week after which readiness is assessed."""
    confidence: Annotated[float, Field(ge=5, le=10)] = 7.0
    """Least self-efficacy for returning to work, 0-10."""
    shift_days: Annotated[int, Field(ge=1, le=5)] = 2
    """Days on which the shift's hours must have been tolerated; one day may be luck."""
    max_hours: Annotated[float, Field(ge=4, le=10)] = 8.0
    """Most hours a day that the program trains, h: a longer shift counts as tolerated from there."""
    retest_days: Annotated[int, Field(ge=7, le=28)] = 14
    """Days that a measured capacity, and an assessment that rests on it, stay valid."""
    max_frozen_weeks: Annotated[int, Field(ge=1, le=12)] = 4
    """Closed weeks that an escalated case may stand still before it is discontinued."""
