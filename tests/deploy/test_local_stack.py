"""The local stack as a whole: a real Kafka and PostgreSQL, started and stopped."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import httpx
import pytest

from deploy.local import artifacts, infrastructure, kafka, ports, postgres, prepare, processes
from deploy.local.layout import Layout, StackError
from deploy.local.ports import HOST
from deploy.local.stack import Stack, down, read, up
from deploy.local.state import Keys
from deploy.local.topics import provision_one, provision_topics, read_specs

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.stack


def say_nothing(_: str) -> None:
    return


def start(said: list[str] | None = None) -> Stack:
    return up(ROOT, services=False, traces=False, say=said.append if said is not None else say_nothing)


@pytest.fixture
def layout(monkeypatch: pytest.MonkeyPatch) -> Generator[Layout]:
    # Not pytest's own folder: each start of pytest closes that to the database server's user.
    base = Path(tempfile.mkdtemp(prefix="whp-stack-")) / "local"
    base.parent.chmod(0o755)
    monkeypatch.setenv("WHP_LOCAL", str(base))
    yield Layout(base)
    down(ROOT, say=say_nothing)
    shutil.rmtree(base.parent, ignore_errors=True)


def test_a_second_start_uses_what_runs_and_a_stop_leaves_no_process(layout: Layout) -> None:
    assert read(ROOT) is None
    first = start()
    said: list[str] = []
    second = start(said)
    assert second == first == read(ROOT)
    assert processes.running(layout.base) == {first.pids["kafka"]: "kafka", first.pids["postgres"]: "postgres"}
    assert all(line.endswith("runs already") for line in said)
    assert layout.stack_file.stat().st_mode & 0o777 == 0o600
    down(ROOT, say=said.append)
    assert said[-1] == "stopped 2 processes"
    assert processes.running(layout.base) == {}
    stopped = read(ROOT)
    assert stopped is not None
    assert stopped.pids == {}
    down(ROOT, say=said.append)
    assert said[-1] == "nothing runs"


def test_a_used_port_is_replaced_and_said_and_the_data_stay(layout: Layout) -> None:
    first = start()
    asyncio.run(execute(first.database, "CREATE TABLE kept (); COMMENT ON TABLE kept IS 'still here'"))
    asyncio.run(provision_topics(first.kafka, ROOT / "contracts" / "topics"))
    down(ROOT, say=say_nothing)
    said: list[str] = []
    with (
        socket.create_server((HOST, first.ports["kafka"])),
        socket.create_server((HOST, first.ports["kafka_controller"])),
        socket.create_server((HOST, first.ports["postgres"])),
    ):
        second = start(said)
    for name in ("kafka", "kafka_controller", "postgres"):
        assert second.ports[name] != first.ports[name]
        assert f"port {first.ports[name]} ({name}) is in use; {second.ports[name]} is taken instead" in said
    assert asyncio.run(value(second.database, "SELECT obj_description('kept'::regclass)")) == "still here"
    assert asyncio.run(provision_topics(second.kafka, ROOT / "contracts" / "topics")) == []


def test_what_a_broken_off_start_left_behind_is_survived(layout: Layout) -> None:
    # Half-formatted Kafka, half-made database cluster, a draft of each, and a stack file that was cut off.
    for folder in (kafka.data_folder(layout), layout.kafka / "data.new-1", postgres.data_folder(layout)):
        folder.mkdir(parents=True)
        (folder / "half").write_text("of something", encoding="utf-8")
    (kafka.data_folder(layout) / "meta.properties").write_text("version=1\n", encoding="utf-8")
    layout.stack_file.write_text('{"kafka": ', encoding="utf-8")
    said: list[str] = []
    start(said)
    assert any("half-formatted" in line for line in said)


def test_killed_servers_and_a_pid_that_went_to_a_stranger_are_survived(layout: Layout) -> None:
    first = start()
    for pid in first.pids.values():
        os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not processes.running(layout.base), 10)
    lock = postgres.data_folder(layout) / "postmaster.pid"
    lines = lock.read_text(encoding="utf-8").splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n", encoding="utf-8")
    layout.stack_file.unlink()
    second = start()
    assert set(processes.running(layout.base)) == set(second.pids.values())
    assert asyncio.run(value(second.database, "SELECT 1")) == 1


def test_a_lost_stack_file_does_not_hide_what_runs(layout: Layout) -> None:
    first = start()
    layout.stack_file.unlink()
    assert start().pids == first.pids
    layout.stack_file.unlink()
    down(ROOT, say=say_nothing)
    assert processes.running(layout.base) == {}


def test_ctrl_c_stops_what_the_start_had_begun(layout: Layout) -> None:
    script = (
        "import sys; from pathlib import Path; from deploy.local.stack import up;"
        "up(Path(sys.argv[1]), services=False, traces=False, say=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", script, ROOT], stdout=subprocess.PIPE, text=True) as starting:
        assert starting.stdout is not None
        for line in starting.stdout:
            if line.startswith("PostgreSQL on"):
                assert "postgres" in processes.running(layout.base).values()
                starting.send_signal(signal.SIGINT)
                break
        rest = starting.stdout.read()
    assert starting.returncode != 0
    assert "stopping what this start had begun" in rest
    assert processes.running(layout.base) == {}


def test_a_start_whose_reader_went_away_stops_what_it_had_begun(layout: Layout) -> None:
    def say(line: str) -> None:
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError):
        up(ROOT, services=False, traces=False, say=say)
    assert processes.running(layout.base) == {}


def test_a_port_that_is_taken_during_the_start_is_replaced(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    choose = ports.choose
    with socket.create_server((HOST, 0)) as rival:
        taken = rival.getsockname()[1]
        first_looks = {"kafka", "postgres"}

        def choose_too_late(name: str, wanted: int, promised: set[int], say: Callable[[str], None]) -> int:
            if name in first_looks:
                first_looks.remove(name)
                return taken
            return choose(name, wanted, promised, say)

        monkeypatch.setattr(infrastructure, "choose", choose_too_late)
        stack = start(said)
    assert "a port was taken by somebody else in the meantime; trying others" in said
    assert taken not in (stack.ports["kafka"], stack.ports["postgres"])


def test_two_starts_at_once_make_one_stack(layout: Layout) -> None:
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(start, [said, said])
    assert first == second
    assert sorted(processes.running(layout.base).values()) == ["kafka", "postgres"]
    assert "another start or stop of this stack is under way; waiting for it" in said


def test_a_viewer_that_cannot_be_had_is_said_and_done_without(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = artifacts.fetch

    def fetch_but_no_viewer(
        wanted: Sequence[artifacts.Artifact], cache: Path, say: Callable[[str], None]
    ) -> list[Path]:
        if wanted[0].group == "io.zipkin":
            raise StackError("io.zipkin:zipkin-server could not be downloaded.")
        return fetch(wanted, cache, say)

    monkeypatch.setattr(artifacts, "fetch", fetch_but_no_viewer)
    said: list[str] = []
    stack = up(ROOT, services=False, say=said.append)
    assert (stack.zipkin, stack.otlp) == (None, None)
    assert "going on without the trace viewer: io.zipkin:zipkin-server could not be downloaded." in said


def test_a_broker_that_cannot_start_is_reported_with_its_log_and_nothing_stays(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "JVM", ("-XX:NoSuchOption",))
    with pytest.raises(StackError, match=r"Kafka's storage could not be formatted: .*NoSuchOption"):
        start()
    assert processes.running(layout.base) == {}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHP_LOCAL", str(tmp_path_factory.mktemp("stack")))
        yield up(ROOT, services=False, say=say_nothing)
        down(ROOT, say=say_nothing)


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_each_service_has_a_role_that_sees_its_own_schema_only(stack: Stack) -> None:
    for name, service in stack.services.items():
        assert await value(service.database, "SELECT current_schema()") == name
        assert await value(service.database, "SHOW transaction_timeout") == "30s"
        assert await value(service.database, "SHOW idle_in_transaction_session_timeout") == "10s"
        assert await value(service.database, "SHOW lock_timeout") == "5s"
    await execute(stack.database, "SET ROLE whp_owner; CREATE TABLE planning.plans ()")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await value(stack.services["intake"].database, "SELECT count(*) FROM planning.plans")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(stack.services["planning"].database, "CREATE TABLE planning.mine ()")


async def test_each_service_may_look_at_the_keys_since_each_has_a_door(stack: Stack) -> None:
    for name in stack.services:
        assert await value(stack.database, f"SELECT has_schema_privilege('{name}', 'access', 'USAGE')")
        assert not await value(stack.database, f"SELECT has_schema_privilege('{name}', 'access', 'CREATE')")


async def test_a_wrong_password_is_refused(stack: Stack) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await value(f"postgresql://postgres:guess@{HOST}:{stack.ports['postgres']}/whp", "SELECT 1")


async def test_topics_are_made_once_and_their_retention_follows_the_declaration(stack: Stack, tmp_path: Path) -> None:
    declared = tmp_path / "visits.yaml"
    declared.write_text("{name: visits.v1, partitions: 3, retention_days: 7}", encoding="utf-8")
    assert await provision_topics(stack.kafka, tmp_path) == ["created visits.v1 (3 partitions)"]
    assert await provision_topics(stack.kafka, tmp_path) == []
    declared.write_text("{name: visits.v1, partitions: 3, max_message_bytes: 2000}", encoding="utf-8")
    changed = ["changed retention.ms, max.message.bytes of visits.v1"]
    assert await provision_topics(stack.kafka, tmp_path) == changed
    assert await provision_topics(stack.kafka, tmp_path) == []
    declared.write_text("{name: visits.v1, partitions: 6}", encoding="utf-8")
    with pytest.raises(StackError, match="has 3 partitions and is declared with 6"):
        await provision_topics(stack.kafka, tmp_path)


async def test_a_clinic_gets_a_topic_of_its_own_by_a_fit_id(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("{name: clinic.<id>.visits.v1, per: clinic, partitions: 1}", encoding="utf-8")
    (spec,) = read_specs(tmp_path)
    assert await provision_topics(stack.kafka, tmp_path) == []
    assert await provision_one(stack.kafka, spec, "north") == ["created clinic.north.visits.v1 (1 partitions)"]
    assert await provision_one(stack.kafka, spec, "north") == []
    with pytest.raises(StackError, match="choose such a one"):
        await provision_one(stack.kafka, spec, "../etc")


async def test_a_span_sent_as_otlp_is_found_by_its_case_in_the_viewer(stack: Stack) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    assert stack.zipkin is not None
    provider = TracerProvider(resource=Resource({"service.name": "intake"}))
    exporter = OTLPSpanExporter(f"{stack.otlp}/v1/traces", compression=Compression.Gzip)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("decide", attributes={"case.ref": "a-case"}):
        pass
    provider.shutdown()
    async with httpx.AsyncClient(base_url=stack.zipkin, trust_env=False) as zipkin:
        answer = await zipkin.get("/api/v2/traces", params={"annotationQuery": "case.ref=a-case"})
    ((span,),) = answer.json()
    assert (span["name"], span["localEndpoint"]["serviceName"]) == ("decide", "intake")


SERVICE = """
import http.server, os
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
http.server.HTTPServer((os.environ["WHP_HTTP_HOST"], int(os.environ["WHP_HTTP_PORT"])), Door).serve_forever()
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose services do nothing but say that they are ready."""
    root = tmp_path / "checkout"
    for name in ("intake", "planning", "progress", "notify", "console"):
        (root / "services" / name).mkdir(parents=True)
        (root / "services" / name / "__init__.py").touch()
        (root / "services" / name / "__main__.py").write_text(SERVICE, encoding="utf-8")
    (root / "services" / "__init__.py").touch()
    shutil.copytree(ROOT / "contracts" / "topics", root / "contracts" / "topics")
    shutil.copytree(ROOT / "requirements", root / "requirements")

    async def apply(admin_dsn: str, *names: str) -> list[str]:
        assert admin_dsn.startswith("postgresql://postgres:")
        return [f"0001 of {' for '.join(names)}".strip()]

    async def issue(database: str, known: Keys) -> Keys:
        return Keys(clinics={"north": database}, roles={"console": "k1", "operations": "k2"})

    monkeypatch.setattr(prepare, "apply_service", apply)
    monkeypatch.setattr(prepare, "apply_access", apply)
    monkeypatch.setattr(prepare, "issue_missing", issue)
    return root


def test_services_are_started_kept_alive_and_stopped_even_without_their_supervisor(
    layout: Layout, checkout: Path
) -> None:
    said: list[str] = []
    stack = up(checkout, traces=False, say=said.append)
    assert "intake: ran 0001 of intake for intake" in said
    assert "access: ran 0001 of" in said
    assert "created clinic.events.v1 (12 partitions)" in said
    assert stack.keys.clinics == {"north": stack.database}
    assert httpx.get(f"{stack.front_door}/readyz", trust_env=False).status_code == 200
    assert sorted(processes.running(layout.base).values()) == sorted([*stack.pids, *stack.services])

    killed = stack.services["planning"].pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert processes.wait_until(lambda: "planning" not in processes.running(layout.base).values(), 5)
    again = up(checkout, traces=False, say=said.append)
    assert again.services["planning"].restarts == 1
    assert again.services["intake"] == stack.services["intake"]

    os.kill(stack.pids["supervisor"], signal.SIGKILL)
    down(checkout, say=say_nothing)
    assert processes.running(layout.base) == {}


def test_a_service_that_does_not_become_ready_is_named_with_its_log(layout: Layout, checkout: Path) -> None:
    broken = checkout / "services" / "progress" / "__main__.py"
    broken.write_text("raise SystemExit('no policy for week 9')", encoding="utf-8")
    with pytest.raises(StackError, match=r"(?s)progress dies again and again; see .*no policy for week 9"):
        up(checkout, traces=False, say=say_nothing)
    assert processes.running(layout.base) == {}
