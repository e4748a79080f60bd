"""Commands that look into the system: cases, parked cases, dead letters, the outbox."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any
from uuid import UUID

from ops import story
from ops.app import Json, answer, app, console, dead_letters, outbox, parked, say
from ops.registered import handlers_of, service_of
from ops.report import print_story
from ops.target import SERVICES, CommandError, as_json, connected, digest_key, in_schema, target
from runtime.cases import SQL
from runtime.db import Pool, open_pool
from runtime.outbox import release_rows
from runtime.parking import headers_from_json
from runtime.retry import NotNow, Retried, discard_first, retry_case

_MINUTE = "%Y-%m-%d %H:%M %Z"


@app.command
def case(ref: UUID, *, json: Json = False) -> None:
    """One case's story from all services: where it stands, what happened, what its employer was told.

    Parameters
    ----------
    ref
        The case reference.
    """

    async def tell() -> None:
        to = target()
        moments, where = await story.timeline(to, ref), await story.standings(to, ref)
        if not where:
            raise CommandError(f"no service knows case {ref}: check it, or look at `whp dead-letters list`")
        if json:
            answer(as_json(story.as_document(ref, moments, where, await story.told(to, ref))))
            return
        for standing in where:
            phase = "erased" if standing.erased else standing.phase or "no state"
            answer(
                f"{standing.service:9} {phase}, version {standing.version},"
                f" {standing.waiting} waiting, {standing.parked} parked"
            )
        await print_story(to, ref, console)

    asyncio.run(tell())


@parked.command(name="list")
def parked_list(*, limit: int = 50, json: Json = False) -> None:
    """Parked cases by service: how many records queue, since when, and why the first one failed."""

    found = sorted(asyncio.run(_from_all("list_parked", limit)), key=lambda row: row["since"])[:limit]
    if json:
        answer(as_json(found))
        return
    for row in found:
        since = f"{row['since']:{_MINUTE}}"
        answer(f"{row['service']:9} {row['case_ref']}  {row['records']} records since {since}  {row['reason']}")
    if not found:
        answer("no case is parked")
    _say_if_cut(found, limit)


@parked.command(name="show")
def parked_show(ref: UUID, *, json: Json = False) -> None:
    """The records that a parked case queues, in the order in which they will be folded."""

    kept = ("service", "id", "topic", "partition", "offset", "source", "event_id", "reason")
    found = [{name: row[name] for name in kept} for row in asyncio.run(_from_all("parked_of_case", ref))]
    if not found:
        raise CommandError(f"case {ref} is parked nowhere: see `whp parked list`")
    if json:
        answer(as_json(found))
        return
    for row in found:
        place = f"{row['topic']} {row['partition']}/{row['offset']}"
        answer(f"{row['service']:9} {place}  {row['source']} {row['event_id']}  {row['reason']}")


@parked.command(name="retry")
def parked_retry(ref: UUID, *, service: str | None = None, json: Json = False) -> int:
    """Fold a parked case's records in order, to the end or the first that fails again. Exits with 1 when some are left.

    Safe while the services run. Mend the cause first: what failed fails again otherwise, and nothing is lost by it.

    Parameters
    ----------
    service
        Only in this service; by default in every one that has parked the case.
    """
    results = {name: asyncio.run(_retry(name, ref)) for name in _named(service)}
    mine = {name: result for name, result in results.items() if result.folded or result.left}
    left = sum(result.left for result in mine.values())
    if json:
        answer(as_json([{"service": name, **asdict(result)} for name, result in mine.items()]))
        return 1 if left else 0
    for name, result in mine.items():
        why = f", the first fails with {result.reason}" if result.reason else ""
        answer(f"{name}: {result.folded} folded, {result.left} left{why}")
    if not mine:
        answer(f"nothing of case {ref} is parked")
    if left:
        say(f"mend the cause and retry; or give the first up, which loses it: `whp parked discard {ref}`")
    return 1 if left else 0


def _say_if_cut(found: Sized, limit: int) -> None:
    if len(found) == limit:
        say(f"only {limit} are listed; --limit shows more")


async def _from_all(query: str, argument: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for service in SERVICES:
        async with connected(target().database, service) as connection:
            rows += [{"service": service, **dict(row)} for row in await connection.fetch(SQL[query], argument)]
    return rows


async def _retry(name: str, ref: UUID) -> Retried:
    async with _pool(name) as pool:
        try:
            return await retry_case(pool, ref, handlers_of(name), service_of(name).writers, digest_key())
        except NotNow as interrupted:
            raise CommandError(f"{name}: {interrupted}") from None


@parked.command(name="discard")
def parked_discard(ref: UUID, *, service: str, reason: str) -> None:
    """Give up the first of a case's parked records, for good; who and why are kept, then `retry` folds the rest.

    Look at it first with `whp parked show`: the case goes on as if the event had never come.

    Parameters
    ----------
    service
        Where; a case may be parked in several services, each for a reason of its own.
    reason
        Why, for the audit. Nothing of a patient belongs here.
    """
    (name,) = _named(service)
    if not reason.strip():
        raise CommandError("say why: --reason is what an audit reads later")
    told = f"{reason} (by {os.environ.get('USER', 'unknown')})"
    if not asyncio.run(_discard(name, ref, told)):
        raise CommandError(f"case {ref} is not parked in {name}: see `whp parked list`")
    answer(f"{name}: the first record of {ref} is discarded; `whp parked retry {ref}` folds what is left")


async def _discard(name: str, ref: UUID, reason: str) -> bool:
    async with _pool(name) as pool:
        return await discard_first(pool, ref, handlers_of(name), reason)


@asynccontextmanager
async def _pool(service: str) -> AsyncGenerator[Pool]:
    pool = await open_pool(in_schema(target().database, service), "whp", size=2)
    try:
        yield pool
    finally:
        await pool.close()


def _named(service: str | None) -> tuple[str, ...]:
    if service is None:
        return SERVICES
    if service not in SERVICES:
        raise CommandError(f"there is no service {service}: one of {', '.join(SERVICES)}")
    return (service,)


@dead_letters.command(name="list")
def dead_letters_list(*, limit: int = 50, json: Json = False) -> None:
    """Records that could not be read and name no case, newest first."""

    rows = asyncio.run(_from_all("list_dead_letters", limit))
    found = sorted(rows, key=lambda row: row["received_at"], reverse=True)[:limit]
    if json:
        answer(as_json(found))
        return
    for row in found:
        place = f"{row['topic']} {row['partition']} {row['offset']}"
        answer(f"{row['service']:9} {row['received_at']:{_MINUTE}}  {place}  {row['reason']}")
    if not found:
        answer("no dead letters")
    _say_if_cut(found, limit)


@dead_letters.command(name="show")
def dead_letters_show(topic: str, partition: int, offset: int, *, value: bool = False, json: Json = False) -> None:
    """One dead letter: its place, reason and headers.

    Parameters
    ----------
    value
        Show the record's value too. It may hold patient data.
    """

    async def read() -> dict[str, Any] | None:
        for service in SERVICES:
            async with connected(target().database, service) as connection:
                row = await connection.fetchrow(SQL["show_dead_letter"], topic, partition, offset)
            if row is not None:
                headers = headers_from_json(row["headers"])
                document: dict[str, Any] = {"service": service, **dict(row), "headers": headers}
                return document if value else {name: document[name] for name in document if name != "value"}
        return None

    found = asyncio.run(read())
    if found is None:
        raise CommandError("there is no such dead letter: see `whp dead-letters list`")
    if json:
        answer(as_json(found))
        return
    for name, entry in found.items():
        if name == "headers":
            for header, text in found["headers"]:
                answer(f"{'header':12} {_harmless(header)}: {_harmless(text)}")
        else:
            answer(f"{name:12} {_harmless(entry) if name in ('key', 'value') else entry}")


def _harmless(text: str | bytes | None) -> str:
    """What a stranger wrote, for a terminal: nothing in it moves the cursor or turns the line round."""
    if text is None:
        return "null"
    plain = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in plain)


@outbox.command(name="list")
def outbox_list(*, json: Json = False) -> None:
    """What is decided and not published yet, by service and topic: how many, since when, and why any are held."""

    async def read() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for service in SERVICES:
            async with connected(target().database, service) as connection:
                rows += [
                    {"service": service, **dict(row)}
                    for row in await connection.fetch(
                        "SELECT topic, count(*)::int AS rows, min(created_at) AS since, held FROM outbox"
                        " GROUP BY topic, held ORDER BY since"
                    )
                ]
        return rows

    found = asyncio.run(read())
    if json:
        answer(as_json(found))
        return
    for row in found:
        held = f"  held: {row['held']}" if row["held"] else ""
        answer(f"{row['service']:9} {row['topic']}  {row['rows']} rows since {row['since']:{_MINUTE}}{held}")
    if not found:
        answer("everything is published")


@outbox.command(name="release")
def outbox_release(*, ref: UUID | None = None) -> None:
    """Let the relays try held rows again, in order; of one case or of all."""
    for service in SERVICES:

        async def release(service: str = service) -> int:
            async with connected(target().database, service) as connection:
                return await release_rows(connection, ref)

        count = asyncio.run(release())
        say(f"{service}: {count} rows released")
