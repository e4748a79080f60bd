"""Commands of the job demand library: import the survey, look up an occupation, compare two jobs, grade, print a sheet.

A job is named by the code of an occupation, or by a JSON file that holds a demand profile as a referral carries it, for
instance what a job analysis found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.table import Table

from ops.app import Json, answer, demands
from ops.target import CommandError, as_json, connected, target
from services.intake.composite_lifting import CompositeIndex, LiftingJob, composite_index
from services.intake.demand_library import BadFile, Template
from services.intake.demand_sheet import amount, sheet
from services.intake.job_comparison import Comparison, DemandPair, FigurePair, Job, compare, job_of
from services.intake.lifting import NotApplicable
from services.intake.survey_figures import elements, estimate
from services.intake.templates import SURVEY, find_templates, get_templates, import_templates, list_templates
from workhardening_contracts.demand import DemandProfile


@demands.command(name="import")
def demands_import(file: Path | None = None, *, json: Json = False) -> None:
    """Store the occupations of a BLS Occupational Requirements Survey file as draft job-demand templates.

    Parameters
    ----------
    file
        The survey's file; without one, the survey of 2018 that comes with the program.
    """
    text = (file or SURVEY).read_text(encoding="utf-8")

    async def run() -> Any:
        async with connected(target().database, "intake") as connection:
            return await import_templates(connection, text)

    try:
        report = asyncio.run(run())
    except BadFile as bad:
        raise CommandError(f"{file}: {bad}") from None
    if json:
        answer(as_json({"stored": report.stored, "figures": report.figures, "without_demand": report.without_demand}))
    else:
        answer(f"{report.stored} occupations stored from {report.figures} figures")
        if report.without_demand:
            answer(f"{len(report.without_demand)} show no demand for most workers, e.g. {report.without_demand[0]}")


@demands.command(name="list")
def demands_list(*, json: Json = False) -> None:
    """All occupations of the library with their physical demand levels."""

    async def run() -> list[Template]:
        async with connected(target().database, "intake") as connection:
            return await list_templates(connection)

    found = asyncio.run(run())
    if not found:
        raise CommandError("the library is empty: run `whp demands import`")
    if json:
        named = ("soc_code", "title", "levels")
        answer(as_json([{name: getattr(template, name) for name in named} for template in found]))
        return
    for template in found:
        answer(f"{template.soc_code} {template.title}: {_levels(template)}")


@demands.command(name="show")
def demands_show(needle: str, *, json: Json = False) -> None:
    """Draft job demands by a part of the occupation's title or the beginning of its code.

    A template is a draft from survey figures; a job analysis confirms it. Beside each demand stand the survey's
    estimate and its standard error. The physical demand level is given by the definitions of the survey (ORS) and of
    the Dictionary of Occupational Titles (DOT), which differ.
    """

    async def run() -> list[Template]:
        async with connected(target().database, "intake") as connection:
            return await find_templates(connection, needle)

    found = asyncio.run(run())
    if not found:
        raise CommandError(f"no occupation matches {needle!r}: import a file first with `whp demands import FILE`")
    if json:
        answer(as_json([_shown(template) for template in found]))
        return
    for template in found:
        answer(f"{template.soc_code} {template.title}: draft; {_levels(template)}")
        behind = {draft.demand: draft.figure for draft in template.drafts}
        for demand in template.profile.demands if template.profile else ():
            answer(f"  {demand.key:32} {amount(demand.amount):20} {estimate(behind[demand.key])}")
        hidden = [element.element for element in elements(template) if not element.figures]
        if hidden:
            answer(f"  not published: {', '.join(hidden)}")


@demands.command(name="compare")
def demands_compare(first: str, second: str, *, json: Json = False) -> None:
    """Lay two jobs side by side, demand by demand; two occupations of the survey share by share, too.

    Parameters
    ----------
    first
        The code of an occupation, or a JSON file with a demand profile.
    second
        Likewise.
    """
    one, two = _jobs(first, second)
    compared = compare(one, two)
    if json:
        answer(as_json(compared.model_dump(mode="json")))
        return
    answer(_demand_table(compared))
    if compared.figures:
        answer(_figure_table(compared))
        answer("± is one standard error, in percentage points. `yes`: more than sampling explains, at 90 % confidence.")


@demands.command(name="grade")
def demands_grade(tasks: Path, *, json: Json = False) -> None:
    """Grade the lifting tasks of a job by the revised NIOSH equation: each alone, and all together.

    Parameters
    ----------
    tasks
        A JSON file: {"tasks": [...]}, each with a name and what `whp lifting-index` takes; heaviest where loads vary.
    """
    graded = _graded(tasks)
    if json:
        answer(as_json(graded.model_dump(mode="json")))
        return
    table = Table("task, most stressful first", "limit alone", "strength (FILI)", "alone (STLI)", "adds")
    for task in graded.tasks:
        unit = "kg" if task.single.unit_system == "metric" else "lb"
        table.add_row(task.name, f"{task.strwl:.1f} {unit}", *map(_index, (task.fili, task.stli, task.added)))
    answer(table)
    answer(f"composite lifting index: {_index(graded.composite_index)}")


@demands.command(name="sheet")
def demands_sheet(job: str, *, tasks: Path | None = None) -> None:
    """Write a job-demand sheet as HTML, to print and to fill in: `whp demands sheet 53706200 > job.html`.

    Parameters
    ----------
    job
        The code of an occupation, or a JSON file with a demand profile.
    tasks
        A JSON file of the job's lifting tasks, as `whp demands grade` takes it.
    """
    lifting = None if tasks is None else _graded(tasks)
    (found,) = _jobs(job)
    answer(sheet(found, lifting))


def _jobs(*named: str) -> list[Job]:
    """Each by its file, or by its code. Raises CommandError."""
    codes = [name for name in named if not name.endswith(".json")]

    async def run() -> dict[str, Template]:
        async with connected(target().database, "intake") as connection:
            return await get_templates(connection, codes)

    found = asyncio.run(run()) if codes else {}
    if unknown := [code for code in codes if code not in found]:
        raise CommandError(f"no occupation has the code {unknown[0]}: `whp demands list` shows them")
    return [_job_in(Path(name)) if name.endswith(".json") else job_of(found[name]) for name in named]


def _job_in(file: Path) -> Job:
    try:
        profile = DemandProfile.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise _invalid(file, error) from None
    return Job(title=profile.title, profile=profile)


def _graded(tasks: Path) -> CompositeIndex:
    try:
        return composite_index(LiftingJob.model_validate_json(tasks.read_bytes()))
    except ValidationError as error:
        raise _invalid(tasks, error) from None
    except NotApplicable as refused:
        raise CommandError(f"{tasks}: {refused}") from None


def _invalid(file: Path, error: ValidationError) -> CommandError:
    first = error.errors(include_input=False, include_url=False)[0]
    return CommandError(f"{file}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}")


def _shown(template: Template) -> dict[str, Any]:
    found = [element.model_dump(mode="json") for element in elements(template)]
    return {**template.model_dump(mode="json"), "standing": "draft", "levels": template.levels, "elements": found}


def _levels(template: Template) -> str:
    levels = ", ".join(f"{level} ({name.upper()})" for name, level in template.levels.items())
    return levels or "no load published"


def _index(value: float | None) -> str:
    return "outside any limit" if value is None else f"{value:.2f}"


def _demand_table(compared: Comparison) -> Table:
    table = Table("demand", *_headings(compared), "asks for more")
    for pair in compared.demands:
        table.add_row(pair.demand, *_amounts(pair), pair.more.replace("_", " "))
    return table


def _figure_table(compared: Comparison) -> Table:
    table = Table("element", "level", *_headings(compared), "difference", "differs")
    for pair in compared.figures:
        table.add_row(pair.element, pair.level, *_shares(pair), "yes" if pair.differs else "no")
    return table


def _headings(compared: Comparison) -> Sequence[str]:
    return [f"{side.title} ({side.standing})" for side in (compared.first, compared.second)]


def _amounts(pair: DemandPair) -> Sequence[str]:
    return ["not listed" if each is None else amount(each) for each in (pair.first, pair.second)]


def _shares(pair: FigurePair) -> Sequence[str]:
    return [estimate(pair.first), estimate(pair.second), f"{pair.difference:+g} ± {pair.standard_error:g}"]
