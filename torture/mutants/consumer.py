"""Faults between a record and its committed offset."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from faststream import AckPolicy
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage

from runtime import batch, consume, retry
from runtime.batch import Writes
from runtime.cases import SQL
from runtime.records import Ignored
from torture.mutants.registry import mutant


async def _nothing(*_: Any, **__: Any) -> None: ...


@mutant("offsets are committed inside the transaction, before COMMIT", rung=1, caught_by="I5")
def offsets_before_commit() -> Generator[None]:
    """A crash, or a transaction that fails, between the two loses the batch."""
    consumer: Any = consume.Consumer
    attempt, apply = consumer._attempt, consume.apply
    current: ContextVar[Any] = ContextVar("current")

    async def remembered(self: Any, *args: Any) -> Any:
        current.set(self)
        return await attempt(self, *args)

    async def hasty(connection: Any, items: Sequence[Any], *args: Any) -> Any:
        writes = await apply(connection, items, *args)
        await current.get()._commit_offsets([item.record for item in items if not isinstance(item, Ignored)])
        return writes

    with patch.object(consume.Consumer, "_attempt", remembered), patch.object(consume, "apply", hasty):
        yield


@mutant("FastStream acknowledges on receipt (ACK_FIRST)", rung=1, caught_by="I5")
def at_most_once() -> Generator[None]:
    """The popular setting: whatever was polled counts as done."""
    with patch.object(consume, "AckPolicy", SimpleNamespace(MANUAL=AckPolicy.ACK_FIRST)):
        yield


@mutant("each record of a batch is held against the log only, not against the batch", rung=1, caught_by="fence")
def no_dedupe_in_batch() -> Generator[None]:
    """Two deliveries of one event in one batch are both folded; the log's unique key is the last to notice."""
    decide = batch.decide

    def forgetful(items: Sequence[Any], logged: Any, stored: Mapping[Any, Any], handlers: Any, condemned: Any) -> Any:
        total: Writes[Any] = Writes(dict(stored))
        for item in items:
            one = decide([item], logged, total.cases, handlers, condemned)
            total.cases = one.cases
            for name in ("log", "parked", "dead", "emitted", "effects", "settled"):
                getattr(total, name).extend(getattr(one, name))
            total.erased |= one.erased
            total.duplicates += one.duplicates
            total.defects.update(one.defects)
        return total

    with patch.object(batch, "decide", forgetful):
        yield


@mutant("the log is not asked whether an event was taken before", rung=1, caught_by="I9")
def no_log_lookup() -> Generator[None]:
    """Every redelivery is folded again; the log's unique key stops it, and with it the partition."""

    async def nothing_logged(connection: Any, keys: Any) -> dict[Any, bytes]:
        return {}

    with patch.object(batch, "find_logged", nothing_logged):
        yield


@mutant("consumers do not lock their partitions", rung=1, caught_by="fence")
def no_partition_lock() -> Generator[None]:
    """Overlapping consumers read the same case; only the unique key and the version are left."""
    with patch.object(consume, "lock_partitions", _nothing):
        yield


@mutant("a retry does not lock its case's partition", rung=1, caught_by="fence")
def no_lock_in_retry() -> Generator[None]:
    """A person's retry and the stream change one case at the same time."""
    with patch.object(retry, "lock_partitions", _nothing):
        yield


@mutant("cases are saved whatever their version", rung=2, caught_by="I2")
def no_version_fence() -> Generator[None]:
    """A writer that read before another committed overwrites what the other did."""
    text = SQL["save_cases"].replace("AND c.version = n.read_version ", "").replace("AND n.read_version = 0 ", "")
    assert text != SQL["save_cases"]
    with patch.dict(SQL, {"save_cases": text}):  # pyright: ignore[reportArgumentType]
        yield


@mutant("sequences are not stored with the case", rung=1, caught_by="I4")
def sequence_not_counted() -> Generator[None]:
    """Each batch begins to count at 1 again."""
    with _saved_with(sequences={}):
        yield


@mutant("an erased case does not remember that it was erased", rung=1, caught_by="I3")
def erasure_forgotten() -> Generator[None]:
    """A later event, or a replay, brings the case back."""
    with _saved_with(erased=False):
        yield


def _saved_with(**changes: Any) -> Any:
    save = batch.save_cases

    async def changed(connection: Any, cases: Sequence[Any], *args: Any) -> None:
        await save(connection, [batch.replace(case, **changes) for case in cases], *args)

    stack = ExitStack()
    stack.enter_context(patch.object(batch, "save_cases", changed))
    return stack


@mutant("the parser decodes headers, as FastStream's own does", rung=3, caught_by="I1")
def parser_raises_on_a_null_header() -> Generator[None]:
    """FastStream logs the error and polls on: the batch is skipped, and the next commit makes that final."""

    async def strict(messages: Any) -> Any:
        for message in messages:
            for _, value in message.headers:
                value.decode()
        return KafkaMessage(body=messages, raw_message=messages, consumer=FAKE_CONSUMER)

    with patch.object(consume, "_parse", strict):
        yield
