"""One hop at a steady pace: from the moment a closed day was due to be sent until its verdict is read.

Open loop: arrivals are Poisson and wait for nobody, and the clock starts at the scheduled moment, so that a pause of
the program is paid by all that it held up. The floor is one leg: the same records sent and read back.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.accounting import peak_rss_mb
from bench.estimates import quantile
from bench.hop import OUTPUTS, TEMPLATE, service_environment
from bench.load import SERVICE, Load, Record
from bench.sample import PATIENCE_S, Failed, Sample, between, process, python, read
from bench.wire import Looker, database, fill, forget_group, on, running, skip_to_end
from deploy.local import stack as local
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.registry import CLINIC_TOPIC

NAMES = ("latency_floor", "latency_product")
PER_S = 40.0
FIRST = 40
"""So many are sent before anything counts."""
MOST = 1600
"""1,500 samples and some more: a 99th percentile then rests on 15."""
FLOOR_TOPIC = "bench.floor.v1"

Cause = Callable[[Any], str]
"""Which sent record a record that was read answers."""


def split(load: Load) -> tuple[list[Record], list[Record]]:
    """What is sent before, and the days to be closed at a steady pace: of each case the last."""
    part = load.part(MOST + MOST // 4)
    last: dict[bytes, Record] = {record.key: record for record in part.records if _type(record) == DayClosed.TYPE}
    days = list(last.values())[:MOST]
    chosen = {record.key for record in days}
    return [record for record in part.records if record.key in chosen and last[record.key] is not record], days


async def sample(stack: local.Stack, load: Load, variant: str, round_: int, seed: int) -> Sample:
    """One leg or one hop. Raises Failed when an answer does not come."""
    before, days = split(load)
    draw = Random(f"{seed}/{round_}/arrivals")
    if variant == "latency_floor":
        roots = {"kafka": stack.pids["kafka"]}
        async with Looker(stack.kafka) as looker:
            since = await looker.ends([FLOOR_TOPIC])
        begun = read(0, roots)
        waits = await paced(stack.kafka, FLOOR_TOPIC, days, since, _own, draw)
        return _sample(variant, round_, begun, read(len(days), roots), 0.0, waits)
    name = f"b_{secrets.token_hex(6)}"
    with TemporaryDirectory(prefix="whp-bench-") as folder:
        log = Path(folder) / "service.log"
        async with database(stack.database, name, TEMPLATE), Looker(stack.kafka) as looker:
            begins = sum((await looker.ends([CLINIC_TOPIC])).values())
            await skip_to_end(stack.kafka, f"whp.{SERVICE}", await looker.ends([CLINIC_TOPIC]))
            await fill(stack.kafka, CLINIC_TOPIC, before)
            settings = service_environment(stack, SERVICE, on(stack.services[SERVICE].database, name))
            async with process([python(False), "-m", f"services.{SERVICE}"], settings, log, tells=False) as child:
                async with asyncio.timeout(PATIENCE_S):
                    while await looker.committed(f"whp.{SERVICE}", [CLINIC_TOPIC]) < begins + len(before):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                roots = {"client": child.pid, "postgres": stack.pids["postgres"], "kafka": stack.pids["kafka"]}
                begun = read(0, roots)
                waits = await paced(stack.kafka, CLINIC_TOPIC, days, await looker.ends(OUTPUTS), _cause, draw)
                taken = _sample(variant, round_, begun, read(len(days), roots), peak_rss_mb(child.pid), waits)
            await forget_group(stack.kafka, f"whp.{SERVICE}")
    return taken


async def paced(
    bootstrap: str, topic: str, records: Sequence[Record], since: Mapping[TopicPartition, int], cause: Cause,
    draw: Random,
) -> list[float]:  # fmt: skip
    """Send at a steady pace; milliseconds from each scheduled moment to its first answer. Raises Failed."""
    due: dict[str, float] = {}
    came: dict[str, float] = {}
    async with running(AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)) as producer:
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        async with running(consumer):
            consumer.assign(list(since))
            for place, offset in since.items():
                consumer.seek(place, offset)

            async def listen() -> None:
                while len(came) < len(records):
                    for found in (await consumer.getmany(timeout_ms=1000)).values():
                        now = time.perf_counter()
                        for raw in found:
                            came.setdefault(cause(raw), now)

            listening = asyncio.create_task(listen())
            at = time.perf_counter()
            for record in records:
                at += draw.expovariate(PER_S)
                await asyncio.sleep(max(0.0, at - time.perf_counter()))
                due[_reference(record.headers)] = at
                await producer.send(topic, record.value, key=record.key, headers=list(record.headers))
            try:
                await asyncio.wait_for(listening, 30)
            except TimeoutError:
                raise Failed(f"{len(due.keys() - came.keys())} of {len(due)} were not answered") from None
    return [(came[reference] - moment) * 1000 for reference, moment in due.items()][FIRST:]


def _sample(variant: str, round_: int, begun: Any, last: Any, rss_mb: float, waits: Sequence[float]) -> Sample:
    quantiles = {f"p{share}_ms": round(quantile(share / 100, waits), 2) for share in (50, 99)}
    return between(variant, round_, begun, begun, last, rss_mb, samples=len(waits), **quantiles)


def _type(record: Record) -> str:
    return dict(record.headers)["ce_type"].decode()


def _reference(headers: Sequence[tuple[str, bytes]]) -> str:
    given = dict(headers)
    return f"{given['ce_source'].decode()}#{given['ce_id'].decode()}"


def _own(raw: Any) -> str:
    return _reference(raw.headers)


def _cause(raw: Any) -> str:
    return dict(raw.headers)["ce_causationid"].decode()
