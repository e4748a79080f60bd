"""CPU and memory of process trees, from /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc/<pid>/stat."""

    pid: int
    parent: int
    cpu_s: float
    """Its own and that of its children that have ended."""


def read_stat(text: str) -> Process:
    """The fields that count. The name may hold spaces and brackets, so they are counted from its last bracket."""
    fields = text[text.rindex(")") + 2 :].split()
    return Process(int(text.split(" ", 1)[0]), int(fields[1]), sum(map(int, fields[11:15])) * _TICK_S)


def processes(proc: Path = PROC) -> dict[int, Process]:
    """All that can be seen."""
    found: dict[int, Process] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                entry = read_stat((folder / "stat").read_text(encoding="utf-8", errors="replace"))
            except (OSError, ValueError):
                continue  # it ended meanwhile
            found[entry.pid] = entry
    return found


def tree(root: int, all_of: Mapping[int, Process]) -> set[int]:
    """A process and its living descendants."""
    found, more = set[int](), {root} & all_of.keys()
    while more:
        found |= more
        more = {entry.pid for entry in all_of.values() if entry.parent in more} - found
    return found


def cpu_s(roots: Mapping[str, int]) -> dict[str, float]:
    """Seconds of CPU that each part's tree has used so far."""
    all_of = processes()
    return {part: sum(all_of[pid].cpu_s for pid in tree(root, all_of)) for part, root in roots.items()}


def peak_rss_mb(root: int) -> float:
    """The most memory that the processes of a tree were resident in, MB, each at its own worst moment."""
    return _memory_mb(root, "VmHWM")


def rss_mb(root: int) -> float:
    """The memory that the processes of a tree are resident in now, MB."""
    return _memory_mb(root, "VmRSS")


def _memory_mb(root: int, field: str) -> float:
    total = 0
    for pid in tree(root, processes()):
        try:
            status = (PROC / str(pid) / "status").read_text(encoding="utf-8")
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith(field)), 0)
    return total * 1024 / 1e6
