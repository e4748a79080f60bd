"""Take spans as OTLP/HTTP and hand them to Zipkin, which speaks no OTLP.

`python -m deploy.local.otlp_forwarder --port PORT --zipkin URL`. For one machine: it keeps nothing, and a sender that
is told 503 tries again.
"""

import argparse
import logging
import sys
from collections.abc import AsyncGenerator, Sequence

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from .otlp_to_zipkin import to_zipkin
from .ports import HOST

PROTOBUF = "application/x-protobuf"
LARGEST = 16 * 1024 * 1024

_ZIPKIN = web.AppKey("zipkin", str)
_SESSION = web.AppKey("session", ClientSession)


def application(zipkin: str) -> web.Application:
    """The forwarder for a Zipkin at this base URL."""
    app = web.Application(client_max_size=LARGEST)
    app[_ZIPKIN] = zipkin.rstrip("/")
    app.cleanup_ctx.append(_session)
    app.router.add_post("/v1/traces", take_spans)
    app.router.add_get("/healthz", healthz)
    return app


async def _session(app: web.Application) -> AsyncGenerator[None]:
    async with ClientSession(timeout=ClientTimeout(total=10), trust_env=False) as session:
        app[_SESSION] = session
        yield


async def healthz(request: web.Request) -> web.Response:
    """Say that the forwarder takes spans."""
    return web.Response(text="ok\n")


async def take_spans(request: web.Request) -> web.Response:
    """Convert one export and answer only when Zipkin has it; a compressed body was opened by the server already.

    Answers 415 for anything but protobuf, 400 for what is none, 503 when Zipkin does not take it.
    """
    if request.content_type != PROTOBUF:
        return web.Response(status=415, text=f"send {PROTOBUF}\n")
    try:
        spans = to_zipkin(ExportTraceServiceRequest.FromString(await request.read()))
    except DecodeError:
        return web.Response(status=400, text="not an OTLP trace export\n")
    if spans and not await _hand_over(request.app, spans):
        return web.Response(status=503, headers={"Retry-After": "1"}, text="Zipkin does not take spans now\n")
    return web.Response(body=ExportTraceServiceResponse().SerializeToString(), content_type=PROTOBUF)


async def _hand_over(app: web.Application, spans: list[dict[str, object]]) -> bool:
    try:
        async with app[_SESSION].post(f"{app[_ZIPKIN]}/api/v2/spans", json=spans) as answer:
            return answer.status < 300
    except (ClientError, TimeoutError):
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; gives the exit code."""
    parser = argparse.ArgumentParser(prog="deploy.local.otlp_forwarder", description="OTLP/HTTP in, Zipkin out.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--zipkin", required=True, help="base URL of Zipkin")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    web.run_app(application(options.zipkin), host=HOST, port=options.port, print=None, access_log=None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
