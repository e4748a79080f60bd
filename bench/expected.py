"""What a load must come to, and whether a variant came to it: so that none is fast by doing less."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bench.load import SERVICE, Load, case_of
from bench.partitions import partition_of
from bench.program import Hop, Key, handlers_of
from runtime.fold import Emitted, Position
from workhardening_contracts.envelope import read_kafka, write_kafka
from workhardening_contracts.registry import CLINIC_TOPIC

Output = tuple[str, str, str, str]
"""Topic, case, type and sequence: what an output is whoever publishes it. A rejection's id holds an offset."""


@dataclass(frozen=True)
class Expected:
    """The end of a sample."""

    taken: frozenset[Key]
    """Each input once."""
    states: Mapping[UUID, Any]
    """The documents of all cases."""
    outputs: Counter[Output]
    answers: Sequence[tuple[str, Emitted]]
    """The reference of each cause, and what it led to."""


def expected_of(load: Load, service: str = SERVICE, topic: str = CLINIC_TOPIC) -> Expected:
    """Fold the load in memory, in its order, as the records of a topic that a service reads."""
    hop = Hop(service, {stored.ref: case_of(stored, service) for stored in load.cases})
    answers: list[tuple[str, Emitted]] = []
    for record in load.records:
        envelope = read_kafka(record.key, record.headers, record.value)
        place = Position(topic, partition_of(record.key), 0)
        answers += [(envelope.reference, entry) for entry in hop.take(envelope, place)]
    dump = handlers_of(service).adapter.dump_json
    return Expected(
        frozenset(hop.taken),
        {ref: None if case.state is None else json.loads(dump(case.state)) for ref, case in hop.cases.items()},
        Counter(output_of(entry.topic, write_kafka(entry.envelope)[1]) for _, entry in answers),
        answers,
    )


def answers_file(expected: Expected) -> str:
    """The outputs ready to be sent, for the raw limit: a line of JSON each."""
    lines: list[str] = []
    for cause, entry in expected.answers:
        key, headers, value = write_kafka(entry.envelope)
        named = [(name, text.decode()) for name, text in headers]
        lines.append(json.dumps([cause, entry.topic, partition_of(key), key.decode(), named, value.decode()]))
    return "\n".join(lines)


def output_of(topic: str, headers: Sequence[tuple[str, bytes]]) -> Output:
    """An output by its headers."""
    given = {name: text.decode() for name, text in headers}
    return topic, given["ce_subject"], given["ce_type"], given.get("ce_sequence", "")


def differences(expected: Counter[Output], found: Counter[Output]) -> list[str]:
    """What a topic lacks, and what it holds too often; a sentence each, none where it is as it should be."""
    lost, doubled = expected - found, found - expected
    return [
        f"{sum(some.values())} outputs {what}, as {' '.join(next(iter(some)))}"
        for what, some in (("are missing", lost), ("are too many", doubled))
        if some
    ]


def wrong_rows(expected: Expected, taken: Sequence[Key], states: Mapping[UUID, Any] | None) -> list[str]:
    """Likewise of the inbox (each event once) and, where they are kept in a table, of the cases."""
    found: list[str] = []
    if len(taken) != len(set(taken)):
        found.append(f"{len(taken) - len(set(taken))} events were taken twice")
    if missing := expected.taken - set(taken):
        found.append(f"{len(missing)} events were not taken")
    if more := set(taken) - expected.taken:
        found.append(f"{len(more)} events were taken that are nothing to the service")
    if states is not None and (other := [ref for ref, state in expected.states.items() if states.get(ref) != state]):
        found.append(f"{len(other)} cases are not as they should be")
    return found
