"""One batch: what is written for it, decided purely (`decide`), and the one transaction that writes it (`apply`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from runtime.cases import SQL, load_cases, save_cases
from runtime.db import Connection, Writer, origin
from runtime.event_log import Key, LogRow, append_log, find_logged, mark_settled
from runtime.fold import (
    Case,
    Emitted,
    Folded,
    Handlers,
    Policy,
    Position,
    Received,
    Settled,
    erases,
    failure_code,
    fold,
    rejection_of,
)
from runtime.outbox import append_outbox
from runtime.parking import ParkedRow, append_dead_letters, append_parked
from runtime.records import Broken, Ignored, Item, Lost, Opened, Record, Unread
from runtime.stages import Lap, untimed
from workhardening_contracts.envelope import Envelope

S = TypeVar("S")
P = TypeVar("P", bound=Policy)

log = structlog.get_logger("batch")


@dataclass
class Writes(Generic[S]):
    """All that one batch writes."""

    cases: dict[UUID, Case[S]]
    log: list[LogRow] = field(default_factory=list[LogRow])
    parked: list[ParkedRow] = field(default_factory=list[ParkedRow])
    dead: list[tuple[Record, str]] = field(default_factory=list[tuple[Record, str]])
    emitted: list[Emitted] = field(default_factory=list[Emitted])
    effects: list[object] = field(default_factory=list[object])
    erased: set[UUID] = field(default_factory=set[UUID])
    settled: list[Settled] = field(default_factory=list[Settled])
    duplicates: int = 0
    defects: dict[UUID, str] = field(default_factory=dict[UUID, str])
    """Cases parked by this batch because a handler failed, with the code: the circuit breaker counts them."""

    def joined(self, later: Writes[S]) -> Writes[S]:
        """Both of two parts of one batch, `later` written behind this one."""
        return Writes(
            {**self.cases, **later.cases},
            self.log + later.log,
            self.parked + later.parked,
            self.dead + later.dead,
            self.emitted + later.emitted,
            self.effects + later.effects,
            self.erased | later.erased,
            self.settled + later.settled,
            self.duplicates + later.duplicates,
            {**self.defects, **later.defects},
        )


def key_of(item: Opened | Broken | Unread) -> Key:
    """What makes a second delivery of this item the same event."""
    if isinstance(item, Unread):
        return place_of(item)  # no id can be read
    envelope = item.event.envelope if isinstance(item, Opened) else item.envelope
    return envelope.subject, envelope.source, envelope.id


def place_of(item: Opened | Broken | Unread) -> Key:
    """Where an item stands in Kafka: the only name of one that could not be read, maybe by an earlier version of us."""
    position = item.record.position
    case = item.case if isinstance(item, Unread) else key_of(item)[0]
    return case, f"kafka:{position.topic}", f"{position.partition}/{position.offset}"


def decide(
    items: Sequence[Item],
    logged: Mapping[Key, bytes],
    stored: Mapping[UUID, Case[S]],
    handlers: Handlers[S, P],
    condemned: Mapping[Position, str],
) -> Writes[S]:
    """Fold a batch, in order. Pure.

    `logged` and `stored` are what the database holds of it; `condemned` names records that must be parked because
    writing their effects failed for good. The lowest offset of a repeated event wins. A failing handler parks its own
    case and nobody else's (which is logged, since a person must come).
    """
    writes: Writes[S] = Writes(dict(stored))
    seen = dict(logged)
    for item in items:
        if isinstance(item, Ignored):
            continue
        if isinstance(item, Lost):
            writes.dead.append((item.record, item.reason))
            continue
        key = key_of(item)
        if not isinstance(item, Unread) and place_of(item) in seen:
            writes.duplicates += 1  # it was parked or given up when it could not be read
            continue
        digest = b"" if isinstance(item, Unread) else item.digest
        if key in seen:
            if seen[key] == digest:
                writes.duplicates += 1
            elif isinstance(item, Opened | Broken) and handlers.answers_for(_type(item)):
                # The same id with another body is a security event, not a duplicate. It parks nobody.
                writes.dead.append((item.record, "id_reused"))
            continue
        seen[key] = digest
        _take(writes, item, key, digest, handlers, condemned)
    return writes


def _take(
    writes: Writes[S],
    item: Opened | Broken | Unread,
    key: Key,
    digest: bytes,
    handlers: Handlers[S, P],
    condemned: Mapping[Position, str],
) -> None:
    record = item.record
    case: Case[S] = writes.cases.get(key[0]) or Case(key[0], record.position.partition)
    reason = condemned.get(record.position)
    # Its erasure waits for no person: it deletes the queue that it passes.
    if reason is None and case.parked and not (isinstance(item, Opened) and erases(case, item.event, handlers)):
        reason = "behind_parked"
    if reason is None and case.unreadable is not None:
        reason = "state_unreadable"
        writes.defects[case.ref] = reason
    if reason is None and isinstance(item, Unread) and not case.erased:
        reason = item.reason
    folded: Folded[S] | None = None
    if reason is None or isinstance(item, Broken):
        try:
            folded = _fold(case, item, handlers)
        except Exception as error:  # a handler's defect, whatever it is, parks its case
            reason = failure_code(error)
            writes.defects[case.ref] = reason
            log.error("case parked", case=str(case.ref), reason=reason, where=origin(error))
    if folded is None:
        assert reason is not None  # only a reason to park leaves an event unfolded
        if isinstance(item, Unread):
            writes.defects[case.ref] = reason
        case = replace(case, parked=case.parked + 1, version=case.version + 1)
        writes.parked.append(ParkedRow(key, record, reason))
        writes.log.append(log_row(item, key, digest, case.version, "parked", ""))
    else:
        case = folded.case
        if folded.erase:
            writes.erased.add(case.ref)
            writes.emitted = [entry for entry in writes.emitted if entry.envelope.subject != case.ref]
        writes.emitted += folded.emitted
        writes.effects += folded.effects
        writes.settled += folded.settled
        row = log_row(item, key, digest, case.version, folded.result, folded.policy_version)
        # What still comes of an erased case is refused, and not kept either.
        writes.log.append(replace(row, body=None) if case.erased else row)
    writes.cases[case.ref] = case


def _fold(case: Case[S], item: Opened | Broken | Unread, handlers: Handlers[S, P]) -> Folded[S]:
    if isinstance(item, Opened):
        return fold(case, Received(item.event, item.record.position), handlers)
    if isinstance(item, Unread):  # of an erased case, which nothing brings back: it is noted, and not kept
        return Folded(replace(case, version=case.version + 1), "ignored", "")
    time = min(item.envelope.time, item.record.recorded)
    rejected = rejection_of(item.envelope, item.record.position, item.refusal, handlers, time)
    return Folded(replace(case, version=case.version + 1), "rejected", "", (rejected,))


def _type(item: Opened | Broken) -> str:
    return item.event.type if isinstance(item, Opened) else item.envelope.type


def log_row(
    item: Opened | Broken | Unread, key: Key, digest: bytes, version: int, result: str, policy_version: str
) -> LogRow:
    """The log row of an item that made this version of its case."""
    record = item.record
    envelope: Envelope | None = None
    if isinstance(item, Opened):
        envelope = item.event.envelope
    elif isinstance(item, Broken):
        envelope = item.envelope
    return LogRow(
        key=key,
        type=envelope.type if envelope else "unreadable",
        position=record.position,
        time=envelope.time if envelope else record.recorded,
        digest=digest,
        case_version=version,
        result=result,
        policy_version=policy_version,
        sequence=envelope.sequence if envelope else None,
        causation=envelope.causationid if envelope else None,
        traceparent=envelope.traceparent if envelope else None,
        body=envelope.data if envelope else record.value,
    )


async def apply(
    connection: Connection,
    items: Sequence[Item],
    handlers: Handlers[S, P],
    writers: Mapping[type, Writer],
    condemned: Mapping[Position, str],
    lap: Lap = untimed,
) -> Writes[S]:
    """Read, decide and write one batch inside the caller's transaction, which holds the partitions' locks.

    At most eight statements behind the lock, plus three for erasures and one per kind of effect, whatever the batch's
    size. Raises Conflict and database errors; the caller rolls back.
    """
    named = [item for item in items if not isinstance(item, Ignored | Lost)]
    keys = list({key for item in named for key in (key_of(item), place_of(item))})
    logged = await find_logged(connection, keys) if keys else {}
    stored = await load_cases(connection, list({key[0] for key in keys}), handlers) if keys else {}
    lap("load")
    writes = decide(items, logged, stored, handlers, condemned)
    lap("decide")
    read_versions = {ref: case.version for ref, case in stored.items()}
    await write(connection, writes, read_versions, handlers, writers)
    lap("write")
    return writes


async def write(
    connection: Connection,
    writes: Writes[S],
    read_versions: Mapping[UUID, int],
    handlers: Handlers[S, P],
    writers: Mapping[type, Writer],
) -> None:
    """Write what was decided, the outbox last. Raises Conflict, and ValueError for an effect without a writer."""
    if writes.log:
        await append_log(connection, writes.log)
    if writes.settled:  # behind the log: an event may have begun to wait in this very batch
        await mark_settled(connection, writes.settled)
    changed = [case for ref, case in writes.cases.items() if case.version != read_versions.get(ref, 0)]
    if changed:
        await save_cases(connection, changed, read_versions, handlers)
    if writes.parked:
        await append_parked(connection, writes.parked)
    if writes.erased:  # behind what this batch itself took of these cases before their erasure
        for name in ("erase_log", "erase_parked", "erase_outbox"):
            await connection.execute(SQL[name], list(writes.erased))
    if writes.dead:
        await append_dead_letters(connection, writes.dead)
    by_kind: dict[type, list[Any]] = {}
    for effect in writes.effects:
        by_kind.setdefault(type(effect), []).append(effect)
    for kind in sorted(by_kind, key=list(writers).index):  # in the service's order: a deletion may have to come last
        await writers[kind](connection, by_kind[kind])
    if writes.emitted:
        await append_outbox(connection, writes.emitted)
