"""One case's way through the program, from the logs of all services: what was said, by whom, and what came of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from ops.target import SERVICES, Target, connected


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a case."""

    time: datetime
    """Business time."""
    source: str
    what: str
    """The event's name, e.g. `week.advanced`."""
    detail: str
    result: str
    """What its consumers made of it: `folded`, or each that differs."""
    id: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a case stands in one service."""

    service: str
    phase: str | None
    version: int
    waiting: int
    parked: int
    erased: bool


async def timeline(target: Target, case: UUID) -> list[Moment]:
    """The case's events in the order of their causes. Empty when no service knows the case."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    results: dict[tuple[str, str], dict[str, str]] = {}
    for service in SERVICES:
        async with connected(target.database, service) as connection:
            for row in await connection.fetch(
                "SELECT source, id, type, time, received_at, sequence, result, body FROM event_log"
                " WHERE case_ref = $1 AND topic <> 'runtime' ORDER BY case_version",
                case,
            ):
                key = (str(row["source"]), str(row["id"]))
                known = rows.setdefault(key, dict(row))
                known["received_at"] = min(known["received_at"], row["received_at"])
                results.setdefault(key, {})[service] = str(row["result"])
    # What one transaction took bears one time; then the sender's own count decides.
    ordered = sorted(rows.items(), key=lambda entry: (entry[1]["received_at"], entry[0][0], entry[1]["sequence"] or 0))
    return [
        Moment(row["time"], key[0], short_name(row["type"]), detail_of(row["body"]), _result(results[key]), key[1])
        for key, row in ordered
    ]


def condensed(moments: list[Moment]) -> list[Moment]:
    """The timeline with each run of ordinary sessions as one line."""
    lines: list[Moment] = []
    run: list[Moment] = []
    for moment in [*moments, None]:
        if moment is not None and moment.what == "session.recorded" and moment.result == "folded":
            run.append(moment)
            continue
        if len(run) > 2:
            told = f"{len(run)} sessions, {run[0].time:%d %b} to {run[-1].time:%d %b}; last: {run[-1].detail}"
            lines.append(replace(run[-1], time=run[0].time, detail=told))
        else:
            lines += run
        run = []
        if moment is not None:
            lines.append(moment)
    return lines


async def standings(target: Target, case: UUID) -> list[Standing]:
    """Where the case stands in each service that knows it."""
    found: list[Standing] = []
    for service in SERVICES:
        async with connected(target.database, service) as connection:
            row = await connection.fetchrow(
                "SELECT state->>'phase' AS phase, version, jsonb_array_length(waiting) AS waiting, parked, erased"
                " FROM cases WHERE case_ref = $1",
                case,
            )
        if row is not None:
            found.append(Standing(service, **dict(row)))
    return found


async def told(target: Target, case: UUID) -> list[dict[str, Any]]:
    """What the employer was told of the case, and how the delivery went."""
    async with connected(target.database, "notify") as connection:
        rows = await connection.fetch(
            "SELECT employer, sequence, status, attempts, delivered_at, body FROM deliveries"
            " WHERE case_ref = $1 ORDER BY employer, sequence",
            case,
        )
    return [{**dict(row), "body": _update(row["body"])} for row in rows]


async def richest_case(target: Target) -> UUID | None:
    """A case with a story worth telling: it ended ready, after the most events."""
    async with connected(target.database, "notify") as connection:
        found = await connection.fetchval(
            "SELECT case_ref FROM event_log GROUP BY case_ref"
            " HAVING bool_or(type LIKE '%readiness.ready.v1') ORDER BY count(*) DESC, case_ref LIMIT 1"
        )
    return cast("UUID | None", found)


def as_document(case: UUID, moments: list[Moment], where: list[Standing], what: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole story as plain data."""
    return {
        "case": str(case),
        "services": [asdict(standing) for standing in where],
        "events": [asdict(moment) for moment in moments],
        "employer": what,
    }


def short_name(type_: str) -> str:
    """An event's type as people say it, e.g. `week.advanced`."""
    return type_.removeprefix("org.workhardening.").removesuffix(".v1").partition(".")[2]


def _result(results: dict[str, str]) -> str:
    differing = [f"{result} by {service}" for service, result in sorted(results.items()) if result != "folded"]
    return ", ".join(differing) or "folded"


def _update(body: bytes) -> dict[str, Any]:
    document = cast("dict[str, Any]", json.loads(body))
    return cast("dict[str, Any]", document.get("data", document))


# What a reader wants to see of an event at a glance; work status and decisions, never findings, pain or notes.
_TELLING = (
    "week", "total_weeks", "plan_version", "current_week", "verdict", "readiness", "decision", "outcome", "status",
    "attendance", "through", "final", "missing", "code", "role", "reason_code",
)  # fmt: skip


def detail_of(body: bytes | None) -> str:
    """What of an event's body may be shown at a glance; None is what was erased."""
    if body is None:
        return "erased"
    try:
        document = cast("dict[str, Any]", json.loads(body))
    except ValueError:
        return "unreadable"
    inner = document.get("session")
    if isinstance(inner, dict):
        session = cast("dict[str, Any]", inner)
        return f"held_on {session.get('held_on')}, {session.get('attendance')}, {session.get('hours')} h"
    parts = [f"{name} {_shown(document[name])}" for name in _TELLING if name in document]
    return ", ".join(parts)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(str(entry) for entry in cast("list[Any]", value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)
