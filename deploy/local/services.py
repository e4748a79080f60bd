"""What a service of the local stack is started with, and when it counts as ready."""

import json
import secrets
import time
from collections.abc import Collection
from pathlib import Path

import httpx

from . import kafka
from .layout import Layout, StackError, last_lines, secret
from .ports import HOST
from .processes import alive
from .state import Stack, load

# With the supervisor's delays that is some 8 seconds of dying: what has not come up by then has a defect.
TOO_MANY_RESTARTS = 4


def log_file(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.log"


def environment(layout: Layout, stack: Stack, name: str) -> dict[str, str]:
    """The settings of one service: the same names as in production, pointed at this stack."""
    service = stack.services[name]
    settings = {
        "WHP_MODE": "local",
        "WHP_KAFKA_BOOTSTRAP": kafka.as_user(layout, stack.kafka, name),
        "WHP_DATABASE_URL": service.database,
        "WHP_HTTP_HOST": HOST,
        "WHP_HTTP_PORT": str(service.port),
        # One machine plays every partner here, as fast as it can; the tests are a crowd of strangers at one address.
        "WHP_KEY_REQUESTS_PER_S": "5000",
        "WHP_KEY_BURST": "10000",
        "WHP_FAILED_KEYS_PER_MINUTE": "100000",
        "WHP_DIGEST_KEY": secret(layout, "digest-key", lambda: secrets.token_hex(32)),
        # Whoever tries the program here wants to see every case; the viewer takes no figures.
        "WHP_TRACE_RATIO": "1",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": name,
        "PYTHONUNBUFFERED": "1",
    }
    if name == "console":
        settings |= _of_console(layout, stack)
    if stack.otlp is not None:
        settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = stack.otlp
    return settings


def _of_console(layout: Layout, stack: Stack) -> dict[str, str]:
    doors = {each: f"http://{HOST}:{service.port}" for each, service in stack.services.items()}
    settings = {
        "WHP_CONSOLE_SERVICES": json.dumps(doors),
        "WHP_CONSOLE_SESSION_SECRET": secret(layout, "console-session", lambda: secrets.token_hex(32)),
        "WHP_CONSOLE_KEY": stack.keys.roles["console"],
        "WHP_CONSOLE_OPERATIONS_KEY": stack.keys.roles["operations"],
    }
    return settings if stack.zipkin is None else settings | {"WHP_CONSOLE_TRACES_URL": stack.zipkin}


def is_ready(port: int) -> bool:
    """Whether the service behind this port says that it takes work."""
    try:
        return httpx.get(f"http://{HOST}:{port}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def await_ready(layout: Layout, supervisor: int, names: Collection[str], *, seconds: float = 60) -> None:
    """Wait until every named service is ready.

    Raises StackError naming one that is not, with the end of its log, when the time is over or it dies again and again.
    """
    end = time.monotonic() + seconds
    waiting = list(names)
    while waiting:
        stack = load(layout)
        if stack is None or not alive(supervisor):
            log = layout.logs / "supervisor.log"
            raise StackError(f"The supervisor of the services ended; see {log}:\n{last_lines(log)}")
        waiting = [name for name in waiting if not is_ready(stack.services[name].port)]
        given_up = [name for name in waiting if stack.services[name].restarts >= TOO_MANY_RESTARTS]
        if given_up or (waiting and time.monotonic() > end):
            name = (given_up or waiting)[0]
            how = "dies again and again" if given_up else f"is not ready after {seconds:.0f} s"
            raise StackError(f"{name} {how}; see {log_file(layout, name)}:\n{last_lines(log_file(layout, name))}")
        if waiting:
            time.sleep(0.1)
