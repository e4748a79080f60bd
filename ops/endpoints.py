"""Commands about employers' endpoints: verify, switch, test, look, tell again, and change by two persons."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from ops.app import Json, answer, employers, utc
from ops.target import CommandError, as_json, connected, target
from runtime.db import Connection
from services.notify import changes
from services.notify import employers as endpoints
from services.notify.address import Refused
from services.notify.wire import Result

T = TypeVar("T")


@employers.command(name="enable")
def employers_enable(employer: str) -> None:
    """Enable an endpoint once it has answered a signed challenge; it goes on in order with its backlog."""
    on_notify(lambda connection, local: endpoints.enable(connection, employer, local=local))
    answer(f"{employer} is enabled")


@employers.command(name="disable")
def employers_disable(employer: str) -> None:
    """Send an endpoint nothing more until it is enabled. Its backlog is kept for 30 days."""
    on_notify(lambda connection, _: endpoints.disable(connection, employer))
    answer(f"{employer} is disabled; its updates wait, and can be pulled")


@employers.command(name="ping")
def employers_ping(employer: str) -> int:
    """Send a signed test request, which tells of nobody. Exits with 1 unless it is answered with a 2xx."""
    return tell_ping(on_notify(lambda connection, local: endpoints.send_ping(connection, employer, local=local)))


def tell_ping(result: Result) -> int:
    """Say what came of a test request; the exit code."""
    answer(f"status {result.status}" if result.error is None else result.error)
    return 0 if result.outcome == "delivered" else 1


@employers.command(name="attempts")
def employers_attempts(employer: str, *, id: str | None = None, limit: int = 20, json: Json = False) -> None:
    """What came of the latest attempts, newest first; never what the endpoint said.

    Parameters
    ----------
    id
        Of one update only.
    """
    if not 1 <= limit <= 10_000:
        raise CommandError("a limit is 1 to 10000")
    found = on_notify(lambda connection, _: endpoints.attempts(connection, employer, id, limit))
    if json:
        answer(as_json([asdict(each) for each in found]))
        return
    for each in found:
        came = each.error or f"status {each.status}"
        answer(f"{each.started_at:%Y-%m-%d %H:%M:%S}  {each.event_id}  {each.number:3}  {each.outcome:9}  {came}")
    if not found:
        answer("no attempt was made yet")


@employers.command(name="replay")
def employers_replay(
    employer: str,
    *,
    id: str | None = None,
    case: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    json: Json = False,
) -> None:
    """Tell updates again under the same ids, and of each case all that came after, so that the last one holds.

    Parameters
    ----------
    id
        One update.
    case
        All of a case.
    since
        Those delivered from this time on (UTC where it has no offset).
    until
        Those delivered before this time.
    """
    start, end = utc(since), utc(until)
    found = on_notify(
        lambda connection, _: endpoints.replay(connection, employer, id=id, case=case, since=start, until=end)
    )
    if json:
        answer(as_json([asdict(each) for each in found]))
    else:
        answer(f"{len(found)} updates of {len({each.case_ref for each in found})} cases are told again")


@employers.command(name="change-url")
def employers_change_url(employer: str, url: str, *, by: str) -> None:
    """Propose another URL for an employer's webhook. Another operator approves it with `whp employers approve`.

    Parameters
    ----------
    by
        Your name.
    """
    change = on_notify(lambda connection, local: changes.propose_url(connection, employer, url, by, local=local))
    answer(_proposed(change))


@employers.command(name="rotate-key")
def employers_rotate_key(employer: str, *, by: str, leaked: bool = False, json: Json = False) -> None:
    """Propose new keys for an employer's webhook; they are shown once. After the approval both sign for three days.

    Parameters
    ----------
    by
        Your name.
    leaked
        The present keys are known to a stranger: they end with the approval.
    """
    keys = on_notify(lambda connection, _: changes.propose_keys(connection, employer, by, leaked=leaked))
    if json:
        answer(as_json(asdict(keys)))
        return
    answer(f"public_key   {keys.public_key}")
    answer(f"hmac_secret  {keys.hmac_secret}")
    answer(_proposed(keys.change))


@employers.command(name="changes")
def employers_changes(*, json: Json = False) -> None:
    """Proposed changes that wait for another operator, without secrets."""
    found = on_notify(lambda connection, _: changes.proposals(connection))
    if json:
        answer(as_json([asdict(each) for each in found]))
        return
    for each in found:
        proposed = f"by {each.proposed_by}, {each.proposed_at:%Y-%m-%d %H:%M}"
        answer(f"{each.id:6}  {each.employer}  {each.what} to {each.url or each.public_key}  {proposed}")
    if not found:
        answer("no change waits for approval")


@employers.command(name="approve")
def employers_approve(change: int, *, by: str) -> None:
    """Carry out a change that another operator has proposed. A new URL must answer a signed challenge first.

    Parameters
    ----------
    change
        Its number, from `whp employers changes`.
    by
        Your name.
    """
    employer = on_notify(lambda connection, local: changes.approve(connection, change, by, local=local))
    answer(f"proposal {change} is carried out for {employer}")


def _proposed(change: int) -> str:
    return f"proposal {change}: another operator carries it out with `whp employers approve {change} --by NAME`"


def on_notify(act: Callable[[Connection, bool], Awaitable[T]]) -> T:
    """Act on notify's tables; whether the target is the local stack comes with the connection."""

    async def run() -> T:
        to = target()
        async with connected(to.database, "notify") as connection:
            try:
                return await act(connection, to.local)
            except (endpoints.EndpointRefused, Refused) as refused:
                raise CommandError(str(refused)) from None

    return asyncio.run(run())
