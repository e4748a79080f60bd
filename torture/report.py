"""The report of a gate: what was injected beside what was to be, what was violated, and a picture of the lag."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torture.part import Result
from torture.picture import draw
from torture.plan import AMOUNTS, TROUBLES, TROUBLES_FULL
from torture.proxy import FAULTS


def summary(results: Sequence[Result]) -> str:
    """A few lines for the terminal, the verdict last."""
    faults = Counter(fault["kind"] for result in results for fault in result.faults)
    lines = [
        f"faults: {_told(faults)}",
        f"processes that ended: {_told(_sum(result.deaths for result in results))}",
        f"drilled at: {_told(_sum(result.named for result in results))}",
        f"{sum(result.cases + result.programs for result in results)} cases, {sum(result.sent for result in results)}"
        f" events sent, {sum(result.records for result in results)} records on topics",
    ]
    for service, counts in _accounts(results).items():
        accepted = counts.pop("accepted", 0)
        lines.append(f"{service}: {accepted} = {_told(counts, ' + ')}")
    lines += [f"part {result.part}: {text}" for result in results for text in (*result.violations, *result.hanging)][
        :50
    ]
    violated = Counter(text.split()[0] for result in results for text in result.violations)
    hanging = sum(len(result.hanging) for result in results)
    lines.append(f"{violated.total()} violations{f': {_told(violated)}' if violated else ''}; {hanging} programs hang")
    return "\n".join(lines)


def write(results: Sequence[Result], path: Path) -> None:
    """The report as Markdown, and beside it a picture for each part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures: list[str] = []
    for result in results:
        picture = path.with_name(f"{path.stem}-part-{result.part:02d}.svg")
        picture.write_text(draw(result.lag, result.faults), encoding="utf-8")
        pictures.append(f"![lag of part {result.part}]({picture.name})")
    path.write_text(_markdown(results, pictures), encoding="utf-8")


def _markdown(results: Sequence[Result], pictures: Sequence[str]) -> str:
    commits = sorted({result.commit for result in results})
    seeds = sorted({result.seed for result in results})
    took = sum(sum(result.seconds.values()) for result in results)
    text = [
        "# Under fire",
        "",
        f"Commit {', '.join(commits)}; seed {', '.join(map(str, seeds))}; {len(results)} parts,"
        f" {took / 60:.0f} min in all, on {_machine()}.",
        "",
        f"Made by `python -m torture.run --full --seed {seeds[0]} --report {'docs/reports/torture.md'}`.",
        "",
        "```",
        summary(results),
        "```",
        "",
        "## Faults",
        "",
        "| fault | to be injected | injected |",
        "|---|---|---|",
        *_injected(results),
        "",
        "Meanwhile, all the time: " + _told(_sum(r.meanwhile for r in results)) + ".",
        "",
        *(f"Not permitted here: {kind}, since {why}." for kind, why in _impossible(results).items()),
        "",
        "## Parts",
        "",
        "| part | short cases | programs | events sent | records | fire s | rest s | check s | violations |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {r.part} | {r.cases} | {r.programs} | {r.sent} | {r.records} | {r.seconds['fire']:.0f} | {r.drained_s}"
            f" | {r.seconds['gather'] + r.seconds['check']:.0f} | {len(r.violations) + len(r.hanging)} |"
            for r in results
        ),
        "",
        "## Lag",
        "",
        "Records that a service has not committed and outbox rows that it has not published, over the seconds of the"
        " fire. Each mark on top is a fault, from its beginning to its end.",
        "",
        *pictures,
    ]
    return "\n".join(text) + "\n"


def _injected(results: Sequence[Result]) -> list[str]:
    faults = [fault for result in results for fault in result.faults]
    lines: list[str] = []
    for kind, amount in AMOUNTS.items():
        mine = [fault for fault in faults if fault["kind"] == kind]
        if kind == "network":
            for name in FAULTS:
                count = sum(fault["detail"].startswith(name) for fault in mine)
                lines.append(f"| {name} on the links | {amount.full // len(FAULTS)} | {count} |")
        else:
            lines.append(f"| {amount.what} | {amount.full} | {len(mine)} |")
    named = _sum(result.named for result in results)
    lines += [f"| kill -9 at {place} | 25 | {count} |" for place, count in sorted(named.items())]
    met = _sum(result.troubles for result in results)
    lines += [f"| employers' receivers: {trouble} | {TROUBLES_FULL} | {met[trouble]} |" for trouble in TROUBLES]
    return lines


def _accounts(results: Sequence[Result]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for result in results:
        for service, counts in result.account.items():
            found.setdefault(service, Counter()).update(counts)
    return found


def _sum(tallies: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for tally in tallies:
        total.update(tally)
    return total


def _told(counts: Mapping[str, int], between: str = ", ") -> str:
    return between.join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))


def _impossible(results: Sequence[Result]) -> dict[str, str]:
    return {kind: why for result in results for kind, why in result.impossible.items()}


def _machine() -> str:
    cores = os.cpu_count()
    return f"{cores} cores, {platform.system()}, Python {sys.version.split()[0]}"
