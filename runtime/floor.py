"""Where the relay may begin to read the outbox, so that it does not walk over rows that were deleted long ago.

While any transaction of the database holds an old snapshot, the entries of deleted rows stay in the index, and a read
of the lowest rows walks over all of them. Beginning further up is safe only where no row is *and none will be*: ids are
drawn in order, but transactions end in any order, so a lower id may appear after a higher one was published.

A transaction that draws an id has locked the table before, and gives the lock back after its rows can be seen by
everyone. So when all who held the lock at a moment have ended, every id that was drawn before that moment is decided:
its row can be seen, or is gone. That holds however long a transaction or its COMMIT takes; no clock is asked.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Floor:
    """Below `at` no row is, and none will be."""

    at: int = 0
    candidate: int = 0
    """Where the floor rises next: all ids below it were drawn before `writers` was read."""
    writers: Set[str] = frozenset()
    """The transactions that may have drawn such an id and had not ended when last looked for."""


def looked(floor: Floor, lowest: int | None, writers: Set[str], seen: int) -> Floor:
    """The floor after one look at the outbox.

    `lowest` is the lowest row that the look's snapshot shows, held ones included; `writers` are the transactions that
    hold the writers' lock, read no earlier than that snapshot and `seen`, the highest id read so far. A row below the
    floor, which only a person can have put there, takes the floor down with it.
    """
    if lowest is not None and lowest < floor.at:
        return Floor(lowest)
    if floor.writers:
        # Who ended between this look's snapshot and its reading of the locks is seen by the next look's snapshot only.
        return replace(floor, writers=floor.writers & writers)
    at = floor.candidate if lowest is None else min(floor.candidate, lowest)
    return Floor(max(at, floor.at), seen + 1, writers)
