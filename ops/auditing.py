"""Commands about who was told what: is the disclosure log what was sealed, take it out, account to a worker for it; and
who looked at a case."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from ops.app import Json, answer, audit, say, utc
from ops.target import CannotLook, CommandError, as_json, connected, target
from runtime.db import Connection
from services.console.effects import SQL as CONSOLE
from services.notify.audit import Anchor, Fault, anchors_in, exported, faults, heads_line
from services.notify.chain import BATCH, SQL, Told, all_links, contradictions, read_accounting

SHOWN = 50
"""Faults that are named; where more do not hold, one begins with these."""
YEARS = 6
"""The accounting goes back six years before the day on which it is asked for (45 CFR 164.528(a)(3))."""

TOLD = {
    "work_status": "work status with dates and restrictions",
    "program_week": "week of the program",
    "attendance": "attendance",
    "expected_date": "expected date of readiness",
    "demands_met": "number of job demands met",
}


@dataclass
class Verified:
    """What one look over the chains came to."""

    rows: int = 0
    broken: int = 0
    faults: list[Fault] = field(default_factory=list[Fault])
    """The first of them."""
    unsealed: int = 0
    unsealed_since: datetime | None = None
    anchors: int = 0
    """Kept seals that were held against the chains."""

    def note(self, found: Iterable[Fault]) -> None:
        """Count faults, and keep the first."""
        for fault in found:
            self.broken += 1
            if len(self.faults) < SHOWN:
                self.faults.append(fault)


@audit.command(name="verify")
def audit_verify(*, employer: str | None = None, against: Path | None = None, json: Json = False) -> int:
    """Check every seal of the disclosure log. Exits with 0 when all hold, 1 when one does not, 2 when it cannot look.

    Parameters
    ----------
    employer
        Only this employer's chain.
    against
        An earlier export, or the log of notify: each seal in it must still be in the chains. Without it nobody can tell
        a chain that was rewritten whole, or cut at its end, from an honest one.
    """
    try:
        found = asyncio.run(_verify(employer, against))
    except CommandError as error:
        raise CannotLook(str(error)) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, UnicodeDecodeError) as error:
        raise CannotLook(f"cannot look ({type(error).__name__}): is PostgreSQL up, and is the file there?") from None
    if json:
        answer(as_json({"holds": not found.broken, **asdict(found)}))
        return 1 if found.broken else 0
    for fault in found.faults:
        answer(str(fault))
    if found.broken > len(found.faults):
        answer(f"... and {found.broken - len(found.faults)} more")
    verdict = f"{found.broken} places do not hold" if found.broken else "all hold"
    held = f", {found.anchors} kept seals compared" if against else ""
    answer(f"{found.rows} sealed disclosures checked{held}: {verdict}; {_unsealed(found)}")
    return 1 if found.broken else 0


def _unsealed(found: Verified) -> str:
    if found.unsealed_since is None:
        return "none waits for its seal"
    return f"{found.unsealed} not sealed yet, the oldest of {found.unsealed_since:%Y-%m-%d %H:%M:%S} UTC"


async def _verify(employer: str | None, against: Path | None) -> Verified:
    found = Verified()
    async with connected(target().database, "notify") as connection:
        async for page in all_links(connection, employer):
            found.rows += len(page)
            found.note(faults(page))
        if against is not None:
            await _compare(connection, against, employer, found)
        row = await connection.fetchrow(SQL["count_unsealed"], employer)
        if row is not None:
            found.unsealed, found.unsealed_since = row["count"], row["since"]
    return found


async def _compare(connection: Connection, file: Path, employer: str | None, found: Verified) -> None:
    with file.open(encoding="utf-8") as lines:
        anchors = (anchor for anchor in _anchors(lines, file) if employer in (None, anchor.employer))
        while batch := list(islice(anchors, BATCH)):
            found.anchors += len(batch)
            found.note(await contradictions(connection, batch))
    if not found.anchors:
        raise CommandError(f"{file} holds no seal to compare with: give an export, or the log of notify")


def _anchors(lines: Iterator[str], file: Path) -> Iterator[Anchor]:
    for number, line in enumerate(lines, start=1):
        try:
            yield from anchors_in(line)
        except ValueError:
            raise CommandError(f"{file}, line {number}, is neither of an export nor of a log") from None


@audit.command(name="export")
def audit_export(*, employer: str | None = None, since: datetime | None = None, until: datetime | None = None) -> int:
    """Print the sealed disclosures as NDJSON, each with its hash, and last the ends of the chains. Keep it elsewhere.

    Exits with 1 when a row is missing that was sealed; the others are printed.

    Parameters
    ----------
    employer
        Only this employer's.
    since
        Those disclosed from this time on (UTC where it has no offset). The ends of the chains are today's all the same.
    until
        Those disclosed before this time.
    """
    missing, unsealed = asyncio.run(_export(employer, utc(since), utc(until)))
    if unsealed:
        say(f"{unsealed} disclosures are not sealed yet and not in it")
    if missing:
        say(f"{missing} disclosures were sealed and are not there any more: run `whp audit verify`")
    return 1 if missing else 0


async def _export(employer: str | None, since: datetime | None, until: datetime | None) -> tuple[int, int]:
    missing, heads = 0, dict[str, Anchor]()
    async with connected(target().database, "notify") as connection:
        async for page in all_links(connection, employer):
            for link in page:
                heads[link.seal.employer] = link.seal.anchor
                if link.row is None:
                    missing += 1
                elif (since is None or link.row.disclosed_at >= since) and (
                    until is None or link.row.disclosed_at < until
                ):
                    _line(exported(link))
        _line(heads_line(list(heads.values())))
        row = await connection.fetchrow(SQL["count_unsealed"], employer)
    return missing, 0 if row is None else row["count"]


def _line(text: str) -> None:
    """As it is, for a program: each character counts."""
    sys.stdout.write(text + "\n")


@audit.command(name="worker")
def audit_worker(
    *refs: UUID,
    employer: str | None = None,
    employee_key: str | None = None,
    since: datetime | None = None,
    json: Json = False,
) -> int:
    """The accounting of disclosures for one worker (45 CFR 164.528): when, to whom, what, and on what basis.

    It does not need the cases to be there any more. Exits with 1 when a row is not what was sealed.

    Parameters
    ----------
    refs
        The worker's cases.
    employer
        With `--employee-key`: the employer by whose key the worker's cases are found. An erased case is not found so.
    employee_key
        That employer's own key for the worker.
    since
        From this time on (UTC where it has no offset); by default six years back.
    """
    if (employer is None) != (employee_key is None) or not (refs or employer):
        raise CommandError("name the worker's cases, or --employer together with --employee-key")
    now = datetime.now(UTC)
    start = utc(since) or accounting_begins(now)
    cases, told = asyncio.run(_account(refs, employer, employee_key, start, now))
    broken = sum(_seal_of(each) == "broken" for each in told)
    if json:
        answer(as_json({"cases": cases, "since": start, "until": now, "disclosures": [_entry(each) for each in told]}))
    else:
        _print(cases, start, now, told)
    return 1 if broken else 0


async def _account(
    refs: Sequence[UUID], employer: str | None, employee_key: str | None, start: datetime, now: datetime
) -> tuple[list[UUID], list[Told]]:
    async with connected(target().database, "notify") as connection:
        cases = list(dict.fromkeys(refs))
        if employer is not None:
            known = [
                row["case_ref"] for row in await connection.fetch(SQL["cases_of_employee"], employer, employee_key)
            ]
            if not known:
                raise CommandError(
                    "that employer knows nobody by this key: name the cases (an erased one is found only so)"
                )
            cases = list(dict.fromkeys([*cases, *known]))
        return cases, await read_accounting(connection, cases, start, now)


def _print(cases: Sequence[UUID], start: datetime, now: datetime, told: Sequence[Told]) -> None:
    answer("Accounting of disclosures (45 CFR 164.528)")
    answer(f"cases   {', '.join(str(case) for case in cases)}")
    answer(f"from    {start:%Y-%m-%d} to {now:%Y-%m-%d %H:%M} UTC")
    answer("purpose the employer plans the worker's return to work")
    for each in told:
        row = each.row
        answer("")
        answer(f"{row.disclosed_at:%Y-%m-%d %H:%M:%S} UTC  to {row.employer}, by {row.channel}, case {row.case_ref}")
        for scope, basis in zip(row.scopes, row.bases, strict=True):
            answer(f"    {TOLD.get(scope, scope)}; on the basis of {basis}")
        answer(f"    update {row.event_id}, SHA-256 {row.body_sha256.hex()}, {_SEALED[_seal_of(each)]}")
    answer("")
    answer(f"{len(told)} disclosures" if told else "nothing was disclosed")


_SEALED = {"holds": "as it was sealed", "broken": "NOT AS IT WAS SEALED", "none": "not sealed yet"}


def _seal_of(told: Told) -> str:
    if told.link is None:
        return "none"
    return "broken" if any(faults([told.link])) else "holds"


def _entry(told: Told) -> dict[str, Any]:
    row = told.row
    return {
        "disclosed_at": row.disclosed_at.isoformat(),
        "employer": row.employer,
        "channel": row.channel,
        "case_ref": row.case_ref,
        "told": [{"scope": scope, "basis": basis} for scope, basis in zip(row.scopes, row.bases, strict=True)],
        "update": row.event_id,
        "body_sha256": row.body_sha256.hex(),
        "seal": _seal_of(told),
    }


@audit.command(name="views")
def audit_views(ref: UUID, *, limit: int = 200, json: Json = False) -> None:
    """Who looked at a case at the console, newest first; of an erased case, too.

    Parameters
    ----------
    ref
        The case reference.
    """
    found = asyncio.run(_views(ref, limit))
    if json:
        answer(as_json(found))
        return
    for row in found:
        answer(f"{row['at']:%Y-%m-%d %H:%M:%S %Z}  {row['who']:24} {row['role']:10} {row['clinic']:16} {row['what']}")
    if not found:
        answer("nobody looked at this case")
    if len(found) == limit:
        say(f"only {limit} are listed; --limit shows more")


async def _views(ref: UUID, limit: int) -> list[dict[str, Any]]:
    async with connected(target().database, "console") as connection:
        return [dict(row) for row in await connection.fetch(CONSOLE["read_views"], ref, limit)]


def accounting_begins(now: datetime) -> datetime:
    """The day six years before; of a 29 February, the 28th."""
    day = 28 if (now.month, now.day) == (2, 29) else now.day
    return now.replace(year=now.year - YEARS, day=day, hour=0, minute=0, second=0, microsecond=0)
