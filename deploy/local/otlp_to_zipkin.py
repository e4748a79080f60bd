"""Turn OTLP spans into Zipkin's v2 JSON: pure, span by span."""

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

# Zipkin knows no internal spans: they have no kind.
_KINDS = {
    Span.SPAN_KIND_CLIENT: "CLIENT",
    Span.SPAN_KIND_SERVER: "SERVER",
    Span.SPAN_KIND_PRODUCER: "PRODUCER",
    Span.SPAN_KIND_CONSUMER: "CONSUMER",
}
# Whom a span speaks to, the most telling attribute first; it draws the arrows of Zipkin's dependency page.
_REMOTE = ("peer.service", "messaging.system", "db.system.name", "server.address")


def to_zipkin(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """Every span of an export as Zipkin wants it."""
    return [
        _span(span, _text_of(resource.resource.attributes).get("service.name", "unknown"), scope.scope.name)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _span(span: Span, service: str, scope: str) -> dict[str, Any]:
    tags = _text_of(span.attributes)
    remote = next((tags[name] for name in _REMOTE if name in tags), None)
    if scope:
        tags["otel.scope.name"] = scope
    tags |= _links(span)
    if span.status.code == Status.STATUS_CODE_ERROR:
        # The mere presence of this tag makes the span red.
        tags["error"] = span.status.message or tags.get("error.type", "true")
    elif span.status.code == Status.STATUS_CODE_OK:
        tags["otel.status_code"] = "OK"
    converted: dict[str, Any] = {
        "traceId": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "name": span.name,
        "timestamp": span.start_time_unix_nano // 1000,
        # Zipkin takes a duration of 0 for "unknown".
        "duration": max(1, (span.end_time_unix_nano - span.start_time_unix_nano) // 1000),
        "localEndpoint": {"serviceName": service},
        "tags": tags,
    }
    if span.parent_span_id:
        converted["parentId"] = span.parent_span_id.hex()
    if span.kind in _KINDS:
        converted["kind"] = _KINDS[span.kind]
        if remote is not None:
            converted["remoteEndpoint"] = {"serviceName": remote}
    if span.events:
        converted["annotations"] = [_annotation(event) for event in span.events]
    return converted


def _links(span: Span) -> dict[str, str]:
    tags: dict[str, str] = {}
    for number, link in enumerate(span.links):
        tags[f"link.{number}.trace_id"] = link.trace_id.hex()
        tags[f"link.{number}.span_id"] = link.span_id.hex()
    return tags


def _annotation(event: Span.Event) -> dict[str, Any]:
    details = " ".join(f"{name}={value}" for name, value in _text_of(event.attributes).items())
    return {"timestamp": event.time_unix_nano // 1000, "value": f"{event.name} {details}".strip()}


def _text_of(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {attribute.key: _text(attribute.value) for attribute in attributes}


def _text(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return repr(value.double_value)
        case "array_value":
            return ", ".join(_text(item) for item in value.array_value.values)
        case "kvlist_value":
            return ", ".join(f"{item.key}={_text(item.value)}" for item in value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case _:
            return ""
