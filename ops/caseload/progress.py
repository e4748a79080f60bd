"""How far an import is: a small file beside the input, with which it goes on where it was. It holds no line of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from deploy.local.layout import write_whole
from ops.caseload.fault import Fault


class Progress(BaseModel):
    """What was sent of which file, to which door, for which clinic."""

    sha256: str
    clinic: str
    door: str
    through: int = 0
    """The last line that was answered."""
    events: int = 0
    """Answered so far."""
    refused: list[Fault] = []


def place_of(file: Path) -> Path:
    """Where the progress of this file's import is."""
    return file.with_name(f"{file.name}.progress")


def resumed(file: Path, new: Progress) -> Progress | None:
    """The progress of an import that was broken off; None unless it was of the same content to the same place."""
    try:
        old = Progress.model_validate_json(place_of(file).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError):
        return None
    return old if (old.sha256, old.clinic, old.door) == (new.sha256, new.clinic, new.door) else None


def keep(file: Path, progress: Progress) -> None:
    """Write it down at once; a kill leaves the old one or the new one."""
    write_whole(place_of(file), progress.model_dump_json(), mode=0o600)
