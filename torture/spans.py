"""Takes the services' spans over OTLP/HTTP, their bytes as they came: what reads them might leave some out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from deploy.local.ports import HOST

LARGEST = 16 * 1024 * 1024


@asynccontextmanager
async def taking_spans(keep: Callable[[bytes], object]) -> AsyncGenerator[str]:
    """A collector on this machine that hands each export on; gives its OTLP endpoint."""

    async def take(request: web.Request) -> web.Response:
        keep(await request.read())
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
