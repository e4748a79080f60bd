"""How much the interpreter does to fold an event: counted, so that it is the same on every machine.

python -m tests.gates.instructions      what `test_instructions.py` has recorded, as it is now

Of each service, on what it reads of four cases' whole lives: the bytecode instructions that `runtime.fold.fold` and all
that it calls execute, and the calls into compiled code (pydantic, hashlib, json), whose own instructions are not
Python's to count. Both depend on the minor version of Python, and on the libraries that are locked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from bench.program import handlers_of
from bench.stories import COHORT, SERVICES, lives, story_of
from runtime.fold import Case, Position, Received, fold, validate
from tests.gates.feeding import reading

CASES = 4


@dataclass
class Counted:
    """What was executed."""

    events: int = 0
    instructions: int = 0
    calls: int = 0

    def of(self, call: Callable[[], Any]) -> Any:
        """What a call gives, counted."""
        sys.settrace(self._opened)
        sys.setprofile(self._called)
        try:
            return call()
        finally:
            sys.setprofile(None)
            sys.settrace(None)

    def _opened(self, frame: Any, event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._stepped

    def _stepped(self, frame: Any, event: str, _: object) -> Any:
        self.instructions += event == "opcode"
        return self._stepped

    def _called(self, frame: Any, event: str, _: object) -> None:
        self.calls += event == "c_call"


def counted(service: str, read: list[tuple[str, Any]]) -> Counted:
    """Fold all that a service reads."""
    found, cases, handlers = Counted(), dict[UUID, Case[Any]](), handlers_of(service)
    for offset, (topic, envelope) in enumerate(read):
        model = handlers.by_type.get(envelope.type)
        if model is None:
            continue
        received = Received(validate(envelope, model), Position(topic, 0, offset))
        case = cases.get(envelope.subject) or Case(envelope.subject, 0)
        folded = found.of(partial(fold, case, received, handlers))
        cases[envelope.subject] = folded.case
        found.events += 1
    return found


def main() -> None:
    # What is imported and cached at the first time is so by now: the cases were lived by the same folds.
    read = reading([story_of(line) for line in lives((100_000, COHORT))[:CASES]])
    every = {service: counted(service, read[service]) for service in SERVICES}
    print(
        json.dumps(
            {
                service: {
                    "instructions": round(found.instructions / found.events),
                    "calls": round(found.calls / found.events, 1),
                }
                for service, found in every.items()
            }
        )
    )


if __name__ == "__main__":
    main()
