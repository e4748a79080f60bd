"""The step of a stream processor that keeps its state by key: a case and the ids that it took, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.variants.hop import case_of, message, row_of
from runtime.fold import Handlers, Position, Received, fold
from workhardening_contracts.envelope import Event

Output = tuple[str, bytes, dict[str, str], bytes]
"""Topic, key, headers and value."""


def begun(path: str) -> dict[str, str]:
    """Case reference -> the state that it begins with, as JSON: what the others find in their table."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["case_ref"]: line for line in lines}


def step(
    stored: str | None, event: Event[Any], place: Position, handlers: Handlers[Any, Any]
) -> tuple[str | None, list[Output]]:
    """The state after an event, and what is published for it. A repeated event changes nothing."""
    document: Mapping[str, Any] | None = None if stored is None else json.loads(stored)
    taken = [] if document is None else document.get("taken", [])
    key = f"{event.source}#{event.id}"
    if key in taken:
        return stored, []
    case = case_of(document, event.case, place.partition, handlers)
    folded = fold(case, Received(event, place), handlers)
    _, _, version, state, waiting, sequences = row_of(folded.case)
    after = {
        "version": version, "state": state, "waiting": waiting, "sequences": sequences, "taken": [*taken, key]
    }  # fmt: skip
    return json.dumps(after), [message(entry) for entry in folded.emitted]
