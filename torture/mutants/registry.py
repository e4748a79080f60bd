"""What a mutant is, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One fault that is put into the runtime on purpose."""

    name: str
    breaks: str
    rung: int
    """The lowest rung that must see it: 1 the simulation, 2 the state machine's database, 3 real Kafka or relay."""
    caught_by: str
    """The invariant that must be violated: I1 to I12, or `fence`: behind the partition lock and the relay's lock, the
    second and third fence (unique key, version) never have to stop anyone."""
    applied: Callable[[], AbstractContextManager[None]]
    """Puts the fault into the runtime until the block ends."""


MUTANTS: dict[str, Mutant] = {}


def mutant(
    breaks: str, *, rung: int, caught_by: str
) -> Callable[[Callable[[], Generator[None]]], Callable[[], AbstractContextManager[None]]]:
    """Enter a fault in the table under its function's name."""

    def enter(patches: Callable[[], Generator[None]]) -> Callable[[], AbstractContextManager[None]]:
        name: str = getattr(patches, "__name__", "")
        applied = contextmanager(patches)
        MUTANTS[name] = Mutant(name, breaks, rung, caught_by, applied)
        return applied

    return enter


def by_name(name: str) -> Mutant:
    """The mutant of this name. Raises KeyError."""
    return MUTANTS[name]
