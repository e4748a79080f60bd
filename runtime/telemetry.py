"""Logs as JSON, and traces in the current messaging conventions, carried across the outbox as W3C trace context.

All semantic-convention names live here (schema 1.44.0). Spans and logs name cases by their reference and nothing else
of a person; exceptions are never recorded on spans, since their texts hold values.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TextIO, cast

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from runtime.fold import Position
from workhardening_contracts.envelope import Envelope

_SYSTEM = "messaging.system"
_OPERATION = "messaging.operation.name"
_OPERATION_TYPE = "messaging.operation.type"
_DESTINATION = "messaging.destination.name"
_PARTITION = "messaging.destination.partition.id"
_GROUP = "messaging.consumer.group.name"
_OFFSET = "messaging.kafka.offset"
_MESSAGE = "messaging.message.id"
_CASE = "case.ref"
_EVENT_TYPE = "cloudevents.event_type"

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def set_up_logs(service: str, level: str) -> None:
    """One JSON object a line on standard output; libraries' own logging from warnings up goes the same way."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(_Unfailing())
    handler.setFormatter(_LibraryFormatter(service))
    # Its start-up warns that topics are not created, which is as it should be.
    logging.getLogger("faststream").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class _Unfailing:
    """Standard output, whose failures stop no work: on a full disk a line is lost, and not the batch that it told of.

    It was: the line that said that a batch would be tried again raised, and so did the one that said so.
    """

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()


class _LibraryFormatter(logging.Formatter):
    """A library's record as JSON, without its exception's text, which may hold values."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._render = structlog.processors.JSONRenderer()

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "service": self._service,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:500],
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
        return str(self._render(None, "", fields))


@dataclass(frozen=True)
class Telemetry:
    """A service's tracer. Without an OTLP endpoint in the environment spans go nowhere and cost nothing."""

    service: str
    tracer: trace.Tracer
    enabled: bool
    ratio: float
    provider: TracerProvider | None = None

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
            attributes={_MESSAGE: envelope.id, _CASE: str(case), _EVENT_TYPE: envelope.type},
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
                _SYSTEM: "kafka",
                _OPERATION: "process",
                _OPERATION_TYPE: "process",
                _DESTINATION: position.topic,
                _PARTITION: str(position.partition),
                _OFFSET: position.offset,
                _GROUP: group,
                _MESSAGE: envelope.id,
                _CASE: str(envelope.subject),
                _EVENT_TYPE: envelope.type,
            },
        )
        return span, replace(envelope, traceparent=_traceparent(span))

    @contextlib.contextmanager
    def sending(self, topic: str, envelope: Envelope) -> Generator[Envelope]:
        """The span of one send; the envelope to send carries its context."""
        span = self._send_span(topic, envelope.traceparent, envelope.id, str(envelope.subject), envelope.type)
        if span is None:
            yield envelope
            return
        with _ended(span):
            yield replace(envelope, traceparent=_traceparent(span))

    @contextlib.contextmanager
    def relaying(self, topic: str, headers: Sequence[tuple[str, bytes]]) -> Generator[list[tuple[str, bytes]]]:
        """The same for a row of the outbox, whose headers hold the stored context."""
        given = dict(headers)
        parent = given.get("ce_traceparent", b"").decode()
        span = self._send_span(
            topic,
            parent,
            given.get("ce_id", b"").decode(),
            given.get("ce_subject", b"").decode(),
            given.get("ce_type", b"").decode(),
        )
        if span is None:
            yield list(headers)
            return
        with _ended(span):
            given["ce_traceparent"] = _traceparent(span).encode()
            yield list(given.items())

    def _send_span(self, topic: str, traceparent: str | None, message: str, case: str, type_: str) -> Span | None:
        parent = self._sampled(traceparent)
        if parent is None:
            return None
        return self.tracer.start_span(
            f"send {topic}",
            context=trace.set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.PRODUCER,
            attributes={
                _SYSTEM: "kafka",
                _OPERATION: "send",
                _OPERATION_TYPE: "send",
                _DESTINATION: topic,
                _MESSAGE: message,
                _CASE: case,
                _EVENT_TYPE: type_,
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
        span = self.tracer.start_span(name, context=context, kind=SpanKind.CLIENT, attributes={_CASE: case})
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
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(trace.StatusCode.ERROR)
        raise
    finally:
        span.end()


def set_up_traces(service: str, ratio: float) -> Telemetry:
    """OTLP over HTTP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set; sampling was decided where the trace began."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return Telemetry(service, trace.NoOpTracer(), False, ratio)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a dead collector is no news of ours
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=500, max_queue_size=20_000)
    )
    return Telemetry(service, provider.get_tracer("workhardening"), True, ratio, provider)


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
