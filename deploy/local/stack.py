"""Start and stop the local stack: Kafka, PostgreSQL, the trace viewer and the four services.

What runs is found by the marks on the processes, not by what a file says, so that a start survives whatever an
earlier one left behind. `up` and `down` block: call them from a thread when an event loop runs.
"""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import infrastructure, kafka, postgres, processes
from .layout import Layout, StackError, layout_of, make_folders
from .ports import DEFAULTS, HOST
from .provision import SERVICES
from .state import Service, Stack, load, locked, save


def read(root: Path) -> Stack | None:
    """The stack as it was last written down, or None when none was started."""
    return load(layout_of(root))


def up(root: Path, *, services: bool = True, say: Callable[[str], None]) -> Stack:
    """Start what is missing and give the addresses of everything; what runs already is used as it is.

    Raises StackError with the mend. On any error, and on Ctrl-C, what this call started is stopped again.
    """
    layout = layout_of(root)
    make_folders(layout)
    with locked(layout.lock_file, lambda: say("another start or stop of this stack is under way; waiting for it")):
        before = set(processes.running(layout.base))
        try:
            return _up(root, layout, services, say)
        except BaseException:
            say("stopping what this start had begun")
            _stop(layout, [pid for pid in processes.running(layout.base) if pid not in before])
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
        pids = list(processes.running(layout.base))
        left = _stop(layout, pids)
        if left:
            raise StackError(f"Could not stop {', '.join(left)}; run this as the user who started the stack.")
        stack = load(layout)
        if stack is not None:
            stack.pids.clear()
            for service in stack.services.values():
                service.pid = None
            save(layout, stack)
        say(f"stopped {len(pids)} process{'es' if len(pids) != 1 else ''}" if pids else "nothing runs")


def _up(root: Path, layout: Layout, services: bool, say: Callable[[str], None]) -> Stack:
    earlier = load(layout)
    pids, ports = infrastructure.start(root, layout, earlier, say)
    stack = _describe(layout, earlier, pids, ports)
    save(layout, stack)
    return stack


def _describe(layout: Layout, earlier: Stack | None, pids: dict[str, int], ports: dict[str, int]) -> Stack:
    doors = {name: ports.get(name, DEFAULTS[name]) for name in SERVICES}
    return Stack(
        kafka=f"{HOST}:{ports['kafka']}",
        database=postgres.dsn(layout, postgres.ADMIN, ports["postgres"]),
        front_door=f"http://{HOST}:{doors['intake']}",
        employer_door=f"http://{HOST}:{doors['notify']}",
        services={
            name: Service(port=doors[name], database=postgres.dsn(layout, name, ports["postgres"])) for name in SERVICES
        },
        keys=earlier.keys if earlier is not None else Stack.model_fields["keys"].default,
        pids=pids,
        ports=ports | doors,
    )


def _stop(layout: Layout, pids: Collection[int]) -> list[str]:
    """Stop these processes of the stack, services before what they stand on; gives the parts that would not stop."""
    parts = {pid: part for pid, part in processes.running(layout.base).items() if pid in pids}
    left: list[str] = []

    def end(part: str) -> None:
        if not _stop_part(layout, part, parts):
            left.append(part)

    # The supervisor first: it would start again what is stopped behind its back.
    below = {"otlp_forwarder", "zipkin", kafka.PART, postgres.PART}
    for group in ({"supervisor"}, set(parts.values()) - below - {"supervisor"}, below):
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
