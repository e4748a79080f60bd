"""A document's `bash` blocks, pasted one after the other into one shell, as a reader does who goes through it.

A `text` block that follows one directly is what it prints there. `...` stands for anything within a line, and a line of
nothing else for any lines.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from tests.docs.reading import ROOT

_PAIR = re.compile(r"^```bash\n(?P<typed>.*?)^```$(?:\n+```text\n(?P<shown>.*?)^```$)?", re.MULTILINE | re.DOTALL)
_ANY_LINES = "...\n"


@dataclass(frozen=True, slots=True)
class Block:
    """What is typed, and what the document says is printed; None where it says nothing of it."""

    typed: str
    shown: str | None


def typed(document: str) -> list[Block]:
    """A document's blocks, in order."""
    return [Block(found["typed"], found["shown"]) for found in _PAIR.finditer(document)]


def paste(blocks: list[Block], environment: Mapping[str, str], seconds: float = 900) -> list[str]:
    """What each block prints, errors among it. Raises AssertionError, with all that was said, when a command fails.

    What a block starts in the background is ended with the shell.
    """
    mark = f"--- {uuid.uuid4().hex}"
    script = "".join(f"{block.typed}\necho '{mark}'\n" for block in blocks)
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{script}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env={**environment},
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGTERM)
            said, _ = shell.communicate()
    printed = said.split(f"{mark}\n")
    assert shell.returncode == 0, f"block {len(printed)} of {len(blocks)} ends with {shell.returncode}:\n{said}"
    return printed[:-1]


def is_shown(shown: str, printed: str) -> bool:
    """Whether a block's output is what the document shows of it."""
    lines = [r"(?:.*\n)*?" if line == _ANY_LINES else _line(line) for line in shown.splitlines(keepends=True)]
    return re.fullmatch("".join(lines), _trimmed(printed)) is not None


def _line(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("..."))


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
