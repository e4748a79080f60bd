"""What no program can go below: each record consumed and validated, its 1 KB appended durably, the outputs sent.

Nothing is decided and no state is kept: what is to be sent was decided before the run (`--load` names the file).
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.program import handlers_of
from bench.variants.hop import Meter, given, opened

Answer = tuple[str, int, bytes, list[tuple[str, bytes]], bytes]
"""Topic, partition, key, headers, value."""


def answers_of(path: str) -> dict[str, list[Answer]]:
    """What each event leads to, by its reference."""
    answers: dict[str, list[Answer]] = defaultdict(list)
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        cause, topic, partition, key, headers, value = json.loads(line)
        encoded = [(name, text.encode()) for name, text in headers]
        answers[cause].append((topic, partition, key.encode(), encoded, value.encode()))
    return answers


async def main() -> None:
    start = given()
    handlers, meter, answers = handlers_of(start.service), Meter(start), answers_of(start.load)
    connection = await asyncpg.connect(start.dsn)
    consumer: Any = AIOKafkaConsumer(
        *start.topics,
        bootstrap_servers=start.bootstrap,
        group_id=f"raw.{start.dsn.rpartition('/')[2]}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=start.bootstrap, acks="all", enable_idempotence=True, max_batch_size=900_000
    )
    await producer.start()
    await consumer.start()
    finished = False
    while not finished:
        batch = [
            raw for records in (await consumer.getmany(timeout_ms=20, max_records=500)).values() for raw in records
        ]
        if not batch:
            continue
        events = [event for raw in batch if (event := opened(raw, handlers)) is not None]
        await connection.copy_records_to_table("appended", records=[(event.envelope.data,) for event in events])
        outputs = [answer for event in events for answer in answers.pop(event.reference, ())]
        await sent(producer, outputs)
        await consumer.commit()
        finished = meter.handled(len(batch), len(outputs))
    meter.done()
    await consumer.stop()
    await producer.stop()


async def sent(producer: Any, outputs: list[Answer]) -> None:
    """Everything, a batch per partition."""
    by_place: dict[tuple[str, int], Any] = {}
    for topic, partition, key, headers, value in outputs:
        batch = by_place.setdefault((topic, partition), producer.create_batch())
        assert batch.append(key=key, value=value, timestamp=None, headers=headers) is not None
    waiting = [
        await producer.send_batch(batch, topic, partition=partition) for (topic, partition), batch in by_place.items()
    ]
    await asyncio.gather(*waiting)


if __name__ == "__main__":
    asyncio.run(main())
