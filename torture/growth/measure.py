"""How the parts measure."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from deploy.local import stack as local

T = TypeVar("T")

Part = Callable[[local.Stack, float], Coroutine[Any, Any, Sequence[str]]]
"""Measures on a stack, at a scale, and says what it found, a line each."""


@asynccontextmanager
async def connected(*dsns: str) -> AsyncGenerator[list[Any]]:
    """A connection to each."""
    opened = [await asyncpg.connect(dsn, command_timeout=None) for dsn in dsns]
    try:
        yield opened
    finally:
        for connection in opened:
            await connection.close()


async def owner_of(stack: local.Stack, schema: str) -> Any:
    """A superuser's connection, without the services' time-outs, in a service's schema."""
    connection: Any = await asyncpg.connect(stack.database, command_timeout=None)
    await connection.execute(f"SET search_path = {schema}")
    return connection


async def timed(work: Awaitable[T], into: list[float]) -> T:
    """Await it, and note how many milliseconds it took."""
    began = time.perf_counter()
    done = await work
    into.append((time.perf_counter() - began) * 1000)
    return done


def at(share: float, times: Sequence[float]) -> float:
    """The quantile of some times."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def spread(times: Sequence[float]) -> str:
    """Median and 95th percentile."""
    return f"p50 {at(0.5, times):.2f} ms, p95 {at(0.95, times):.2f} ms"
