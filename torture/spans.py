"""Takes the services' spans over OTLP/HTTP and keeps their bytes as they came: what reads them might leave some out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from deploy.local.ports import HOST

LARGEST = 16 * 1024 * 1024


@asynccontextmanager
async def taking_spans(file: Path) -> AsyncGenerator[str]:
    """A collector on this machine that appends each export to the file; gives its OTLP endpoint.

    Raises OSError when the file cannot be written.
    """
    with file.open("ab", buffering=0) as kept:

        async def take(request: web.Request) -> web.Response:
            kept.write(await request.read())
            return web.Response(content_type="application/x-protobuf")

        app = web.Application(client_max_size=LARGEST)
        app.router.add_post("/v1/traces", take)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            yield f"http://{HOST}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
