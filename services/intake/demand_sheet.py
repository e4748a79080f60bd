"""The printable job-demand sheet: HTML that needs no other file, with room for a job analysis to fill in."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.intake.composite_lifting import CompositeIndex
from services.intake.demand_library import levels_of
from services.intake.job_comparison import Job
from services.intake.survey_figures import elements, estimate
from workhardening_contracts.quantity import Quantity

_SHEETS = Environment(
    loader=PackageLoader("services.intake", "sheets"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

STYLE = _SHEETS.get_template("style.css").render()

POLICY = f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
"""The sheet's content security policy: no script at all, and no style but its own."""


def sheet(job: Job, lifting: CompositeIndex | None = None) -> str:
    """The sheet as HTML. `lifting`: the job's graded lifting tasks, where they are known."""
    behind = {} if job.template is None else {draft.demand: draft.figure for draft in job.template.drafts}
    return _SHEETS.get_template("sheet.html").render(
        job=job,
        levels={} if job.profile is None else levels_of(job.profile),
        demands=() if job.profile is None else job.profile.demands,
        behind=behind,
        elements=() if job.template is None else elements(job.template),
        lifting=lifting,
        estimate=estimate,
        amount=amount,
        style=STYLE,
    )


def amount(quantity: Quantity) -> str:
    """E.g. `50 lb (22.7 kg)`: loads in both units, since scales at workplaces show either."""
    said = f"{quantity.amount:g} {quantity.unit}"
    match quantity.unit:
        case "lb":
            return f"{said} ({quantity.amount_in('kg'):.1f} kg)"
        case "kg":
            return f"{said} ({quantity.amount_in('lb'):.1f} lb)"
        case _:
            return said
