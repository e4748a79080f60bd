"""P13: the memory of the service while it drains a backlog of a million records, beside one of ten thousand."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from bench.accounting import peak_rss_mb
from bench.growth.cohorts import cohort, multiply, renamed
from bench.growth.report import Measured
from bench.growth.service import serving
from bench.growth.tables import load_at
from bench.harness import Say
from bench.load import SERVICE, Load, Record
from bench.partitions import partition_of
from bench.sample import Failed
from bench.wire import connected, database, make_template, on
from deploy.local import stack as local
from workhardening_contracts.registry import CLINIC_TOPIC

BACKLOG = 1_000_000
FEW = 10_000
DRAINED = 100_000
"""So many of the large backlog are drained, at most: by then two hundred batches have each held what a batch holds, and
what the client fetches ahead has been full from the beginning."""
MOST_UNSENT = 50_000
TEMPLATE = "growth_backlog"


async def memory(stack: local.Stack, scale: float, rounds: int, say: Say) -> list[Measured]:
    """P13: the peak while the first 100,000 of 1,000,000 records are drained, over that while 10,000 are, and are all.

    No record is there twice: the load's cases come again under other references, and have their rows."""
    load = load_at(scale)
    records = _records(load)
    backlog = int(BACKLOG * scale)
    few, drained = min(FEW, backlog // 2), min(DRAINED, backlog)
    # Partitions are not drained evenly: the rows are there for twice as many records as are waited for.
    await _make_template(stack, load, min(backlog, 2 * drained) // len(load.records) + 1)
    small: list[float] = []
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="whp-bench-") as folder:
        await _fill(stack.kafka, islice(records, few))
        for round_ in range(1, rounds + 1):
            small.append(max((await _peaks_mb(stack, few, Path(folder))).values()))
            say(f"round {round_}: a backlog of {few} records, peak {small[-1]:.1f} MB")
        await _fill(stack.kafka, islice(records, backlog - few))
        for round_, before in enumerate(small, 1):
            peaks = await _peaks_mb(stack, drained, Path(folder))
            large = max(peaks.values())
            say(f"round {round_}: {drained} of a backlog of {backlog} records, peak {large:.1f} MB, by tenths {peaks}")
            more = {"small_mb": before, "large_mb": large, "backlog": backlog, "peaks_mb": peaks}
            measured.append(Measured("P13", round_, large / before, more))
    return measured


def _records(load: Load) -> Iterator[Record]:
    """As many as anybody wants: those of the load, then those of one cohort after another."""
    yield from load.records
    for nth in count(1):
        yield from cohort(load, nth).records


async def _make_template(stack: local.Stack, load: Load, cohorts: int) -> None:
    await make_template(stack.database, TEMPLATE, SERVICE, load.cases)
    refs = [case.ref for case in load.cases]
    async with connected(on(stack.database, TEMPLATE)) as owner:
        await owner.execute(f"SET search_path = {SERVICE}; CREATE TABLE lived AS TABLE cases")
        for nth in range(1, cohorts):
            await multiply(owner, "cases", renamed(refs, nth))
        await owner.execute("DROP TABLE lived")
        await owner.execute("VACUUM ANALYZE cases")


async def _peaks_mb(stack: local.Stack, records: int, folder: Path) -> dict[int, float]:
    """The service's peak from its start until it has drained so many records, and on the way there by tenths: whether
    it still rises is to be seen. Raises Failed where it refused any."""
    name = f"b_{secrets.token_hex(6)}"
    peaks: dict[int, float] = {}
    async with database(stack.database, name, TEMPLATE) as admin, connected(admin) as owner:
        async with serving(stack, name, folder) as service:
            for tenth in range(1, 11):
                mark = records * tenth // 10
                await service.until(mark)
                peaks[mark] = round(peak_rss_mb(service.pid), 1)
        await owner.execute(f"SET search_path = {SERVICE}")
        refused = await owner.fetchval(_REFUSED)
    if refused:
        raise Failed(f"{refused} records were refused, or wait: {name} does not hold their cases")
    return peaks


_REFUSED = """
SELECT (SELECT count(*) FROM event_log WHERE result IN ('waiting', 'parked')) + (SELECT count(*) FROM dead_letter)
"""


async def _fill(bootstrap: str, records: Iterable[Record]) -> None:
    """Write records, each to its case's partition. Not as `wire.fill`: that takes minutes for a million."""
    producer: Any = Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 20, "log_level": 3}
    )
    failed: list[Any] = []

    def told(error: Any, _: Any) -> None:
        failed.extend([error] if error is not None else [])

    for nth, record in enumerate(records):
        if nth % 1000 == 0:
            while len(producer) > MOST_UNSENT:
                producer.poll(0)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
        number, headers = partition_of(record.key), list(record.headers)
        producer.produce(CLINIC_TOPIC, record.value, record.key, number, headers=headers, on_delivery=told)
        producer.poll(0)
    while len(producer):
        producer.poll(0)
        await asyncio.sleep(0.01)
    if failed:
        raise Failed(f"{len(failed)} records could not be written: {failed[0]}")
