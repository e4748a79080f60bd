"""Which unsent updates give way to a newer one of their case: how things stood last week is not worth telling late.

What corrects, revokes or ends what an employer may have acted on is told, however late (docs/adr/0019-coalescing.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from services.notify.rows import DeliveryRow
from workhardening_contracts.readiness import ReadinessUpdated

_TAKES_BACK = frozenset({"revoked", "discontinued"})
"""Outcomes that end what was said before, with `supersedes` or without: readiness withdrawn, the program left."""


def replaceable(update: ReadinessUpdated) -> bool:
    """Whether an update only says how things stand, so that a newer one may take its place."""
    return update.supersedes is None and update.outcome not in _TAKES_BACK


def successor(sequence: int, scopes: Collection[str], newer: Iterable[DeliveryRow]) -> str | None:
    """The id of what takes the place of a replaceable update: the next of `newer`, which are of its employer and case,
    that needs no scope but those it needs itself. One that needs more may be withheld where this one would be sent."""
    takers = [row for row in newer if row.sequence > sequence and set(row.scopes) <= set(scopes)]
    return min(takers, key=lambda row: row.sequence).event_id if takers else None
