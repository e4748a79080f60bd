"""The relay by itself: an outbox that is full, and the topic that must hold it afterwards, in order."""

from __future__ import annotations

import secrets
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.hop import WARM
from bench.sample import Failed, Sample, measure_told, process, python
from bench.wire import Looker, connected, database, on
from deploy.local import stack as local
from torture.growth.outbox import SCHEMA, fill

MODULES = {"relay_limit": "bench.variants.relay_limit", "relay_product": "bench.variants.relay_product"}
ROWS = 40_000
TOPIC = "bench.relay.v1"
"""One that no service reads: what is published here is nothing to the hop."""


async def sample(stack: local.Stack, variant: str, round_: int, rows: int = ROWS) -> Sample:
    """So many rows of 700 bytes, of 10,000 cases, published. Raises Failed."""
    name = f"b_{secrets.token_hex(6)}"
    with TemporaryDirectory(prefix="whp-bench-") as folder:
        log = Path(folder) / f"{name}.log"
        async with database(stack.database, name, "whp") as admin, Looker(stack.kafka) as looker:
            async with connected(admin) as owner:
                await owner.execute(f"SET search_path = {SCHEMA}")
                await fill(owner, rows, TOPIC)
                await owner.execute("VACUUM ANALYZE outbox")
                await owner.execute("CHECKPOINT")
            before = await looker.ends([TOPIC])
            command = [
                python(False), "-m", MODULES[variant], "--bootstrap", stack.kafka,
                "--dsn", on(stack.services[SCHEMA].database, name), "--count", str(rows),
                "--warm", str(int(rows * WARM)), "--service", SCHEMA,
            ]  # fmt: skip
            servers = {"postgres": stack.pids["postgres"], "kafka": stack.pids["kafka"]}
            async with process(command, {}, log) as child:
                taken = await measure_told(variant, round_, child, servers, log)
            next_of: dict[bytes, int] = {}
            for raw in await looker.read(before):
                if int(raw.value) != next_of.setdefault(raw.key, 0):
                    raise Failed(f"{variant} published a case's rows twice or out of order")
                next_of[raw.key] += 1
            if sum(next_of.values()) != rows:
                raise Failed(f"{variant} published {sum(next_of.values())} of {rows} rows")
    return taken
