"""OTLP spans become Zipkin's."""

import gzip
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from deploy.local.otlp_forwarder import PROTOBUF, application
from deploy.local.otlp_to_zipkin import to_zipkin

TRACE = bytes(range(16))
ID = bytes(range(8))
PARENT = bytes(range(8, 16))


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def a_span() -> Span:
    return Span(
        trace_id=TRACE,
        span_id=ID,
        parent_span_id=PARENT,
        name="process clinic.events.v1",
        kind=Span.SPAN_KIND_CONSUMER,
        start_time_unix_nano=1_000_002_000,
        end_time_unix_nano=1_000_009_900,
        attributes=[
            KeyValue(key="case.ref", value=text("0190")),
            KeyValue(key="messaging.system", value=text("kafka")),
            KeyValue(key="messaging.kafka.offset", value=AnyValue(int_value=7)),
        ],
        links=[Span.Link(trace_id=TRACE, span_id=PARENT)],
    )


def an_export(*spans: Span) -> ExportTraceServiceRequest:
    resource = Resource(attributes=[KeyValue(key="service.name", value=text("intake"))])
    scope = ScopeSpans(scope=InstrumentationScope(name="whp"), spans=spans)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])


def test_a_span_keeps_its_ids_times_service_attributes_and_links() -> None:
    assert to_zipkin(an_export(a_span())) == [
        {
            "traceId": TRACE.hex(),
            "id": ID.hex(),
            "parentId": PARENT.hex(),
            "name": "process clinic.events.v1",
            "kind": "CONSUMER",
            "timestamp": 1_000_002,
            "duration": 7,
            "localEndpoint": {"serviceName": "intake"},
            "remoteEndpoint": {"serviceName": "kafka"},
            "tags": {
                "case.ref": "0190",
                "messaging.system": "kafka",
                "messaging.kafka.offset": "7",
                "otel.scope.name": "whp",
                "link.0.trace_id": TRACE.hex(),
                "link.0.span_id": PARENT.hex(),
            },
        }
    ]


def test_a_root_span_has_no_parent_and_an_internal_one_no_kind() -> None:
    span = Span(trace_id=TRACE, span_id=ID, name="decide", kind=Span.SPAN_KIND_INTERNAL)
    (converted,) = to_zipkin(an_export(span))
    assert not {"parentId", "kind", "remoteEndpoint", "annotations"} & converted.keys()


def test_a_span_shorter_than_a_microsecond_lasts_one() -> None:
    span = Span(trace_id=TRACE, span_id=ID, start_time_unix_nano=5000, end_time_unix_nano=5100)
    assert to_zipkin(an_export(span))[0]["duration"] == 1


@pytest.mark.parametrize(
    ("status", "attributes", "error"),
    [
        (Status(code=Status.STATUS_CODE_ERROR, message="no consent"), [], "no consent"),
        (Status(code=Status.STATUS_CODE_ERROR), [KeyValue(key="error.type", value=text("Timeout"))], "Timeout"),
        (Status(code=Status.STATUS_CODE_ERROR), [], "true"),
        (Status(code=Status.STATUS_CODE_OK), [], None),
        (Status(), [], None),
    ],
)
def test_only_a_failed_span_has_the_error_tag(status: Status, attributes: list[KeyValue], error: str | None) -> None:
    span = Span(trace_id=TRACE, span_id=ID, status=status, attributes=attributes)
    assert to_zipkin(an_export(span))[0]["tags"].get("error") == error


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AnyValue(bool_value=True), "true"),
        (AnyValue(double_value=0.5), "0.5"),
        (AnyValue(bytes_value=b"\x01\xff"), "01ff"),
        (AnyValue(array_value=ArrayValue(values=[text("a"), AnyValue(int_value=2)])), "a, 2"),
        (AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=text("v"))])), "k=v"),
        (AnyValue(), ""),
    ],
)
def test_every_kind_of_attribute_becomes_text(value: AnyValue, expected: str) -> None:
    span = Span(trace_id=TRACE, span_id=ID, attributes=[KeyValue(key="a", value=value)])
    assert to_zipkin(an_export(span))[0]["tags"]["a"] == expected


def test_an_event_becomes_an_annotation() -> None:
    event = Span.Event(time_unix_nano=3000, name="retry", attributes=[KeyValue(key="n", value=AnyValue(int_value=2))])
    span = Span(trace_id=TRACE, span_id=ID, events=[event])
    assert to_zipkin(an_export(span))[0]["annotations"] == [{"timestamp": 3, "value": "retry n=2"}]


@asynccontextmanager
async def forwarder(taken: list[Any], status: int = 202) -> AsyncGenerator[TestClient[web.Request, web.Application]]:
    """The forwarder before a stand-in for Zipkin that notes what it is given."""

    async def spans(request: web.Request) -> web.Response:
        taken.append(await request.json())
        return web.Response(status=status)

    zipkin = web.Application()
    zipkin.router.add_post("/api/v2/spans", spans)
    async with TestServer(zipkin) as server, TestClient(TestServer(application(str(server.make_url("/"))))) as client:
        yield client


@pytest.mark.parametrize("packed", [False, True])
async def test_an_export_reaches_zipkin_compressed_or_not(packed: bool) -> None:
    taken: list[Any] = []
    body = an_export(a_span()).SerializeToString()
    headers = {"Content-Type": PROTOBUF} | ({"Content-Encoding": "gzip"} if packed else {})
    async with forwarder(taken) as client:
        answer = await client.post("/v1/traces", data=gzip.compress(body) if packed else body, headers=headers)
        assert (answer.status, answer.content_type) == (200, PROTOBUF)
    assert taken == [to_zipkin(an_export(a_span()))]


@pytest.mark.parametrize(("kind", "body", "status"), [(PROTOBUF, b"\xff\xff", 400), ("application/json", b"{}", 415)])
async def test_what_is_no_protobuf_export_is_refused(kind: str, body: bytes, status: int) -> None:
    taken: list[Any] = []
    async with forwarder(taken) as client:
        assert (await client.post("/v1/traces", data=body, headers={"Content-Type": kind})).status == status
    assert taken == []


async def test_a_sender_is_told_to_try_again_when_zipkin_does_not_take_spans() -> None:
    async with forwarder([], status=500) as client:
        body = an_export(a_span()).SerializeToString()
        answer = await client.post("/v1/traces", data=body, headers={"Content-Type": PROTOBUF})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
