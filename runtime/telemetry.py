"""Traces in the current messaging and database conventions, carried across the outbox as W3C trace context.

All events of a case hang in one trace; a sampled event has a span at each hop. A batch, of the consumer or the relay,
has a span in a trace of its own that links to the sampled events in it. Spans name cases by their reference and nothing
else of a person; exceptions are never recorded on spans, since their texts hold values.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.util.types import AttributeValue

from runtime import conventions as names
from runtime.fold import Position
from workhardening_contracts.envelope import Envelope

MAX_LINKS = 128
"""Of a batch span: the SDK drops what is beyond. How many messages a batch had stands in an attribute of its own."""

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
# What nearly every batch's transaction does, in its order: a name to group spans by, the same for all of them.
_TRANSACTION = "SELECT partitions event_log cases INSERT event_log MERGE cases INSERT outbox"


@dataclass(frozen=True)
class Telemetry:
    """A service's tracer. Without an OTLP endpoint in the environment spans go nowhere and cost nothing."""

    service: str
    tracer: trace.Tracer
    enabled: bool
    ratio: float
    provider: TracerProvider | None = None
    sent: Counter[str] = field(default_factory=Counter[str])
    """Messages that the broker has acknowledged to this process, by topic."""

    @contextlib.contextmanager
    def receiving(self, envelope: Envelope) -> Generator[Envelope]:
        """The span of a partner's event at our door; the envelope to go on with carries its context.

        All events of a case hang in one trace, whose id is the case reference, so that whoever holds a reference holds
        the trace. A partner's own context is only linked to: it may be forged, and is not ours to continue.
        """
        if not self.enabled:
            yield replace(envelope, traceparent=None)
            return
        case = envelope.subject
        # The same for all events of a case, so that no trace has holes.
        sampled = int(case.hex[-8:], 16) < self.ratio * 2**32
        parent = SpanContext(
            case.int, int(case.hex[16:], 16) or 1, is_remote=True, trace_flags=TraceFlags(int(sampled))
        )
        if not sampled:
            yield replace(envelope, traceparent=_format(parent))
            return
        theirs = _context(envelope.traceparent)
        span = self.tracer.start_span(
            f"receive {envelope.type.removeprefix('org.workhardening.')}",
            context=trace.set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.SERVER,
            links=[Link(theirs)] if theirs else [],
            attributes={names.MESSAGE: envelope.id, names.CASE: str(case), names.EVENT_TYPE: envelope.type},
        )
        with _ended(span):
            yield replace(envelope, traceparent=_traceparent(span))

    def processing(self, envelope: Envelope, position: Position, group: str) -> tuple[Span | None, Envelope]:
        """Begin the span of one record. What the record causes continues from the returned envelope's context."""
        parent = self._sampled(envelope.traceparent)
        if parent is None:
            return None, envelope
        span = self.tracer.start_span(
            f"process {position.topic}",
            context=trace.set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.CONSUMER,
            links=[Link(parent)],
            attributes={
                names.SYSTEM: "kafka",
                names.OPERATION: "process",
                names.OPERATION_TYPE: "process",
                names.DESTINATION: position.topic,
                names.PARTITION: str(position.partition),
                names.OFFSET: position.offset,
                names.GROUP: group,
                names.MESSAGE: envelope.id,
                names.CASE: str(envelope.subject),
                names.EVENT_TYPE: envelope.type,
            },
        )
        return span, replace(envelope, traceparent=_traceparent(span))

    @contextlib.contextmanager
    def processing_batch(
        self, topics: Sequence[str], group: str, count: int, sampled: Sequence[str]
    ) -> Generator[None]:
        """The span of a consumer's batch; `sampled` are the contexts that its records bore."""
        destination = topics[0] if len(topics) == 1 else group
        more = {names.GROUP: group} | ({names.DESTINATION: topics[0]} if len(topics) == 1 else {})
        with self._batch("process", SpanKind.CONSUMER, destination, count, sampled, more):
            yield

    @contextlib.contextmanager
    def sending_batch(self, topic: str, partition: int, sampled: Sequence[str], count: int) -> Generator[None]:
        """The span of a relay's batch; `sampled` are the contexts of the messages that were created for it."""
        more = {names.DESTINATION: topic, names.PARTITION: str(partition)}
        with self._batch("send", SpanKind.CLIENT, topic, count, sampled, more):
            yield

    @contextlib.contextmanager
    def _batch(
        self, operation: str, kind: SpanKind, destination: str, count: int, sampled: Sequence[str],
        more: Mapping[str, AttributeValue],
    ) -> Generator[None]:  # fmt: skip
        """A trace of its own, recorded when something sampled is in the batch: no more spans than sampled events."""
        if not sampled:
            yield
            return
        contexts = [context for each in sampled[:MAX_LINKS] if (context := _context(each)) is not None]
        span = self.tracer.start_span(
            f"{operation} {destination}",
            context=Context(),
            kind=kind,
            links=[Link(context) for context in contexts],
            attributes={
                names.SYSTEM: "kafka",
                names.OPERATION: operation,
                names.OPERATION_TYPE: operation,
                names.BATCH_COUNT: count,
                **more,
            },
        )
        with _ended(span):
            yield

    @contextlib.contextmanager
    def transaction(self, namespace: str) -> Generator[None]:
        """The span of one attempt at a batch's transaction, below the batch's own. `namespace`: `database|schema`."""
        if not trace.get_current_span().is_recording():
            yield
            return
        span = self.tracer.start_span(
            _TRANSACTION,
            kind=SpanKind.CLIENT,
            attributes={names.DB_SYSTEM: "postgresql", names.DB_NAMESPACE: namespace, names.DB_SUMMARY: _TRANSACTION},
        )
        with _ended(span):
            yield

    @contextlib.contextmanager
    def sending(self, topic: str, envelope: Envelope) -> Generator[Envelope]:
        """The span of one send; the envelope to send carries its context."""
        parent = self._sampled(envelope.traceparent)
        if parent is None:
            yield envelope
            return
        span = self._producing("send", topic, parent, envelope.id, str(envelope.subject), envelope.type)
        with _ended(span):
            yield replace(envelope, traceparent=_traceparent(span))

    def creating(
        self, topic: str, headers: Sequence[tuple[str, bytes]]
    ) -> tuple[Sequence[tuple[str, bytes]], str | None]:
        """The span of a message that is put into a batch, from the stored context among its headers.

        Returns the headers to send and the message's context, None when it is not sampled.
        """
        given = dict(headers)
        parent = self._sampled(given.get("ce_traceparent", b"").decode())
        if parent is None:
            return headers, None
        id_, case, type_ = (given.get(name, b"").decode() for name in ("ce_id", "ce_subject", "ce_type"))
        span = self._producing("create", topic, parent, id_, case, type_)
        span.end()
        given["ce_traceparent"] = _traceparent(span).encode()
        return list(given.items()), _traceparent(span)

    def _producing(self, operation: str, topic: str, parent: SpanContext, id_: str, case: str, type_: str) -> Span:
        return self.tracer.start_span(
            f"{operation} {topic}",
            context=trace.set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.PRODUCER,
            attributes={
                names.SYSTEM: "kafka",
                names.OPERATION: operation,
                names.OPERATION_TYPE: operation,
                names.DESTINATION: topic,
                names.MESSAGE: id_,
                names.CASE: case,
                names.EVENT_TYPE: type_,
            },
        )

    @contextlib.contextmanager
    def delivering(self, name: str, traceparent: str | None, case: str) -> Generator[Span | None]:
        """The span of one delivery to a partner's endpoint, in the trace of what caused it."""
        parent = self._sampled(traceparent)
        if parent is None:
            yield None
            return
        context = trace.set_span_in_context(NonRecordingSpan(parent))
        span = self.tracer.start_span(name, context=context, kind=SpanKind.CLIENT, attributes={names.CASE: case})
        with _ended(span):
            yield span

    def _sampled(self, traceparent: str | None) -> SpanContext | None:
        """The context to continue from, if there is one that is recorded."""
        parent = _context(traceparent) if self.enabled else None
        return parent if parent is not None and parent.trace_flags.sampled else None

    def stop(self) -> None:
        """Export what is buffered."""
        if self.provider is not None:
            self.provider.shutdown()


@contextlib.contextmanager
def _ended(span: Span) -> Generator[None]:
    """Let the span be the current one until the block ends; of an error it gets the class or the SQLSTATE, no text."""
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:
            sqlstate = getattr(error, "sqlstate", None)
            if isinstance(sqlstate, str):
                span.set_attribute(names.DB_STATUS, sqlstate)
            span.set_attribute(names.ERROR, sqlstate if isinstance(sqlstate, str) else type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            raise
        finally:
            span.end()


def exports(signal: str) -> bool:
    """Whether the environment has a collector for `traces` or `metrics`, by OpenTelemetry's own variables."""
    given = (os.environ.get(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT") for part in ("", f"{signal.upper()}_"))
    return any(given) and os.environ.get(f"OTEL_{signal.upper()}_EXPORTER") != "none"


def resource_of(service: str) -> Resource:
    """Who tells, for spans and figures."""
    return Resource.create({"service.name": service, "service.namespace": "workhardening"}, names.SCHEMA)


def set_up_traces(service: str, ratio: float) -> Telemetry:
    """OTLP over HTTP when there is a collector; sampling was decided where the trace began."""
    if not exports("traces"):
        return Telemetry(service, trace.NoOpTracer(), False, ratio)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a dead collector is no news of ours
    provider = TracerProvider(resource=resource_of(service))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=500, max_queue_size=20_000)
    )
    return Telemetry(service, provider.get_tracer("workhardening", schema_url=names.SCHEMA), True, ratio, provider)


def _context(traceparent: str | None) -> SpanContext | None:
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None:
        return None
    context = SpanContext(
        int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16))
    )
    return context if context.is_valid else None


def _traceparent(span: Span) -> str:
    return _format(span.get_span_context())


def _format(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
