"""The job demand library as it is stored: import occupation templates, find them again."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.db import Connection, queries
from services.intake.demand_library import Template, parse


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    stored: int
    """Templates that were stored or replaced."""
    figures: int
    """Published figures behind them."""
    without_demand: tuple[str, ...]
    """Titles of occupations whose figures show no demand for most workers."""


async def import_templates(connection: Connection, text: str) -> ImportReport:
    """Store every occupation of an ORS file, all in one statement. Raises demand_library.BadFile, storing nothing."""
    library = parse(text.splitlines(keepends=True))
    # A survey lists an occupation once; were a code given two titles, the last would stand, as on a second import.
    templates = list({template.soc_code: template for template in library.templates}.values())
    await connection.execute(
        queries("services.intake")["store_templates"],
        [template.soc_code for template in templates],
        [template.title for template in templates],
        [template.model_dump_json() for template in templates],
    )
    figures = sum(len(template.figures) for template in templates)
    return ImportReport(len(templates), figures, library.without_demand)


async def find_templates(connection: Connection, needle: str) -> list[Template]:
    """Up to 50 templates by a part of the title, or the beginning of the code, e.g. `nurs` or `5370`."""
    rows = await connection.fetch(queries("services.intake")["find_templates"], needle)
    return [Template.model_validate_json(row["template"], extra="ignore") for row in rows]
