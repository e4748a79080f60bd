"""Bytewax: state in memory, snapshots in SQLite (recovery on). At least once; no database row."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSource
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main

from bench.peers.keyed import begun, step
from bench.program import handlers_of
from bench.variants.hop import Meter, given, opened
from runtime.fold import Position
from workhardening_contracts.envelope import Event


def main() -> None:
    start = given()
    handlers, meter, first = handlers_of(start.service), Meter(start), begun(start.load)

    def keyed(raw: Any) -> Iterable[tuple[str, Event[Any]]]:
        if meter.handled(1, 0):
            pass  # the source ends at the end of the topic
        event = opened(_Raw(raw), handlers)
        return () if event is None else ((str(event.case), event),)

    def take(stored: str | None, event: Event[Any]) -> tuple[str | None, list[Any]]:
        held = first.get(str(event.case)) if stored is None else stored
        return step(held, event, Position(start.topics[0], 0, 0), handlers)

    flow = Dataflow("hop")
    source = op.input("in", flow, KafkaSource([start.bootstrap], list(start.topics), tail=False, batch_size=500))
    events = op.flat_map("open", source, keyed)
    emitted = op.flat_map_value("each", op.stateful_map("fold", events, take), lambda outputs: outputs)
    for name in ("progress.events.v1", "clinic.rejections.v1"):
        step_id = name.replace(".", "_")
        mine = op.filter_map(f"of_{step_id}", emitted, lambda entry, name=name: _message(entry[1], name))
        kop.output(
            f"to_{step_id}", mine, brokers=[start.bootstrap], topic=name, add_config={"enable.idempotence": "true"}
        )
    folder = Path(tempfile.mkdtemp(prefix="whp-bench-wax-"))
    init_db_dir(folder, 1)
    cluster_main(flow, [], 0, recovery_config=RecoveryConfig(folder), epoch_interval=timedelta(seconds=1))
    meter.done()


class _Raw:
    """A record as `opened` reads it."""

    def __init__(self, raw: Any) -> None:
        self.key, self.headers, self.value = raw.key, raw.headers or [], raw.value


def _message(output: Any, name: str) -> Any:
    topic, key, headers, value = output
    if topic != name:
        return None
    return KafkaSinkMessage(key, value, headers=[(header, text.encode()) for header, text in headers.items()])


if __name__ == "__main__":
    main()
