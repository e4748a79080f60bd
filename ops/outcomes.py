"""The command that shows how cohorts fared, by clinic and over all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from rich.table import Table

from ops.app import Json, answer, app, console
from ops.target import CommandError, as_json, connected, target
from services.console.cohort import read_outcomes
from services.console.views import MonthAfter, Outcomes, Share


@app.command
def outcomes(*, clinic: str | None = None, json: Json = False) -> None:
    """What became of the cases, beside the published benchmark, and how it went 1, 3, 6 and 12 months afterwards.

    A share says of how many; below five there is no percentage.

    Parameters
    ----------
    clinic
        This clinic only; by default every clinic, and all of them together.
    """
    found = asyncio.run(_read(clinic))
    if json:
        answer(as_json([asdict(group) for group in found]))
        return
    for group in found:
        name = group.clinic or "all clinics"
        console.print(ends_table(f"{name}: outcomes beside 36 programmes (AJOT 1994)", group.ends))
        console.print(_months_table(f"{name}: how it went afterwards", group.months))


async def _read(clinic: str | None) -> tuple[Outcomes, ...]:
    async with connected(target().database, "console") as connection:
        asked = None if clinic is None else (clinic,)
        if clinic and not await connection.fetchval("SELECT EXISTS (SELECT FROM caseload WHERE clinic = $1)", clinic):
            raise CommandError(f"no case of a clinic {clinic} is known: leave --clinic out to see them all")
        return await read_outcomes(connection, asked, datetime.now(UTC).date())


def ends_table(title: str, rows: Iterable[Share]) -> Table:
    """How the program ended, a line for each outcome."""
    table = Table(title=title, title_justify="left")
    for column in ("", "cases", "of", "%", "95 % interval", "published %"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows:
        interval = "" if row.low is None or row.high is None else f"{row.low:.1f} to {row.high:.1f}"
        table.add_row(
            row.name, str(row.count), str(row.of), "" if row.percent is None else f"{row.percent:.1f}", interval,
            "" if row.published is None else f"{row.published:.1f}",
        )  # fmt: skip
    return table


def _months_table(title: str, rows: Iterable[MonthAfter]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("month", "due", "asked", "working", "retained", "re-injured"):
        table.add_column(column, justify="right")
    for row in rows:
        shares = (
            _said(row.working, row.work_unknown),
            _said(row.retained, 0),
            _said(row.reinjured, row.injury_unknown),
        )
        table.add_row(str(row.month), str(row.due), str(row.asked), *shares)
    return table


def _said(row: Share, unknown: int) -> str:
    known = f"{row.count} of {row.of}"
    if row.percent is not None:
        known += f", {row.percent:.1f} % ({row.low:.1f} to {row.high:.1f})"
    return f"{known}; {unknown} not known" if unknown else known
