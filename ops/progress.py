"""How far a cohort is: a bar on a terminal, lines in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from simulator import cohort

LINE_EVERY_S = 5.0


@contextmanager
def watching(console: Console, cases: int) -> Generator[Callable[[cohort.Progress], None]]:
    """Give what the cohort calls with its progress."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("[dim]{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        task = bar.add_task("cases", total=cases, note="")
        yield lambda at: bar.update(task, completed=at.ended, note=_note(at))


def _lines(console: Console) -> Callable[[cohort.Progress], None]:
    began = time.monotonic()
    said = began - LINE_EVERY_S

    def show(at: cohort.Progress) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= LINE_EVERY_S:
            said = now
            console.print(f"{now - began:5.0f} s  {at.ended} of {at.cases} cases ended, {_note(at)}", highlight=False)

    return show


def _note(at: cohort.Progress) -> str:
    return f"{at.sent} events sent, {at.updates} updates at employers"
