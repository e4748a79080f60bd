"""A service's process: settings, logs, traces, pool, consumer, relay, doors, and an orderly or a sudden end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from faststream.kafka import KafkaBroker
from faststream.security import SASLScram512

from runtime import drill
from runtime.cases import add_partitions
from runtime.consume import Consumer, Halt
from runtime.db import Pool, Writer, open_pool, reduce_error
from runtime.fold import Handlers
from runtime.guard import guard_of
from runtime.http import make_app
from runtime.logs import set_up_logs
from runtime.metrics import GAUGES, Gauge, add_metrics
from runtime.migrate import pending
from runtime.operations import add_operations
from runtime.parking import expire_dead_letters
from runtime.relay import Publisher, Relay, transient
from runtime.retry import expire_waiting
from runtime.running import Running
from runtime.settings import Settings, read_settings
from runtime.telemetry import Telemetry, exports, set_up_traces
from runtime.within import within
from workhardening_contracts.kafka import read_address

T = TypeVar("T")

log = structlog.get_logger("service")

# Wall-clock time decides only whether a premise is still waited for and a dead letter kept; an hour is often enough for
# days.
EXPIRE_EVERY_S = 3600.0
# A start waits this long for Kafka, PostgreSQL and its migrations; then the process exits and is started again.
START_S = 60.0
# The consumer needs one; a request at a door asks three times, and four connections were what it waited for.
CONNECTIONS = 12
EXIT_HALTED = 70
# An end that takes longer is made sudden: a client of a broker that hangs may wait for it for minutes.
EXIT_S = 25.0


@dataclass(frozen=True)
class Service:
    """What makes a service: its decisions, what it reads, its tables' writers, its doors, workers and own figures."""

    name: str
    handlers: Callable[[Settings], Handlers[Any, Any]]
    topics: tuple[str, ...]
    writers: Mapping[type, Writer] = field(default_factory=dict[type, Writer])
    routers: tuple[APIRouter, ...] = ()
    workers: tuple[Callable[[Running], Coroutine[Any, Any, None]], ...] = ()
    gauges: tuple[Gauge, ...] = ()
    adds: tuple[Callable[[FastAPI], None], ...] = ()
    """What its application has beside doors: pages, static files."""


def run(service: Service) -> None:
    """Run a service until SIGTERM or SIGINT. Exits with 70 when it cannot go on and must be started again."""
    settings = read_settings()
    set_up_logs(service.name, settings.log_level)
    drill.arm(settings.drill)
    sys.exit(asyncio.run(_run(service, settings)))


def doors(service: Service, settings: Settings | None = None) -> FastAPI:
    """All that a service answers by HTTP; `app.state.running` is set when it has started."""
    app = make_app(service.name, settings and guard_of(settings))
    add_metrics(app, service.gauges)
    add_operations(app)
    for router in service.routers:
        app.include_router(router)
    for add in service.adds:
        add(app)
    return app


async def _run(service: Service, settings: Settings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    telemetry = set_up_traces(service.name, settings.trace_ratio)
    try:
        async with contextlib.AsyncExitStack() as stack:
            await _serve(service, settings, telemetry, stack, stop)
        log.info("stopped")
        return 0
    except Halt as halt:
        # Crash-only: whatever state this process is in, a fresh one is better known.
        log.critical("halted", reason=str(halt))
        return EXIT_HALTED
    except Exception as error:
        log.critical("failed", error=reduce_error(error))
        return EXIT_HALTED
    finally:
        telemetry.stop()


async def _serve(
    service: Service, settings: Settings, telemetry: Telemetry, stack: contextlib.AsyncExitStack, stop: asyncio.Event
) -> None:
    handlers = service.handlers(settings)
    dsn = settings.database_url.get_secret_value()
    pool = await _eventually(lambda: open_pool(dsn, service.name, size=CONNECTIONS), stop)
    stack.push_async_callback(_closed, pool)
    await _eventually(lambda: _migrated(pool, service.name), stop)
    kafka = settings.kafka_bootstrap.get_secret_value()
    publisher = Publisher(kafka, f"{service.name}-door", telemetry)
    stack.push_async_callback(publisher.stop)
    partitions = await _eventually(lambda: _partitions(publisher, service.topics[0]), stop)
    async with pool.acquire() as connection:
        await add_partitions(connection, partitions)

    relay = Relay(dsn, service.name, kafka, telemetry)
    consumer: Consumer[Any, Any] = Consumer(
        handlers, service.topics, service.writers, pool, settings, telemetry, relay.wake
    )
    broker = KafkaBroker(
        read_address(kafka).servers,
        security=security_of(kafka),
        client_id=service.name,
        apply_types=False,
        allow_auto_create_topics=False,
        graceful_timeout=10.0,
        logger=logging.getLogger("faststream"),
    )
    consumer.attach(broker)
    running = Running(service.name, settings, pool, publisher.publish, telemetry, consumer, relay, partitions)
    app = doors(service, settings)
    app.state.running = running

    # The door's address before the group's partitions: who cannot serve must not take them.
    listening = socket.create_server((settings.http_host, settings.http_port), backlog=2048)
    stack.callback(listening.close)
    await _eventually(lambda: within(START_S, broker.start()), stop)
    stack.push_async_callback(broker.stop)
    tasks = [
        asyncio.create_task(relay.run(), name="relay"),
        asyncio.create_task(consumer.watch(), name="watchdog"),
        asyncio.create_task(expire_hourly(running, handlers, service.writers), name="expiry"),
        *_exporting(running, service.gauges),
        *(asyncio.create_task(_kept_up(worker, running), name=worker.__name__) for worker in service.workers),
    ]
    server = _server(app, settings)
    door = asyncio.create_task(_served(server, listening), name="http")
    stack.push_async_callback(_cancelled, tasks)
    stack.push_async_callback(_shut, server, door)
    # Everything that exists now lives as long as the process: scanning it again and again cost 1.3 times the CPU.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    log.info("started", port=settings.http_port, partitions=partitions)
    waited = [asyncio.create_task(stop.wait(), name="stop"), consumer.halted, door, *tasks]
    done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    sudden = threading.Timer(EXIT_S, os._exit, (EXIT_HALTED,))
    sudden.daemon = True
    sudden.start()
    if not stop.is_set():
        for task in done:
            error = task.exception()
            raise error if error is not None else Halt("a task of the service ended")
    waited[0].cancel()


def _exporting(running: Running, gauges: tuple[Gauge, ...]) -> list[asyncio.Task[None]]:
    """A task that sends figures to the collector, when there is one."""
    if not exports("metrics"):
        return []
    from runtime.otlp import exporting

    return [asyncio.create_task(exporting(running, (*GAUGES, *gauges)), name="figures")]


def security_of(kafka: str) -> SASLScram512 | None:
    """FastStream's word for how to log in."""
    broker = read_address(kafka)
    if broker.login is None:
        return None
    context = broker.client_options()["ssl_context"]
    return SASLScram512(broker.login.user, broker.login.password, ssl_context=context, use_ssl=True)


async def _eventually(attempt: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T:
    """Try until it works: at a start Kafka, PostgreSQL or the migrations may be on their way. Raises Halt."""
    started, delay = time.monotonic(), 0.2
    while True:
        try:
            return await attempt()
        except Exception as error:
            reason = str(error) if isinstance(error, NotYet) else reduce_error(error)
        if time.monotonic() - started > START_S or stop.is_set():
            raise Halt(f"could not start: {reason}")
        log.info("waiting to start", reason=reason)
        await asyncio.sleep(delay)
        delay = min(delay * 2, 2.0)


class NotYet(Exception):
    """A condition of the start that may still come about."""


async def _migrated(pool: Pool, schema: str) -> None:
    async with pool.acquire() as connection:
        missing = await pending(connection, schema)
    if missing:
        raise NotYet(f"run `whp migrate`: {schema} lacks {', '.join(missing)}")


async def _partitions(publisher: Publisher, topic: str) -> int:
    count = await publisher.partitions(topic)
    if count == 0:
        raise NotYet(f"run `whp topics apply`: {topic} does not exist")
    return count


async def expire_hourly(running: Running, handlers: Handlers[Any, Any], writers: Mapping[type, Writer]) -> None:
    """Give up what waits, and delete dead letters, for too long. Ends never."""

    async def waiting() -> int:
        count = await expire_waiting(running.pool, handlers, writers)
        if count:
            running.relay.wake()
        return count

    async def dead() -> int:
        return await expire_dead_letters(running.pool)

    while True:
        for what, expire in (("waiting events", waiting), ("dead letters", dead)):
            try:
                if count := await expire():
                    log.info("expired", what=what, count=count)
            except Exception as error:  # the one must not keep the other from its time
                log.warning("expiry failed; tried again in an hour", what=what, error=reduce_error(error))
        await asyncio.sleep(EXPIRE_EVERY_S)


async def _kept_up(worker: Callable[[Running], Coroutine[Any, Any, None]], running: Running) -> None:
    """Run a worker; errors that pass by themselves start it again, any other halts the process."""
    delay = 0.2
    while True:
        began = time.monotonic()
        try:
            await worker(running)
            raise Halt(f"{worker.__name__} ended")
        except Exception as error:
            if not transient(error):
                raise
            log.warning("worker starts over", worker=worker.__name__, error=reduce_error(error))
        delay = 0.2 if time.monotonic() - began > 30 else min(delay * 2, 5.0)
        await asyncio.sleep(delay)


def _server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        lifespan="off",
        server_header=False,
    )
    server = uvicorn.Server(config)
    # The process handles its signals itself; uvicorn would raise them again after its own shutdown.
    server.capture_signals = contextlib.nullcontext  # pyright: ignore[reportAttributeAccessIssue]
    return server


async def _served(server: uvicorn.Server, listening: socket.socket) -> None:
    try:
        await server.serve(sockets=[listening])
    except SystemExit:  # in a task it would end the loop and leave everything else hanging
        raise Halt("the door could not open") from None


async def _shut(server: uvicorn.Server, door: asyncio.Task[None]) -> None:
    server.should_exit = True
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await within(8, door)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=10)


async def _closed(pool: Pool) -> None:
    try:
        await within(5, pool.close())
    except TimeoutError:
        pool.terminate()
