"""What is folded outside the stream: parked records that a person retries, and premises that never came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from runtime.batch import Writes, key_of, log_row, write
from runtime.cases import SQL, Conflict, load_cases, lock_partitions
from runtime.db import Connection, Pool, Writer, blames_record, is_transient, reduce_error
from runtime.event_log import LogRow
from runtime.fold import Case, Defect, Folded, Handlers, Policy, Position, Received, failure_code, fold, give_up
from runtime.parking import headers_from_json
from runtime.records import Broken, Opened, Record, open_record
from workhardening_contracts.envelope import service_source

S = TypeVar("S")
P = TypeVar("P", bound=Policy)

# Long enough for a paper referral to be keyed in after the first session; after it the sender is told.
PATIENCE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Retried:
    """How far a case's parked records were drained."""

    folded: int
    left: int
    reason: str | None
    """Why the first that is left failed again; None when all went."""


class NotNow(Exception):
    """The database could not take the retry now. Nothing is half done; the message says so, and holds no values."""

    def __init__(self, reason: str, folded: int) -> None:
        super().__init__(f"the retry was interrupted after {folded} records ({reason}): run it again")
        self.folded = folded


async def retry_case(
    pool: Pool, ref: UUID, handlers: Handlers[S, P], writers: Mapping[type, Writer], digest_key: bytes
) -> Retried:
    """Fold a case's parked records in order, a transaction each, to the end or the first failure.

    Queues at the partition's lock, so it is safe while the service runs. What fails for good stays parked, with its new
    reason. Raises NotNow for an error that passes by itself, and what is neither the record's fault nor passes.
    """
    folded = 0
    while True:
        try:
            async with pool.acquire() as connection, connection.transaction():
                case = await _locked(connection, ref, handlers)
                rows = await connection.fetch(SQL["parked_of_case"], ref)
                if case is None or not rows:
                    return Retried(folded, 0, None)
                reason = await _try_one(connection, case, rows[0], handlers, writers, digest_key)
                if reason is not None:
                    await connection.execute(SQL["mark_failed_again"], rows[0]["id"], reason)
        except Conflict:
            raise NotNow("conflict", folded) from None
        except Exception as error:
            if not is_transient(error):
                raise
            raise NotNow(reduce_error(error), folded) from None
        if reason is not None:
            return Retried(folded, len(rows), reason)
        folded += 1


async def _try_one(
    connection: Connection,
    case: Case[S],
    row: Any,
    handlers: Handlers[S, P],
    writers: Mapping[type, Writer],
    digest_key: bytes,
) -> str | None:
    """Fold a parked record behind a savepoint. Returns why that failed for good, or None when it did not."""
    try:
        async with connection.transaction():
            await _retry_one(connection, case, row, handlers, writers, digest_key)
    except Defect as defect:
        return defect.code
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        if is_transient(error, connection) or not blames_record(error):
            raise
        return f"write.{reduce_error(error)}"
    return None


async def discard_first(pool: Pool, ref: UUID, handlers: Handlers[S, P], reason: str) -> bool:
    """Give up the first of a case's parked records, for a reason that is kept. False when there is none."""
    async with pool.acquire() as connection, connection.transaction():
        case = await _locked(connection, ref, handlers)
        rows = await connection.fetch(SQL["parked_of_case"], ref)
        if case is None or not rows:
            return False
        row = rows[0]
        after = replace(case, parked=case.parked - 1, version=case.version + 1)
        await connection.execute(SQL["mark_discarded"], ref, row["source"], row["event_id"], after.version)
        await connection.execute(SQL["resolve_parked"], row["id"], "discarded", reason)
        await write(connection, Writes({ref: after}), {ref: case.version}, handlers, {})
        return True


async def _locked(connection: Connection, ref: UUID, handlers: Handlers[S, P]) -> Case[S] | None:
    partition = await connection.fetchval(SQL["partition_of_case"], ref)
    if partition is None:
        return None
    await lock_partitions(connection, [partition])
    return (await load_cases(connection, [ref], handlers))[ref]


async def _retry_one(
    connection: Connection,
    case: Case[S],
    row: Any,
    handlers: Handlers[S, P],
    writers: Mapping[type, Writer],
    digest_key: bytes,
) -> None:
    position = Position(row["topic"], row["partition"], row["offset"])
    record = Record(position, row["recorded"], row["key"], headers_from_json(row["headers"]), row["value"])
    item = open_record(record, handlers, digest_key)
    if isinstance(item, Broken):
        raise Defect(item.refusal.code)
    if not isinstance(item, Opened):
        raise Defect(getattr(item, "reason", "not_ours"))
    folded = _folded(case, Received(item.event, position), handlers)
    # Erasure deletes the records that are parked behind it, too.
    after = folded.case if folded.erase else replace(folded.case, parked=case.parked - 1)
    writes: Writes[S] = Writes(
        {case.ref: after},
        emitted=list(folded.emitted),
        effects=list(folded.effects),
        erased={case.ref} if folded.erase else set(),
        settled=list(folded.settled),
    )
    envelope = item.event.envelope
    if (row["source"], row["event_id"]) == (envelope.source, envelope.id):
        await connection.execute(
            SQL["mark_retried"],
            case.ref,
            envelope.source,
            envelope.id,
            folded.result,
            after.version,
            folded.policy_version,
        )
    else:
        # It could not be read when it was parked, so its row bears the record's place; now it has a name of its own.
        await connection.execute(SQL["mark_discarded"], case.ref, row["source"], row["event_id"], None)
        key, digest = key_of(item), item.digest
        writes.log.append(log_row(item, key, digest, after.version, folded.result, folded.policy_version))
    await connection.execute(SQL["resolve_parked"], row["id"], "retried", None)
    await write(connection, writes, {case.ref: case.version}, handlers, writers)


def _folded(case: Case[S], received: Received, handlers: Handlers[S, P]) -> Folded[S]:
    if case.unreadable is not None:
        raise Defect("state_unreadable")
    try:
        return fold(replace(case, parked=0), received, handlers)
    except Exception as error:
        raise Defect(failure_code(error)) from None


async def expire_waiting(
    pool: Pool, handlers: Handlers[S, P], writers: Mapping[type, Writer], now: datetime | None = None
) -> int:
    """Give up events that have waited longer than PATIENCE. Wall-clock time decides this and nothing else."""
    before = (now or datetime.now(UTC)) - PATIENCE
    given_up, last = 0, UUID(int=0)
    while expired := await _expired(pool, before, last):
        for ref, keys in expired.items():
            try:
                async with pool.acquire() as connection, connection.transaction():
                    given_up += await _give_up(connection, ref, keys, handlers, writers, before + PATIENCE)
            except Conflict:
                continue  # the case has moved on; the next run looks again
        last = max(expired)
    return given_up


async def _expired(pool: Pool, before: datetime, last: UUID) -> dict[UUID, set[tuple[str, str]]]:
    """The next cases behind `last`, and which of their events have waited for too long."""
    expired: dict[UUID, set[tuple[str, str]]] = {}
    async with pool.acquire() as connection:
        for row in await connection.fetch(SQL["waiting_since"], before, last):
            expired.setdefault(row["case_ref"], set()).add((row["source"], row["id"]))
    return expired


async def forget_waiting(
    pool: Pool, ref: UUID, partner: str, handlers: Handlers[S, P], writers: Mapping[type, Writer], source: str
) -> int:
    """Erase what a partner, whose source is `source`, said of a case that never came about here: no erasure folds.

    Whose case it is must be known from elsewhere. What waits is given up, and the log keeps of it that it came. Returns
    how many events waited. Raises Conflict when the case moves on meanwhile.
    """
    async with pool.acquire() as connection, connection.transaction():
        case = await _locked(connection, ref, handlers)
        if case is None or case.state is not None or case.parked or case.unreadable is not None:
            return 0
        theirs = [each.event for each in case.waiting if handlers.sender(each.event) in (partner, None)]
        count = 0
        if theirs:
            keys = {(event.source, event.id) for event in theirs}
            count = await _give_up(connection, ref, keys, handlers, writers, datetime.now(UTC))
        await connection.execute(SQL["forget_log"], ref, list({source, *(event.source for event in theirs)}))
        return count


async def _give_up(
    connection: Connection,
    ref: UUID,
    keys: set[tuple[str, str]],
    handlers: Handlers[S, P],
    writers: Mapping[type, Writer],
    now: datetime,
) -> int:
    case = await _locked(connection, ref, handlers)
    if case is None or case.parked or case.unreadable is not None:
        return 0  # what it waits for may be parked itself
    folded = give_up(case, keys, handlers)
    version = folded.case.version
    expiry = LogRow(
        key=(ref, service_source(handlers.service), f"{ref}.wait-expired.{version}"),
        type="org.workhardening.runtime.wait.expired.v1",
        position=Position("runtime", case.partition, version),
        time=now,
        digest=b"",
        case_version=version,
        result="folded",
        policy_version="",
        sequence=None,
        causation=None,
        traceparent=None,
        body=None,
    )
    writes: Writes[S] = Writes(
        {ref: folded.case}, log=[expiry], emitted=list(folded.emitted), settled=list(folded.settled)
    )
    await write(connection, writes, {ref: case.version}, handlers, writers)
    return len(folded.settled)
