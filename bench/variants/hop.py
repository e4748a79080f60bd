"""What all variants share: what they are given, the decisions, the rows, and how they say how far they are.

A variant is plumbing only. It reads `topic` from the earliest record, folds each event once into its case by
`runtime.fold.fold` and the service's own handlers, stores the state, and publishes what was emitted under its key.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from runtime.fold import (
    Case,
    Emitted,
    Folded,
    Handlers,
    Position,
    Received,
    fold,
    state_to_json,
    validate,
    waiting_from_json,
    waiting_to_json,
)
from workhardening_contracts.envelope import Envelope, Event, read_kafka, write_kafka

TAKE = "INSERT INTO inbox (case_ref, source, id, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING true"
LOAD = "SELECT case_ref, version, state, waiting, sequences FROM cases WHERE case_ref = $1 FOR UPDATE"
SAVE = """
INSERT INTO cases (case_ref, partition, version, state, waiting, sequences) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (case_ref) DO UPDATE SET version = excluded.version, state = excluded.state, waiting = excluded.waiting,
    sequences = excluded.sequences, updated_at = now()
"""


@dataclass(frozen=True)
class Given:
    """What a variant is started with."""

    bootstrap: str
    dsn: str
    """The service's own role; the tables are the service's, and `inbox`."""
    topics: tuple[str, ...]
    count: int
    """Records in the topics; after these the variant is done. 0: it runs until it is ended."""
    warm: int
    """So many of them are handled before anything is measured."""
    service: str
    load: str
    """A file of the load, for variants that keep their states elsewhere than in PostgreSQL."""


def given() -> Given:
    """From the command line."""
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "dsn", "topics", "count", "warm", "service", "load"):
        parser.add_argument(f"--{name}", default="")
    said = parser.parse_args()
    return Given(
        said.bootstrap, said.dsn, tuple(said.topics.split(",")), int(said.count), int(said.warm),
        said.service, said.load,
    )  # fmt: skip


class Meter:
    """Says on standard output when a variant is warm and when it is done, and then waits to be ended."""

    def __init__(self, start: Given) -> None:
        self._start = start
        self._records = 0
        self.emitted = 0

    def handled(self, records: int, emitted: int) -> bool:
        """Note what is finished, offsets committed; whether that is all."""
        before, self._records = self._records, self._records + records
        self.emitted += emitted
        if before < self._start.warm <= self._records:
            # As the services do when they have started.
            gc.freeze()
            gc.set_threshold(50_000, 20, 20)
            say("warm", self._records)
        return bool(self._start.count) and self._records >= self._start.count

    def done(self) -> None:
        """The last output is in the topic. Returns when the driver has looked."""
        say("done", self._records, emitted=self.emitted)
        sys.stdin.read()


def say(at: str, records: int, **more: int) -> None:
    """One line for the driver."""
    print(json.dumps({"at": at, "records": records, **more}), flush=True)


def opened(raw: Any, handlers: Handlers[Any, Any]) -> Event[Any] | None:
    """A raw record as an event of the service's; None for a type that is nothing to it."""
    envelope = read_kafka(raw.key, raw.headers, raw.value)
    model = handlers.by_type.get(envelope.type)
    return None if model is None else validate(envelope, model)


def decided(case: Case[Any], event: Event[Any], raw: Any, handlers: Handlers[Any, Any]) -> Folded[Any]:
    """The service's decision."""
    return fold(case, Received(event, Position(raw.topic, raw.partition, raw.offset)), handlers)


def case_of(row: Any, ref: UUID, partition: int, handlers: Handlers[Any, Any]) -> Case[Any]:
    """The case in a row (or a mapping) with the columns of `cases`; a new one where there is none."""
    if row is None:
        return Case(ref, partition)
    state = None if row["state"] is None else handlers.adapter.validate_json(row["state"])
    waiting = () if row["waiting"] == "[]" else waiting_from_json(row["waiting"], handlers)
    return Case(ref, partition, row["version"], state, waiting, json.loads(row["sequences"]))


def row_of(case: Case[Any]) -> tuple[Any, ...]:
    """The columns of SAVE."""
    return (
        case.ref,
        case.partition,
        case.version,
        state_to_json(case.state),
        waiting_to_json(case.waiting),
        json.dumps(dict(case.sequences)),
    )


def message(entry: Emitted) -> tuple[str, bytes, dict[str, str], bytes]:
    """Topic, key, headers and value of an emitted event."""
    key, headers, value = write_kafka(entry.envelope)
    return entry.topic, key, {name: text.decode() for name, text in headers}, value


def once(envelopes: Sequence[Envelope]) -> tuple[list[UUID], list[str], list[str], list[bytes]]:
    """The columns of a batch's inbox rows."""
    return (
        [envelope.subject for envelope in envelopes],
        [envelope.source for envelope in envelopes],
        [envelope.id for envelope in envelopes],
        [envelope.data for envelope in envelopes],
    )
