"""The figures as a collector gets them: the same as /metrics tells, under the conventions' names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from runtime.metrics import GAUGES, Metric, figures, written
from runtime.otlp import exporting
from runtime.running import Running
from runtime.stages import Histogram
from tests.conftest import Kafka
from tests.runtime.toy import TELEMETRY, eventually, started, toy_handlers


@asynccontextmanager
async def collector(
    taken: list[ExportMetricsServiceRequest], monkeypatch: pytest.MonkeyPatch, status: int = 200
) -> AsyncGenerator[None]:
    """Takes figures; it is what the environment names."""

    async def take(request: web.Request) -> web.Response:
        taken.append(ExportMetricsServiceRequest.FromString(await request.read()))
        return web.Response(status=status, content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/metrics", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    try:
        yield
    finally:
        await runner.cleanup()


def metrics_of(request: ExportMetricsServiceRequest) -> dict[str, Any]:
    return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}


@pytest.mark.stack
async def test_a_collector_gets_every_figure_of_metrics_under_the_conventions_names(
    kafka: Kafka, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, out = await kafka.topic(1), await kafka.topic(1)
    taken: list[ExportMetricsServiceRequest] = []
    async with (
        started(toy_handlers(topic, out, service=f"toy-{topic}"), topic, dsn, kafka.bootstrap) as process,
        collector(taken, monkeypatch),
    ):
        running = cast(
            "Running",
            SimpleNamespace(
                service="toy", consumer=process.consumer, relay=process.relay, pool=process.pool, telemetry=TELEMETRY
            ),
        )
        sending = asyncio.create_task(exporting(running, GAUGES))

        async def came() -> bool:
            return len(taken) > 1

        await eventually(came)
        sending.cancel()
        await asyncio.wait([sending])
        told = await figures(running, GAUGES)
    request = taken[-1]
    found = metrics_of(request)
    assert len(found) == len(told)
    assert found["whp.outbox.oldest"].unit == found["messaging.process.duration"].unit == "s"
    assert found["messaging.client.sent.messages"].unit == "{message}"
    assert found["whp.batches"].sum.is_monotonic
    assert found["whp.batches"].description == "Batches that were committed by this process."
    assert [point.as_double for point in found["whp.relay.active"].gauge.data_points] in ([0.0], [1.0])
    spread = found["messaging.process.duration"].histogram.data_points[0]
    assert {each.key: each.value.string_value for each in spread.attributes} == {
        "messaging.system": "kafka", "messaging.operation.name": "process", "messaging.consumer.group.name": "whp.toy"
    }  # fmt: skip
    resource = {each.key: each.value.string_value for each in request.resource_metrics[0].resource.attributes}
    assert resource["service.name"] == "toy"


async def test_a_collector_that_refuses_or_figures_that_fail_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[ExportMetricsServiceRequest] = []
    counted = Histogram()
    answers: list[list[Metric] | Exception] = [
        OSError(), [Metric("whp_x_seconds", "histogram", "Time.", [({}, counted)])]
    ]  # fmt: skip

    async def told(*_: object) -> list[Metric]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("runtime.otlp.figures", told)
    counted.add(0.2)
    async with collector(taken, monkeypatch, status=400):
        sending = asyncio.create_task(exporting(cast("Running", SimpleNamespace(service="toy")), ()))

        async def again() -> bool:
            return len(taken) > 2

        await eventually(again)
        assert not sending.done()
        sending.cancel()
        await asyncio.wait([sending])
    (point,) = metrics_of(taken[0])["whp.x"].histogram.data_points
    assert (point.count, point.sum, point.min, point.max, list(point.bucket_counts)) == (
        1,
        0.2,
        0.2,
        0.2,
        counted.counts,
    )
    assert 'whp_x_seconds_bucket{le="0.25"} 1' in written(cast("list[Metric]", answers[0]), {})
