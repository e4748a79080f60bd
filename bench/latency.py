"""One hop at a steady pace: from the moment a closed day was due to be sent until its verdict is read.

Open loop: arrivals are Poisson and wait for nobody, and the clock starts at the scheduled moment, so that a pause of
the program is paid by all that it held up. The floor is one leg: the same records sent and read back. With each day
traced, the service's own spans tell where the time goes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from bench.stages import Trip, stages
from bench.wire import Looker, database, fill, forget_group, on, skip_to_end, started
from deploy.local import stack as local
from torture.spans import taking_spans
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.registry import CLINIC_TOPIC

NAMES = ("latency_floor", "latency_product", "latency_traced")
PER_S = 40.0
FIRST = 40
"""So many are sent before anything counts."""
MOST = 1600
"""1,500 samples and some more: a 99th percentile then rests on 15."""
FLOOR_TOPIC = "bench.floor.v1"

_TRACE = "ce_traceparent"

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
    """One leg or one hop. Raises Failed when an answer, or a span, does not come."""
    before, days = split(load)
    if len(days) <= FIRST:
        raise Failed(f"{variant} counts from the {FIRST + 1}st day on, and has {len(days)}: give it more cases")
    draw = Random(f"{seed}/{round_}/arrivals")
    if variant == "latency_floor":
        roots = {"kafka": stack.pids["kafka"]}
        async with Looker(stack.kafka) as looker:
            since = await looker.ends([FLOOR_TOPIC])
        begun = read(0, roots)
        trips = await paced(stack.kafka, FLOOR_TOPIC, days, since, _own, draw)
        return _sample(variant, round_, begun, read(len(days), roots), 0.0, trips)
    name = f"b_{secrets.token_hex(6)}"
    exports: list[bytes] = []
    with TemporaryDirectory(prefix="whp-bench-") as folder:
        log = Path(folder) / "service.log"
        async with (
            database(stack.database, name, TEMPLATE),
            Looker(stack.kafka) as looker,
            taking_spans(exports.append) as collector,
        ):
            begins = sum((await looker.ends([CLINIC_TOPIC])).values())
            await skip_to_end(stack.kafka, f"whp.{SERVICE}", await looker.ends([CLINIC_TOPIC]))
            await fill(stack.kafka, CLINIC_TOPIC, before)
            settings = service_environment(stack, SERVICE, on(stack.services[SERVICE].database, name))
            if variant == "latency_traced":
                settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
                days = [traced(day) for day in days]
            async with process([python(False), "-m", f"services.{SERVICE}"], settings, log, tells=False) as child:
                async with asyncio.timeout(PATIENCE_S):
                    while await looker.committed(f"whp.{SERVICE}", [CLINIC_TOPIC]) < begins + len(before):  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                roots = {"client": child.pid, "postgres": stack.pids["postgres"], "kafka": stack.pids["kafka"]}
                begun = read(0, roots)
                trips = await paced(stack.kafka, CLINIC_TOPIC, days, await looker.ends(OUTPUTS), cause_of, draw)
                taken = _sample(variant, round_, begun, read(len(days), roots), peak_rss_mb(child.pid), trips)
            await forget_group(stack.kafka, f"whp.{SERVICE}")
    if variant != "latency_traced":
        return taken
    # The last spans came when the service ended.
    found = {stage: _quantiles(times) for stage, times in stages(trips, exports).items()}
    return replace(taken, more={**taken.more, "stages": found})


async def paced(
    bootstrap: str, topic: str, records: Sequence[Record], since: Mapping[TopicPartition, int], cause: Cause,
    draw: Random,
) -> list[Trip]:  # fmt: skip
    """Send at a steady pace, and wait for the first answer to each. What counts of it. Raises Failed."""
    sent: dict[str, tuple[Record, int]] = {}
    came: dict[str, int] = {}
    async with started(AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)) as producer:
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        async with started(consumer):
            consumer.assign(list(since))
            for place, offset in since.items():
                consumer.seek(place, offset)

            async def listen() -> None:
                while len(came) < len(records):
                    for found in (await consumer.getmany(timeout_ms=1000)).values():
                        now = time.perf_counter_ns()
                        for raw in found:
                            came.setdefault(cause(raw), now)

            listening = asyncio.create_task(listen())
            at = time.perf_counter_ns()
            for record in records:
                at += int(draw.expovariate(PER_S) * 1e9)
                await asyncio.sleep(max(0.0, (at - time.perf_counter_ns()) / 1e9))
                sent[reference(record.headers)] = record, at
                await producer.send(topic, record.value, key=record.key, headers=list(record.headers))
            try:
                await asyncio.wait_for(listening, 30)
            except TimeoutError:
                raise Failed(f"{len(sent.keys() - came.keys())} of {len(sent)} were not answered") from None
    # Spans are told by the wall clock, waits by one that nobody sets.
    epoch = time.time_ns() - time.perf_counter_ns()
    trips = [Trip(_span(record), epoch + at, epoch + came[name]) for name, (record, at) in sent.items()]
    return trips[FIRST:]


def traced(record: Record) -> Record:
    """The same record of a case that is sampled."""
    flags = {_TRACE: dict(record.headers)[_TRACE][:-2] + b"01"}
    return replace(record, headers=tuple((name, flags.get(name, text)) for name, text in record.headers))


def _sample(variant: str, round_: int, begun: Any, last: Any, rss_mb: float, trips: Sequence[Trip]) -> Sample:
    quantiles = _quantiles([(trip.came - trip.due) / 1e6 for trip in trips])
    return between(variant, round_, begun, begun, last, rss_mb, samples=len(trips), **quantiles)


def _quantiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{share}_ms": round(quantile(share / 100, times), 2) for share in (50, 99)}


def _span(record: Record) -> bytes:
    return bytes.fromhex(dict(record.headers)[_TRACE].decode().split("-")[2])


def _type(record: Record) -> str:
    return dict(record.headers)["ce_type"].decode()


def reference(headers: Sequence[tuple[str, bytes]]) -> str:
    """What names an event to those that it causes."""
    given = dict(headers)
    return f"{given['ce_source'].decode()}#{given['ce_id'].decode()}"


def _own(raw: Any) -> str:
    return reference(raw.headers)


def cause_of(raw: Any) -> str:
    """The reference of what caused an event that was read."""
    return dict(raw.headers)["ce_causationid"].decode()
