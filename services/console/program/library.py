"""The library of exercises, job simulations and education modules: data with their sources, checked when they are read.

The texts are our own; where a statement comes from somewhere, `sources` names it (`data/sources.toml`). A clinic that
wants others changes the files: what each field means stands here.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from workhardening_contracts.contract import Code, Line

Block = Literal["warm_up", "mobility", "strengthening", "endurance", "job_simulation", "cool_down", "home"]
Activity = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)?$", max_length=80)]
"""A demand's kind, or its kind and zone: `carry`, `lift/overhead`."""

BLOCKS: tuple[Block, ...] = ("warm_up", "mobility", "strengthening", "endurance", "job_simulation", "cool_down", "home")

DEMANDS: tuple[Activity, ...] = (
    "lift", "lift/floor_waist", "lift/waist_shoulder", "lift/overhead", "carry", "push", "pull", "stand", "walk",
    "sit", "climb", "stoop", "kneel", "crouch", "crawl", "reach", "reach/overhead", "reach/forward", "grip", "balance",
    "shift", "concentration", "pace", "stress_tolerance", "confidence",
)  # fmt: skip
"""What the contracts name (`workhardening_contracts.demand`): for each the library has an exercise and a simulation."""

STOP_RULES: tuple[str, ...] = (
    "Chest pain, trouble breathing, dizziness or feeling faint.",
    "New weakness, numbness or tingling in an arm or a leg.",
    "Sharp or new pain, or pain that is clearly above its usual level and does not settle with a rest.",
    "The worker wants to stop. Nobody has to say why.",
)
"""Hold in every block, beside each exercise's own."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Source(_Data):
    """Where a statement comes from."""

    title: Line
    by: Line


class Exercise(_Data):
    """An exercise or a job simulation, and how it is dosed from the week's target."""

    id: Code
    name: Line
    block: Block
    trains: tuple[Activity, ...] = ()
    """The demands it is for. A kind without a zone is for that kind where no exercise is for the zone."""
    general: bool = False
    """For whatever no other exercise of the block is for. It has no load and nothing bars it."""
    how: Line
    equipment: tuple[Line, ...] = ()
    sets: Annotated[int, Field(ge=1, le=6)] | None = None
    repetitions: Annotated[int, Field(ge=1, le=30)] | None = None
    """A set. A week's target in repetitions that is lower holds instead."""
    hold_s: Annotated[int, Field(ge=5, le=60)] | None = None
    """How long a position is held, s."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """The load as a share of the week's target; null: no load but the body's own weight."""
    why: Line
    """The reason of the dose."""
    stop: Line | None = None
    """Beside `STOP_RULES`."""
    barred_by: tuple[Activity, ...] = ()
    """Activities of which a restriction to "not at all" bars it, though another demand may call for it."""
    sources: tuple[Code, ...] = ()

    @model_validator(mode="after")
    def _dosed_as_its_block_allows(self) -> Exercise:
        if self.general == bool(self.trains):
            raise ValueError(f"{self.id}: name what it trains, or say that it is general")
        if self.general and (self.share is not None or self.barred_by):
            raise ValueError(f"{self.id}: a general exercise has no load and is never barred")
        if self.share is not None and (self.block == "job_simulation") != (self.share == 1):
            raise ValueError(f"{self.id}: a job simulation takes the whole target, everything else less")
        if self.block in ("warm_up", "mobility", "cool_down", "home") and self.share is not None:
            raise ValueError(f"{self.id}: there is no load in this block")
        if self.block == "home" and self.equipment:
            raise ValueError(f"{self.id}: nothing is needed at home")
        return self


class Section(_Data):
    """A part of a module."""

    heading: Line
    text: Annotated[str, StringConstraints(max_length=900)] = ""
    points: tuple[Line, ...] = ()


class Module(_Data):
    """One page about one topic, for the worker."""

    topic: Code
    title: Line
    summary: Line
    section: Annotated[tuple[Section, ...], Field(min_length=1)]
    try_this: Line
    """Something to do in the week."""
    sources: Annotated[tuple[Code, ...], Field(min_length=1)]


class Library(_Data):
    """All of it."""

    exercises: tuple[Exercise, ...]
    modules: Mapping[str, Module]
    """By topic."""
    sources: Mapping[str, Source]

    def of(self, block: Block) -> tuple[Exercise, ...]:
        return tuple(each for each in self.exercises if each.block == block)

    def suited(self, block: Block, kind: str, zone: str | None) -> tuple[Exercise, ...]:
        """What trains this demand in this block: for its very zone, or else for its kind."""
        exact = tuple(each for each in self.of(block) if zone is not None and f"{kind}/{zone}" in each.trains)
        return exact or tuple(each for each in self.of(block) if kind in each.trains)

    def general(self, block: Block) -> tuple[Exercise, ...]:
        return tuple(each for each in self.of(block) if each.general)

    @model_validator(mode="after")
    def _complete(self) -> Library:
        ids = [each.id for each in self.exercises]
        if len(set(ids)) < len(ids):
            raise ValueError("two exercises have one id")
        named = {name for each in (*self.exercises, *self.modules.values()) for name in each.sources}
        if unknown := named - set(self.sources):
            raise ValueError(f"sources.toml does not have {sorted(unknown)}")
        if empty := [block for block in BLOCKS if not self.general(block)]:
            raise ValueError(f"there is no general exercise for {empty}")
        for activity in DEMANDS:
            kind, _, zone = activity.partition("/")
            if not self.suited("job_simulation", kind, zone or None):
                raise ValueError(f"there is no job simulation for {activity}")
            if not any(self.suited(block, kind, zone or None) for block in ("strengthening", "endurance")):
                raise ValueError(f"there is no exercise for {activity}")
        return self


@cache
def library() -> Library:
    """What is in `data/`. Raises ValidationError for what is not as it must be."""
    there = files("services.console.program") / "data"
    exercises = [
        exercise
        for name in ("mobility", "strengthening", "endurance", "job_simulations")
        for exercise in _read(there / f"{name}.toml")["exercise"]
    ]
    modules = [_read(each) for each in sorted((there / "education").iterdir(), key=lambda each: each.name)]
    data = {
        "exercises": exercises,
        "modules": {module["topic"]: module for module in modules},
        "sources": _read(there / "sources.toml"),
    }
    # From JSON, where a list may be a tuple and a number still is no text.
    return Library.model_validate_json(json.dumps(data))


def _read(file: Traversable) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))
