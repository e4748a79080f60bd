"""Faults in what becomes of records that fail."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from unittest.mock import patch

from runtime import batch
from runtime.cases import SQL
from torture.mutants.registry import mutant
from torture.simulated.statements import parked_of_case
from torture.simulated.store import MODELS, Row, Session


@mutant("a failing record becomes a dead letter and its case goes on", rung=1, caught_by="I1")
def dead_letter_and_continue() -> Generator[None]:
    """The popular way: the failed event is put aside, its successors are folded as if it had never been."""
    take = batch._take  # pyright: ignore[reportPrivateUsage]

    def careless(writes: Any, item: Any, key: Any, *args: Any) -> None:
        before, parked = writes.cases.get(key[0]), len(writes.parked)
        take(writes, item, key, *args)
        if len(writes.parked) > parked:
            row = writes.parked.pop()
            writes.log.pop()
            writes.dead.append((row.record, row.reason))
            if before is None:
                del writes.cases[key[0]]
            else:
                writes.cases[key[0]] = before

    with patch.object(batch, "_take", careless):
        yield


@mutant("the successors of a parked record do not queue behind it", rung=1, caught_by="I4")
def successors_overtake() -> Generator[None]:
    """Only the failing record is parked; when it is retried it comes after those that built on it."""
    take = batch._take  # pyright: ignore[reportPrivateUsage]

    def hasty(writes: Any, item: Any, key: Any, *args: Any) -> None:
        case = writes.cases.get(key[0])
        if case is None or not case.parked:
            take(writes, item, key, *args)
            return
        writes.cases[key[0]] = batch.replace(case, parked=0)
        take(writes, item, key, *args)
        after = writes.cases[key[0]]
        writes.cases[key[0]] = batch.replace(after, parked=after.parked + case.parked)

    with patch.object(batch, "_take", hasty):
        yield


@mutant("a retry takes the newest parked record first", rung=1, caught_by="I4")
def retry_in_the_wrong_order() -> Generator[None]:
    """ORDER BY id DESC."""
    text = SQL["parked_of_case"] + " DESC"

    async def newest_first(s: Session, ref: Any) -> list[Row]:
        return (await parked_of_case(s, ref))[::-1]

    with patch.dict(SQL, {"parked_of_case": text}), patch.dict(MODELS, {text: newest_first}):  # pyright: ignore[reportArgumentType]
        yield
