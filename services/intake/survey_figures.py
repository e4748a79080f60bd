"""What the survey says of an occupation: each estimate with its standard error, and what was not published.

BLS suppresses a figure that rests on too few answers or would tell of one employer. What is left out is told as such:
the levels of an element that were published add up to 100 % of workers less those that were not.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from services.intake.demand_library import Figure, Template

ELEMENTS = (
    "Strength",
    "Lifting/carrying Seldom",
    "Lifting/carrying Occasionally",
    "Lifting/carrying Frequently",
    "Lifting/carrying Constantly",
    "Standing/walking",
    "Sitting",
    "Reaching overhead",
    "Reaching at/below the shoulder",
    "Pushing/pulling: Hands/arms",
    "Gross manipulation",
    "Climbing ladders, ropes, or scaffolds",
    "Stooping",
    "Kneeling",
    "Crouching",
    "Crawling",
)
"""The survey's physical demands, in the order in which a sheet shows them."""

MEAN = "MEAN"
"""The level of a share of the workday."""

ROUNDING = 0.5
"""%: shares are printed to one decimal, and what is below half a percent is not printed as a figure."""


class Element(BaseModel):
    """All that was published of one physical demand of an occupation."""

    model_config = ConfigDict(frozen=True)

    element: str
    figures: tuple[Figure, ...]
    """Empty: nothing was published."""
    not_published: float | None
    """% of workers at levels that were not published; null for a share of the workday, which has no levels."""


def elements(template: Template) -> tuple[Element, ...]:
    """The occupation's figures by element; one of which nothing was published is there with 100 % not published."""
    found: dict[str, list[Figure]] = {name: [] for name in ELEMENTS}
    for figure in template.figures:
        found.setdefault(figure.element, []).append(figure)
    return tuple(
        Element(element=name, figures=tuple(figures), not_published=_not_published(figures))
        for name, figures in found.items()
    )


def _not_published(figures: Sequence[Figure]) -> float | None:
    if any(figure.level == MEAN for figure in figures):
        return None
    left = 100 - sum(figure.percent or 0.0 for figure in figures)
    return round(left, 1) if left > ROUNDING else 0.0


def estimate(figure: Figure) -> str:
    """E.g. `63.7 % ± 2.1`: the estimate and one standard error, in percentage points."""
    percent = "< 0.5 %" if figure.percent is None else f"{figure.percent:.1f} %"
    if not figure.error_published:
        return f"{percent}, standard error not published"
    return f"{percent} ± {'< 0.5' if figure.standard_error is None else format(figure.standard_error, '.1f')}"
