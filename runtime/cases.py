"""The case rows, on the caller's connection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError

from runtime.db import Connection, queries
from runtime.fold import Case, Defect, Handlers, Policy, state_to_json, waiting_from_json, waiting_to_json

S = TypeVar("S")
P = TypeVar("P", bound=Policy)

SQL = queries("runtime")


class Conflict(Exception):
    """Another writer changed a case since it was read; the batch is taken again."""


async def lock_partitions(connection: Connection, numbers: Iterable[int]) -> None:
    """Become the one writer of these partitions until the transaction ends, in ascending order so none deadlock.

    Raises LookupError for a partition that has no row: nothing would be locked.
    """
    wanted = sorted(set(numbers))
    if len(await connection.fetch(SQL["lock_partitions"], wanted)) < len(wanted):
        raise LookupError("a topic has more partitions than this service was started with; restart it")


async def add_partitions(connection: Connection, count: int) -> None:
    """Make the rows that `lock_partitions` locks."""
    await connection.execute(SQL["add_partitions"], list(range(count)))


async def load_cases(connection: Connection, refs: Sequence[UUID], handlers: Handlers[S, P]) -> dict[UUID, Case[S]]:
    """The stored cases among `refs`; one whose state cannot be read bears it as it is stored (`Case.unreadable`).

    Fields that a newer release stored are passed over, so that rolling back a release parks nobody.
    """
    return {row["case_ref"]: _case(row, handlers) for row in await connection.fetch(SQL["load_cases"], refs)}


def _case(row: Any, handlers: Handlers[S, P]) -> Case[S]:
    case: Case[S] = Case(
        ref=row["case_ref"],
        partition=row["partition"],
        version=row["version"],
        sequences=json.loads(row["sequences"]),
        parked=row["parked"],
        erased=row["erased"],
    )
    try:
        return replace(
            case,
            state=None if row["state"] is None else handlers.adapter.validate_json(row["state"], extra="ignore"),
            waiting=waiting_from_json(row["waiting"], handlers) if row["waiting"] != "[]" else (),
        )
    except (ValidationError, Defect):
        return replace(case, unreadable=(row["state"], row["waiting"]))


async def save_cases(
    connection: Connection, cases: Sequence[Case[S]], read_versions: Mapping[UUID, int], handlers: Handlers[S, P]
) -> None:
    """Write the changed cases in one statement. Raises Conflict when one was changed since it was read."""
    stored = [
        case.unreadable
        or (
            state_to_json(case.state),
            waiting_to_json(case.waiting),
        )
        for case in cases
    ]
    status = await connection.execute(
        SQL["save_cases"],
        [case.ref for case in cases],
        [case.partition for case in cases],
        [read_versions.get(case.ref, 0) for case in cases],
        [case.version for case in cases],
        [state for state, _ in stored],
        [waiting for _, waiting in stored],
        [json.dumps(dict(case.sequences)) for case in cases],
        [case.parked for case in cases],
        [case.erased for case in cases],
    )
    if status != f"MERGE {len(cases)}":
        raise Conflict
