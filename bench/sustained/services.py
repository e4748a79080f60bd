"""Services as processes of their own, from the moment at which their groups' partitions are shared out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.hop import service_environment
from bench.partitions import PARTITIONS
from bench.program import topics_of
from bench.sample import PATIENCE_S, Failed, end_of, process, python
from bench.wire import Looker, on
from deploy.local import stack as local


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of a service."""

    service: str
    child: asyncio.subprocess.Process
    log: Path


def group_of(service: str) -> str:
    return f"whp.{service}"


@asynccontextmanager
async def running(
    stack: local.Stack, looker: Looker, services: Sequence[str], database: str, more: Mapping[str, str]
) -> AsyncGenerator[list[Replica]]:
    """A process for each of `services`, which may name one several times; given when all hold their partitions.

    `more` are settings beside those of `make up`. Raises Failed where one ends, or holds nothing after a while.
    """
    async with AsyncExitStack() as opened:
        logs = Path(opened.enter_context(TemporaryDirectory(prefix="whp-bench-")))
        replicas: list[Replica] = []
        for nth, service in enumerate(services):
            settings = service_environment(stack, service, on(stack.services[service].database, database))
            log = logs / f"{service}-{nth}.log"
            command = [python(False), "-m", f"services.{service}"]
            child = await opened.enter_async_context(process(command, {**settings, **more}, log, tells=False))
            replicas.append(Replica(service, child, log))
        for service, many in Counter(services).items():
            await _shared_out(looker, service, many, replicas)
        yield replicas


def share(service: str, many: int) -> list[int]:
    """What each of so many members holds, when all topics are shared out evenly."""
    return [len(topics_of(service)) * PARTITIONS // many] * many


async def _shared_out(looker: Looker, service: str, many: int, replicas: Iterable[Replica]) -> None:
    held: list[int] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (held := await looker.held(group_of(service))) != share(service, many):
                all_live(replicas)
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise Failed(f"{many} of {service} held {held} partitions after {PATIENCE_S:.0f} s") from None


def all_live(replicas: Iterable[Replica]) -> None:
    """Raises Failed where a process has ended."""
    for replica in replicas:
        if replica.child.returncode is not None:
            raise Failed(f"{replica.service} ended{end_of(replica.log)}")


async def lag(looker: Looker, service: str) -> int:
    """Records of all its topics that a service has not committed."""
    topics = topics_of(service)
    done = await looker.committed(group_of(service), topics)
    return sum((await looker.ends(topics)).values()) - done
