"""Two jobs side by side: demand by demand and, of two survey drafts, share by share with the sampling error."""

from __future__ import annotations

from math import hypot
from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.intake.demand_library import Figure, Standing, Template, standing
from workhardening_contracts.demand import Demand, DemandProfile
from workhardening_contracts.quantity import Quantity, at_least, comparable

CONFIDENCE = 1.645
"""Standard errors: two shares differ when they are further apart than this, which chance alone does one time in ten."""

BELOW_HALF = 0.5
"""The most that a standard error published as "less than 0.5" can be: it must not make a difference out of nothing."""

More = Literal["first", "second", "equal", "not_comparable"]


class DemandPair(BaseModel):
    """One demand of either job."""

    model_config = ConfigDict(frozen=True)

    demand: str
    """The demand's key: kind/zone/frequency."""
    first: Quantity | None
    second: Quantity | None
    """Null: the job does not list it, which is not to say that it does not require it."""
    more: More
    """Which job asks for more; `not_comparable` for amounts that do not measure the same thing."""


class FigurePair(BaseModel):
    """One published share of both occupations."""

    model_config = ConfigDict(frozen=True)

    element: str
    level: str
    first: Figure
    second: Figure
    difference: float
    """Second less first, in percentage points."""
    standard_error: float
    """Of the difference, in percentage points: the two samples are taken as independent."""
    differs: bool
    """The difference is larger than sampling explains at 90 % confidence."""


class Side(BaseModel):
    """One of two jobs."""

    model_config = ConfigDict(frozen=True)

    title: str
    standing: Standing


class Comparison(BaseModel):
    """Two jobs, compared."""

    model_config = ConfigDict(frozen=True)

    first: Side
    second: Side
    demands: tuple[DemandPair, ...]
    figures: tuple[FigurePair, ...]
    """What was published of both; empty unless both are occupations of the survey."""


class Job(BaseModel):
    """A job to look at: a profile, with the survey's figures where it is an occupation of the library."""

    model_config = ConfigDict(frozen=True)

    title: str
    profile: DemandProfile | None
    template: Template | None = None

    @property
    def standing(self) -> Standing:
        """An occupation without a profile is a draft that says nothing."""
        return "draft" if self.profile is None else standing(self.profile.basis)


def job_of(template: Template) -> Job:
    """An occupation of the library as a job."""
    return Job(title=template.title, profile=template.profile, template=template)


def compare(first: Job, second: Job) -> Comparison:
    """Lay two jobs side by side. Demands in the order of the first job, then those of the second alone."""
    one, two = _demands(first), _demands(second)
    return Comparison(
        first=Side(title=first.title, standing=first.standing),
        second=Side(title=second.title, standing=second.standing),
        demands=tuple(_pair(key, one.get(key), two.get(key)) for key in one | two),
        figures=_figure_pairs(first.template, second.template),
    )


def _demands(job: Job) -> dict[str, Demand]:
    return {} if job.profile is None else {demand.key: demand for demand in job.profile.demands}


def _pair(key: str, first: Demand | None, second: Demand | None) -> DemandPair:
    one, two = first and first.amount, second and second.amount
    return DemandPair(demand=key, first=one, second=two, more=_more(one, two))


def _more(first: Quantity | None, second: Quantity | None) -> More:
    if first is None or second is None:
        return "second" if first is None else "first"
    if not comparable(first, second):
        return "not_comparable"
    if at_least(first, second):
        return "equal" if at_least(second, first) else "first"
    return "second"


def _figure_pairs(first: Template | None, second: Template | None) -> tuple[FigurePair, ...]:
    if first is None or second is None:
        return ()
    others = {(figure.element, figure.level): figure for figure in second.figures}
    return tuple(
        _figure_pair(figure, others[figure.element, figure.level])
        for figure in first.figures
        if (figure.element, figure.level) in others
        and figure.error_published
        and others[figure.element, figure.level].error_published
    )


def _figure_pair(first: Figure, second: Figure) -> FigurePair:
    difference = (second.percent or 0.0) - (first.percent or 0.0)
    error = hypot(*(BELOW_HALF if f.standard_error is None else f.standard_error for f in (first, second)))
    return FigurePair(
        element=first.element,
        level=first.level,
        first=first,
        second=second,
        difference=round(difference, 1),
        standard_error=round(error, 2),
        differs=abs(difference) > CONFIDENCE * error,
    )
