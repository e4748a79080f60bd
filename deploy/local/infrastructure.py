"""Bring Kafka, PostgreSQL and the trace viewer up, each only when it does not run already."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from . import artifacts, kafka, postgres
from .layout import Layout
from .ports import DEFAULTS, HOST, choose
from .processes import pid_of
from .provision import SERVICES, make_database, provision
from .state import Stack

Say = Callable[[str], None]


def start(root: Path, layout: Layout, earlier: Stack | None, say: Say) -> tuple[dict[str, int], dict[str, int]]:
    """Have the infrastructure running and the database provisioned; gives its pids and its ports.

    Raises StackError when Kafka or PostgreSQL cannot be had; the trace viewer is done without.
    """
    wanted = DEFAULTS | (earlier.ports if earlier is not None else {})
    given: dict[str, int] = {}
    server = _server(layout, wanted, given, say)
    broker = _broker(root, layout, wanted, given, say)
    _await_server(layout, server, given["postgres"], say)
    _await_broker(layout, broker, given["kafka"], say)
    return {"postgres": server[0], "kafka": broker[0]}, given


def _port(name: str, wanted: dict[str, int], given: dict[str, int], say: Say) -> int:
    given[name] = choose(name, wanted[name], set(given.values()), say)
    return given[name]


def _server(layout: Layout, wanted: dict[str, int], given: dict[str, int], say: Say) -> tuple[int, float | None]:
    found = postgres.found(layout)
    if found is not None:
        pid, given["postgres"] = found
        return pid, None
    half_started = pid_of(layout.base, postgres.PART)
    if half_started is not None:
        postgres.end(layout, [half_started])
    began = time.monotonic()
    return postgres.start(layout, _port("postgres", wanted, given, say), say), began


def _await_server(layout: Layout, server: tuple[int, float | None], port: int, say: Say) -> None:
    pid, began = server
    postgres.await_ready(layout, pid)
    asyncio.run(_make_ready(layout, port))
    say(f"PostgreSQL on {HOST}:{port} {_since(began)}")


async def _make_ready(layout: Layout, port: int) -> None:
    await make_database(postgres.dsn(layout, postgres.ADMIN, port, "postgres"))
    passwords = {service: postgres.password(layout, service) for service in SERVICES}
    await provision(postgres.dsn(layout, postgres.ADMIN, port), passwords)


def _broker(
    root: Path, layout: Layout, wanted: dict[str, int], given: dict[str, int], say: Say
) -> tuple[int, float | None]:
    found = kafka.found(layout)
    if found is not None:
        pid, given["kafka"], given["kafka_controller"] = found
        return pid, None
    jars = artifacts.fetch(artifacts.listed(root)[0], artifacts.cache_folder(layout), say)
    began = time.monotonic()
    port = _port("kafka", wanted, given, say)
    return kafka.start(layout, jars, port, _port("kafka_controller", wanted, given, say), say), began


def _await_broker(layout: Layout, broker: tuple[int, float | None], port: int, say: Say) -> None:
    pid, began = broker
    kafka.await_ready(layout, pid, port)
    say(f"Kafka on {HOST}:{port} {_since(began)}")


def _since(began: float | None) -> str:
    return "runs already" if began is None else f"is up ({time.monotonic() - began:.1f} s)"
