"""Commands that decide or look up: job demands, the lifting index, the contract gate."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ops.app import Json, answer, app, contracts, demands
from ops.contracts import Breaking, check, freeze
from ops.target import ROOT, CommandError, as_json, connected, target
from services.intake.demand_library import BadFile
from services.intake.lifting import LiftingTask, NotApplicable, lifting_index
from services.intake.templates import find_templates, import_templates


@app.command(name="lifting-index")
def lifting(task: Path) -> None:
    """Grade a lifting task of a job by the revised NIOSH equation; prints JSON.

    Parameters
    ----------
    task
        A JSON file with unit_system (metric or us), load, horizontal, vertical, travel, asymmetry, lifts_per_minute,
        duration_hours and coupling (good, fair or poor). cm and kg, or in and lb.
    """
    try:
        graded = lifting_index(LiftingTask.model_validate_json(task.read_bytes()))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise CommandError(f"{task}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None
    except NotApplicable as refused:
        raise CommandError(str(refused)) from None
    answer(as_json(graded.model_dump()))


@demands.command(name="import")
def demands_import(file: Path, *, json: Json = False) -> None:
    """Store the occupations of a BLS Occupational Requirements Survey file as draft job-demand templates."""

    text = file.read_text(encoding="utf-8")

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


@demands.command(name="show")
def demands_show(needle: str, *, json: Json = False) -> None:
    """Draft job demands by a part of the occupation's title or the beginning of its code.

    A template is a draft from survey figures; a job analysis confirms it. Its physical demand level is given by the
    definitions of the survey (ORS) and of the Dictionary of Occupational Titles (DOT), which differ.
    """

    async def run() -> Any:
        async with connected(target().database, "intake") as connection:
            return await find_templates(connection, needle)

    found = asyncio.run(run())
    if not found:
        raise CommandError(f"no occupation matches {needle!r}: import a file first with `whp demands import FILE`")
    if json:
        answer(as_json([{**template.model_dump(mode="json"), "levels": template.levels} for template in found]))
        return
    for template in found:
        levels = ", ".join(f"{level} ({name.upper()})" for name, level in template.levels.items())
        answer(f"{template.soc_code} {template.title}: {levels or 'no load published'}")
        for demand in template.profile.demands:
            answer(f"  {demand.key:32} {demand.amount.amount:g} {demand.amount.unit}")


@contracts.command(name="check")
def contracts_check(*, json: Json = False) -> int:
    """Check models, frozen schemas, examples, topics and AsyncAPI against each other."""
    findings = check(ROOT)
    if json:
        answer(as_json(findings))
    else:
        for finding in findings:
            answer(finding)
        answer(f"contracts: {len(findings)} findings" if findings else "contracts: all agree")
    return 1 if findings else 0


@contracts.command(name="freeze")
def contracts_freeze() -> None:
    """Freeze the schemas of new versions and write AsyncAPI anew; frozen files are never changed."""
    try:
        written = freeze(ROOT)
    except Breaking as breaking:
        raise CommandError("nothing was frozen:\n" + "\n".join(breaking.findings)) from None
    for line in written or ["nothing to do"]:
        answer(line)
