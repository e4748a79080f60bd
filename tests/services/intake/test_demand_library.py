"""Occupation templates from ORS figures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake import demand_library
from services.intake.demand_library import BadFile, Template, parse, standing
from services.intake.survey_figures import ELEMENTS
from services.intake.templates import SURVEY
from workhardening_contracts.demand import Demand

SAMPLE = Path(demand_library.__file__).parent / "data" / "ors_2018_sample.csv"
HEADER = ",".join(demand_library.COLUMNS) + "\n"


def _sample() -> dict[str, Template]:
    library = parse(SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True))
    assert library.without_demand == ()
    return {template.soc_code: template for template in library.templates}


def _row(level: str, value: str, kind: str = "Estimate", element: str = "Stooping", title: str = "Smiths") -> str:
    return f'{title},51419900,{element},"{level}",{kind},41.0,{value}\n'


def _one(*rows: str) -> Template:
    (template,) = parse([HEADER, *rows]).templates
    return template


def _demands(template: Template) -> tuple[Demand, ...]:
    assert template.profile is not None
    return template.profile.demands


def test_the_sample_holds_twelve_occupations_with_all_their_figures() -> None:
    templates = _sample()
    assert len(templates) == 12
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()[1:]
    assert sum(len(template.figures) for template in templates.values()) * 2 == len(lines)


def test_the_whole_survey_is_in_the_library_with_a_standard_error_beside_each_estimate() -> None:
    text = SURVEY.read_text(encoding="utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() in SURVEY.with_name("PROVENANCE.md").read_text(encoding="utf-8")
    library = parse(text.splitlines(keepends=True))
    assert len({template.soc_code for template in library.templates}) == len(library.templates) == 390
    assert len(library.without_demand) == 14
    figures = [figure for template in library.templates for figure in template.figures]
    assert len(figures) == 5974
    assert all(figure.error_published for figure in figures)
    assert {figure.element for figure in figures} == set(ELEMENTS), "a sheet has a place for each"


def test_the_sample_is_a_part_of_the_whole() -> None:
    whole = set(SURVEY.read_text(encoding="utf-8").splitlines())
    assert set(SAMPLE.read_text(encoding="utf-8").splitlines()) <= whole


def test_only_a_job_analysis_confirms_a_profile() -> None:
    said = {basis: standing(basis) for basis in ("job_analysis", "employer", "template", "hearsay")}
    assert said == {"job_analysis": "confirmed", "employer": "stated", "template": "draft", "hearsay": "draft"}


def test_an_occupation_whose_loads_were_not_published_is_not_called_sedentary() -> None:
    (plumbers,) = (template for template in _sample().values() if template.title == "Plumbers")
    assert plumbers.levels == {}


def test_freight_movers_lift_what_the_survey_says() -> None:
    template = _sample()["53706200"]
    assert template.title == "Laborers and Freight, Stock, and Material Movers, Hand"
    assert template.profile is not None
    assert (template.profile.basis, template.profile.shift_hours) == ("template", 8.0)
    demands = {demand.key: demand for demand in _demands(template)}
    lifts = {key: demand.amount.amount for key, demand in demands.items() if demand.kind == "lift"}
    assert lifts == {"lift/-/seldom": 100.0, "lift/-/occasional": 50.0, "lift/-/frequent": 50.0}
    assert demands["lift/-/seldom"].amount.unit == "lb"
    assert demands["stand/-/constant"].amount.amount == 7.1
    assert demands["grip/-/constant"].amount.amount == 480.0
    assert demands["stoop/-/occasional"].amount.amount == 160.0
    assert template.levels == {"ors": "heavy", "dot": "heavy"}


def test_the_share_and_standard_error_stay_beside_each_demand() -> None:
    template = _sample()["53706200"]
    behind = {draft.demand: draft.figure for draft in template.drafts}
    assert behind.keys() == {demand.key for demand in _demands(template)}
    seldom = behind["lift/-/seldom"]
    assert (seldom.level, seldom.percent, seldom.standard_error) == (">50 LBS, = 100 LBS", 52.6, 3.2)


def test_a_demand_is_critical_when_half_of_the_workers_have_it_at_that_level_or_above() -> None:
    demands = {demand.key: demand.critical for demand in _demands(_sample()["53706200"])}
    assert demands["lift/-/seldom"], "52.6 % lift more than 50 lb"
    assert not demands["lift/-/occasional"], "49.9 % lift 20 to 50 lb"
    assert demands["reach/forward/occasional"], "39.5 + 30.6 + 21.3 %"


def test_what_most_workers_do_not_do_is_no_demand() -> None:
    library = parse([HEADER, _row("NOT PRESENT", "80.0"), _row("SELDOM", "20.0")])
    assert library.without_demand == ("Smiths",)
    assert [figure.percent for figure in library.templates[0].figures] == [80.0, 20.0], "what was published is kept"


def test_a_level_that_an_unpublished_one_could_exceed_is_not_drafted() -> None:
    assert parse([HEADER, _row("SELDOM", "30.0")]).without_demand == ("Smiths",)
    (demand,) = _demands(_one(_row("SELDOM", "30.0"), _row("OCCASIONALLY", "45.0")))
    assert demand.frequency == "occasional"


def test_of_two_equal_shares_the_more_demanding_one_is_drafted() -> None:
    template = _one(_row("SELDOM", "50.0"), _row("FREQUENTLY", "50.0"))
    assert [demand.frequency for demand in _demands(template)] == ["frequent"]


def test_minus_1_and_minus_6_are_codes_for_less_than_half() -> None:
    template = _one(
        _row("SELDOM", "-1.0"),
        _row("SELDOM", "-6.0", "Standard error"),
        _row("FREQUENTLY", "99.6"),
        _row("FREQUENTLY", "-6.0", "Standard error"),
    )
    assert [(figure.percent, figure.standard_error) for figure in template.figures] == [(None, None), (99.6, None)]


def test_figures_we_have_no_kind_for_are_carried_and_shown() -> None:
    template = _one(_row("SELDOM", "90.0"), _row("HEAVY WORK", "60.0", element="Strength"))
    assert [demand.kind for demand in _demands(template)] == ["stoop"]
    assert ("Strength", "HEAVY WORK") in {(figure.element, figure.level) for figure in template.figures}


@pytest.mark.parametrize(
    ("lines", "line", "says"),
    [
        ([], 1, "empty"),
        (["soc,title\n"], 1, "header"),
        ([HEADER, "Smiths,51419900,Stooping\n"], 2, "7 columns are needed, 3"),
        ([HEADER, _row("SELDOM", "30.0"), _row("FREQUENTLY", "many")], 3, "number"),
        ([HEADER, _row("SELDOM", "-1.0", "Standard error")], 2, "-6"),
        ([HEADER, _row("SELDOM", "-6.0")], 2, "-1"),
        ([HEADER, _row("SELDOM", "100.1")], 2, "0 to 100"),
        ([HEADER, _row("SELDOM", "nan")], 2, "0 to 100"),
        ([HEADER, _row("SELDOM", "1.0", "Guess")], 2, "estimate_type_text"),
        ([HEADER, _row("SELDOM", "1.0"), _row("SELDOM", "1.0")], 3, "twice"),
        ([HEADER, _row("SELDOM", "99.0", title="")], 2, "occupation_text"),
        ([HEADER, _row("SELDOM", "99.0", title="x" * 501)], 2, "title"),
        ([HEADER, 'Smiths,"51\n'], 2, "comma-separated"),
    ],
)
def test_a_bad_line_is_named_by_its_number(lines: list[str], line: int, says: str) -> None:
    with pytest.raises(BadFile) as bad:
        parse(lines)
    assert bad.value.line == line
    assert says in bad.value.detail


def test_a_byte_order_mark_and_empty_lines_are_no_mistake() -> None:
    assert parse(["\ufeff" + HEADER, "\n", _row("SELDOM", "90.0"), "\n"]).templates != ()


shares = st.lists(st.integers(0, 1000).map(lambda tenth: tenth / 10), min_size=5, max_size=5)


@given(shares)
@settings(derandomize=True, deadline=None)
def test_a_draft_rests_on_the_largest_published_share(values: list[float]) -> None:
    levels = ("NOT PRESENT", "SELDOM", "OCCASIONALLY", "FREQUENTLY", "CONSTANTLY")
    rows = [_row(level, str(value)) for level, value in zip(levels, values, strict=True)]
    (template,) = parse([HEADER, *rows]).templates
    assert [draft.figure.percent for draft in template.drafts] in ([], [max(values)])


@given(st.text(max_size=60), st.integers(1, 5))
@settings(derandomize=True, deadline=None)
def test_any_text_is_either_read_or_refused_with_a_line(text: str, place: int) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)[:10]
    lines[place] = text + "\n"
    line = 1
    try:
        parse(lines)
    except BadFile as bad:
        line = bad.line
    assert 1 <= line <= len(lines) + text.count("\n") + text.count("\r")
