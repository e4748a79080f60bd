"""The hop of progress, by every variant: clinic events in, cases folded, verdicts out."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.accounting import peak_rss_mb
from bench.expected import Expected, answers_file, differences, expected_of, wrong_rows
from bench.load import SERVICE, Load, states_file
from bench.sample import PATIENCE_S, Failed, Sample, between, end_of, measure_told, process, python, read
from bench.wire import Looker, connected, database, fill, forget_group, make_template, make_topic, on, rows_of
from deploy.local import stack as local
from deploy.local.layout import layout_of
from deploy.local.services import environment
from torture.spans import taking_spans
from workhardening_contracts.registry import CLINIC_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC

ROOT = Path(__file__).parent.parent
TEMPLATE = "bench_template"
OUTPUTS = (PROGRESS_TOPIC, REJECTIONS_TOPIC)
WARM = 0.15
"""Of the records: by then code and caches are warm in every variant."""
LOOK_S = 0.03
"""How often a service, which does not tell, is looked at."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How to run one, and on how much."""

    name: str
    module: str
    most: int | None = None
    """Cases: what is slow is not run on all of them. Costs are per event."""
    table: str | None = "inbox"
    """Where it keeps which events it took; None where that is in no table of ours."""
    states: bool = True
    """Whether it keeps the cases in our table."""
    ready_made: bool = False
    """Is given the outputs, and not the cases' states."""
    traced: bool = False
    """Sends its spans; one case in twenty of the load is sampled, which is the default."""
    peer: bool = False
    """Runs in the peers' environment."""


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("raw_limit", "bench.variants.raw_limit", table=None, states=False, ready_made=True),
        Variant("naive", "bench.variants.naive", most=400),
        Variant("typed_batch", "bench.variants.typed_batch"),
        Variant("product", f"services.{SERVICE}", table="event_log"),
        Variant("product_traced", f"services.{SERVICE}", table="event_log", traced=True),
        Variant("sqlalchemy", "bench.peers.sqlalchemy_tx", most=400, peer=True),
        Variant("quixstreams", "bench.peers.quix", most=2500, table=None, states=False, peer=True),
        Variant("bytewax", "bench.peers.wax", most=2500, table=None, states=False, peer=True),
    )
}


@dataclass(frozen=True)
class Size:
    """The load of so many cases, in a topic of its own."""

    topic: str
    records: int
    expected: Expected
    answers: Path
    states: Path


@dataclass(frozen=True)
class Ground:
    """Everything that was filled before the first sample."""

    stack: local.Stack
    sizes: Mapping[int | None, Size]
    logs: Path

    @property
    def servers(self) -> dict[str, int]:
        return {"postgres": self.stack.pids["postgres"], "kafka": self.stack.pids["kafka"]}


@asynccontextmanager
async def ground(stack: local.Stack, load: Load, sizes_of: set[int | None]) -> AsyncGenerator[Ground]:
    """Fill topics and the template: for all cases (None) and for each smaller number of them."""
    await make_template(stack.database, TEMPLATE, SERVICE, load.cases)
    with tempfile.TemporaryDirectory(prefix="whp-bench-") as folder:
        sizes: dict[int | None, Size] = {}
        for nth, most in enumerate({None} | sizes_of):
            part = load if most is None else load.part(most)
            topic = CLINIC_TOPIC if most is None else f"bench.{nth}.events.v1"
            if most is not None:
                await make_topic(stack.kafka, topic)
            await fill(stack.kafka, topic, part.records)
            expected = expected_of(part)
            answers, states = Path(folder) / f"answers-{nth}", Path(folder) / f"states-{nth}"
            answers.write_text(answers_file(expected), encoding="utf-8")
            states.write_text(states_file(part), encoding="utf-8")
            sizes[most] = Size(topic, len(part.records), expected, answers, states)
        yield Ground(stack, sizes, Path(folder))


async def sample(ground: Ground, variant: Variant, round_: int) -> Sample:
    """One sample, checked. Raises Failed."""
    size, stack = ground.sizes[variant.most], ground.stack
    name = f"b_{secrets.token_hex(6)}"
    log = ground.logs / f"{name}.log"
    async with database(stack.database, name, TEMPLATE) as admin, Looker(stack.kafka) as looker:
        before = await looker.ends(OUTPUTS)
        dsn = on(stack.services[SERVICE].database, name)
        if variant.module == f"services.{SERVICE}":
            taken = await _product(ground, size, dsn, log, variant, round_, looker, before)
            await forget_group(stack.kafka, f"whp.{SERVICE}")
        else:
            command = [
                python(variant.peer), "-m", variant.module, "--bootstrap", stack.kafka, "--dsn", dsn,
                "--topics", size.topic, "--count", str(size.records), "--warm", str(int(size.records * WARM)),
                "--service", SERVICE, "--load", str(size.answers if variant.ready_made else size.states),
            ]  # fmt: skip
            async with process(command, {}, log) as child:
                taken = await measure_told(variant.name, round_, child, ground.servers, log)
        wrong = differences(size.expected.outputs, await looker.outputs(before))
        if variant.table is not None:
            async with connected(admin) as connection:
                keys, states = await rows_of(connection, SERVICE, variant.table)
            wrong += wrong_rows(size.expected, keys, states if variant.states else None)
        if wrong:
            raise Failed(f"{variant.name} did not do its work: {'; '.join(wrong)}")
    return taken


def service_environment(stack: local.Stack, service: str, dsn: str) -> dict[str, str]:
    """A service's settings: as `make up` has them, on a sample's database."""
    settings = environment(layout_of(ROOT), stack, service)
    settings |= {"WHP_DATABASE_URL": dsn, "WHP_HTTP_PORT": "0"}
    return settings


async def _product(
    ground: Ground, size: Size, dsn: str, log: Path, variant: Variant, round_: int, looker: Looker,
    before: Mapping[Any, int],
) -> Sample:  # fmt: skip
    """The service as it is run, relay included; it tells nothing, so its offsets and its outputs are looked at."""
    settings = service_environment(ground.stack, SERVICE, dsn)
    if variant.traced:
        sizes: list[int] = []
        # In the driver, whose CPU is nobody's.
        async with taking_spans(lambda export: sizes.append(len(export))) as address:
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
            sample = await _watched(ground, size, dsn, log, variant, round_, looker, before, settings)
        if not sizes:
            raise Failed(f"{variant.name} sent no spans")
        return sample
    return await _watched(ground, size, dsn, log, variant, round_, looker, before, settings)


async def _watched(
    ground: Ground, size: Size, dsn: str, log: Path, variant: Variant, round_: int, looker: Looker,
    before: Mapping[Any, int], settings: Mapping[str, str],
) -> Sample:  # fmt: skip
    """The service under these settings, from warm to done."""
    topics, wanted = [size.topic], sum(size.expected.outputs.values()) + sum(before.values())
    async with (
        process([python(False), "-m", variant.module], settings, log, tells=False) as child,
        asyncio.timeout(PATIENCE_S),
        connected(dsn) as connection,
    ):
        roots = {"client": child.pid, **ground.servers}
        begun = read(0, roots)

        async def finished() -> int:
            await asyncio.sleep(LOOK_S)
            if child.returncode is not None:
                raise Failed(f"the service ended{end_of(log)}")
            return await looker.committed(f"whp.{SERVICE}", topics)

        while (done := await finished()) < size.records * WARM:
            pass
        first = read(done, roots)
        while await finished() < size.records:
            pass
        while sum((await looker.ends(OUTPUTS)).values()) < wanted:  # noqa: ASYNC110 - the broker raises no event
            await asyncio.sleep(LOOK_S)
        while await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)"):  # noqa: ASYNC110 - nor does a table
            await asyncio.sleep(LOOK_S)
        last = read(size.records, roots)
        return between(variant.name, round_, begun, first, last, peak_rss_mb(child.pid))
