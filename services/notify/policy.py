"""The numbers that notify decides by."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """How long a statement to an employer stands that has no end of its own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)

    version: str = "default-1"
    review_days: Annotated[int, Field(ge=7, le=90)] = 28
    """Days. A work status report names the date until which it holds (28 Tex. Admin. Code 129.5, form DWC-73), so
    `unable` after a revocation or an ended program needs an end. Four weeks is this program's default time to the next
    review; below a week an employer would be told more often than anything can change, and after 90 days nobody would
    remember why."""
