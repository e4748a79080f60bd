"""Where the time of a hop goes is read off the spans that belong to each record, and to no other."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from bench.sample import Failed
from bench.stages import STAGES, Trip, stages

MS = 1_000_000
TRIP = Trip(b"sent", due=100 * MS, came=130 * MS)


def span(name: str, own: bytes, begun: int, ended: int, *, parent: bytes = b"", linked: bytes = b"") -> Span:
    """A span with its moments in ms."""
    links = [Span.Link(span_id=linked)] if linked else []
    return Span(
        name=name, span_id=own, parent_span_id=parent, links=links,
        start_time_unix_nano=begun * MS, end_time_unix_nano=ended * MS,
    )  # fmt: skip


def export(*spans: Span) -> bytes:
    """As the service sends them."""
    scopes = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    return ExportTraceServiceRequest(resource_spans=[scopes]).SerializeToString()


RECORD = span("process clinic", b"own", 104, 112, parent=b"sent", linked=b"sent")
BATCH = span("process clinic", b"batch", 103, 115, linked=b"sent")
ANSWER = span("create progress", b"answer", 121, 121, parent=b"own")


def test_the_stages_of_a_record_are_its_own_and_add_up_to_its_wait() -> None:
    others = (
        span("process clinic", b"another", 1, 2, parent=b"elsewhere", linked=b"elsewhere"),
        span("process clinic", b"its batch", 1, 3, linked=b"elsewhere"),
        span("create progress", b"its answer", 4, 4, parent=b"another"),
        span("send progress", b"relay", 122, 126, linked=b"answer"),
    )
    found = stages([TRIP], [export(*others), export(BATCH, ANSWER), export(RECORD)])
    assert found == {"taken": [4.0], "committed": [8.0], "relayed": [9.0], "read": [9.0]}
    assert list(found) == list(STAGES)


def test_of_several_answers_the_first_counts() -> None:
    later = span("create rejections", b"later", 125, 125, parent=b"own")
    for order in ((ANSWER, later), (later, ANSWER)):
        assert stages([TRIP], [export(RECORD, BATCH, *order)])["relayed"] == [9.0]


@pytest.mark.parametrize("lacking", [RECORD, ANSWER], ids=["its own", "its answer's"])
def test_a_record_whose_spans_did_not_come_fails_the_run(lacking: Span) -> None:
    with pytest.raises(Failed, match="did not send the spans"):
        stages([TRIP], [export(*(each for each in (RECORD, BATCH, ANSWER) if each is not lacking))])
