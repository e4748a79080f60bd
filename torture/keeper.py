"""Keeps the services running under fire: starts again what dies, adds second processes, runs other code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter, defaultdict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen

import httpx

from deploy.local import processes
from deploy.local.layout import Layout
from deploy.local.provision import DECIDING as SERVICES
from deploy.local.services import environment, log_file
from deploy.local.state import Stack
from ops.target import ROOT

RETRY_SCALE = "0.01"
"""Webhooks are tried again after 0.05 s, 3 s, 18 s instead of 5 s, 5 min, 30 min."""
Process = Popen[bytes]
KEPT, COMPANION = "kept", "companion"
"""Names in the group, as production gives them: who starts again under its name has its partitions back at once."""
DELAY_S = 0.3
LOOK_S = 0.05
GRACE_S = 20.0


@dataclass
class Keeper:
    """The processes of all services. Each service has one that is kept running, and now and then companions."""

    layout: Layout
    stack: Stack
    """What the services are told."""
    code: dict[str, Path] = field(default_factory=lambda: dict.fromkeys(SERVICES, ROOT))
    """Service -> the checkout whose code it runs from its next start on."""
    drills: dict[str, deque[str]] = field(default_factory=lambda: defaultdict[str, deque[str]](deque))
    """Service -> `PLACE:N` with which its next processes are armed."""
    running: dict[str, Process] = field(default_factory=dict[str, Process])
    fired: Counter[str] = field(default_factory=Counter[str])
    """Place -> processes that died there."""
    deaths: Counter[str] = field(default_factory=Counter[str])
    """`killed`, `drilled`, `halted` (ended itself, to be started afresh), `told`, `crashed` -> processes."""
    starts: int = 0
    _down: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])
    _killed: set[int] = field(default_factory=set[int])

    @asynccontextmanager
    async def keeping(self) -> AsyncGenerator[Keeper]:
        """Every service runs, and is started again whenever it dies, until the end of the block."""
        for name in SERVICES:
            self._down[name] = asyncio.Event()
            self._down[name].set()
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(self._keep(name)) for name in SERVICES]
            try:
                yield self
            finally:
                for keeper in keepers:
                    keeper.cancel()

    async def _keep(self, service: str) -> None:
        while True:
            await self._down[service].wait()
            drill = self.drills[service].popleft() if self.drills[service] else None
            process = self._spawn(service, self.stack.services[service].port, KEPT, drill)
            self.running[service] = process
            try:
                code = await _ended(process)
            except asyncio.CancelledError:
                await _end(process)
                raise
            fired = self._note(process, code, drill)
            if drill is not None and not fired:
                self.drills[service].append(drill)  # its turn is still to come
            await asyncio.sleep(DELAY_S)

    def _note(self, process: Process, code: int, drill: str | None) -> bool:
        """Count a death; whether it was the drill's doing."""
        fired = code == -signal.SIGKILL and process.pid not in self._killed and drill is not None
        if fired and drill is not None:
            self.fired[drill.partition(":")[0]] += 1
        kind = (
            "drilled"
            if fired
            else {-signal.SIGKILL: "killed", -signal.SIGTERM: "told", 70: "halted", 0: "told"}.get(code, "crashed")
        )
        self.deaths[kind] += 1
        return fired

    def _spawn(self, service: str, port: int, name: str, drill: str | None = None, code: Path | None = None) -> Process:
        code = code or self.code[service]
        marks = {processes.STACK: str(self.layout.base), processes.PART: service}
        settings = {"WHP_HTTP_PORT": str(port), "WHP_RETRY_SCALE": RETRY_SCALE, "WHP_INSTANCE": name}
        if drill is not None:
            settings["WHP_DRILL"] = drill
        paths = {"PYTHONPATH": f"{code}{os.pathsep}{code / 'contracts'}"}
        self.starts += 1
        with log_file(self.layout, service).open("ab") as log:
            return Popen(  # noqa: S603 - our own services
                [sys.executable, "-m", f"services.{service}"],
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                cwd=code,
                env=os.environ | environment(self.layout, self.stack, service) | marks | settings | paths,
                start_new_session=True,
            )

    def kill(self, service: str) -> int | None:
        """`kill -9`; it is started again. Gives the pid, or None where none runs at this moment."""
        return self.signal(service, signal.SIGKILL)

    def signal(self, service: str, number: signal.Signals) -> int | None:
        """Send a signal to a service's process. Gives the pid, or None where none runs at this moment."""
        process = self.running.get(service)
        if process is None or process.poll() is not None:
            return None
        if number == signal.SIGKILL:
            self._killed.add(process.pid)
        process.send_signal(number)
        return process.pid

    @asynccontextmanager
    async def down(self, service: str) -> AsyncGenerator[None]:
        """A service is ended in good order, and not started again before the end of the block."""
        self._down[service].clear()
        process = self.running.get(service)
        if process is not None:
            await _end(process)
        try:
            yield
        finally:
            self._down[service].set()

    @asynccontextmanager
    async def companion(self, service: str, code: Path | None = None) -> AsyncGenerator[Process]:
        """A second process of a service, of the same code or another, until the end of the block."""
        process = self._spawn(service, 0, COMPANION, code=code)
        try:
            yield process
        finally:
            await _end(process)

    async def ready(self, service: str, within_s: float = 60) -> bool:
        """Wait until a service's door says that it is ready; False when it does not in time."""
        async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    while True:
                        with contextlib.suppress(httpx.HTTPError):
                            port = self.stack.services[service].port
                            if (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                                return True
                        await asyncio.sleep(0.1)
        return False


async def _end(process: Process) -> None:
    """Ask it to end, and end it by force where it does not."""
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        await asyncio.wait_for(_ended(process), GRACE_S)
    except TimeoutError:
        process.kill()
        await _ended(process)


async def _ended(process: Process) -> int:
    """Wait for its end and give its exit code, -N for signal N."""
    while (code := process.poll()) is None:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    return code
