"""The product's relay on a filled outbox: read, send, delete, in the order of the ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from opentelemetry import trace

from bench.variants.hop import Meter, given
from runtime import relay
from runtime.telemetry import Telemetry


async def main() -> None:
    start = given()
    meter, finished = Meter(start), asyncio.Event()
    delete = relay.delete_rows

    async def counted(connection: Any, ids: Sequence[int]) -> None:
        await delete(connection, ids)
        if meter.handled(len(ids), len(ids)):
            finished.set()

    telemetry = Telemetry(start.service, trace.NoOpTracer(), False, 0.0)
    with patch.object(relay, "delete_rows", counted):
        task = asyncio.create_task(relay.Relay(start.dsn, start.service, start.bootstrap, telemetry).run())
        await finished.wait()
        meter.done()
        task.cancel()
        await asyncio.wait([task])


if __name__ == "__main__":
    asyncio.run(main())
