"""Start and stop the local stack: Kafka, PostgreSQL, the trace viewer and the five services.

What runs is found by the marks on the processes, not by what a file says, so that a start survives whatever an
earlier one left behind. `up` and `down` block: call them from a thread when an event loop runs.
"""

import contextlib
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import infrastructure, kafka, postgres, processes, supervisor, zipkin
from .layout import Layout, StackError, layout_of, make_folders
from .ports import DEFAULTS, HOST, choose
from .prepare import prepare
from .provision import SERVICES
from .services import await_ready
from .state import Keys, Service, Stack, change, load, locked, save

__all__ = ["Stack", "StackError", "down", "prepare", "read", "up"]


def read(root: Path) -> Stack | None:
    """The stack as it was last written down, or None when none was started."""
    return load(layout_of(root))


def up(
    root: Path, *, services: bool = True, traces: bool = True, secured: bool = False, say: Callable[[str], None]
) -> Stack:
    """Start what is missing and give the addresses of everything; what runs already is used as it is.

    A stack that is made `secured` has logins and access lists from then on. Without `services` neither topics nor
    tables are made: `prepare` does that. Raises StackError with the mend.
    On any error, and on Ctrl-C, what this call started is stopped again.
    """
    layout = layout_of(root)
    make_folders(layout)
    with locked(layout.lock_file, lambda: say("another start or stop of this stack is under way; waiting for it")):
        before = set(processes.running(layout.base))
        if secured and not kafka.is_secured(layout):
            kafka.secure(layout)
        try:
            return _up(root, layout, services, traces, say)
        except BaseException:
            # Also when nobody reads what we say any more.
            with contextlib.suppress(OSError):
                say("stopping what this start had begun")
            _stop(layout, processes.running(layout.base).keys() - before)
            _forget_the_dead(layout)
            raise


def down(root: Path, *, say: Callable[[str], None]) -> None:
    """Stop every process of the stack; its data stays.

    Raises StackError when a process cannot be stopped.
    """
    layout = layout_of(root)
    if not layout.base.exists():
        say("nothing runs")
        return
    with locked(layout.lock_file, lambda: say("another start or stop of this stack is under way; waiting for it")):
        pids = processes.running(layout.base)
        left = _stop(layout, pids)
        _forget_the_dead(layout)
        if left:
            raise StackError(f"Could not stop {', '.join(left)}; run this as the user who started the stack.")
        count = "1 process" if len(pids) == 1 else f"{len(pids)} processes"
        say(f"stopped {count}" if pids else "nothing runs")


def _up(root: Path, layout: Layout, services: bool, traces: bool, say: Callable[[str], None]) -> Stack:
    earlier = load(layout)
    wanted = DEFAULTS | (earlier.ports if earlier is not None else {})
    ports: dict[str, int] = {}
    pids = infrastructure.start(root, layout, wanted, ports, say)
    # One that runs stays, since the services may be sending to it.
    traces = traces or processes.pid_of(layout.base, zipkin.PART) is not None
    viewer = infrastructure.start_viewer(root, layout, wanted, ports, say) if traces else {}
    # Services started against other addresses than these must be started anew.
    keeper = _supervisor(layout, earlier, ports)
    for name in SERVICES:
        ports[name] = wanted[name] if keeper else choose(name, wanted[name], set(ports.values()), say)
    _write_down(layout, pids | viewer, ports, keeper)
    if services:
        prepare(root, say=say)
        if keeper is None:
            keeper = _start_services(root, layout, say)
        await_ready(layout, keeper, SERVICES)
        say(f"services are ready; clinics send to http://{HOST}:{ports['intake']}")
        say(f"people look at http://{HOST}:{ports['console']}, with a key of `clinicians` or `roles` in stack.json")
    if viewer and not infrastructure.await_viewer(layout, viewer, ports, say):
        change(layout, _without_viewer)
    stack = load(layout)
    if stack is None:
        raise StackError(f"{layout.stack_file} was deleted during the start; start again.")
    return stack


def _supervisor(layout: Layout, earlier: Stack | None, ports: dict[str, int]) -> int | None:
    pid = processes.pid_of(layout.base, supervisor.PART)
    same = earlier is not None and all(
        earlier.ports.get(name) == ports.get(name) for name in ("kafka", "postgres", "otlp")
    )
    if pid is not None and same:
        return pid
    # Orphans of a supervisor that was killed go too: nobody would start them again when they die.
    parts = {supervisor.PART, *SERVICES}
    _stop(layout, [pid for pid, part in processes.running(layout.base).items() if part in parts])
    return None


def _start_services(root: Path, layout: Layout, say: Callable[[str], None]) -> int:
    say(f"starting {', '.join(SERVICES)}")
    pid = processes.spawn(
        [sys.executable, "-m", "deploy.local.supervisor", "--base", layout.base],
        base=layout.base,
        part=supervisor.PART,
        log=layout.logs / "supervisor.log",
        cwd=root,
    )

    def amend(stack: Stack) -> None:
        stack.pids[supervisor.PART] = pid

    change(layout, amend)
    return pid


def _write_down(layout: Layout, pids: dict[str, int], ports: dict[str, int], keeper: int | None) -> None:
    with locked(layout.stack_lock_file):
        earlier = load(layout)
        kept = earlier.services if earlier is not None and keeper is not None else {}
        stack = Stack(
            kafka=kafka.address(layout, ports["kafka"]),
            database=postgres.dsn(layout, postgres.ADMIN, ports["postgres"]),
            zipkin=f"http://{HOST}:{ports['zipkin']}" if zipkin.PART in pids else None,
            otlp=f"http://{HOST}:{ports['otlp']}" if zipkin.FORWARDER in pids else None,
            front_door=f"http://{HOST}:{ports['intake']}",
            employer_door=f"http://{HOST}:{ports['notify']}",
            console=f"http://{HOST}:{ports['console']}",
            services={
                name: kept.get(name)
                or Service(port=ports[name], database=postgres.dsn(layout, name, ports["postgres"]))
                for name in SERVICES
            },
            keys=Keys() if earlier is None else earlier.keys,
            pids=pids if keeper is None else pids | {supervisor.PART: keeper},
            ports=ports,
        )
        save(layout, stack)


def _without_viewer(stack: Stack) -> None:
    stack.zipkin = stack.otlp = None
    for part in (zipkin.PART, zipkin.FORWARDER):
        stack.pids.pop(part, None)


def _forget_the_dead(layout: Layout) -> None:
    alive = processes.running(layout.base)

    def amend(stack: Stack) -> None:
        stack.pids = {part: pid for part, pid in stack.pids.items() if alive.get(pid) == part}
        for name, service in stack.services.items():
            if service.pid is not None and alive.get(service.pid) != name:
                service.pid = None

    change(layout, amend)


def _stop(layout: Layout, pids: Collection[int]) -> list[str]:
    """Stop these processes of the stack, services before what they stand on; gives the parts that would not stop."""
    parts = {pid: part for pid, part in processes.running(layout.base).items() if pid in pids}
    left: list[str] = []

    def end(part: str) -> None:
        if not _stop_part(layout, part, parts):
            left.append(part)

    # The supervisor first: it would start again what is stopped behind its back.
    below = {zipkin.PART, zipkin.FORWARDER, kafka.PART, postgres.PART}
    for group in ({supervisor.PART}, set(parts.values()) - below - {supervisor.PART}, below):
        with ThreadPoolExecutor(max_workers=len(below)) as pool:
            list(pool.map(end, sorted(group & set(parts.values()))))
    return left


def _stop_part(layout: Layout, part: str, parts: dict[int, str]) -> bool:
    pids = [pid for pid, name in parts.items() if name == part]
    match part:
        case kafka.PART:
            return kafka.end(layout, pids)
        case postgres.PART:
            return postgres.end(layout, pids)
        case _:
            return processes.stop(pids, layout.base, part, grace=15)
