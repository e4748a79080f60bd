"""The backlog of an employer whose endpoint is dead, and what the others wait for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from deploy.local import stack as local
from services.notify.sender import IN_FLIGHT, LEASE_S, PER_ENDPOINT, SQL
from torture.growth.measure import at, connected, owner_of, spread, timed

CASES = 20_000
PER_CASE = 5

_FILL = """
WITH opened AS (
    INSERT INTO cases (case_ref, partition, version, state)
    SELECT md5($1 || n)::uuid, n % 12, 1, '{}' FROM generate_series(1, $2::int) AS n
), endpoint AS (
    INSERT INTO endpoints (employer, kind, topic) VALUES ($1, 'kafka', $1)
)
INSERT INTO deliveries (
    employer, case_ref, event_id, sequence, body, scopes, bases, occurred_at, attempts, next_attempt_at, behind_until
)
SELECT $1, md5($1 || n)::uuid, n || '/' || s, s, $5, '{work_status}', '{worker_consent}', now(), (s = 1)::int,
       CASE WHEN s = 1 THEN now() + make_interval(secs => $4) ELSE now() END,
       CASE WHEN s > 1 THEN now() + make_interval(secs => $4) END
FROM generate_series(1, $2::int) AS n, generate_series(1, $3::int) AS s
"""


async def claim_behind_a_dead_endpoint(stack: local.Stack, scale: float) -> Sequence[str]:
    """One claim beside 100,000 updates of an endpoint that waits for its retries, by `behind_until` and without."""
    cases = int(CASES * scale)
    owner = await owner_of(stack, "notify")
    body = json.dumps({"status": "unable"}).ljust(600).encode()
    await owner.execute(_FILL, "dead", cases, PER_CASE, 3600.0, body)
    await owner.execute(_FILL, "alive", 1000, 1, -1.0, body)
    await owner.execute(
        "CREATE INDEX before_due ON deliveries (employer, next_attempt_at, id) WHERE status = 'pending'; ANALYZE"
    )
    now = SQL["claim_deliveries"]
    before = now.replace("greatest(d.next_attempt_at, d.behind_until)", "d.next_attempt_at")
    assert before != now
    times: dict[str, list[float]] = {before: [], now: []}
    claimed: dict[str, set[int]] = {}
    async with connected(stack.services["notify"].database) as (own,):
        for _ in range(50):
            for text, taken in times.items():
                rows = await _claim(own, text, taken)
                claimed[text] = {row["id"] for row in rows}
    owner.terminate()
    assert claimed[before] == claimed[now], "both claim the same"
    assert len(claimed[now]) == PER_ENDPOINT
    return [
        f"{cases * PER_CASE} pending updates of a dead endpoint, {cases} cases; one claim, 50 each, interleaved",
        f"all that are due are walked over  {spread(times[before])}",
        f"those behind a retry are left out {spread(times[now])}",
        f"ratio of p50: {at(0.5, times[before]) / at(0.5, times[now]):.0f}",
    ]


async def _claim(connection: Any, text: str, taken: list[float]) -> Sequence[Any]:
    """A claim, taken back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        asked = connection.fetch(text, [], [], PER_ENDPOINT, IN_FLIGHT, uuid4(), LEASE_S)
        return await timed(asked, taken)
    finally:
        await transaction.rollback()
