"""What runs, as `stack.json` says: the one file by which other tools find the stack."""

import fcntl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ValidationError

from .layout import Layout, StackError, write_whole


class Service(BaseModel):
    """One service: its process, its door and its database role's URL."""

    pid: int | None = None
    port: int
    database: str
    restarts: int = 0


class Keys(BaseModel, extra="forbid"):
    """The demo's API keys by whom they are bound to, and addresses of Kafka by user where one logs in there."""

    clinics: dict[str, str] = {}
    clinicians: dict[str, str] = {}
    """By clinic: for a person at the console."""
    roles: dict[str, str] = {}
    employers: dict[str, str] = {}
    kafka: dict[str, str] = {}


class Stack(BaseModel):
    """The addresses and processes of a running stack."""

    kafka: str
    database: str
    zipkin: str | None = None
    otlp: str | None = None
    front_door: str
    employer_door: str
    console: str = ""
    services: dict[str, Service] = {}
    keys: Keys = Keys()
    pids: dict[str, int] = {}
    ports: dict[str, int] = {}


def load(layout: Layout) -> Stack | None:
    """The stack as it was last written down, or None when there is none or the file is damaged."""
    try:
        return Stack.model_validate_json(layout.stack_file.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def save(layout: Layout, stack: Stack) -> None:
    """Write the stack down at once; the file holds passwords and is its owner's only."""
    write_whole(layout.stack_file, stack.model_dump_json(indent=2) + "\n", mode=0o600)


def change(layout: Layout, amend: Callable[[Stack], None]) -> None:
    """Read, amend and write the stack in one go: `up` and the supervisor both write it."""
    with locked(layout.stack_lock_file):
        stack = load(layout)
        if stack is not None:
            amend(stack)
            save(layout, stack)


@contextmanager
def locked(path: Path, busy: Callable[[], None] | None = None) -> Generator[None]:
    """Hold a lock that ends with this process, so that a crash leaves none behind.

    `busy` is called when another process holds it, before waiting. Raises StackError when the file cannot be opened.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise StackError(f"{path} cannot be opened ({error.strerror}); mend its permissions.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if busy is not None:
                busy()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
