"""The numbers progress decides by: defaults, the bounds a clinic may move them in, and where they come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from workhardening_contracts.contract import Code


class Policy(BaseModel):
    """Progress's policy. A clinic may change each number within its bounds.

    Where no source is named the number is the program's own convention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: str = "default-1"
    signing_roles: Annotated[tuple[Code, ...], Field(min_length=1)] = (
        "physician",
        "occupational_therapist",
        "physical_therapist",
        "physician_assistant",
        "nurse_practitioner",
        "chiropractor",
    )
    """Who may sign and withdraw readiness, by role: those who write work status reports (doctors, physician
    assistants, advanced practice nurses: DWC-73, 28 TAC 129.5), and the therapists who lead work hardening."""
    attendance: Annotated[float, Field(ge=0.6, le=1.0)] = 0.8
    """Least share of the planned sessions that a week needs to advance."""
    attained: Annotated[float, Field(ge=0.7, le=1.0)] = 0.9
    """Least share of a critical target that counts as attained."""
    regress_below: Annotated[float, Field(ge=0.3, le=0.7)] = 0.6
    """Mean share of the critical targets below which the week steps back."""
    flare_rise: Annotated[float, Field(ge=1, le=4)] = 2.0
    """Points of NPRS above the baseline, still there after 24 hours, that make a flare. Two points are the least
    clinically important change of the scale (Farrar 2001). Over consecutive sessions it is one flare; one
    that outlasts the weekend is a second one, and steps back."""
    max_holds: Annotated[int, Field(ge=1, le=4)] = 2
    """How often in a row the same targets are held; after that the week steps back, since they are out of reach."""
    stalled_weeks: Annotated[int, Field(ge=2, le=4)] = 2
    """Weeks in a row with neither compliance nor gain that end the program."""
    gain: Annotated[float, Field(ge=0, le=0.1)] = 0.02
    """Growth over the best so far that counts as a gain; less is within the reading of a scale or a stop-watch. Gains
    count from the first amount that is shown."""
    readiness_from_week: Annotated[int, Field(ge=1, le=12)] = 4
    """The first week after which readiness is assessed."""
    forecast_weeks: Annotated[int, Field(ge=4, le=8)] = 4
    """Fewest weeks that make a trend. The slopes of three weeks hold the true one in two of three cases (1 - 2/3!),
    those of four in eleven of twelve: with three there is no interval of 80 % (Sen 1968, Kendall's exact distribution;
    measured on simulated cohorts in docs/forecast.md)."""
    confidence: Annotated[float, Field(ge=5, le=10)] = 7.0
    """Least self-efficacy for returning to work, 0-10."""
    shift_days: Annotated[int, Field(ge=1, le=5)] = 2
    """Days on which the shift's hours must have been tolerated; one day may be luck."""
    max_hours: Annotated[float, Field(ge=4, le=10)] = 8.0
    """Most hours a day that the program trains, h: a longer shift or time demand is tested up to there, and flagged."""
    retest_days: Annotated[int, Field(ge=7, le=28)] = 14
    """Days that a measured capacity, and an assessment that rests on it, stay valid."""
    max_frozen_weeks: Annotated[int, Field(ge=1, le=12)] = 4
    """Closed weeks that an escalated case may stand still before it is discontinued."""
