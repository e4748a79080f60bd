"""More of the same: cases that were lived once, under other references, as if other cohorts had been like theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from bench.load import Load, Record
from bench.partitions import partition_of
from simulator.cohort import reference

Renamed = tuple[UUID, UUID, int]
"""A case, what it is called in another cohort, and the partition of that name."""

_COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('case_ref', 'partition')
"""
_MULTIPLY = """
INSERT INTO {table} (case_ref, partition, {columns})
SELECT n.ref, n.number, {columns} FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS n (old, ref, number)
JOIN lived ON lived.case_ref = n.old ORDER BY lived.ctid
"""


def renamed(refs: Sequence[UUID], nth: int) -> list[Renamed]:
    """Other cases, referred `nth` weeks before these, by references such as the simulator's clinics make."""
    others = [(ref, reference(nth, ref.hex, 0, referred_on(ref) - timedelta(weeks=nth))) for ref in refs]
    return [(ref, other, partition_of(str(other).encode())) for ref, other in others]


def cohort(load: Load, nth: int) -> Load:
    """The load of the cases that `renamed` names: the same rows and records under their names."""
    names = renamed([stored.ref for stored in load.cases], nth)
    others = {str(old).encode(): (old, new) for old, new, _ in names}
    cases = [replace(stored, ref=new) for stored, (_, new, _) in zip(load.cases, names, strict=True)]
    return Load(cases, [_record(record, *others[record.key]) for record in load.records])


def referred_on(ref: UUID) -> date:
    """The day in a reference of version 7."""
    return datetime.fromtimestamp((ref.int >> 80) / 1000, UTC).date()


async def multiply(owner: Any, table: str, names: Sequence[Renamed]) -> None:
    """Add the rows in `lived` to the table that they are from, under other names, in the order in which they lie."""
    columns: str = await owner.fetchval(_COLUMNS, table)
    await owner.execute(
        _MULTIPLY.format(table=table, columns=columns), *(list(each) for each in zip(*names, strict=True))
    )


def _record(record: Record, old: UUID, new: UUID) -> Record:
    def named(text: bytes) -> bytes:
        return text.replace(str(old).encode(), str(new).encode()).replace(old.hex.encode(), new.hex.encode())

    headers = tuple((name, named(value)) for name, value in record.headers)
    return Record(str(new).encode(), headers, named(record.value))
