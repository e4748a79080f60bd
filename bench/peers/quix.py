"""Quix Streams: state in RocksDB with a changelog topic. At least once; no database and no inbox but the state."""

from __future__ import annotations

import tempfile
from typing import Any

from quixstreams import Application, State
from quixstreams.models import Topic

from bench.peers.keyed import Output, begun, step
from bench.program import handlers_of
from bench.variants.hop import Meter, given, opened
from runtime.fold import Position


class _Raw:
    """A record as `opened` reads it."""

    def __init__(self, key: bytes, headers: Any, value: bytes) -> None:
        self.key, self.headers, self.value = key, headers or [], value


def main() -> None:
    start = given()
    handlers, meter, first = handlers_of(start.service), Meter(start), begun(start.load)
    folder = tempfile.mkdtemp(prefix="whp-bench-quix-")

    def processed(topic: str, partition: int, offset: int) -> None:
        if meter.handled(1, 0):
            app.stop()

    app = Application(
        broker_address=start.bootstrap,
        consumer_group=f"quix.{start.dsn.rpartition('/')[2]}",
        auto_offset_reset="earliest",
        commit_every=500,
        state_dir=folder,
        loglevel="ERROR",
        producer_extra_config={"enable.idempotence": True, "linger.ms": 5},
        on_message_processed=processed,
    )
    source = app.topic(start.topics[0], key_deserializer="bytes", value_deserializer="bytes")
    outputs: dict[str, Topic] = {
        name: app.topic(name, key_serializer="bytes", value_serializer="bytes")
        for name in ("progress.events.v1", "clinic.rejections.v1")
    }

    def take(value: bytes, key: bytes, timestamp: int, headers: Any, state: State) -> list[Output]:
        raw = _Raw(key, headers, value)
        event = opened(raw, handlers)
        if event is None:
            return []
        stored = state.get("case") or first.get(str(event.case))
        after, emitted = step(stored, event, Position(start.topics[0], 0, 0), handlers)
        if after is not stored:
            state.set("case", after)
        return emitted

    frame = app.dataframe(source)
    frame = frame.apply(take, stateful=True, metadata=True, expand=True)
    frame = frame.set_headers(lambda output, *_: [(name, text.encode()) for name, text in output[2].items()])
    for name, topic in outputs.items():
        mine = frame[frame.apply(lambda output, name=name: output[0] == name)]
        mine.apply(lambda output: output[3]).to_topic(topic)
    app.run()  # returns when everything was flushed and committed
    meter.done()


if __name__ == "__main__":
    main()
