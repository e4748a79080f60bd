"""The chain, from the referral to what employers are told: four services, each in its own process, and their clinics.

A clinic sends the next step of a case when all that the services publish on the earlier ones can be read, as clinics
do; it looks every 30 ms, so that what is due goes out together. It speaks from the driver, whose CPU is nobody's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, count, islice
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.accounting import peak_rss_mb
from bench.expected import Output, differences
from bench.hop import LOOK_S, WARM, service_environment
from bench.orders import same_in_any_order
from bench.program import topics_of
from bench.sample import Failed, Reading, Sample, end_of, process, python, read
from bench.stories import SERVICES
from bench.telling import Life, Telling, Told
from bench.wire import Looker, connected, database, forget_group, make_template, on, skip_to_end, started
from deploy.local import stack as local
from workhardening_contracts.registry import (
    CLINIC_TOPIC,
    INTAKE_TOPIC,
    PLANNING_TOPIC,
    PROGRESS_TOPIC,
    REJECTIONS_TOPIC,
)

TEMPLATE = "bench_chain"
LIVES = 24
"""Whole lives are long, and the naive chain is slow. Costs are per event."""
PATIENCE_S = 900.0
"""How long one sample may take."""
OUTPUTS = (INTAKE_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC)
TOPICS = (CLINIC_TOPIC, *OUTPUTS)

Ends = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Variant:
    """How to run the four services."""

    name: str
    table: str
    """Where each service keeps which events it took."""
    times: int
    """Of how many cases each life is told: the same lives for all, of as many cases as keep the variant busy."""


VARIANTS = {
    variant.name: variant for variant in (Variant("chain_naive", "inbox", 1), Variant("chain_product", "event_log", 10))
}


@dataclass(frozen=True, slots=True)
class Found:
    """What the lives came to: what was published, the rows of each case by table, what employers were told last."""

    outputs: Counter[Output]
    rows: Counter[tuple[UUID, str]]
    told: frozenset[tuple[UUID, Told]]


@dataclass(frozen=True, slots=True)
class Group:
    """One service's process, and its group at the broker."""

    service: str
    name: str
    child: asyncio.subprocess.Process
    log: Path


async def prepare(stack: local.Stack) -> None:
    """The template of the samples' databases: tables without a case."""
    await make_template(stack.database, TEMPLATE, SERVICES[0], ())


def cast(lives: Sequence[Life], times: int) -> tuple[list[Life], list[Life]]:
    """The cases of a sample: those that are lived before anything is measured, and those that are measured."""
    cases = [life.of_another(nth) for nth in range(times) for life in lives]
    others = (life.of_another(nth) for nth in count(times) for life in lives)
    return list(islice(others, ceil(len(cases) * WARM))), cases


def expected_of(lives: Iterable[Life]) -> Found:
    """What must come of these lives."""
    outputs: Counter[Output] = Counter()
    rows: Counter[tuple[UUID, str]] = Counter()
    told: set[tuple[UUID, Told]] = set()
    for life in lives:
        outputs.update((topic, str(life.ref), type_, sequence) for topic, type_, sequence in life.story.outputs)
        rows.update({(life.ref, table): number for table, number in same_in_any_order(life.story.rows).items()})
        told |= {(life.ref, each) for each in life.told}
    return Found(outputs, rows, frozenset(told))


def wrong(expected: Found, found: Found) -> list[str]:
    """A sentence for each thing that is not as it must be."""
    sentences = differences(expected.outputs, found.outputs)
    lost, more = expected.rows - found.rows, found.rows - expected.rows
    for what, some in (("are missing", lost), ("are too many", more)):
        if some:
            sentences.append(f"{sum(some.values())} rows {what}, as in {min(table for _, table in some)}")
    if other := {ref for ref, _ in expected.told ^ found.told}:
        sentences.append(f"of {len(other)} cases an employer was not told last what it must be told")
    return sentences


async def sample(stack: local.Stack, lives: Sequence[Life], variant: Variant, round_: int) -> Sample:
    """One sample, checked. Raises Failed."""
    earlier, cases = cast(lives, variant.times)
    name = f"b_{secrets.token_hex(6)}"
    with TemporaryDirectory(prefix="whp-bench-") as folder:
        async with database(stack.database, name, TEMPLATE) as admin, Looker(stack.kafka) as looker:
            before = await looker.ends(TOPICS)
            names = {service: group_of(variant, name, service) for service in SERVICES}
            for service, group in names.items():
                since = {place: end for place, end in before.items() if place.topic in topics_of(service)}
                await skip_to_end(stack.kafka, group, since)
            async with AsyncExitStack() as open_, asyncio.timeout(PATIENCE_S):
                groups: list[Group] = []
                for service, group in names.items():
                    log = Path(folder) / f"{service}.log"
                    command, settings = start_of(stack, variant, name, service)
                    child = await open_.enter_async_context(process(command, settings, log, tells=False))
                    groups.append(Group(service, group, child, log))
                connection = await open_.enter_async_context(connected(admin))
                roots = {group.service: group.child.pid for group in groups}
                roots |= {part: stack.pids[part] for part in ("postgres", "kafka")}
                await live(stack.kafka, earlier, await looker.ends(OUTPUTS), groups)
                await at_rest(looker, connection, groups)
                first = read(0, roots)
                await live(stack.kafka, cases, await looker.ends(OUTPUTS), groups)
                await at_rest(looker, connection, groups)
                last = read(sum(life.story.sent for life in cases), roots)
                rss_mb = sum(peak_rss_mb(group.child.pid) for group in groups)
            for group in groups:
                await forget_group(stack.kafka, group.name)
            since = {place: end for place, end in before.items() if place.topic in OUTPUTS}
            async with connected(admin) as connection:
                rows, told = await kept(connection, variant.table)
            found = Found(await looker.outputs(since), rows, told)
    if sentences := wrong(expected_of(chain(earlier, cases)), found):
        raise Failed(f"{variant.name} did not do its work: {'; '.join(sentences)}")
    return sample_of(variant.name, round_, first, last, rss_mb)


def group_of(variant: Variant, database_: str, service: str) -> str:
    """The name of a service's group: the program's own, or as the naive variant forms it."""
    return f"whp.{service}" if variant.name == "chain_product" else f"naive.{database_}.{service}"


def start_of(stack: local.Stack, variant: Variant, name: str, service: str) -> tuple[list[str], Mapping[str, str]]:
    """The command and the environment of one service."""
    dsn = on(stack.services[service].database, name)
    if variant.name == "chain_product":
        return [python(False), "-m", f"services.{service}"], service_environment(stack, service, dsn)
    return [
        python(False), "-m", "bench.variants.naive", "--bootstrap", stack.kafka, "--dsn", dsn,
        "--topics", ",".join(topics_of(service)), "--count", "0", "--warm", "1", "--service", service,
    ], {}  # fmt: skip


async def live(bootstrap: str, lives: Sequence[Life], since: Ends, groups: Sequence[Group]) -> None:
    """Let these cases be lived side by side, each from its referral to its end. Raises Failed when a service ends."""
    tellings = {str(life.ref): Telling(life.story, life.signs) for life in lives}
    # The broker answers as often as the clinics look, and not whenever something was published.
    pace: dict[str, Any] = {"fetch_min_bytes": 1 << 20, "fetch_max_wait_ms": int(LOOK_S * 1000)}
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **pace)
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5)
    async with started(consumer), started(producer):
        consumer.assign(list(since))
        for place, offset in since.items():
            consumer.seek(place, offset)
        stirred, awaited = list(tellings.values()), len(tellings)
        while True:
            said = [record for telling in stirred for record in telling.say()]
            awaited -= sum(telling.ended for telling in stirred)
            sent = [
                await producer.send(CLINIC_TOPIC, record.value, key=record.key, headers=list(record.headers))
                for record in said
            ]
            await asyncio.gather(*sent)
            if not awaited:
                return
            await asyncio.sleep(LOOK_S)
            _alive(groups)
            stirred = heard_of(tellings, chain.from_iterable((await consumer.getmany()).values()))


def heard_of(tellings: Mapping[str, Telling], raws: Iterable[Any]) -> list[Telling]:
    """Let each case hear what was published of it; those that heard something and have not ended before."""
    stirred: dict[str, Telling] = {}
    for raw in raws:
        given = {name: text.decode() for name, text in raw.headers}
        telling = tellings[given["ce_subject"]]
        if not telling.ended:
            stirred[given["ce_subject"]] = telling
        telling.hear(given["ce_type"], given.get("ce_sequence", ""), given["ce_id"])
    return list(stirred.values())


async def at_rest(looker: Looker, connection: Any, groups: Sequence[Group]) -> None:
    """Wait until every service has read all of its topics, and all that it decided is published."""
    waiting = " UNION ALL ".join(f"SELECT FROM {group.service}.outbox" for group in groups)
    ends = await looker.ends(TOPICS)
    for group in groups:
        topics = topics_of(group.service)
        wanted = sum(end for place, end in ends.items() if place.topic in topics)
        while await looker.committed(group.name, topics) < wanted:
            _alive(groups)
            await asyncio.sleep(LOOK_S)
    while await connection.fetchval(f"SELECT EXISTS ({waiting})"):  # noqa: ASYNC110 - no event; ours
        await asyncio.sleep(LOOK_S)


def _alive(groups: Sequence[Group]) -> None:
    for group in groups:
        if group.child.returncode is not None:
            raise Failed(f"{group.service} ended{end_of(group.log)}")


async def kept(connection: Any, table: str) -> tuple[Counter[tuple[UUID, str]], frozenset[tuple[UUID, Told]]]:
    """Rows of each case, by service (the events that it took) and by table of notify; what employers were told last."""
    places = {service: f"{service}.{table}" for service in SERVICES}
    places |= {name: f"notify.{name}" for name in ("feed", "messages")}
    rows: Counter[tuple[UUID, str]] = Counter()
    for place, relation in places.items():
        for found in await connection.fetch(f"SELECT case_ref, count(*) FROM {relation} GROUP BY case_ref"):  # noqa: S608
            rows[found["case_ref"], place] = found["count"]
    told = await connection.fetch(
        "SELECT case_ref, told ->> 'employer' AS employer, told ->> 'digest' AS digest"
        " FROM notify.cases, jsonb_array_elements(state -> 'told') AS told"
    )
    return rows, frozenset((each["case_ref"], (each["employer"], each["digest"])) for each in told)


def sample_of(variant: str, round_: int, first: Reading, last: Reading, rss_mb: float) -> Sample:
    """The sample; the services are its client, and what each used stands beside it."""
    used = {part: last.cpu[part] - first.cpu[part] for part in last.cpu}
    services = {service: used.pop(service) for service in SERVICES}
    by_service = {service: round(cpu / last.records * 1e6, 2) for service, cpu in services.items()}
    parts = {"client": sum(services.values()), **used}
    return Sample(variant, round_, last.records, last.at - first.at, parts, rss_mb, {"cpu_us_by_service": by_service})
