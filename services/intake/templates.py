"""The job demand library as it is stored: import occupation templates, find them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncpg import Record

from runtime.db import Connection, queries
from services.intake.demand_library import Template, parse

SURVEY = Path(__file__).parent / "data" / "ors_2018_physical.csv"
"""The survey of 2018 as it was published: every occupation, physical demands only (data/PROVENANCE.md)."""


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
    return _read(rows)


async def list_templates(connection: Connection) -> list[Template]:
    """All templates, by title."""
    return _read(await connection.fetch(queries("services.intake")["list_templates"]))


async def get_templates(connection: Connection, codes: Sequence[str]) -> dict[str, Template]:
    """The templates with these codes, by code; one that is not in the library is not in the answer."""
    rows = await connection.fetch(queries("services.intake")["get_templates"], list(codes))
    return {template.soc_code: template for template in _read(rows)}


def _read(rows: Iterable[Record]) -> list[Template]:
    return [Template.model_validate_json(row["template"], extra="ignore") for row in rows]
