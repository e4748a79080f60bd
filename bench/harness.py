"""The driver: every variant once a round, in an order of that round's own, each sample between two fixed loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from bench import chain, hop, latency, relaying
from bench.estimates import disturbed, loop_s
from bench.load import Load, load_of
from bench.orders import lives_of
from bench.sample import Sample
from bench.telling import Life
from bench.wire import make_topic
from deploy.local import stack as local
from deploy.local.scratch import scratch_stack

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench" / "cache"
NAMES: tuple[str, ...] = (*hop.VARIANTS, *relaying.VARIANTS, *latency.NAMES, *chain.VARIANTS)
ATTEMPTS = 4
"""A sample that is disturbed so often in a row is kept: the machine is not quiet, and the intervals will say so."""

Say = Callable[[str], None]
Measure = Callable[[int], Awaitable[Sample]]
"""One sample, of this round."""


def run(names: Sequence[str], *, rounds: int, cases: int, seed: int, say: Say) -> tuple[list[Sample], int]:
    """All samples, and how many had to be repeated. Raises sample.Failed and StackError; stops all that it started."""
    say(f"the load: {cases} cases in their fourth week (made once, some minutes for 10,000)")
    load = load_of(cases, seed, CACHE)
    lives: list[Life] = []
    if chain.VARIANTS.keys() & set(names):
        lives, dropped = lives_of(min(cases, chain.LIVES), seed, CACHE)
        say(f"the chain: {len(lives)} lives; {dropped} more depend on the order in which topics are read")
    # Around the event loop and not in it: a Ctrl-C during the start then reaches the start itself, which cleans up.
    with scratch_stack(ROOT, "bench", say=lambda _: None) as stack:
        return asyncio.run(_measured(stack, load, lives, names, rounds, seed, say))


async def _measured(
    stack: local.Stack, load: Load, lives: Sequence[Life], names: Sequence[str], rounds: int, seed: int, say: Say
) -> tuple[list[Sample], int]:
    """The samples of `run`, on a stack that is up."""
    sizes = {hop.VARIANTS[name].most for name in names if name in hop.VARIANTS}
    samples: list[Sample] = []
    repeated = 0
    async with hop.ground(stack, load, sizes) as filled:
        measures = {name: _measure(filled, load, lives, name, seed) for name in names}
        if measures.keys() & set(latency.NAMES):
            await make_topic(stack.kafka, latency.FLOOR_TOPIC)
        if measures.keys() & relaying.VARIANTS.keys():
            await make_topic(stack.kafka, relaying.TOPIC)
        if measures.keys() & chain.VARIANTS.keys():
            await chain.prepare(stack)
        for round_, order in orders(names, rounds, seed):
            for name in order:
                sample, more = await bracketed(measures[name], round_)
                repeated += more
                samples.append(sample)
                say(
                    f"round {round_}/{rounds} {name}: {sample.events} events, {sample.rate:.0f}/s,"
                    f" {sample.cpu_us:.0f} us{f', repeated {more} times' if more else ''}"
                )
    return samples, repeated


def orders(names: Sequence[str], rounds: int, seed: int) -> Iterator[tuple[int, list[str]]]:
    """Each round and its order. Latency and the chain have rounds of their own behind all others: what they send stays
    in the program's topics, where the next sample of a hop would take it for its load."""
    behind = {name: part for part, some in enumerate((latency.NAMES, chain.VARIANTS), 1) for name in some}
    for part in range(3):
        some = [name for name in names if behind.get(name, 0) == part]
        for round_ in range(1, rounds + 1):
            order = list(some)
            Random(f"{seed}/{round_}").shuffle(order)
            yield round_, order


async def bracketed(measure: Measure, round_: int, *, loop: Callable[[], float] = loop_s) -> tuple[Sample, int]:
    """A sample during which the machine stayed as fast as it was, and how many were thrown away for it."""
    for thrown in range(ATTEMPTS):
        before = loop()
        sample = await measure(round_)
        if thrown == ATTEMPTS - 1 or not disturbed(before, loop()):
            return sample, thrown
    raise AssertionError("unreachable")


def _measure(filled: hop.Ground, load: Load, lives: Sequence[Life], name: str, seed: int) -> Measure:
    async def measure(round_: int) -> Sample:
        if name in relaying.VARIANTS:
            return await relaying.sample(filled.stack, relaying.VARIANTS[name], round_)
        if name in latency.NAMES:
            return await latency.sample(filled.stack, load, name, round_, seed)
        if name in chain.VARIANTS:
            return await chain.sample(filled.stack, lives, chain.VARIANTS[name], round_)
        return await hop.sample(filled, hop.VARIANTS[name], round_)

    return measure
