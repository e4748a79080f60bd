"""Which processes are ours, and how a service is kept running."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from deploy.local import processes
from deploy.local.layout import Layout, make_folders, secret
from deploy.local.state import Service, Stack, load, save
from deploy.local.supervisor import FIRST_DELAY, LONGEST_DELAY, WELL_AFTER, next_delay, supervise

WAIT = [sys.executable, "-c", "import signal; signal.pause()"]
DEAF = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
]


@pytest.fixture
def layout(tmp_path: Path) -> Generator[Layout]:
    made = Layout(tmp_path / "local")
    make_folders(made)
    yield made
    for pid in processes.running(made.base):
        os.kill(pid, signal.SIGKILL)


def start(layout: Layout, command: list[str], part: str = "intake") -> int:
    return processes.spawn(command, base=layout.base, part=part, log=layout.logs / "log", cwd=layout.base)


def test_a_process_is_known_by_its_stack_and_part_and_stopped(layout: Layout) -> None:
    pid = start(layout, WAIT)
    assert processes.wait_until(lambda: processes.running(layout.base) == {pid: "intake"}, 5)
    assert processes.running(layout.base.parent) == {}
    assert not processes.ours(pid, layout.base, "planning")
    assert processes.stop([pid], layout.base, "intake")
    assert not processes.alive(pid)


def test_a_stranger_with_our_pid_is_left_alone(layout: Layout) -> None:
    with subprocess.Popen(WAIT) as stranger:
        try:
            assert processes.stop([stranger.pid], layout.base, "intake", grace=0.1)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_process_that_will_not_end_is_killed(layout: Layout) -> None:
    pid = start(layout, DEAF)
    assert processes.wait_until(lambda: (layout.logs / "log").read_text(encoding="utf-8") == "deaf\n", 5)
    assert processes.stop([pid], layout.base, "intake", grace=0.2)
    assert not processes.alive(pid)


def test_a_started_process_does_not_hear_the_terminal(layout: Layout) -> None:
    assert os.getsid(start(layout, WAIT)) != os.getsid(0)


def test_a_secret_is_made_once_and_its_owner_s_only(layout: Layout) -> None:
    made = iter(["first", "second"])
    assert [secret(layout, "digest-key", lambda: next(made)) for _ in range(2)] == ["first", "first"]
    assert (layout.secrets / "digest-key").stat().st_mode & 0o777 == 0o600
    assert layout.secrets.stat().st_mode & 0o777 == 0o700


def test_the_wait_before_a_new_start_doubles_until_the_service_was_well() -> None:
    delays: list[float] = []
    for _ in range(7):
        delays.append(next_delay(delays[-1] if delays else None, lived=1.0))
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_DELAY, LONGEST_DELAY]
    assert next_delay(LONGEST_DELAY, lived=WELL_AFTER) == FIRST_DELAY


def written_down(layout: Layout) -> Stack:
    stack = Stack(
        kafka="k", database="d", front_door="f", employer_door="e", services={"intake": Service(port=1, database="d")}
    )
    save(layout, stack)
    return stack


async def seen(layout: Layout, wanted: Callable[[Service], bool]) -> Service:
    """The service as stack.json has it, once it is as wanted."""

    def look() -> bool:
        stack = load(layout)
        return stack is not None and wanted(stack.services["intake"])

    assert await asyncio.to_thread(processes.wait_until, look, 10)
    stack = load(layout)
    assert stack is not None
    return stack.services["intake"]


async def test_a_service_that_was_killed_is_started_again_and_its_pid_written_down(layout: Layout) -> None:
    ended = asyncio.Event()
    keeping = asyncio.create_task(supervise(layout, written_down(layout), {"intake": WAIT}, ended))
    first = await seen(layout, lambda service: service.pid is not None)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    second = await seen(layout, lambda service: service.pid not in (None, first.pid))
    assert second.restarts == 1
    ended.set()
    await keeping
    assert processes.running(layout.base) == {}
    assert (await seen(layout, lambda service: service.pid is None)).restarts == 1


async def test_a_service_gets_its_settings_by_the_names_of_production(layout: Layout) -> None:
    ended = asyncio.Event()
    tell = "import json, os, signal; print(json.dumps(dict(os.environ)), flush=True); signal.pause()"
    keeping = asyncio.create_task(
        supervise(layout, written_down(layout), {"intake": [sys.executable, "-c", tell]}, ended)
    )
    log = layout.logs / "intake.log"
    await asyncio.to_thread(processes.wait_until, lambda: log.exists() and "\n" in log.read_text(encoding="utf-8"), 10)
    ended.set()
    await keeping
    settings: dict[str, str] = json.loads(log.read_text(encoding="utf-8"))
    wanted = {
        "WHP_MODE": "local",
        "WHP_KAFKA_BOOTSTRAP": "k",
        "WHP_DATABASE_URL": "d",
        "WHP_HTTP_HOST": "127.0.0.1",
        "WHP_HTTP_PORT": "1",
        "WHP_TRACE_RATIO": "1",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "intake",
        "PYTHONUNBUFFERED": "1",
    }
    assert wanted.items() <= settings.items()
    assert len(bytes.fromhex(settings["WHP_DIGEST_KEY"])) == 32
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in settings
