"""The command line's tree, and how it prints."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib import metadata
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console

app = App(
    name="whp",
    help="The Work Hardening Program: run it, publish to it, look into it.",
    version=metadata.version("work-hardening-program"),
    suppress_keyboard_interrupt=False,  # `main` says that it stopped
)
parked = App(name="parked", help="Cases that failed for good and wait for a person.")
dead_letters = App(name="dead-letters", help="Records that name no readable case.")
outbox = App(name="outbox", help="Events that are decided and not published yet.")
employers = App(name="employers", help="Employers' endpoints for work-status updates.")
clinics = App(name="clinics", help="Clinics' mailboxes and webhooks.")
audit = App(name="audit", help="The disclosure log: check it, export it, account to a worker.")
keys = App(name="keys", help="API keys of clinics, employers and roles.")
topics = App(name="topics", help="Kafka topics, as declared in contracts/topics.")
demands = App(name="demands", help="The job demand library.")
contracts = App(name="contracts", help="The contract gate.")
for group in (parked, dead_letters, outbox, employers, clinics, audit, keys, topics, demands, contracts):
    app.command(group)

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program.")]
# In a file or a pipe there is no width to fit; tables are made for a wide page.
console = Console(width=None if sys.stdout.isatty() else 150)
errors = Console(stderr=True)


def say(line: str) -> None:
    """News for a person who waits; never part of the answer."""
    errors.print(line, highlight=False, markup=False, soft_wrap=True)


def answer(value: Any) -> None:
    """The answer itself, for a person or a program."""
    console.print(value, highlight=False, markup=False, soft_wrap=True)


def utc(time: datetime | None) -> datetime | None:
    """A time that was given without an offset is in UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
