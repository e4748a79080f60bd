"""Bring Kafka, PostgreSQL and the trace viewer up, each only when it does not run already."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from . import artifacts, kafka, postgres, zipkin
from .layout import Layout, StackError
from .ports import HOST, choose, is_free, listens
from .processes import pid_of, running, stop
from .provision import SERVICES, make_database, provision

Say = Callable[[str], None]
_PART_AT = {"postgres": postgres.PART, "kafka": kafka.PART, "kafka_controller": kafka.PART}


def start(root: Path, layout: Layout, wanted: dict[str, int], given: dict[str, int], say: Say) -> dict[str, int]:
    """Have Kafka and PostgreSQL running and the database provisioned; gives their pids and fills in `given` ports.

    Raises StackError when one cannot be had.
    """
    for _ in range(3):
        try:
            return _start(root, layout, wanted, given, say)
        except StackError:
            # Between the look at a port and its use somebody else may have taken it: then again, with another.
            alive = set(running(layout.base).values())
            if all(is_free(given[name]) for name, part in _PART_AT.items() if name in given and part not in alive):
                raise
        say("a port was taken by somebody else in the meantime; trying others")
        given.clear()
    return _start(root, layout, wanted, given, say)


def _start(root: Path, layout: Layout, wanted: dict[str, int], given: dict[str, int], say: Say) -> dict[str, int]:
    server = _server(layout, wanted, given, say)
    broker = _broker(root, layout, wanted, given, say)
    _await_server(layout, server, given["postgres"], say)
    _await_broker(layout, broker, given["kafka"], say)
    return {postgres.PART: server[0], kafka.PART: broker[0]}


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


def start_viewer(root: Path, layout: Layout, wanted: dict[str, int], given: dict[str, int], say: Say) -> dict[str, int]:
    """Have the trace viewer and its forwarder started, and give their pids; without the viewer there are none.

    Raises OSError when a process cannot be started.
    """
    pid = _kept(layout, zipkin.PART, "zipkin", wanted, given)
    if pid is None:
        jar = _viewer_jar(root, layout, say)
        if jar is None:
            return {}
        pid = zipkin.start(layout, jar, _port("zipkin", wanted, given, say))
    if given["zipkin"] != wanted["zipkin"]:
        _end(layout, zipkin.FORWARDER)  # it would go on sending to the old place
    forwarder = _kept(layout, zipkin.FORWARDER, "otlp", wanted, given)
    if forwarder is None:
        address = f"http://{HOST}:{given['zipkin']}"
        forwarder = zipkin.start_forwarder(root, layout, _port("otlp", wanted, given, say), address)
    return {zipkin.PART: pid, zipkin.FORWARDER: forwarder}


def await_viewer(layout: Layout, pids: dict[str, int], given: dict[str, int], say: Say) -> bool:
    """Wait for the trace viewer; gives False, and says why, when it does not come up."""
    if not pids:
        return False
    began = time.monotonic()
    try:
        zipkin.await_forwarder(layout, pids[zipkin.FORWARDER], f"http://{HOST}:{given['otlp']}")
        zipkin.await_ready(layout, pids[zipkin.PART], f"http://{HOST}:{given['zipkin']}")
    except StackError as error:
        say(f"{error}\ngoing on without traces")
        _end(layout, zipkin.FORWARDER)
        _end(layout, zipkin.PART)
        return False
    say(f"Zipkin on http://{HOST}:{given['zipkin']} is up (waited {time.monotonic() - began:.1f} s)")
    return True


def _viewer_jar(root: Path, layout: Layout, say: Say) -> Path | None:
    viewer = artifacts.listed(root)[1]
    if viewer is None:
        return None
    try:
        return artifacts.fetch([viewer], artifacts.cache_folder(layout), say)[0]
    except StackError as error:
        say(f"going on without the trace viewer: {error}")
        return None


def _kept(layout: Layout, part: str, name: str, wanted: dict[str, int], given: dict[str, int]) -> int | None:
    # Its port is known from the last start only; one that does not listen there is a leftover and makes way.
    pid = pid_of(layout.base, part)
    if pid is not None and listens(wanted[name]):
        given[name] = wanted[name]
        return pid
    _end(layout, part)
    return None


def _end(layout: Layout, part: str) -> None:
    pid = pid_of(layout.base, part)
    if pid is not None:
        stop([pid], layout.base, part)


def _since(began: float | None) -> str:
    return "runs already" if began is None else f"is up ({time.monotonic() - began:.1f} s)"
