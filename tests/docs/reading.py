"""What the documents hold: their files, links, commands and the blocks that a reader pastes into a shell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)


def committed() -> list[Path]:
    """Every file of the repository that is under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def documents() -> list[Path]:
    """The documents among them."""
    return [path for path in committed() if path.suffix == ".md"]


def section(text: str, heading: str) -> str:
    """The text under a heading, up to the next of its rank. Raises ValueError when there is none."""
    for found in _HEADING.finditer(text):
        if found[2] == heading:
            rest = text[found.end() :]
            ends = [n.start() for n in _HEADING.finditer(_without_blocks(rest)) if len(n[1]) <= len(found[1])]
            return rest[: ends[0]] if ends else rest
    raise ValueError(f"there is no heading {heading!r}")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return [body for name, body in _BLOCK.findall(text) if name == language]


def links(text: str) -> list[str]:
    """Where a document's links point."""
    return _LINK.findall(_without_blocks(text))


def anchors(text: str) -> set[str]:
    """The names of a document's headings, as links call them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for _, heading in _HEADING.findall(_without_blocks(text))
    }


def _without_blocks(text: str) -> str:
    """Blocks blanked out, their lengths kept: a comment of a shell is no heading."""
    return _BLOCK.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
