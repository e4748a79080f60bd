"""The figures of /metrics for a collector, over OTLP, when the environment names one.

They are the same figures under the conventions' own names: `whp_outbox_oldest_seconds` is `whp.outbox.oldest` with the
unit s, which is how a collector that speaks to Prometheus writes it back. Nothing is counted twice for it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import structlog
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from runtime import conventions as names
from runtime.metrics import Gauge, Labels, Metric, figures
from runtime.running import Running
from runtime.stages import BOUNDS, Histogram
from runtime.telemetry import resource_of

log = structlog.get_logger("otlp")

_STARTED_NS = time.time_ns()
"""Since when this process counts: after it has begun anew a collector must not take its counts for a fall."""


async def exporting(it: Running, gauges: Sequence[Gauge]) -> NoReturn:
    """Send all figures every OTEL_METRIC_EXPORT_INTERVAL ms, a minute by default, until cancelled.

    A collector that is away is passed over: the next figures hold what these did.
    """
    every_s = int(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "60000")) / 1000
    exporter: Any = OTLPMetricExporter(timeout=5)
    try:
        while True:
            await asyncio.sleep(every_s)
            try:
                document = as_otlp(it.service, await figures(it, gauges), time.time_ns())
                await asyncio.to_thread(exporter.export, document)
            except Exception as error:  # figures are no reason to end a service
                log.warning("figures not sent", error=type(error).__name__)
    finally:
        exporter.shutdown()


def as_otlp(service: str, metrics: Iterable[Metric], now_ns: int) -> sdk.MetricsData:
    """The figures as the SDK has them, for its exporter."""
    told = [sdk.Metric(_name(each.name), each.help, _unit(each.name), _data(each, now_ns)) for each in metrics]
    scope = sdk.ScopeMetrics(InstrumentationScope("workhardening", schema_url=names.SCHEMA), told, names.SCHEMA)
    return sdk.MetricsData([sdk.ResourceMetrics(resource_of(service), [scope], names.SCHEMA)])


def _name(name: str) -> str:
    return name.removesuffix("_total").removesuffix("_seconds").replace("_", ".")


def _unit(name: str) -> str:
    return "s" if name.endswith("_seconds") else "{message}" if name.endswith("_messages_total") else "1"


def _data(metric: Metric, now_ns: int) -> sdk.Sum | sdk.Gauge | sdk.Histogram:
    total = sdk.AggregationTemporality.CUMULATIVE
    if metric.kind == "histogram":
        spread = [(labels, value) for labels, value in metric.figures if isinstance(value, Histogram)]
        return sdk.Histogram([_spread(labels, value, now_ns) for labels, value in spread], total)
    numbers = [(labels, value) for labels, value in metric.figures if not isinstance(value, Histogram)]
    points = [sdk.NumberDataPoint(dict(labels), _STARTED_NS, now_ns, value) for labels, value in numbers]
    return sdk.Sum(points, total, is_monotonic=True) if metric.kind == "counter" else sdk.Gauge(points)


def _spread(labels: Labels, found: Histogram, now_ns: int) -> sdk.HistogramDataPoint:
    return sdk.HistogramDataPoint(
        dict(labels), _STARTED_NS, now_ns, sum(found.counts), found.sum, list(found.counts), BOUNDS,
        found.least, found.greatest,
    )  # fmt: skip
