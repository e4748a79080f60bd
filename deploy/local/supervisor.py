"""Keep the services running: one process for each, started again when it dies.

`python -m deploy.local.supervisor --base DIR`, with the repository as the working directory. A service that exits is
no accident: on a lost database or a doubt about its data it ends itself and counts on being started anew.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import processes
from .layout import Layout
from .provision import SERVICES
from .services import environment, log_file
from .state import Service, Stack, change, load

PART = "supervisor"
FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0
# One that lived this long was well; its next death begins with the short delay again.
WELL_AFTER = 30.0
GRACE = 10.0


def next_delay(previous: float | None, lived: float) -> float:
    """How long to wait before a service that died is started again, after the delay before and the time it lived."""
    if previous is None or lived >= WELL_AFTER:
        return FIRST_DELAY
    return min(previous * 2, LONGEST_DELAY)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to end by SIGTERM or SIGINT; gives the exit code."""
    parser = argparse.ArgumentParser(prog="deploy.local.supervisor", description="Keep the services running.")
    parser.add_argument("--base", type=Path, required=True, help="the stack's data directory")
    layout = Layout(parser.parse_args(arguments).base)
    stack = load(layout)
    if stack is None:
        print(f"{layout.stack_file} is missing; start the stack with `make up`", file=sys.stderr)
        return 1
    commands = {name: [sys.executable, "-m", f"services.{name}"] for name in SERVICES}
    asyncio.run(_supervise_until_told(layout, stack, commands))
    return 0


async def _supervise_until_told(layout: Layout, stack: Stack, commands: Mapping[str, Sequence[str]]) -> None:
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    await supervise(layout, stack, commands, ended)


async def supervise(layout: Layout, stack: Stack, commands: Mapping[str, Sequence[str]], ended: asyncio.Event) -> None:
    """Keep one process running for each command until the event is set; then end them all.

    Raises OSError, in a group, when a process cannot be started.
    """
    async with asyncio.TaskGroup() as group:
        keepers = [group.create_task(_keep(layout, stack, name, command)) for name, command in commands.items()]
        await ended.wait()
        for keeper in keepers:
            keeper.cancel()


async def _keep(layout: Layout, stack: Stack, name: str, command: Sequence[str]) -> None:
    delay: float | None = None
    restarts = 0
    while True:
        started = time.monotonic()
        process = await _start(layout, stack, name, command)
        _note(layout, name, lambda service, pid=process.pid, count=restarts: _running(service, pid, count))
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _end(name, process)
            _note(layout, name, _stopped)
            raise
        delay = next_delay(delay, time.monotonic() - started)
        print(f"{name} ({process.pid}) ended with {code}; next start in {delay:.1f} s", flush=True)
        _note(layout, name, _stopped)
        await asyncio.sleep(delay)
        restarts += 1


async def _start(layout: Layout, stack: Stack, name: str, command: Sequence[str]) -> Process:
    marks = {processes.STACK: str(layout.base), processes.PART: name}
    with log_file(layout, name).open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=log,
            stderr=STDOUT,
            env=os.environ | environment(layout, stack, name) | marks,
            start_new_session=True,
        )


async def _end(name: str, process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), GRACE)
    except TimeoutError:
        print(f"{name} ({process.pid}) did not end in {GRACE:.0f} s and is killed", flush=True)
        process.kill()
        await process.wait()


def _note(layout: Layout, name: str, amend: Callable[[Service], None]) -> None:
    change(layout, lambda stack: amend(stack.services[name]))


def _running(service: Service, pid: int, restarts: int) -> None:
    service.pid, service.restarts = pid, restarts


def _stopped(service: Service) -> None:
    service.pid = None


if __name__ == "__main__":
    sys.exit(main())
