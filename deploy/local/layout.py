"""Where the local stack keeps its things."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class StackError(Exception):
    """The local stack cannot do what was asked; the message is one sentence with the mend."""


@dataclass(frozen=True)
class Layout:
    """The folders and files under one data directory; several stacks live side by side in several of them."""

    base: Path

    @property
    def logs(self) -> Path:
        return self.base / "logs"

    @property
    def secrets(self) -> Path:
        return self.base / "secrets"

    @property
    def kafka(self) -> Path:
        return self.base / "kafka"

    @property
    def postgres(self) -> Path:
        return self.base / "postgres"

    @property
    def stack_file(self) -> Path:
        return self.base / "stack.json"

    @property
    def stack_lock_file(self) -> Path:
        return self.base / "stack.json.lock"

    @property
    def lock_file(self) -> Path:
        return self.base / "lock"


def layout_of(root: Path) -> Layout:
    """The layout for a checkout: `<root>/.local`, or where WHP_LOCAL points."""
    return Layout(Path(os.environ.get("WHP_LOCAL") or root / ".local").expanduser().absolute())


def make_folders(layout: Layout) -> None:
    """Make the folders that every part of the stack expects.

    Raises StackError when the data directory cannot be written.
    """
    try:
        for folder in (layout.base, layout.logs, layout.kafka, layout.postgres):
            folder.mkdir(parents=True, exist_ok=True)
        layout.secrets.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StackError(
            f"{layout.base} cannot be written ({error.strerror}); set WHP_LOCAL to a folder that can be."
        ) from error


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file at once, so that a reader or a crash never meets half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def secret(layout: Layout, name: str, make: Callable[[], str]) -> str:
    """A secret of this stack: made once, then read; only the owner of the file can read it."""
    path = layout.secrets / name
    if not path.exists():
        write_whole(path, make(), mode=0o600)
    return path.read_text(encoding="utf-8")


def last_lines(path: Path, count: int = 15) -> str:
    """The end of a log, for an error message."""
    if not path.exists():
        return "(no log yet)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])
