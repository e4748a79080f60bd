"""Fifty endpoints, of which some never answer: what the others wait for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from deploy.local import stack as local
from runtime.db import Pool, open_pool
from runtime.running import Running
from runtime.settings import Settings
from runtime.telemetry import set_up_traces
from services.notify.employers import add_endpoint
from services.notify.sender import deliver
from services.notify.state import Known
from torture.growth.measure import at
from workhardening_contracts.intake import ConsentGrant

ENDPOINTS = 50
MOST = 10
"""So many hang at most; those that never do are looked at, in every round."""
PER_ENDPOINT = 20
ROUNDS = 9
PATIENCE_S = 300.0

_TELL = """
WITH told AS (
    SELECT 'e' || n AS employer, gen_random_uuid() AS case_ref
    FROM generate_series(0, $1::int - 1) AS n, generate_series(1, $2::int)
), opened AS (
    INSERT INTO cases (case_ref, partition, version, state)
    SELECT case_ref, 0, 1, replace($3, '{employer}', employer)::jsonb FROM told
)
INSERT INTO deliveries (employer, case_ref, event_id, sequence, body, scopes, bases, occurred_at)
SELECT employer, case_ref, case_ref::text, 1, $4, '{work_status}', '{worker_consent}', now() FROM told ORDER BY random()
"""

_LEFT = "SELECT EXISTS (SELECT FROM deliveries WHERE substr(employer, 2)::int >= $1 AND status = 'pending')"
_WAITS = """
SELECT extract(epoch FROM delivered_at - created_at)::float8 AS s FROM deliveries WHERE substr(employer, 2)::int >= $1
"""


Waits = Mapping[int, Sequence[Sequence[float]]]
"""By how many hang, for each round: seconds from the decision to each delivery to an endpoint that never hangs."""


async def waits_beside_hanging(stack: local.Stack, counts: Sequence[int], each: int, rounds: int) -> Waits:
    """Bursts of `each` updates to fifty endpoints of which so many hang, in turn; the sender is the product's own."""
    hanging: set[str] = set()
    waits: dict[int, list[list[float]]] = {count: [] for count in counts}
    pool = await open_pool(stack.services["notify"].database, "whp-growth")
    try:
        async with _receiving(hanging) as port:
            async with pool.acquire() as connection:
                for n in range(ENDPOINTS):
                    await add_endpoint(connection, f"e{n}", f"http://127.0.0.1:{port}/e{n}", False, local=True)
            await _burst(pool, 2)  # the first burst warms up and is not counted
            for nth in range(rounds):
                turn = nth % len(counts)
                for count in (*counts[turn:], *counts[:turn]):
                    hanging |= {f"e{n}" for n in range(count)}
                    waits[count].append(await _burst(pool, each))
                    hanging.clear()
    finally:
        await pool.close()
    return waits


def rates(waits: Waits, count: int) -> list[float]:
    """Updates a second where so many hang, over those of the same round where none does."""
    return [max(none) / max(seen) for seen, none in zip(waits[count], waits[0], strict=True)]


async def healthy_beside_hanging(stack: local.Stack, scale: float) -> Sequence[str]:
    """A burst to fifty endpoints of which none, one or ten hang."""
    counts = (0, 1, MOST)
    each = max(1, int(PER_ENDPOINT * scale))
    waits = await waits_beside_hanging(stack, counts, each, ROUNDS)
    lines = [
        f"{ENDPOINTS} endpoints, bursts of {each} to each, {ROUNDS} rounds of each kind, interleaved; of the"
        f" {ENDPOINTS - MOST} that never hang, medians over the rounds, and ratios to the round without any that hangs:"
    ]
    for count in counts:
        p95s, lasts = [at(0.95, seen) for seen in waits[count]], [max(seen) for seen in waits[count]]
        ratios = [at(0.95, seen) / at(0.95, none) for seen, none in zip(waits[count], waits[0], strict=True)]
        rated = rates(waits, count)
        rate = each * (ENDPOINTS - MOST) / median(lasts)
        lines.append(
            f"{count:2} hang: p95 {median(p95s):.2f} s (ratio {median(ratios):.2f}), {rate:.0f}"
            f" updates/s (ratio {median(rated):.2f}; lowest {min(rated):.2f}, highest {max(rated):.2f})"
        )
    return lines


async def _burst(pool: Pool, each: int) -> list[float]:
    """Seconds from the decision to the delivery, of each update to an endpoint that never hangs. The sender is new, and
    knows nothing of any endpoint: whoever hangs takes all the places that it can."""
    await pool.execute("DELETE FROM deliveries")
    await pool.execute("UPDATE endpoints SET failures = 0, failing_since = NULL, open_until = NULL")
    await pool.execute(_TELL, ENDPOINTS, each, _state(), json.dumps({"data": {"previous_sequence": 0}}).encode())
    sender = asyncio.create_task(deliver(_running(pool)))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await pool.fetchval(_LEFT, MOST):  # noqa: ASYNC110 - the database raises no event
                await asyncio.sleep(0.1)
    finally:
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender
    return [row["s"] for row in await pool.fetch(_WAITS, MOST)]


def _state() -> str:
    """A case that may be told to `{employer}`."""
    grant = ConsentGrant(employer="acme", scope="work_status", basis="worker_consent", valid_from=date(2026, 1, 5))
    state = Known(clinic="north", worker_ref="w", employer="acme", employee_key=None, grants=(grant,))
    return state.model_dump_json().replace('"acme"', '"{employer}"')


def _running(pool: Pool) -> Running:
    """The part of a started service that the sender uses."""
    settings = Settings.model_validate(
        {"mode": "local", "kafka_bootstrap": "127.0.0.1:1", "database_url": "-", "digest_key": "00" * 32}
    )
    return cast("Running", SimpleNamespace(settings=settings, pool=pool, telemetry=set_up_traces("notify", 0.0)))


@asynccontextmanager
async def _receiving(hanging: set[str]) -> AsyncGenerator[int]:
    """Receivers at one port, by path; those that hang take the request and never answer."""

    async def receive(request: web.Request) -> web.Response:
        await request.read()
        if request.match_info["employer"] in hanging:
            await asyncio.sleep(PATIENCE_S)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/{employer}", receive)
    runner: Any = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
