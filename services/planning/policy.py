"""The numbers planning decides by: defaults, the bounds a clinic may move them in, and where they come from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """Planning's policy. A clinic may change each number within its bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    version: str = "default-1"
    weeks: Annotated[int, Field(ge=4, le=12)] = 8
    """Weeks of the program before any extension; the program's own length is eight."""
    max_extensions: Annotated[int, Field(ge=0, le=4)] = 2
    """Weeks that held weeks may add. As many as a week may be held, so that holding costs no later step."""
    safety_margin: Annotated[float, Field(ge=1.0, le=1.1)] = 1.0
    """Share of the demand that is trained for. Scores and shift hours are trained for as they are: a scale ends at its
    top, and nobody works longer than the shift."""
    load_step: Annotated[float, Field(ge=0.05, le=0.3)] = 0.2
    """Largest growth of a load in one week, as a share of it. Functional restoration doubled or tripled lifting in
    about seven weeks, which is 10 to 17 % a week; the cap leaves room to catch up and no more."""
    load_stage_kg: Annotated[float, Field(ge=1.0, le=4.5)] = 2.25
    """Growth that is always allowed, kg: the stage of the Progressive Isoinertial Lifting Evaluation, 2.25 kg for women
    and 4.5 kg for men (PILE, Mayer 1988). The smaller one, since the case does not say which. 20 % of a small load is
    less than any weight at hand."""
    assumed_share: Annotated[float, Field(ge=0.2, le=0.8)] = 0.5
    """Where a demand was not tested the plan starts from this share of its target, and names the demand as assumed."""
    min_hours: Annotated[float, Field(ge=1, le=4)] = 2.0
    """Least hours a day, h: below two hours a day a person is not yet fit for work hardening."""
    max_hours: Annotated[float, Field(ge=4, le=10)] = 8.0
    """Most hours a day, h: a full shift."""
    min_days: Annotated[int, Field(ge=1, le=5)] = 3
    """Least days a week."""
    max_days: Annotated[int, Field(ge=3, le=7)] = 5
    """Most days a week: a working week."""
