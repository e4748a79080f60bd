"""/metrics in the Prometheus text format: what this process did, and how old what it owes is."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import cast

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from runtime.cases import SQL
from runtime.http import running


def add_metrics(app: FastAPI) -> None:
    """Serve /metrics. Labels name the service only."""

    async def metrics(request: Request) -> PlainTextResponse:
        it = running(request)
        figures: dict[str, float] = {
            f"whp_{name}_total": float(value) for name, value in asdict(it.consumer.counts).items()
        }
        async with it.pool.acquire(timeout=5) as connection:
            figures["whp_outbox_oldest_seconds"] = cast("float", await connection.fetchval(SQL["outbox_age"]))
            figures["whp_parked_cases"] = float(cast("int", await connection.fetchval(SQL["count_parked"])))
        figures["whp_relay_active"] = float(it.relay.active)
        figures["whp_seconds_since_progress"] = time.monotonic() - it.consumer.last_progress
        lines = [f'{name}{{service="{it.service}"}} {value:g}' for name, value in sorted(figures.items())]
        return PlainTextResponse("\n".join(lines) + "\n")

    app.add_api_route("/metrics", metrics, methods=["GET"])
