"""What this process did, and what its service owes and for how long: for /metrics, and for a collector (otlp.py).

A scrape costs a few statements that an index answers and asks nothing of the broker. Labels are services, topics,
partitions, stages, classes of reasons and at most 200 clinics: a bounded set, and nothing of a case.

It asks for a key of the role `operations` all the same: how many cases are parked and how many updates employers are
owed is nobody's business. On the local stack whoever is on the machine may look, as at its files.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import accumulate
from typing import Literal

import asyncpg
import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse

from runtime import conventions as names
from runtime.cases import SQL
from runtime.db import is_transient, reduce_error
from runtime.http import Bearer, guard_of, operations_caller, problems, running
from runtime.keys import Bearer as Known
from runtime.running import Running
from runtime.stages import BOUNDS, Histogram

log = structlog.get_logger("metrics")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A scrape must not hang with the database; Prometheus gives up after 10 s by default.
DATABASE_S = 3.0

# All are told from the start, with 0: the first of a kind would be no increase to Prometheus otherwise.
PARKED_REASONS = ("handler", "write", "contract", "envelope", "json", "state_unreadable", "behind_parked", "other")
DEAD_REASONS = ("contract", "envelope", "json", "kafka", "id_reused", "foreign_source", "other")

Labels = Mapping[str, str]
"""By the conventions' names where they have one; in Prometheus's format their dots become underscores."""

_VERSION = version("work-hardening-program")


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that the service's own tables answer."""

    name: str
    help: str
    query: str
    """One number, or rows of (label's value, number); it reads no more than an index and a bounded number of rows."""
    label: str = "reason"
    """What tells the rows apart, of a query that gives rows."""
    reasons: tuple[str, ...] = ()
    """The classes that are always told; others are told as `other`."""
    arguments: Callable[[Running], tuple[int, ...]] = lambda _: ()
    """What the query is asked with."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A name with its figures."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    figures: list[tuple[Labels, float | Histogram]] = field(default_factory=list[tuple[Labels, float | Histogram]])


GAUGES = (
    Gauge(
        "whp_outbox_oldest_seconds",
        "How long the oldest event that is decided and that nothing holds has waited to be published.",
        SQL["oldest_unpublished"],
        arguments=lambda it: (it.relay.floor,),
    ),
    Gauge(
        "whp_outbox_held_rows",
        "Events that the broker refused for good; their case's later events on the topic wait behind them.",
        SQL["count_held"],
    ),
    Gauge("whp_parked_cases", "Cases that failed for good and wait for a person.", SQL["count_parked_cases"]),
    Gauge("whp_parked_oldest_seconds", "How long the oldest parked record has waited.", SQL["oldest_parked"]),
    Gauge(
        "whp_dead_letters",
        "Records kept that name no readable case, the bridge's too, by the class of the reason. Counted to 10,000.",
        SQL["count_dead_letters"],
        reasons=DEAD_REASONS,
    ),
)


async def figures(it: Running, gauges: Iterable[Gauge]) -> list[Metric]:
    """All that is told of this process and its service now. `gauges` are the tables'."""
    return [*_counted(it), *_timed(it), *await _consumed(it), *await _asked(it, gauges)]


def add_metrics(app: FastAPI, gauges: Iterable[Gauge] = ()) -> None:
    """Serve /metrics; `gauges` are the service's own."""
    mine = (*GAUGES, *gauges)

    async def metrics(request: Request) -> PlainTextResponse:
        """Prometheus's text format."""
        it = running(request)
        return PlainTextResponse(written(await figures(it, mine), {"service": it.service}), media_type=CONTENT_TYPE)

    app.add_api_route(
        "/metrics",
        metrics,
        methods=["GET"],
        response_class=PlainTextResponse,
        dependencies=[Depends(_may_look)],
        responses=problems(401, 403, 503),
    )


async def _may_look(request: Request, given: Bearer) -> None:
    if running(request).settings.mode == "local" and request.client is not None and _loopback(request.client.host):
        return
    try:
        await operations_caller(request, given)
    except Exception as error:
        # An outage of the database is what the figures are read for: who was let in lately is let in again.
        remembered = given is not None and guard_of(request).remembered(given.credentials.strip())
        if not is_transient(error) or remembered != Known("role", "operations"):
            raise


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _counted(it: Running) -> list[Metric]:
    counts = it.consumer.counts
    plain = {
        "batches": (counts.batches, "Batches that were committed by this process."),
        "records": (counts.records, "Records in them."),
        "folded": (counts.folded, "Events of them that were taken: folded, left to wait, ignored or rejected."),
        "duplicates": (counts.duplicates, "Events that had been taken before, and were absorbed."),
        "retries": (counts.retries, "Attempts at a batch that failed and were made again."),
    }
    return [
        *(Metric(f"whp_{name}_total", "counter", help_, [({}, value)]) for name, (value, help_) in plain.items()),
        Metric(
            "whp_parked_total",
            "counter",
            "Records parked, by the class of the reason; behind_parked are successors of a parked one.",
            _by_reason(counts.parked, PARKED_REASONS),
        ),
        Metric(
            "whp_dead_lettered_total",
            "counter",
            "Records kept as dead letters by the consumer, by the class of the reason.",
            _by_reason(counts.dead_lettered, DEAD_REASONS),
        ),
    ]


def _timed(it: Running) -> list[Metric]:
    """How long batches took, and what went through the broker, by the names that the messaging conventions have."""
    counts, kafka = it.consumer.counts, {names.SYSTEM: "kafka"}
    process = {**kafka, names.OPERATION: "process", names.GROUP: f"whp.{it.service}"}
    return [
        Metric(
            "messaging_process_duration_seconds",
            "histogram",
            "From a batch's records to its committed offsets, the attempts that failed included.",
            [(process, counts.durations)],
        ),
        Metric(
            "whp_batch_stage_duration_seconds",
            "histogram",
            "The same by stage; `retry` is what attempts that failed have cost.",
            [({"stage": stage}, took) for stage, took in counts.stages.items()],
        ),
        Metric(
            "messaging_client_consumed_messages_total",
            "counter",
            "Records that Kafka handed over, whatever became of them.",
            [
                ({**kafka, names.OPERATION: "poll", names.GROUP: f"whp.{it.service}", names.DESTINATION: topic}, count)
                for topic, count in sorted(counts.consumed.items())
            ],
        ),
        Metric(
            "messaging_client_sent_messages_total",
            "counter",
            "Messages that the broker acknowledged, of the relay and of the doors.",
            [
                ({**kafka, names.OPERATION: "send", names.DESTINATION: topic}, count)
                for topic, count in sorted(it.telemetry.sent.items())
            ],
        ),
    ]


def _by_reason(counts: Mapping[str, int], known: tuple[str, ...]) -> list[tuple[Labels, float | Histogram]]:
    tally = Counter(dict.fromkeys(known, 0))
    for reason, count in counts.items():
        tally[reason if reason in known else "other"] += count
    return [({"reason": reason}, float(count)) for reason, count in tally.items()]


async def _consumed(it: Running) -> list[Metric]:
    lag = sorted((await it.consumer.lag()).items())
    return [
        Metric(
            "whp_consumer_lag_records",
            "gauge",
            "Records of a partition that this process owns and has not finished, by the end its last fetch told.",
            [({"topic": place.topic, "partition": str(place.partition)}, count) for place, count in lag],
        ),
        Metric(
            "whp_consumer_stalled_seconds",
            "gauge",
            "Seconds since this process last committed a batch, while it has something to commit; otherwise 0.",
            [({}, it.consumer.stalled_s())],
        ),
        Metric(
            "whp_partitions_stopped",
            "gauge",
            "Partition numbers that the breaker has stopped: case after case failed there.",
            [({}, len(it.consumer.stopped_partitions))],
        ),
        Metric(
            "whp_relay_active",
            "gauge",
            "1 in the one process of a service that publishes its outbox.",
            [({}, float(it.relay.active))],
        ),
        Metric("whp_build_info", "gauge", "Always 1: the label says which version runs.", [({"version": _VERSION}, 1)]),
    ]


async def _asked(it: Running, gauges: Iterable[Gauge]) -> list[Metric]:
    """What the tables say; when they cannot be asked, that, so that the other figures still come."""
    found: list[Metric] = []
    up = 1.0
    try:
        async with asyncio.timeout(DATABASE_S), it.pool.acquire(timeout=DATABASE_S) as connection:
            for gauge in gauges:
                rows = await connection.fetch(gauge.query, *gauge.arguments(it))
                told = Metric(gauge.name, "gauge", gauge.help)
                if gauge.reasons:
                    told.figures.extend(_by_reason({str(row[0]): int(row[1]) for row in rows}, gauge.reasons))
                else:
                    told.figures.extend(_rows(rows, gauge.label))
                found.append(told)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        log.warning("the database does not tell", error=reduce_error(error))
        up = 0.0
    return [*found, Metric("whp_database_up", "gauge", "1 when the database answered this scrape.", [({}, up)])]


def _rows(rows: Sequence[asyncpg.Record], label: str) -> list[tuple[Labels, float | Histogram]]:
    return [({label: str(row[0])} if len(row) > 1 else {}, float(row[-1])) for row in rows]


def written(metrics: Iterable[Metric], labels: Labels) -> str:
    """The text format of Prometheus, with `labels` on every figure."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for own, value in metric.figures:
            pairs = {name.replace(".", "_"): text for name, text in {**labels, **own}.items()}
            if isinstance(value, Histogram):
                lines += _buckets(metric.name, pairs, value)
            else:
                lines.append(_line(metric.name, pairs, value))
    return "\n".join(lines) + "\n"


def _buckets(name: str, pairs: Labels, found: Histogram) -> list[str]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    below = list(accumulate(found.counts))
    return [
        *(_line(f"{name}_bucket", {**pairs, "le": bound}, n) for bound, n in zip(bounds, below, strict=True)),
        _line(f"{name}_sum", pairs, found.sum),
        _line(f"{name}_count", pairs, below[-1]),
    ]


def _line(name: str, pairs: Labels, value: float) -> str:
    told = ",".join(f'{label}="{text}"' for label, text in pairs.items())
    return f"{name}{{{told}}} {value:.16g}"
