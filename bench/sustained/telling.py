"""What was found: tables for people, a JSON file with every sample, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.report import put
from bench.sample import Sample
from bench.stories import SERVICES
from bench.sustained.figures import WITHIN, kept, per_cpu_s
from bench.sustained.picture import draw
from bench.sustained.steady import Steady

SERVERS = ("postgres", "kafka")


def show(steady: Steady | None, samples: Sequence[Sample], console: Console) -> None:
    """The tables of the parts that were measured."""
    if steady is not None:
        _show_steady(steady, console)
    if samples:
        _show_replicas(samples, console)


def _show_steady(steady: Steady, console: Console) -> None:
    console.print(
        f"{steady.sent} clinic events of {steady.lives} cases in {steady.seconds:.0f} s, {steady.published} events and"
        f" {steady.told} webhooks came of them; nothing was left {steady.settled_s:.1f} s after the last"
    )
    parts = Table(
        "part",
        "MB, 3rd and last minute",
        "ratio",
        "lag: median, most, at the end",
        "events taken",
        "CPU us/clinic event",
    )
    for name in SERVICES:
        memory, lags = steady.memory_mb[name], [look.lag[name] for look in steady.looks]
        grown = ("-", "-") if memory is None else (f"{memory[0]:.1f}, {memory[1]:.1f}", f"{memory[1] / memory[0]:.3f}")
        behind = f"{median(lags):.0f}, {max(lags)}, {steady.lag_at_end[name]}"
        parts.add_row(name, *grown, behind, str(steady.taken[name]), f"{steady.cpu_us[name]:.0f}")
    for name in SERVERS:
        parts.add_row(name, "", "", "", "", f"{steady.cpu_us[name]:.0f}")
    parts.add_row("all", "", "", "", "", f"{sum(steady.cpu_us.values()):.0f}")
    console.print(parts)
    answers = Table("from a clinic's event to what came of it in", "answers", "p50 ms", "p99 ms")
    for topic, found in steady.waits.items():
        answers.add_row(topic, f"{found['samples']:.0f}", f"{found['p50_ms']:.1f}", f"{found['p99_ms']:.1f}")
    console.print(answers)
    for sentence in steady.wrong:
        console.print(f"[red]{sentence}[/red]", highlight=False)


def _show_replicas(samples: Sequence[Sample], console: Console) -> None:
    ratios = {(each.service, each.replicas): each for each in kept(samples)}
    table = Table(
        "service", "replicas", "events/CPU s", f"of one's (>= {WITHIN:g})", "", "events/s", "CPU us/event", "replicas'",
        *SERVERS, "MB",
    )  # fmt: skip
    for service, many in sorted({(each.more["service"], each.more["replicas"]) for each in samples}):
        mine = [each for each in samples if (each.more["service"], each.more["replicas"]) == (service, many)]
        middle = sorted(mine, key=per_cpu_s)[len(mine) // 2]
        cost = {part: used / middle.events * 1e6 for part, used in middle.cpu_s.items()}
        ratio = ratios.get((service, many))
        beside = ("", "") if ratio is None else (
            f"{ratio.median:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]", "met" if ratio.met else "MISSED",
        )  # fmt: skip
        table.add_row(
            service, str(many), f"{median(map(per_cpu_s, mine)):.0f}", *beside, f"{middle.rate:.0f}",
            f"{middle.cpu_us:.0f}", f"{sum(cost.values()) - sum(cost[part] for part in SERVERS):.0f}",
            *(f"{cost[part]:.0f}" for part in SERVERS), f"{middle.rss_mb:.0f}",
        )  # fmt: skip
    console.print(table)


def write(steady: Steady | None, samples: Sequence[Sample], repeated: int, command: str, folder: Path) -> Path:
    """Put the parts that were measured into sustained.json and, of a steady run, write sustained.svg; the path of the
    first."""
    path = folder / "sustained.json"
    parts: dict[str, Mapping[str, Any]] = {}
    if steady is not None:
        parts["steady"] = steady.as_json()
    if samples:
        ratios: list[Mapping[str, Any]] = [{**asdict(each), "met": each.met} for each in kept(samples)]
        found = [each.as_json() for each in samples]
        parts["replicas"] = {"within": WITHIN, "repeated": repeated, "of_one": ratios, "samples": found}
    put(path, command, parts)
    if steady is not None:
        (folder / "sustained.svg").write_text(draw(steady.looks), encoding="utf-8")
    return path
