"""The numbers planning decides by: defaults, the bounds a clinic may move them in, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from workhardening_contracts.demand import FREQUENCY_ORDER, Frequency

Block = Literal["mobility", "strengthening", "endurance", "job_simulation", "education"]
Share = Annotated[float, Field(ge=0.01, le=1)]


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
    hours_step: Annotated[float, Field(ge=0.5, le=3)] = 1.5
    """Largest rise of the hours a day in one week, h: twice the even pace from two hours to eight in eight weeks. The
    program's own convention; a shift that stays out of reach is reported short."""
    max_hours: Annotated[float, Field(ge=4, le=10)] = 8.0
    """Most hours a day, h: a full shift."""
    max_days: Annotated[int, Field(ge=3, le=7)] = 5
    """Most days a week: a working week."""
    mix: Mapping[Block, tuple[Share, Share]] = {
        "mobility": (0.30, 0.10),
        "strengthening": (0.30, 0.15),
        "endurance": (0.20, 0.30),
        "job_simulation": (0.15, 0.40),
        "education": (0.05, 0.05),
    }
    """Block -> share of the day in the first and in the last week; between them linear. The program begins by making
    the body ready and ends as the job itself; how fast is the program's own convention. Each column sums to 1, and
    education belongs to every week."""
    station_share: Mapping[Frequency, Share] = {"seldom": 0.02, "occasional": 0.2, "frequent": 0.5, "constant": 0.85}
    """Weight of a demand's station by how much of the shift the demand takes: about the middle of each band (ORS 2018:
    up to 2 %, up to 1/3, 1/3 to 2/3, above)."""

    @field_validator("mix")
    @classmethod
    def _each_column_is_a_whole_day(
        cls, mix: Mapping[Block, tuple[float, float]]
    ) -> Mapping[Block, tuple[float, float]]:
        if set(mix) != set(get_args(Block)):
            raise ValueError("each block needs its two shares")
        if any(abs(sum(shares[nth] for shares in mix.values()) - 1) > 1e-9 for nth in (0, 1)):
            raise ValueError("the shares of a day sum to 1")
        return mix

    @field_validator("station_share")
    @classmethod
    def _each_frequency_has_a_weight(cls, shares: Mapping[Frequency, float]) -> Mapping[Frequency, float]:
        if set(shares) != set(FREQUENCY_ORDER):
            raise ValueError("each frequency needs its weight")
        return shares
