"""What growth was found to cost, beside what is wanted: a table for people, a JSON file with every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from bench.estimates import Estimate
from bench.report import Goal, put, verdict

GOALS: Mapping[str, Goal] = {
    goal.name: goal
    for goal in (
        Goal("P9", "PostgreSQL CPU per event, 4,000,000 rows in the log / none", 1.3, None, at_most=True),
        Goal("P10", "time to load and save states, 1,000,000 cases / 10,000", 1.7, None, at_most=True),
        Goal("P11", "relay, rows/s, last tenth of a backlog of 1,000,000 / small outbox", 0.8, None),
        Goal("P12", "relay under a held snapshot, rows/s, last / first 20,000", 0.5, 0.8),
        Goal("P13", "peak memory of the service, backlog of 1,000,000 / 10,000", 1.15, None, at_most=True),
        Goal("P15", "webhooks/s, one of 50 endpoints hangs / none", 0.9, None),
    )
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What one round found of one goal."""

    goal: str
    round: int
    value: float
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the value was made of."""


def found(measured: Sequence[Measured]) -> dict[str, Estimate]:
    """Each goal that was measured, in the goals' order: here `low` and `high` are the lowest and the highest round."""
    results: dict[str, Estimate] = {}
    for name in GOALS:
        if values := [each.value for each in measured if each.goal == name]:
            results[name] = Estimate(median(values), min(values), max(values), len(values))
    return results


def table(measured: Sequence[Measured], scale: float) -> Table:
    """A line for each goal."""
    small = None if scale == 1 else f"at scale {scale:g}: a look whether it works; only those of scale 1 count"
    shown = Table("", "measure", "must", "median", "range", "rounds", "", caption=small)
    for name, result in found(measured).items():
        goal = GOALS[name]
        must = f"{'<=' if goal.at_most else '>='} {goal.must:g}"
        spread = f"{result.low:.2f} to {result.high:.2f}"
        said = verdict(goal, result)
        shown.add_row(name, goal.what, must, f"{result.median:.2f}", spread, str(result.rounds), said)
    return shown


def write(measured: Sequence[Measured], took_s: Mapping[str, float], command: str, scale: float, folder: Path) -> Path:
    """Put the goals that were measured into growth.json; its path."""
    path = folder / "growth.json"
    parts = {
        name: {
            "scale": scale,
            "took_s": round(took_s[name], 1),
            **asdict(GOALS[name]),
            **asdict(result),
            "verdict": verdict(GOALS[name], result),
            "samples": [asdict(each) for each in measured if each.goal == name],
        }
        for name, result in found(measured).items()
    }
    put(path, command, parts)
    return path
