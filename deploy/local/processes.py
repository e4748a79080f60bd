"""Start, recognise and stop the processes of a stack.

A pid alone proves nothing: after a crash or a reboot it may belong to a stranger. Each process is therefore started
with the data directory and its part's name in its environment, and only what carries both is ever signalled.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

STACK = "WHP_STACK"
PART = "WHP_STACK_PART"


def spawn(
    command: Sequence[str | Path],
    *,
    base: Path,
    part: str,
    log: Path,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    user: tuple[int, int] | None = None,
) -> int:
    """Start a process in a session of its own (a Ctrl-C in the terminal is not for it) and give its pid.

    `user` is a (uid, gid) to run as. Raises OSError when the program cannot be started.
    """
    settings = dict(os.environ if environment is None else environment) | {STACK: str(base), PART: part}
    uid, gid = user or (None, None)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - every command is put together by this package
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=settings,
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if user is None else [],
        )
    # It is meant to outlive us: known by its pid from here on, so that the object need not complain when it goes.
    child.returncode = 0
    return child.pid


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not yet reaped by its parent does not."""
    # Were it our own child, it would linger as a zombie until somebody asks for its end.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def process_name(pid: int) -> str | None:
    """The program's name of a process, or None when there is none."""
    try:
        return psutil.Process(pid).name() if alive(pid) else None
    except psutil.Error:
        return None


def _mark(process: psutil.Process, base: Path) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        environment = process.environ()
    except (psutil.Error, OSError):
        return None
    return environment.get(PART) if environment.get(STACK) == str(base) else None


def ours(pid: int, base: Path, part: str) -> bool:
    """Whether this pid is that part of this stack, and not a stranger who was given the number later."""
    try:
        return alive(pid) and _mark(psutil.Process(pid), base) == part
    except psutil.Error:
        return False


def running(base: Path) -> dict[int, str]:
    """Every process of this stack and the part it is, children of a part (PostgreSQL's) left out."""
    found = {
        process.pid: (part, process.ppid())
        for process in psutil.process_iter()
        if (part := _mark(process, base)) is not None
    }
    return {pid: part for pid, (part, parent) in found.items() if found.get(parent, ("", 0))[0] != part}


def pid_of(base: Path, part: str) -> int | None:
    """The pid of one part of this stack, found by its marks and not by what a file says."""
    return next((pid for pid, found in running(base).items() if found == part), None)


def stop(
    pids: Iterable[int], base: Path, part: str, *, first: signal.Signals = signal.SIGTERM, grace: float = 10.0
) -> bool:
    """Ask processes of one part to end, and end them by force after `grace` seconds.

    Gives False when one is not ours to signal or did not end. Strangers are left alone.
    """
    wanted = [pid for pid in pids if ours(pid, base, part)]
    for name, patience in ((first, grace), (signal.SIGKILL, 5.0)):
        for pid in wanted:
            if ours(pid, base, part) and not _signal(pid, name):
                return False
        if wait_until(lambda: not any(alive(pid) for pid in wanted), patience):
            return True
    return False


def _signal(pid: int, name: signal.Signals) -> bool:
    try:
        os.kill(pid, name)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float, *, step: float = 0.05) -> bool:
    """Look at a condition until it holds or the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True
