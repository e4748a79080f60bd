"""Two jobs side by side, and how the survey's figures are told."""

from __future__ import annotations

import pytest

from services.intake.demand_library import Figure, Template, parse
from services.intake.job_comparison import Job, compare, job_of
from services.intake.survey_figures import elements, estimate
from services.intake.templates import SURVEY
from workhardening_contracts.demand import Demand, DemandProfile
from workhardening_contracts.quantity import Quantity, Unit

LIBRARY = {t.soc_code: t for t in parse(SURVEY.read_text(encoding="utf-8").splitlines(keepends=True)).templates}
FREIGHT, NURSING, FLIGHT = LIBRARY["53706200"], LIBRARY["31101400"], LIBRARY["53203100"]


def _figure(percent: float | None, error: float | None, published: bool = True) -> Figure:
    return Figure(element="Stooping", level="SELDOM", percent=percent, standard_error=error, error_published=published)


def _occupation(figure: Figure) -> Job:
    return job_of(Template(soc_code="1", title="Smiths", profile=None, drafts=(), figures=(figure,)))


def _analysed(amount: float, unit: Unit = "kg") -> Job:
    lift = Demand(kind="lift", frequency="seldom", amount=Quantity(amount=amount, unit=unit), critical=True)
    profile = DemandProfile(title="Mover at the dock", basis="job_analysis", demands=(lift,), shift_hours=8)
    return Job(title=profile.title, profile=profile)


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (_figure(63.7, 2.1), "63.7 % ± 2.1"),
        (_figure(100.0, None), "100.0 % ± < 0.5"),
        (_figure(None, None), "< 0.5 % ± < 0.5"),
        (_figure(12.0, None, published=False), "12.0 %, standard error not published"),
    ],
)
def test_an_estimate_is_told_with_its_standard_error(figure: Figure, told: str) -> None:
    assert estimate(figure) == told


def test_what_the_survey_suppressed_is_told_as_such_and_not_as_zero() -> None:
    found = {element.element: element for element in elements(FREIGHT)}
    assert len(found) == 16
    for name, element in found.items():
        published = sum(figure.percent or 0 for figure in element.figures)
        if any(figure.level == "MEAN" for figure in element.figures):
            assert element.not_published is None, name
        else:
            assert element.not_published == pytest.approx(max(0, 100 - published), abs=0.51), name
    nothing = [element for template in LIBRARY.values() for element in elements(template) if not element.figures]
    assert nothing
    assert {element.not_published for element in nothing} == {100.0}


def test_a_draft_is_laid_beside_what_a_job_analysis_found() -> None:
    compared = compare(job_of(FREIGHT), _analysed(60))
    assert (compared.first.standing, compared.second.standing) == ("draft", "confirmed")
    pairs = {pair.demand: pair for pair in compared.demands}
    assert pairs["lift/-/seldom"].more == "second", "60 kg is more than 100 lb"
    assert (pairs["stand/-/constant"].second, pairs["stand/-/constant"].more) == (None, "first")
    assert compared.figures == (), "a job analysis has no sampling error"


@pytest.mark.parametrize(
    ("amount", "unit", "more"),
    [(45.359237, "kg", "equal"), (45, "kg", "first"), (101, "lb", "second"), (4, "h", "not_comparable")],
)
def test_amounts_are_compared_across_units(amount: float, unit: Unit, more: str) -> None:
    compared = compare(_analysed(100, "lb"), _analysed(amount, unit))
    assert [pair.more for pair in compared.demands] == [more]


def test_each_share_published_of_both_is_compared_with_the_error_of_the_difference() -> None:
    compared = compare(job_of(FREIGHT), job_of(NURSING))
    both = {(f.element, f.level) for f in FREIGHT.figures} & {(f.element, f.level) for f in NURSING.figures}
    assert {(pair.element, pair.level) for pair in compared.figures} == both
    assert {pair.differs for pair in compared.figures} == {True, False}


@pytest.mark.parametrize(
    ("other", "error", "differs"),
    [
        (_figure(58.2, 4.0), 5.0, False),  # 8.2 apart: less than 1.645 × 5
        (_figure(58.3, 4.0), 5.0, True),
        (_figure(None, None), 3.04, True),  # as if nobody, with the largest error that "less than 0.5" allows
    ],
)
def test_shares_differ_only_beyond_their_sampling_error(other: Figure, error: float, differs: bool) -> None:
    (pair,) = compare(_occupation(_figure(50.0, 3.0)), _occupation(other)).figures
    assert (pair.standard_error, pair.differs) == (error, differs)


def test_without_a_standard_error_no_share_is_compared() -> None:
    assert compare(_occupation(_figure(50.0, 3.0)), _occupation(_figure(1.0, None, published=False))).figures == ()


def test_an_occupation_without_a_profile_can_be_compared() -> None:
    compared = compare(job_of(FLIGHT), job_of(FREIGHT))
    assert compared.first.standing == "draft"
    assert {pair.more for pair in compared.demands} == {"second"}
    assert compare(job_of(FLIGHT), job_of(FLIGHT)).demands == ()
