"""How the services are, by what each answers at its own operations door."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from runtime.http import Problem
from services.console.asking import ask
from services.console.settings import ConsoleSettings
from services.console.views import (
    DeadLetter,
    Disclosed,
    Endpoint,
    OperationsPage,
    ParkedCase,
    Retried,
    ServiceHealth,
)


async def gather(settings: ConsoleSettings) -> OperationsPage:
    """All services at once; one that does not answer is shown as that."""
    names = tuple(settings.services)
    answers = await asyncio.gather(*(_asked(settings, name, "/v1/operations") for name in names))
    endpoints = await _asked(settings, "notify", "/v1/operations/endpoints")
    found = {name: answer for name, answer in zip(names, answers, strict=True) if not isinstance(answer, Problem)}
    silent = {name: answer for name, answer in zip(names, answers, strict=True) if isinstance(answer, Problem)}
    return OperationsPage(
        services=tuple(_health(name, found[name]) if name in found else _silent(name, silent[name]) for name in names),
        parked=tuple(_parked(settings, name, row) for name, answer in found.items() for row in answer["parked"]),
        dead_letters=tuple(
            DeadLetter(name, row["topic"], row["partition"], row["offset"], _time(row["received_at"]), row["reason"])
            for name, answer in found.items()
            for row in answer["dead_letters"]
        ),
        endpoints=() if isinstance(endpoints, Problem) else tuple(_endpoint(row) for row in endpoints["endpoints"]),
    )


async def retry(settings: ConsoleSettings, service: str, ref: UUID) -> Retried:
    """Fold a parked case's records. Raises Problem."""
    _known(settings, service)
    path = f"/v1/operations/parked/{ref}/retry"
    answer = await ask(settings, settings.operations_key, service, "POST", path)
    return Retried(answer["folded"], answer["left"], answer.get("reason"))


async def discard(settings: ConsoleSettings, service: str, ref: UUID, reason: str, who: str) -> None:
    """Give up the first of a case's parked records. Raises Problem."""
    _known(settings, service)
    path = f"/v1/operations/parked/{ref}/discard"
    await ask(settings, settings.operations_key, service, "POST", path, {"reason": reason, "by": who})


def _known(settings: ConsoleSettings, service: str) -> None:
    if service not in settings.services:
        raise Problem(404, "not_found", "there is no such service")


async def _asked(settings: ConsoleSettings, service: str, path: str) -> Any:
    try:
        return await ask(settings, settings.operations_key, service, "GET", path)
    except Problem as problem:
        return problem


def _health(name: str, answer: Any) -> ServiceHealth:
    figures = answer["figures"]
    return ServiceHealth(
        name=name,
        live=answer["live"],
        ready=answer["ready"],
        why=answer["why"],
        lag=figures.get("lag"),
        outbox_rows=figures.get("outbox_rows"),
        outbox_age_s=figures.get("outbox_age_s"),
        outbox_held=figures.get("outbox_held"),
        parked_cases=figures.get("parked_cases"),
        dead_letters=figures.get("dead_letters"),
    )


def _parked(settings: ConsoleSettings, service: str, row: Any) -> ParkedCase:
    case = UUID(row["case"])
    return ParkedCase(service, case, row["records"], _time(row["since"]), row["reason"], settings.trace_of(case))


def _silent(name: str, problem: Problem) -> ServiceHealth:
    return ServiceHealth(name, None, None, problem.detail, None, None, None, None, None, None)


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        employer=row["employer"],
        status=row["status"],
        breaker=row["breaker"],
        failing_since=None if row["failing_since"] is None else _time(row["failing_since"]),
        pending=row["pending"],
        oldest_s=row["oldest_s"],
    )


def disclosed(document: Any) -> tuple[Disclosed, ...]:
    """What notify's log says was told, newest first."""
    return tuple(
        Disclosed(
            employer=row["employer"],
            event_id=row["event_id"],
            sequence=row["sequence"],
            first_at=_time(row["disclosed_at"]),
            channel=row["channel"],
            scopes=tuple(row["scopes"]),
            bases=tuple(row["bases"]),
            update=row["update"],
        )
        for row in document["disclosures"]
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
