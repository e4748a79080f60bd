"""What the services stand on under fire: PostgreSQL and Kafka, each behind a proxy, on a disk that can be filled.

The checker and whoever sends poison use the direct ports; only the services go through the proxies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local import artifacts, kafka, postgres, processes
from deploy.local.keys import issue_missing
from deploy.local.layout import Layout, StackError, make_folders
from deploy.local.ports import HOST, is_free
from deploy.local.prepare import partner_topic, tables_and_topics
from deploy.local.provision import DECIDING as SERVICES
from deploy.local.provision import SERVICES as PROVISIONED
from deploy.local.provision import make_database, provision
from deploy.local.state import Keys, Service, Stack, save
from ops.target import ROOT, Target, target_of
from torture.proxy import Remote, remote

DISK = "6g"
"""The tmpfs that a part's data lies on: some 2 GB are used, and the rest can be filled in a second."""
FIRST_PORT = 21000
LAST_PORT = 29000
"""Below the range that the machine gives to outgoing connections, away from the usual stack."""
RESTART_S = 90.0


@dataclass
class Ground:
    """Running infrastructure."""

    layout: Layout
    jars: Sequence[Path]
    ports: dict[str, int]
    stack: Stack
    """Direct addresses."""
    through: Stack
    """The same services as they are told: Kafka and PostgreSQL behind the proxies."""
    postgres_link: Remote
    kafka_link: Remote
    can_fill: bool
    """Whether the data lies on a tmpfs of its own."""
    notes: Path
    """A folder for what the torture writes down: on another disk, which is never full."""

    @property
    def target(self) -> Target:
        """As operations see it, directly."""
        return target_of(self.stack)

    async def start_postgres(self) -> None:
        """Start the server, and again until it stays: right after a kill its children may still be ending."""
        await _until_it_stays(self._start_postgres)

    def _start_postgres(self) -> None:
        pid = postgres.start(self.layout, self.ports["postgres"], _quiet)
        postgres.await_ready(self.layout, pid)

    async def start_kafka(self) -> None:
        """Start the broker, and again until it stays."""
        await _until_it_stays(self._start_kafka)

    def _start_kafka(self) -> None:
        proxied = self.ports["proxied"], self.kafka_link.port
        pid = kafka.start(
            self.layout, self.jars, self.ports["kafka"], self.ports["kafka_controller"], _quiet, proxied=proxied
        )
        kafka.await_ready(self.layout, pid, self.ports["kafka"])

    def kill(self, part: str) -> None:
        """`kill -9` a part's first process: the postmaster, or the broker."""
        pid = processes.pid_of(self.layout.base, part)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def stop_kafka(self) -> None:
        """Stop the broker in good order."""
        pid = processes.pid_of(self.layout.base, kafka.PART)
        if pid is not None:
            await asyncio.to_thread(kafka.end, self.layout, [pid])

    def runs(self, part: str) -> bool:
        """Whether a part runs."""
        return processes.pid_of(self.layout.base, part) is not None

    async def mend(self) -> None:
        """Start again what a full disk has ended; both may take a moment to find out that they cannot go on."""
        for part, start in ((postgres.PART, self.start_postgres), (kafka.PART, self.start_kafka)):
            if not self.runs(part):
                await start()

    def fill(self) -> Path:
        """Fill the disk to the last byte. Deleting the file that is returned empties it again."""
        ballast = self.layout.base / "ballast"
        with ballast.open("wb") as file:
            for size in (1 << 26, 1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.tell(), size)
                        file.seek(0, os.SEEK_END)
        return ballast


@asynccontextmanager
async def ground(clinics_with_topics: Sequence[str]) -> AsyncGenerator[Ground]:
    """Raise a ground, migrated and with topics and keys; everything of it is gone at the end.

    Raises StackError when a part of it cannot be had.
    """
    layout, mounted = _clear()
    try:
        ports = _ports(["postgres", "kafka", "kafka_controller", "proxied", *SERVICES])
        async with AsyncExitStack() as stack:
            marks = os.environ | {processes.STACK: str(layout.base), processes.PART: "proxy"}
            to_postgres = await stack.enter_async_context(remote(ports["postgres"], marks))
            to_kafka = await stack.enter_async_context(remote(ports["proxied"], marks))
            jars = await asyncio.to_thread(_jars, layout)
            direct, through = (
                _stack(layout, ports, database=at, kafka_at=broker)
                for at, broker in ((ports["postgres"], ports["kafka"]), (to_postgres.port, to_kafka.port))
            )
            notes = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whp-notes-")))
            raised = Ground(layout, jars, ports, direct, through, to_postgres, to_kafka, mounted, notes)
            await asyncio.gather(raised.start_postgres(), raised.start_kafka())
            await _prepare(raised, clinics_with_topics)
            yield raised
    finally:
        _raze(layout, mounted)


async def _prepare(raised: Ground, clinics_with_topics: Sequence[str]) -> None:
    layout, port = raised.layout, raised.ports["postgres"]
    await make_database(postgres.dsn(layout, postgres.ADMIN, port, "postgres"))
    await provision(raised.stack.database, {name: postgres.password(layout, name) for name in PROVISIONED})
    await tables_and_topics(ROOT, raised.stack)
    raised.stack.keys = await issue_missing(raised.stack.database, Keys())
    for clinic in clinics_with_topics:
        await partner_topic(ROOT, raised.stack.kafka, "clinic", clinic)
    save(layout, raised.stack)


def _stack(layout: Layout, ports: dict[str, int], *, database: int, kafka_at: int) -> Stack:
    return Stack(
        kafka=f"{HOST}:{kafka_at}",
        database=postgres.dsn(layout, postgres.ADMIN, database),
        front_door=f"http://{HOST}:{ports['intake']}",
        employer_door=f"http://{HOST}:{ports['notify']}",
        services={name: Service(port=ports[name], database=postgres.dsn(layout, name, database)) for name in SERVICES},
        pids={"torture": os.getpid()},
        ports=ports,
    )


def _clear() -> tuple[Layout, bool]:
    """An empty folder, and whether it is a disk of its own."""
    folder = Path(tempfile.mkdtemp(prefix="whp-torture-"))
    mounted = _mount(folder)
    # As root the database server runs as a user of its own, who must pass through the folders above its data.
    folder.chmod(0o755)
    layout = Layout(folder)
    make_folders(layout)
    return layout, mounted


def _raze(layout: Layout, mounted: bool) -> None:
    _stop_all(layout)
    if mounted:
        subprocess.run(["umount", "--lazy", layout.base], check=False)  # noqa: S603, S607
    shutil.rmtree(layout.base, ignore_errors=True)


def _mount(folder: Path) -> bool:
    """A small disk of memory, where the machine permits one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603


def _ports(names: Sequence[str]) -> dict[str, int]:
    free = (FIRST_PORT + (start + secrets.randbelow(7)) for start in range(secrets.randbelow(7000), 8000, 8))
    found = [
        port for port, _ in zip((port for port in free if port < LAST_PORT and is_free(port)), names, strict=False)
    ]
    if len(found) < len(names):
        return _ports(names)
    return dict(zip(names, found, strict=True))


def _jars(layout: Layout) -> list[Path]:
    return artifacts.fetch(artifacts.listed(ROOT)[0], artifacts.cache_folder(layout), print)


async def _until_it_stays(start: Callable[[], None]) -> None:
    deadline = asyncio.get_running_loop().time() + RESTART_S
    while True:
        try:
            return await asyncio.to_thread(start)
        except StackError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.5)


def _stop_all(layout: Layout) -> None:
    """Nothing of the ground outlives it, in whatever state it is."""
    for pid in processes.running(layout.base):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    each.kill()
            process.wait(10)


def _quiet(_: str) -> None:
    """A restart in the middle of a fire is no news."""
