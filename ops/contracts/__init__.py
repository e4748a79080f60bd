"""The contract gate: what partners were promised stays promised, and every file about it agrees with the models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops.contracts import asyncapi, schemas
from ops.contracts.examples import example_findings
from ops.contracts.topics import load_topics, topic_findings
from workhardening_contracts.registry import ENTRIES, Entry

__all__ = ["Breaking", "check", "freeze"]


class Breaking(Exception):
    """A new version that breaks an older one; nothing was frozen."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("\n".join(findings))
        self.findings = tuple(findings)


def check(root: Path, entries: Sequence[Entry] = ENTRIES) -> list[str]:
    """What is wrong with the contracts of the repository at `root`; each finding names file, path and mend."""
    try:
        frozen = schemas.load_frozen(root)
        topics = load_topics(root / "contracts/topics")
        models = schemas.current(entries)
        return [
            *schemas.manifest_findings(root),
            *schemas.model_findings(frozen, models),
            *schemas.compatibility_findings(frozen),
            *topic_findings(topics),
            *example_findings(root, entries),
            *asyncapi.stale(root, entries, topics),
        ]
    except ValueError as error:
        return [str(error)]


def freeze(root: Path, entries: Sequence[Entry] = ENTRIES) -> list[str]:
    """Freeze the versions that are not frozen yet and write `asyncapi.yaml` anew; gives the files that were written.

    Raises Breaking before anything is written when a new version and a frozen one cannot read each other, and
    ValueError when a file in `contracts/` cannot be read.
    """
    frozen = schemas.load_frozen(root)
    if findings := schemas.compatibility_findings({**schemas.current(entries), **frozen}):
        raise Breaking(findings)
    written = schemas.freeze_schemas(root, entries)
    return written + asyncapi.write(root, entries, load_topics(root / "contracts/topics"))
