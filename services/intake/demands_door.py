"""The job demand library's HTTP doors.

Any clinic's key opens them: the library is the same for all and holds no patient's data. Grading keeps nothing of what
is sent.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ValidationError

from runtime.http import Problem, clinic_caller, problems, running
from services.intake.composite_lifting import CompositeIndex, LiftingJob, composite_index
from services.intake.demand_library import Draft, Standing, Template
from services.intake.demand_sheet import POLICY, sheet
from services.intake.door import read_body
from services.intake.job_comparison import Comparison, Job, compare, job_of
from services.intake.lifting import NotApplicable
from services.intake.screening import Refused
from services.intake.survey_figures import Element, elements
from services.intake.templates import get_templates, list_templates
from workhardening_contracts.demand import DemandProfile
from workhardening_contracts.demand_level import DefinitionSet, Level

router = APIRouter(dependencies=[Depends(clinic_caller)])

_CODE = r"^[0-9]{1,12}$"
Code = Annotated[str, Path(pattern=_CODE)]
Named = Annotated[str, Query(pattern=_CODE)]


class Listed(BaseModel):
    """An occupation of the library."""

    soc_code: str
    title: str
    standing: Standing
    levels: dict[DefinitionSet, Level]
    """By each set of definitions; empty where no load was drafted."""
    demands: int
    """Demands drafted; 0: no published figure shows a demand for most workers."""


class Catalogue(BaseModel):
    """All occupations, by title."""

    occupations: list[Listed]


class Occupation(BaseModel):
    """One occupation: the draft, what it rests on, and all figures with their standard errors."""

    soc_code: str
    title: str
    standing: Standing
    levels: dict[DefinitionSet, Level]
    profile: DemandProfile | None
    drafts: tuple[Draft, ...]
    elements: tuple[Element, ...]


@router.get("/v1/demands", response_model=Catalogue, responses=problems(401, 403, 503))
async def list_occupations(request: Request) -> Catalogue:
    """The occupations of the library; none before an import."""
    async with running(request).pool.acquire() as connection:
        return Catalogue(occupations=[listed(template) for template in await list_templates(connection)])


# Before `{code}`, which would take the word for one.
@router.get("/v1/demands/compare", response_model=Comparison, responses=problems(401, 403, 404, 422, 503))
async def compare_occupations(request: Request, first: Named, second: Named) -> Comparison:
    """Two occupations side by side: their drafts, and each share published of both with the error of the difference."""
    found = await _jobs(request, first, second)
    return compare(found[first], found[second])


@router.post(
    "/v1/demands/grade",
    response_model=CompositeIndex,
    responses=problems(401, 403, 413, 422),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": LiftingJob.model_json_schema()}}}
    },
)
async def grade(request: Request) -> CompositeIndex:
    """Grade the lifting tasks of a job by the revised NIOSH lifting equation. Nothing of them is kept."""
    try:
        return composite_index(LiftingJob.model_validate_json(await read_body(request)))
    except Refused as refused:
        headers = {"connection": "close"}  # what was not read to its end has nothing behind it
        raise Problem(refused.status, refused.code, f"{refused.detail}; {refused.mend}", headers=headers) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = "".join(f"/{part}" for part in first["loc"])
        raise Problem(422, "task.invalid", first["msg"], field=field) from None
    except NotApplicable as refused:
        raise Problem(422, f"not_applicable.{refused.code}", refused.detail) from None


@router.get("/v1/demands/{code}", response_model=Occupation, responses=problems(401, 403, 404, 422, 503))
async def get_occupation(request: Request, code: Code) -> Occupation:
    """One occupation."""
    return occupation((await _templates(request, code))[code])


@router.get(
    "/v1/demands/{code}/sheet",
    response_class=HTMLResponse,
    responses=problems(401, 403, 404, 422, 503),
)
async def get_sheet(request: Request, code: Code) -> HTMLResponse:
    """The occupation's job-demand sheet, to print and to fill in at the workplace."""
    found = await _jobs(request, code)
    headers = {"content-security-policy": POLICY, "x-content-type-options": "nosniff"}
    return HTMLResponse(sheet(found[code]), headers=headers)


def listed(template: Template) -> Listed:
    """A template as the catalogue shows it."""
    return Listed(
        soc_code=template.soc_code,
        title=template.title,
        standing=job_of(template).standing,
        levels=template.levels,
        demands=len(template.drafts),
    )


def occupation(template: Template) -> Occupation:
    """A template as it is shown: with what was not published told as such."""
    return Occupation(
        soc_code=template.soc_code,
        title=template.title,
        standing=job_of(template).standing,
        levels=template.levels,
        profile=template.profile,
        drafts=template.drafts,
        elements=elements(template),
    )


async def _jobs(request: Request, *codes: str) -> dict[str, Job]:
    return {code: job_of(template) for code, template in (await _templates(request, *codes)).items()}


async def _templates(request: Request, *codes: str) -> dict[str, Template]:
    async with running(request).pool.acquire() as connection:
        found = await get_templates(connection, codes)
    if not found.keys() >= set(codes):
        raise Problem(404, "occupation_unknown", "no occupation of the library has this code: see GET /v1/demands")
    return found
