"""Which education belongs to which week, as the plan says it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.console.program.library import Module, library
from workhardening_contracts.planning import PlannedWeek


@dataclass(frozen=True, slots=True)
class Taught:
    """One topic of a week."""

    topic: str
    module: Module | None
    """None: a topic that the library does not have; the clinic brings its own."""


def education(week: PlannedWeek) -> tuple[Taught, ...]:
    """The week's topics in the plan's order."""
    modules = library().modules
    return tuple(Taught(topic, modules.get(topic)) for topic in week.education)
