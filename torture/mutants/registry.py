"""Faults put into the runtime on purpose. A rung that does not see them proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One fault: what it breaks, which rung must see it, and by which invariant."""

    name: str
    breaks: str
    rung: int
    caught_by: str
    applied: Callable[[], AbstractContextManager[None]]
    """Puts the fault into the runtime until the block ends."""


MUTANTS: dict[str, Mutant] = {}


def mutant(
    breaks: str, *, rung: int, caught_by: str
) -> Callable[[Callable[[], Iterator[None]]], Callable[[], AbstractContextManager[None]]]:
    """Enter a fault in the table under its function's name."""

    def enter(patches: Callable[[], Iterator[None]]) -> Callable[[], AbstractContextManager[None]]:
        name: str = getattr(patches, "__name__", "")
        applied = contextmanager(patches)
        MUTANTS[name] = Mutant(name, breaks, rung, caught_by, applied)
        return applied

    return enter


def by_name(name: str) -> Mutant:
    """The mutant of this name. Raises KeyError."""
    return MUTANTS[name]
