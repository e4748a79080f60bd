"""The case rows, on the caller's connection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from runtime.db import Connection, queries
from runtime.fold import Case, Handlers, Policy, waiting_from_json, waiting_to_json

S = TypeVar("S")
P = TypeVar("P", bound=Policy)

SQL = queries("runtime")


class Conflict(Exception):
    """Another writer changed a case since it was read; the batch is taken again."""


async def lock_partitions(connection: Connection, numbers: Iterable[int]) -> None:
    """Become the one writer of these partitions until the transaction ends, in ascending order so none deadlock."""
    await connection.fetch(SQL["lock_partitions"], sorted(set(numbers)))


async def add_partitions(connection: Connection, count: int) -> None:
    """Make the rows that `lock_partitions` locks."""
    await connection.execute(SQL["add_partitions"], list(range(count)))


async def load_cases(connection: Connection, refs: Sequence[UUID], handlers: Handlers[S, P]) -> dict[UUID, Case[S]]:
    """The stored cases among `refs`. Raises pydantic.ValidationError or Defect for a state that cannot be read."""
    rows = await connection.fetch(SQL["load_cases"], refs)
    return {
        row["case_ref"]: Case(
            ref=row["case_ref"],
            partition=row["partition"],
            version=row["version"],
            state=None if row["state"] is None else handlers.adapter.validate_json(row["state"]),
            waiting=waiting_from_json(row["waiting"], handlers) if row["waiting"] != "[]" else (),
            sequences=json.loads(row["sequences"]),
            parked=row["parked"],
            erased=row["erased"],
        )
        for row in rows
    }


async def save_cases(
    connection: Connection, cases: Sequence[Case[S]], read_versions: Mapping[UUID, int], handlers: Handlers[S, P]
) -> None:
    """Write the changed cases in one statement. Raises Conflict when one was changed since it was read."""
    states = [None if case.state is None else handlers.adapter.dump_json(case.state).decode() for case in cases]
    status = await connection.execute(
        SQL["save_cases"],
        [case.ref for case in cases],
        [case.partition for case in cases],
        [read_versions.get(case.ref, 0) for case in cases],
        [case.version for case in cases],
        states,
        [waiting_to_json(case.waiting) for case in cases],
        [json.dumps(dict(case.sequences)) for case in cases],
        [case.parked for case in cases],
        [case.erased for case in cases],
    )
    if status != f"MERGE {len(cases)}":
        raise Conflict
