"""Where the time of one hop goes: a record's moments, by the spans that the service sends of it anyway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.sample import Failed

STAGES: Mapping[str, str] = {
    "taken": "sent, read by the service, and its batch begun: one leg",
    "committed": "decided, written and committed",
    "relayed": "the relay woken, the answer read from the outbox",
    "read": "the answer published and read by us: one leg",
}
"""What has come about at the end of each, in their order."""


@dataclass(frozen=True, slots=True)
class Trip:
    """One record's way as it is seen from outside; moments in ns since the epoch."""

    span: bytes
    """The id of the span that the record bore."""
    due: int
    """When it was to be sent."""
    came: int
    """When its first answer was read."""


def stages(trips: Iterable[Trip], exports: Iterable[bytes]) -> dict[str, list[float]]:
    """Milliseconds of each stage, one for each trip, by the service's exports as OTLP has them.

    Raises Failed where a trip has none.
    """
    spans = [
        span
        for export in exports
        for resource in ExportTraceServiceRequest.FromString(export).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    processed = [span for span in spans if span.name.startswith("process ")]
    # A record's own span continues the one that it bore; a batch's has no parent.
    own = {span.parent_span_id: span for span in processed if span.parent_span_id}
    # When an answer was put into the relay's batch; of several the first.
    answers: dict[bytes, int] = {}
    for span in spans:
        if span.name.startswith("create "):
            earlier = answers.get(span.parent_span_id, span.start_time_unix_nano)
            answers[span.parent_span_id] = min(earlier, span.start_time_unix_nano)
    found: dict[str, list[float]] = {name: [] for name in STAGES}
    for trip in trips:
        mine = own.get(trip.span)
        if mine is None or mine.span_id not in answers:
            raise Failed("the service did not send the spans of each record")
        taken, committed = mine.start_time_unix_nano, mine.end_time_unix_nano
        moments = (trip.due, taken, committed, answers[mine.span_id], trip.came)
        for name, (before, after) in zip(STAGES, pairwise(moments), strict=True):
            found[name].append((after - before) / 1e6)
    return found
