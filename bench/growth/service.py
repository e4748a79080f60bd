"""The service of the hop, `python -m services.progress`, on a database that was filled before."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.accounting import peak_rss_mb
from bench.expected import Expected, differences, expected_of, wrong_rows
from bench.hop import LOOK_S, OUTPUTS, WARM, service_environment
from bench.load import SERVICE, Load
from bench.program import Key
from bench.sample import Failed, Sample, between, end_of, process, python, read
from bench.wire import Looker, connected, fill, forget_group, on, skip_to_end
from deploy.local import stack as local
from workhardening_contracts.registry import CLINIC_TOPIC

GROUP = f"whp.{SERVICE}"
PATIENCE_S = 900.0
"""How long the service may take for one sample: a hundred thousand records on a machine that has other work."""


@dataclass(frozen=True)
class Share:
    """A part of the load, and what it must come to."""

    load: Load
    expected: Expected


def shares(load: Load, count: int) -> list[Share]:
    """The load in so many parts of as many cases each: each sample is fed one that its database has not seen."""
    refs = [{str(case.ref).encode() for case in load.cases[nth::count]} for nth in range(count)]
    parts = [
        Load(load.cases[nth::count], [record for record in load.records if record.key in refs[nth]])
        for nth in range(count)
    ]
    return [Share(part, expected_of(part)) for part in parts]


@dataclass(frozen=True, slots=True)
class Serving:
    """The service, and a look at how far it is."""

    pid: int
    child: asyncio.subprocess.Process
    looker: Looker
    log: Path

    async def committed(self) -> int:
        """Clinics' records whose offsets are committed, as of a moment from now. Raises Failed when it has ended."""
        await asyncio.sleep(LOOK_S)
        if self.child.returncode is not None:
            raise Failed(f"the service ended{end_of(self.log)}")
        return await self.looker.committed(GROUP, [CLINIC_TOPIC])

    async def until(self, records: int) -> int:
        """Wait until so many are; how many are by then."""
        while (done := await self.committed()) < records:
            pass
        return done


@asynccontextmanager
async def serving(stack: local.Stack, database: str, folder: Path) -> AsyncGenerator[Serving]:
    """The service on this database until the block ends; its group is forgotten then."""
    log = folder / f"{secrets.token_hex(6)}.log"
    settings = service_environment(stack, SERVICE, on(stack.services[SERVICE].database, database))
    command = [python(False), "-m", f"services.{SERVICE}"]
    async with Looker(stack.kafka) as looker:
        async with process(command, settings, log, tells=False) as child, asyncio.timeout(PATIENCE_S):
            yield Serving(child.pid, child, looker, log)
        await forget_group(stack.kafka, GROUP)


async def drain(stack: local.Stack, database: str, share: Share, round_: int, folder: Path) -> Sample:
    """Feed a share, and measure from warm to done. Raises Failed where it did not come to what it must."""
    records, wanted = len(share.load.records), share.expected.outputs
    async with Looker(stack.kafka) as looker:
        since = await looker.ends([CLINIC_TOPIC])
        await skip_to_end(stack.kafka, GROUP, since)
        await fill(stack.kafka, CLINIC_TOPIC, share.load.records)
        before = await looker.ends(OUTPUTS)
        begins, ends = sum(since.values()), sum(before.values()) + sum(wanted.values())
        async with serving(stack, database, folder) as service, connected(on(stack.database, database)) as owner:
            await owner.execute(f"SET search_path = {SERVICE}")
            roots = {"client": service.pid, "postgres": stack.pids["postgres"], "kafka": stack.pids["kafka"]}
            begun = read(0, roots)
            first = read(await service.until(begins + int(records * WARM)) - begins, roots)
            await service.until(begins + records)
            while sum((await looker.ends(OUTPUTS)).values()) < ends:
                await service.committed()
            while await owner.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
                await service.committed()
            last = read(records, roots)
            taken = between(database, round_, begun, first, last, peak_rss_mb(service.pid))
            keys, states = await _rows(owner, [case.ref for case in share.load.cases])
        wrong = differences(wanted, await looker.outputs(before)) + wrong_rows(share.expected, keys, states)
    if wrong:
        raise Failed(f"{database} did not do its work: {'; '.join(wrong)}")
    return taken


async def _rows(owner: Any, refs: list[UUID]) -> tuple[list[Key], dict[UUID, Any]]:
    """Of these cases: the events that were taken, and the states."""
    taken = await owner.fetch("SELECT case_ref, source, id FROM event_log WHERE case_ref = any($1)", refs)
    cases = await owner.fetch("SELECT case_ref, state FROM cases WHERE case_ref = any($1)", refs)
    states = {row["case_ref"]: None if row["state"] is None else json.loads(row["state"]) for row in cases}
    return [(row["case_ref"], row["source"], row["id"]) for row in taken], states
