"""Rung 1 of the ladder: the real consumer, relay, parking and retry in a world whose every step a seed chooses.

The coroutines of the runtime run as they are; only PostgreSQL, Kafka and the clock are models, and each of their
answers is a point at which another process may overtake, or this one be paused or killed. One thread, virtual time: a
seed is a schedule, and replays it.

    python -m torture.simulation --seeds 20000
    python -m torture.simulation --seed 4711 --verbose
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import math
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from types import SimpleNamespace
from unittest.mock import patch

import asyncpg
import structlog

from runtime import relay
from torture.mutants import by_name
from torture.simulated.check import Evidence, violations_of
from torture.simulated.loop import Stuck
from torture.simulated.world import World

# Virtual seconds between two looks at whether the world has come to rest, and how often one looks.
LOOK_S, LOOKS = 0.1, 400


def run(seed: int, say: Callable[[str], None] | None = None, seen: Counter[str] | None = None) -> list[str]:
    """One seed. Returns the violations; adds to `seen` what the seed met."""
    with quiet():
        world = World(seed, say)
        database = SimpleNamespace(
            connect=world.connect,
            PostgresError=asyncpg.PostgresError,
            InterfaceError=asyncpg.InterfaceError,
            InternalClientError=asyncpg.InternalClientError,
        )
        with (
            patch.object(relay, "asyncpg", database),
            patch.object(relay, "new_producer", world.producer),
            # The floor may move at each read, since seeds are short, and nothing mends what it does wrong.
            patch.object(relay, "LOOK_S", 0.0),
            patch.object(relay, "LOOK_BELOW_S", math.inf),
        ):
            try:
                world.loop.run_until_complete(_live(world))
            except Stuck as stuck:
                world.violations.append(f"I9: {stuck}")
            found = violations_of(_evidence(world))
            if seen is not None:
                seen += world.store.seen
            _end(world)
    return found


async def _live(world: World) -> None:
    """The storm, then rest: all is mended and started, drained, retried or given up, and drained again."""
    world.rebalance()
    world.restart()
    await world.storm.over.wait()
    world.storm.finish()
    await _until_drained(world)
    parked = world.store.tables["parked"]
    while refs := sorted({row["case_ref"] for row in parked.values() if row["resolution"] is None}):
        for ref in refs:
            if not await world.operator.retry(ref):
                await world.operator.discard(ref)
    await world.operator.expire()
    await _until_drained(world)


def _evidence(world: World) -> Evidence:
    store = world.store
    at_work = [f"I9: a transaction of {session.owner} is open" for session in store.sessions if session.in_transaction]
    at_work += [f"I9: {key} is locked" for key, lock in store.locks.items() if lock.holder is not None]
    fences = [f"fence: {fence} had to stop a second writer" for fence in dict.fromkeys(store.fences)]
    return Evidence(world.sent, store.tables, world.broker.logs, [*world.violations, *fences, *at_work])


async def _until_drained(world: World) -> None:
    for _ in range(LOOKS):
        if world.drained():
            return
        if any(row["held"] is not None for row in world.store.tables["outbox"].values()):
            await world.operator.release()
        await asyncio.sleep(LOOK_S)
    raise Stuck("offsets and outbox do not drain")


def _end(world: World) -> None:
    """Cancel what still runs, so that no coroutine is left behind."""
    world.loop.set_exception_handler(lambda loop, context: None)
    for task in list(world.tasks):
        task.cancel()
    world.calm = True
    world.storm.left = 0
    for _ in range(50):
        if all(task.done() for task in asyncio.all_tasks(world.loop)):
            break
        world.loop.call_soon(world.loop.stop)
        world.loop.run_forever()
    world.loop.close()


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Nothing is logged in this block: what fails in it is meant to fail."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def first_failure(seeds: Sequence[int], mutant: str | None = None) -> tuple[int, list[str]] | None:
    """The first of these seeds that violates an invariant, with the runtime as it is or with a mutant of it."""
    for seed in seeds:
        with by_name(mutant).applied() if mutant else contextlib.nullcontext():
            if found := run(seed):
                return seed, found
    return None


def _failures(job: tuple[range, str | None]) -> list[tuple[int, list[str]]]:
    seeds, mutant = job
    failed = [first_failure([seed], mutant) for seed in seeds]
    return [failure for failure in failed if failure]


def main(argv: Sequence[str] | None = None) -> int:
    """Run many seeds, or replay one. Returns 1 when an invariant was violated."""
    parser = argparse.ArgumentParser(
        prog="python -m torture.simulation", description="Run seeded schedules of the runtime."
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run (1000)")
    parser.add_argument("--start", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--seed", type=int, help="replay this seed alone")
    parser.add_argument("--verbose", action="store_true", help="print the schedule of --seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--mutant", help="a fault of torture/mutants, which must be caught")
    options = parser.parse_args(argv)
    again = "python -m torture.simulation" + (f" --mutant {options.mutant}" if options.mutant else "")
    if options.seed is not None:
        with by_name(options.mutant).applied() if options.mutant else contextlib.nullcontext():
            found = run(options.seed, print if options.verbose else None)
        for violation in found:
            print(f"seed {options.seed}: {violation}")
        print(f"seed {options.seed}: {len(found)} violations")
        return bool(found)
    size = 100
    end = options.start + options.seeds
    jobs = [(range(at, min(at + size, end)), options.mutant) for at in range(options.start, end, size)]
    began, done, failed = time.monotonic(), 0, 0
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for (seeds, _), failures in zip(jobs, pool.imap(_failures, jobs), strict=True):
            done += len(seeds)
            for seed, found in failures:
                failed += 1
                print(f"\nseed {seed} fails: {found[0]} (and {len(found) - 1} more)\n  {again} --seed {seed} --verbose")
            took = time.monotonic() - began
            print(f"\r{done} of {options.seeds} seeds, {failed} failed, {took:.0f} s", end="", flush=True)
    print()
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
