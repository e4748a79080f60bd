"""Occupation templates: draft demand profiles from the BLS Occupational Requirements Survey (ORS) 2018.

The survey says, occupation by occupation, what share of workers has a demand at which level. A template takes the level
that most workers have; it is a draft for a job analysis to confirm, so the survey's share and standard error stay
beside each demand.

Two negative numbers in the files are codes, not figures: an estimate of -1 was published as "less than 0.5 %", and a
standard error of -6 as "less than 0.5" (no figure below 0.5 is ever printed, and the shares beside a -1 add up to 100
within that half). They are kept as null, below half. Any other negative number is refused.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from workhardening_contracts.contract import Line
from workhardening_contracts.demand import Demand, DemandProfile, Frequency
from workhardening_contracts.demand_level import DefinitionSet, Level, demand_level
from workhardening_contracts.quantity import Quantity

COLUMNS = (
    "occupation_text",
    "upper_soc_code",
    "data_element_text",
    "data_type_text",
    "estimate_type_text",
    "additive_group",
    "value",
)

SHIFT_HOURS = 8.0
"""A full-time day: ORS states time as a share of the workday. A job analysis corrects it."""

BELOW_HALF: Mapping[str, float] = {"Estimate": -1.0, "Standard error": -6.0}
"""The code for "less than 0.5" of each kind of row."""

SETS: tuple[DefinitionSet, ...] = ("ors", "dot")
"""The survey's own definitions first; then those that most job descriptions and court files still use."""

MOST_WORKERS = 50.0
"""%: a draft demand is critical when at least half of the workers have it at this level or above."""


Standing = Literal["draft", "stated", "confirmed"]

_STANDINGS: Mapping[str, Standing] = {"job_analysis": "confirmed", "employer": "stated"}
"""A draft is confirmed by the referral, or its correction, that carries the job as a job analysis found it."""


class BadFile(Exception):
    """The file cannot be read. `line` counts from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {detail}")
        self.line = line
        self.detail = detail


class Figure(BaseModel):
    """One published figure."""

    model_config = ConfigDict(frozen=True, strict=True)

    element: str
    """The survey's data element, e.g. `Lifting/carrying Occasionally`."""
    level: str
    """Its level, e.g. `> 20 LBS, = 50 LBS`; `MEAN` for a mean share of the workday."""
    percent: float | None
    """% of workers (of the workday for `MEAN`); null: published as less than 0.5 %."""
    standard_error: float | None
    """In percentage points; null: published as less than 0.5, or not at all."""
    error_published: bool = True
    """Whether the file has a standard error beside the estimate; that of 2018 has one beside each."""


class Draft(BaseModel):
    """What a draft demand rests on."""

    model_config = ConfigDict(frozen=True, strict=True)

    demand: str
    """The demand's key in the profile."""
    figure: Figure


class Template(BaseModel):
    """One occupation: a draft profile, what each demand rests on, and all figures, those without a demand included.

    Without a profile there is nothing to draft: no published figure shows a demand for most workers."""

    model_config = ConfigDict(frozen=True, strict=True)

    soc_code: str
    """The survey's code: SOC 2010 with two more digits, e.g. `53706200` for 53-7062."""
    title: Line
    profile: DemandProfile | None
    drafts: tuple[Draft, ...]
    figures: tuple[Figure, ...]

    @property
    def levels(self) -> dict[DefinitionSet, Level]:
        """The physical demand level by each set of definitions, for people; empty where no load was drafted, since a
        load that was not published does not make the work sedentary. "> 100 LBS" is drafted at 100, so very heavy work
        may read `heavy`."""
        return {} if self.profile is None else levels_of(self.profile)


def levels_of(profile: DemandProfile) -> dict[DefinitionSet, Level]:
    """A job's physical demand level by each set of definitions; empty where it lists no lift."""
    if all(demand.kind != "lift" for demand in profile.demands):
        return {}
    return {name: demand_level(profile.demands, name).level for name in SETS}


def standing(basis: str) -> Standing:
    """How far a demand profile may be trusted: a basis that we do not know confirms nothing."""
    return _STANDINGS.get(basis, "draft")


class Library(BaseModel):
    """All that a file holds."""

    model_config = ConfigDict(frozen=True, strict=True)

    templates: tuple[Template, ...]

    @property
    def without_demand(self) -> tuple[str, ...]:
        """Titles of occupations whose published figures show no demand for most workers: nothing to draft."""
        return tuple(template.title for template in self.templates if template.profile is None)


# ORS 2018 levels -> the highest load, lb: "upper bound inclusive". The open top level is taken at its bound.
_LOADS: dict[str, float] = {
    ">1 LBS, <=10 POUNDS": 10.0,
    "> 10 LBS, = 20 LBS": 20.0,
    "> 10 LBS, = 25 LBS": 25.0,
    "> 20 LBS": 20.0,
    "> 20 LBS, = 50 LBS": 50.0,
    "> 25 LBS, = 50 LBS": 50.0,
    ">50 LBS, = 100 LBS": 100.0,
    "> 100 LBS": 100.0,
}
_ABSENT = frozenset({"NONE", "NEGLIGIBLE", "NOT PRESENT"})
_LIFTING: dict[str, Frequency] = {
    "Lifting/carrying Seldom": "seldom",
    "Lifting/carrying Occasionally": "occasional",
    "Lifting/carrying Frequently": "frequent",
    "Lifting/carrying Constantly": "constant",
}
_ACTIVITIES: dict[str, tuple[str, str | None]] = {
    "Reaching overhead": ("reach", "overhead"),
    "Reaching at/below the shoulder": ("reach", "forward"),
    "Pushing/pulling: Hands/arms": ("push", None),
    "Gross manipulation": ("grip", None),
    "Climbing ladders, ropes, or scaffolds": ("climb", None),
    "Stooping": ("stoop", None),
    "Kneeling": ("kneel", None),
    "Crouching": ("crouch", None),
    "Crawling": ("crawl", None),
}
# Level -> frequency and the most of the shift that it means (ORS 2018: up to 2 %, 1/3, 2/3, above).
_FREQUENCIES: dict[str, tuple[Frequency, float]] = {
    "SELDOM": ("seldom", 0.02),
    "OCCASIONALLY": ("occasional", 1 / 3),
    "FREQUENTLY": ("frequent", 2 / 3),
    "CONSTANTLY": ("constant", 1.0),
}
_POSTURES = {"Standing/walking": "stand", "Sitting": "sit"}


def parse(lines: Iterable[str]) -> Library:
    """Read ORS lines, the header first. Raises BadFile with the line's number."""
    figures: dict[tuple[str, str], dict[tuple[str, str], dict[str, float | None]]] = {}
    first_line: dict[tuple[str, str], int] = {}
    for line, row in _rows(lines):
        title, code, element, level, kind, _, text = row
        if not title or not code.isdigit():
            raise BadFile(line, "occupation_text and a numeric upper_soc_code are required")
        if kind not in BELOW_HALF:
            raise BadFile(line, "estimate_type_text must be 'Estimate' or 'Standard error'")
        first_line.setdefault((code, title), line)
        found = figures.setdefault((code, title), {}).setdefault((element, level), {})
        if kind in found:
            raise BadFile(line, "this figure is given twice")
        found[kind] = _value(text, kind, line)
    templates: list[Template] = []
    for (code, title), by_level in figures.items():
        try:
            templates.append(_template(code, title, _figures(by_level)))
        except ValidationError:
            detail = "the occupation's title is not one line of at most 500 characters"
            raise BadFile(first_line[code, title], detail) from None
    return Library(templates=tuple(templates))


def _rows(lines: Iterable[str]) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    try:
        for row in reader:
            if header is None:
                header = [name.removeprefix("\ufeff").strip() for name in row]
                if tuple(header) != COLUMNS:
                    raise BadFile(reader.line_num, f"the header must be {','.join(COLUMNS)}")
            elif not row:
                continue
            elif len(row) != len(COLUMNS):
                raise BadFile(reader.line_num, f"{len(COLUMNS)} columns are needed, {len(row)} are given")
            else:
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error:
        raise BadFile(reader.line_num, "this is not a line of comma-separated values") from None
    if header is None:
        raise BadFile(1, "the file is empty")


def _value(text: str, kind: str, line: int) -> float | None:
    try:
        value = float(text)
    except ValueError:
        raise BadFile(line, "value must be a number") from None
    if value == BELOW_HALF[kind]:
        return None
    if not 0 <= value <= 100:  # also refuses NaN
        raise BadFile(line, f"value must be 0 to 100, or {BELOW_HALF[kind]:g} for 'less than 0.5'")
    return value


def _figures(by_level: Mapping[tuple[str, str], Mapping[str, float | None]]) -> tuple[Figure, ...]:
    return tuple(
        Figure(
            element=element,
            level=level,
            percent=found["Estimate"],
            standard_error=found.get("Standard error"),
            error_published="Standard error" in found,
        )
        for (element, level), found in by_level.items()
        if "Estimate" in found
    )


def _template(code: str, title: str, figures: tuple[Figure, ...]) -> Template:
    by_element: dict[str, list[Figure]] = {}
    for figure in figures:
        by_element.setdefault(figure.element, []).append(figure)
    drafted = [pair for element, found in by_element.items() if (pair := _demand(element, found)) is not None]
    demands = tuple(demand for demand, _ in drafted)
    profile = (
        DemandProfile(title=title, basis="template", demands=demands, shift_hours=SHIFT_HOURS) if demands else None
    )
    drafts = tuple(Draft(demand=demand.key, figure=figure) for demand, figure in drafted)
    return Template(soc_code=code, title=title, profile=profile, drafts=drafts, figures=figures)


def _demand(element: str, figures: list[Figure]) -> tuple[Demand, Figure] | None:
    """The draft demand of one data element, or None where most workers do not have it or we have no kind for it."""
    if element in _POSTURES:
        return _posture(_POSTURES[element], figures)
    level = _usual(figures)
    if level is None or level.level in _ABSENT:
        return None
    if element in _LIFTING and level.level in _LOADS:
        load = Quantity(amount=_LOADS[level.level], unit="lb")
        return _drafted("lift", None, _LIFTING[element], load, level, figures, _LOADS), level
    if element in _ACTIVITIES and level.level in _FREQUENCIES:
        kind, zone = _ACTIVITIES[element]
        frequency, share = _FREQUENCIES[level.level]
        minutes = Quantity(amount=round(share * SHIFT_HOURS * 60, 1), unit="min")
        ranks = {name: most for name, (_, most) in _FREQUENCIES.items()}
        return _drafted(kind, zone, frequency, minutes, level, figures, ranks), level
    return None


def _drafted(
    kind: str,
    zone: str | None,
    frequency: Frequency,
    amount: Quantity,
    level: Figure,
    figures: list[Figure],
    ranks: Mapping[str, float],
) -> Demand:
    reached = sum(f.percent or 0 for f in figures if ranks.get(f.level, -1) >= ranks[level.level])
    return Demand(kind=kind, zone=zone, frequency=frequency, amount=amount, critical=reached >= MOST_WORKERS)


def _usual(figures: list[Figure]) -> Figure | None:
    """The level with the largest published share; of equal shares the more demanding one, which a draft errs towards.

    None when a level that was not published could hold more workers: what is not known is not drafted.
    """
    published = sum(figure.percent or 0 for figure in figures)
    usual = max(figures, key=lambda f: (f.percent or 0, _rank(f.level)))
    return usual if usual.percent is not None and usual.percent >= 100 - published else None


def _rank(level: str) -> float:
    return _LOADS.get(level, _FREQUENCIES[level][1] if level in _FREQUENCIES else -1)


def _posture(kind: str, figures: list[Figure]) -> tuple[Demand, Figure] | None:
    """Standing or sitting: ORS gives the mean share of the workday."""
    mean = next((figure for figure in figures if figure.level == "MEAN" and figure.percent), None)
    if mean is None or mean.percent is None:
        return None
    share = mean.percent / 100
    frequency: Frequency = next(name for name, most in _FREQUENCIES.values() if share <= most)
    hours = Quantity(amount=round(share * SHIFT_HOURS, 2), unit="h")
    critical = mean.percent >= MOST_WORKERS
    return Demand(kind=kind, frequency=frequency, amount=hours, critical=critical), mean
