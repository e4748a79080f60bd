"""The relay by itself: an outbox that is full, and the topic that must hold it afterwards, in order."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.hop import WARM
from bench.sample import Failed, Sample, measure_told, process, python
from bench.wire import Looker, connected, database, on
from deploy.local import stack as local
from torture.growth.outbox import SCHEMA, fill

PER_CASE = 4
"""Rows of each case."""
TOPIC = "bench.relay.v1"
"""One that no service reads: what is published here is nothing to the hop."""


@dataclass(frozen=True, slots=True)
class Variant:
    """How to run one, and on how much."""

    name: str
    module: str
    rows: int = 40_000
    """What is slow is not run on all of them. Costs are per row."""
    ordered: bool = True
    """Whether it promises that the rows of a case are published in their order."""
    peer: bool = False
    """Runs in the peers' environment."""


VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("relay_limit", "bench.variants.relay_limit"),
        Variant("relay_product", "bench.variants.relay_product"),
        Variant("relay_faststream_outbox", "bench.peers.outbox_relay", rows=3_000, ordered=False, peer=True),
    )
}


async def sample(stack: local.Stack, variant: Variant, round_: int) -> Sample:
    """The variant's number of rows, of 700 bytes each, published. Raises Failed."""
    name = f"b_{secrets.token_hex(6)}"
    with TemporaryDirectory(prefix="whp-bench-") as folder:
        log = Path(folder) / f"{name}.log"
        async with database(stack.database, name, "whp") as admin, Looker(stack.kafka) as looker:
            async with connected(admin) as owner:
                await owner.execute(f"SET search_path = {SCHEMA}")
                await owner.execute(
                    f"GRANT CREATE ON SCHEMA {SCHEMA} TO {SCHEMA}"
                )  # a peer's outbox is a table of its own
                await fill(owner, variant.rows, TOPIC, variant.rows // PER_CASE)
                await owner.execute("VACUUM ANALYZE outbox")
                await owner.execute("CHECKPOINT")
            before = await looker.ends([TOPIC])
            command = [
                python(variant.peer), "-m", variant.module, "--bootstrap", stack.kafka,
                "--dsn", on(stack.services[SCHEMA].database, name), "--topics", TOPIC, "--count", str(variant.rows),
                "--warm", str(int(variant.rows * WARM)), "--service", SCHEMA,
            ]  # fmt: skip
            servers = {"postgres": stack.pids["postgres"], "kafka": stack.pids["kafka"]}
            async with process(command, {}, log) as child:
                taken = await measure_told(variant.name, round_, child, servers, log)
            published = [(raw.key, int(raw.value)) for raw in await looker.read(before)]
    if wrong := differs(published, variant.rows, ordered=variant.ordered):
        raise Failed(f"{variant.name} {wrong}")
    return taken


def differs(published: Sequence[tuple[bytes, int]], rows: int, *, ordered: bool) -> str | None:
    """What is wrong with the rows in the topic, each told as its case and its number there; None where nothing is."""
    if len(set(published)) < rows:
        return f"published {len(set(published))} of {rows} rows"
    if len(published) > rows:
        return f"published {len(published) - rows} rows twice"
    # Each partition was read in its order, and a case lies in one.
    next_of: dict[bytes, int] = {}
    for case, number in published:
        if ordered and number != next_of.get(case, 0):
            return f"published row {number} of a case where row {next_of.get(case, 0)} was due"
        next_of[case] = number + 1
    return None
