"""One, two and four processes of a service on a backlog: what an event costs then.

The backlog is written while the processes, which hold their partitions and are warm, are stopped by a signal: none of
them can begin early, and what it costs to start, to join and to write is not measured.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.accounting import peak_rss_mb
from bench.expected import Expected, differences, expected_of, wrong_rows
from bench.harness import Say, bracketed, orders
from bench.hop import LOOK_S, WARM
from bench.load import Load, fourth_week, load_of
from bench.program import topics_of
from bench.sample import PATIENCE_S, Failed, Sample, between, read
from bench.sustained.services import Replica, all_live, group_of, running, share
from bench.sustained.verdicts import verdicts
from bench.wire import (
    Looker,
    connected,
    database,
    fill,
    forget_group,
    make_template,
    rows_of,
    skip_to_end,
)
from deploy.local import stack as local
from workhardening_contracts.registry import CLINIC_TOPIC, PLANNING_TOPIC, PROGRESS_TOPIC, REJECTIONS_TOPIC

COUNTS = (1, 2, 4)
SESSION_S = 30
"""A process that is stopped for less stays a member of its group."""


@dataclass(frozen=True)
class Backlog:
    """What waits for a service, and what must come of it."""

    service: str
    topic: str
    answers: tuple[str, ...]
    load: Load
    expected: Expected

    @property
    def template(self) -> str:
        return f"bench_{self.service}"


def backlogs(cases: int, seed: int, folder: Path) -> list[Backlog]:
    """Progress's is a week of its clinics' reports, planning's the verdicts on all weeks of a case."""
    found: list[Backlog] = []
    for service, topic, answers, life in (
        ("planning", PROGRESS_TOPIC, (PLANNING_TOPIC,), verdicts),
        ("progress", CLINIC_TOPIC, (PROGRESS_TOPIC, REJECTIONS_TOPIC), fourth_week),
    ):
        load = load_of(cases, seed, folder, life)
        found.append(Backlog(service, topic, answers, load, expected_of(load, service, topic)))
    return found


async def run(
    stack: local.Stack, all_of: Sequence[Backlog], rounds: int, seed: int, say: Say
) -> tuple[list[Sample], int]:
    """Each service by each number of processes once a round, in an order of that round's own; and how many samples had
    to be repeated. Raises Failed."""
    for backlog in all_of:
        await make_template(stack.database, backlog.template, backlog.service, backlog.load.cases)
    kinds = {f"{backlog.service} x{many}": (backlog, many) for backlog in all_of for many in COUNTS}
    samples: list[Sample] = []
    repeated = 0
    for round_, order in orders(list(kinds), rounds, seed):
        for name in order:
            backlog, many = kinds[name]
            found, thrown = await bracketed(lambda nth, of=backlog, by=many: sample(stack, of, by, nth), round_)
            samples.append(found)
            repeated += thrown
            say(
                f"round {round_}/{rounds} {name}: {found.events} events, {found.rate:.0f}/s, {found.cpu_us:.0f} us"
                f"{f', repeated {thrown} times' if thrown else ''}"
            )
    return samples, repeated


async def sample(stack: local.Stack, backlog: Backlog, many: int, round_: int) -> Sample:
    """One backlog drained by so many processes, from warm to done, and checked. Raises Failed."""
    service, name = backlog.service, f"b_{secrets.token_hex(6)}"
    more = {"WHP_SESSION_TIMEOUT_MS": str(SESSION_S * 1000)}
    async with database(stack.database, name, backlog.template) as admin, Looker(stack.kafka) as looker:
        before = await looker.ends(backlog.answers)
        await skip_to_end(stack.kafka, group_of(service), await looker.ends(topics_of(service)))
        async with running(stack, looker, [service] * many, name, more) as replicas:
            taken = await _drained(stack, backlog, replicas, looker, admin, round_)
        await forget_group(stack.kafka, group_of(service))
        wrong = differences(backlog.expected.outputs, await looker.outputs(before))
        async with connected(admin) as connection:
            keys, states = await rows_of(connection, service, "event_log")
        wrong += wrong_rows(backlog.expected, keys, states)
        if wrong:
            raise Failed(f"{many} of {service} did not do their work: {'; '.join(wrong)}")
    return taken


async def _drained(
    stack: local.Stack, backlog: Backlog, replicas: Sequence[Replica], looker: Looker, admin: str, round_: int
) -> Sample:
    """The first records warm all processes; what is measured begins and ends with nothing in their hands."""
    service, many, records = backlog.service, len(replicas), backlog.load.records
    roots = {f"replica {nth}": replica.child.pid for nth, replica in enumerate(replicas, 1)}
    roots |= {part: stack.pids[part] for part in ("postgres", "kafka")}
    before, warm = await looker.committed(group_of(service), [backlog.topic]), int(len(records) * WARM)
    try:
        async with asyncio.timeout(PATIENCE_S), connected(admin) as connection:

            async def taken(count: int) -> None:
                while await looker.committed(group_of(service), [backlog.topic]) < before + count:
                    all_live(replicas)
                    await asyncio.sleep(LOOK_S)
                while await connection.fetchval(f"SELECT EXISTS (SELECT FROM {service}.outbox)"):  # noqa: ASYNC110, S608
                    await asyncio.sleep(LOOK_S)

            await fill(stack.kafka, backlog.topic, records[:warm])
            await taken(warm)
            with stopped(replicas):
                await fill(stack.kafka, backlog.topic, records[warm:])
                first = read(warm, roots)
            await taken(len(records))
            last = read(len(records), roots)
    except TimeoutError:
        raise Failed(f"{many} of {service} did not drain {len(records)} records in {PATIENCE_S:.0f} s") from None
    if (held := await looker.held(group_of(service))) != share(service, many):
        raise Failed(f"{many} of {service} ended with {held} partitions")
    memory = sum(peak_rss_mb(replica.child.pid) for replica in replicas)
    return between(f"{service} x{many}", round_, first, first, last, memory, service=service, replicas=many)


@contextmanager
def stopped(replicas: Sequence[Replica]) -> Generator[None]:
    """Processes that do nothing within the block. Raises Failed where it takes so long that they lose membership."""
    began = time.monotonic()
    for replica in replicas:
        replica.child.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        # Also on a Ctrl-C: a stopped process would not hear that it is to end.
        for replica in replicas:
            with suppress(ProcessLookupError):
                replica.child.send_signal(signal.SIGCONT)
    if (took := time.monotonic() - began) > SESSION_S * 0.8:
        raise Failed(f"the backlog took {took:.0f} s to write; take fewer cases")
