"""A running program of a test's own, and `whp` called there as a person calls it: as a process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg

from deploy.local import ports
from deploy.local.layout import Layout
from deploy.local.processes import running, wait_until
from deploy.local.state import Stack, load, save
from ops.target import Target, in_schema, target_of

WHP = Path(sys.executable).with_name("whp")
PATIENCE_S = 120.0
"""Nothing here takes so long on a quiet machine; other people's work must not make a test fail."""


SECURED = os.environ.get("WHP_TEST_SECURED") == "1"
"""Whether the tests' stacks are made as in production, with logins and access lists."""


@dataclass(frozen=True)
class Place:
    """Where a stack of the test's own is, runs or will run."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a command here, free of what the caller's own names; more WHP_* settings on top."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WHP_") or name == "WHP_CACHE"}
        return kept | {"WHP_LOCAL": str(self.folder), "COLUMNS": "120"} | more

    def whp(self, *arguments: str | Path, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with `given` on standard input."""
        return subprocess.run(
            [WHP, *arguments],
            input=given,
            capture_output=True,
            text=True,
            env=self.environment(**settings),
            timeout=3 * PATIENCE_S,
            check=False,
        )

    @contextmanager
    def begin(self, *arguments: str | Path) -> Generator[subprocess.Popen[str]]:
        """Start a command that will be watched while it runs; it talks into files, which never fill up as pipes do.

        One that still runs at the end is ended as by Ctrl-C.
        """
        with (
            (self.folder / "out.txt").open("w") as out,
            (self.folder / "err.txt").open("w") as err,
            subprocess.Popen([WHP, *arguments], stdout=out, stderr=err, text=True, env=self.environment()) as process,
        ):
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)

    def said(self) -> str:
        """All that the command begun last has said."""
        return "".join((self.folder / name).read_text() for name in ("out.txt", "err.txt"))

    def stack(self) -> Stack:
        """What runs, as stack.json says it now."""
        stack = load(Layout(self.folder))
        assert stack is not None
        return stack

    def target(self) -> Target:
        """The addresses as operations use them."""
        return target_of(self.stack())

    def processes(self) -> dict[int, str]:
        """What really runs, by the marks on the processes."""
        return running(self.folder)

    def query(self, schema: str, sql: str, *arguments: Any) -> list[Any]:
        """Rows of a service's schema, by the administrator."""
        return asyncio.run(_query(in_schema(self.stack().database, schema), sql, arguments))

    def count(self, schema: str, what: str) -> int:
        """How many rows of `what` (a table, with or without WHERE); 0 while there is no such table or server yet."""
        try:
            return cast(int, self.query(schema, f"SELECT count(*) FROM {what}")[0][0])
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return 0


@dataclass(frozen=True)
class Demonstration:
    """A `whp demo` that ran to its end."""

    code: int
    out: str
    err: str
    report: dict[str, Any]


def demonstrate(place: Place, cases: int = 12, seed: int = 7) -> Demonstration:
    """Run a demonstration to its end."""
    file = place.folder / "report.json"
    file.unlink(missing_ok=True)
    ran = place.whp("demo", "--cases", str(cases), "--seed", str(seed), "--report", file)
    return Demonstration(ran.returncode, ran.stdout, ran.stderr, json.loads(file.read_text()) if file.exists() else {})


def new_place() -> Place:
    """A folder in which nothing runs yet. Its ports lie away from the usual ones, where a stack may be up."""
    # Not pytest's own folder: as root the database server runs as a user of its own, who could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="whp-e2e-"))
    folder.chmod(0o755)
    shift = random.randrange(1, 60) * 100 + 50
    wanted = {name: port + shift for name, port in ports.DEFAULTS.items()}
    # As if a stack had been here and was stopped: the next start takes its ports, if they are free.
    save(Layout(folder), Stack(kafka="", database="", front_door="", employer_door="", ports=wanted))
    return Place(folder)


def give_back(place: Place) -> None:
    """Stop what runs there and delete it."""
    down = place.whp("down")
    left = place.processes()
    shutil.rmtree(place.folder, ignore_errors=True)
    assert down.returncode == 0, down.stderr
    assert not left


@contextmanager
def running_place() -> Generator[Place]:
    """A stack with all four services, until the block ends."""
    place = new_place()
    try:
        up = place.whp("up", *(["--secured"] if SECURED else []))
        assert up.returncode == 0, up.stderr
        yield place
    finally:
        give_back(place)


def await_that(condition: Callable[[], object], what: str) -> None:
    """Wait for something that can be seen."""
    assert wait_until(lambda: bool(condition()), PATIENCE_S, step=0.1), f"waited in vain: {what}"


async def _query(url: str, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close(timeout=5)
