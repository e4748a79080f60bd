"""What spans and logs say: the conventions' own names, links, where an error is told, and nothing of a person."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import (
    cloudevents_attributes,
    db_attributes,
    error_attributes,
    messaging_attributes,
)
from opentelemetry.trace import SpanKind, StatusCode

from runtime import conventions
from runtime.fold import Position
from runtime.telemetry import MAX_LINKS, Telemetry, exports
from tests.conftest import Kafka
from tests.runtime import toy
from workhardening_contracts.envelope import Envelope

NOT_OURS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


class Spans:
    """What a service of this ratio has told."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.telemetry = Telemetry("toy", provider.get_tracer("test"), True, ratio, provider)

    def told(self, name: str = "") -> Sequence[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name.startswith(name)]


def sampled(case: uuid.UUID | None = None, span: int = 1) -> str:
    return f"00-{(case or uuid.uuid4()).hex}-{span:016x}-01"


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_every_name_is_one_of_the_conventions_but_for_the_cases_own() -> None:
    modules = (messaging_attributes, db_attributes, error_attributes, cloudevents_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    ours = {value for name, value in vars(conventions).items() if name.isupper()} - {conventions.SCHEMA}
    assert ours - known == {conventions.CASE}


def test_a_batch_is_a_trace_of_its_own_that_links_to_the_sampled_records() -> None:
    spans, cases = Spans(), [uuid.uuid4() for _ in range(3)]
    with spans.telemetry.processing_batch(["a", "b"], "whp.toy", 500, [sampled(case) for case in cases]):
        pass
    with spans.telemetry.processing_batch(["a"], "whp.toy", 1, [sampled()]):
        pass
    both, one = spans.told()
    assert (both.name, one.name) == ("process whp.toy", "process a"), "of many topics the group is the destination"
    assert both.parent is None
    assert both.kind is SpanKind.CONSUMER
    assert [link.context.trace_id for link in both.links] == [case.int for case in cases]
    assert attributes(both) == {
        "messaging.system": "kafka", "messaging.operation.name": "process", "messaging.operation.type": "process",
        "messaging.batch.message_count": 500, "messaging.consumer.group.name": "whp.toy",
    }  # fmt: skip
    assert attributes(one)["messaging.destination.name"] == "a"


def test_a_batch_without_a_sampled_record_has_no_span_and_one_with_many_has_not_more_links_than_are_kept() -> None:
    spans = Spans()
    with spans.telemetry.processing_batch(["a"], "whp.toy", 500, []):
        pass
    assert not spans.told()
    with spans.telemetry.processing_batch(["a"], "whp.toy", 500, [sampled() for _ in range(500)]):
        pass
    (span,) = spans.told()
    assert (len(span.links), span.dropped_links) == (MAX_LINKS, 0)


def test_an_attempt_at_a_transaction_hangs_below_its_batch_and_says_the_sqlstate_and_no_text() -> None:
    spans = Spans()
    with spans.telemetry.transaction("whp|toy"):
        pass
    assert not spans.told(), "no batch of it is recorded"
    with spans.telemetry.processing_batch(["a"], "whp.toy", 1, [sampled()]):
        with pytest.raises(asyncpg.DeadlockDetectedError), spans.telemetry.transaction("whp|toy"):
            raise asyncpg.DeadlockDetectedError("Key (worker)=(Jane Roe)")
        with spans.telemetry.transaction("whp|toy"):
            pass
    failed, went, batch = spans.told()
    assert batch.context is not None
    for attempt in (failed, went):
        assert attempt.kind is SpanKind.CLIENT
        assert attempt.parent is not None
        assert attempt.parent.span_id == batch.context.span_id
        assert attributes(attempt)["db.system.name"] == "postgresql"
        assert attributes(attempt)["db.namespace"] == "whp|toy"
        assert attributes(attempt)["db.query.summary"] == attempt.name
        assert len(attempt.name) <= 255, "the conventions' limit"
    assert attributes(failed)["db.response.status_code"] == attributes(failed)["error.type"] == "40P01"
    assert failed.status.status_code is StatusCode.ERROR
    assert "error.type" not in attributes(went) | attributes(batch), "the second attempt went well"
    assert "Jane" not in "".join(span.to_json() for span in spans.told())


def test_a_relays_message_goes_on_with_a_span_of_its_own_and_its_batch_links_to_it() -> None:
    spans, case = Spans(), uuid.uuid4()
    headers = [("ce_id", b"e-1"), ("ce_traceparent", sampled(case, 7).encode())]
    sent, context = spans.telemetry.creating("out", headers)
    assert context is not None
    assert dict(sent) == {"ce_id": b"e-1", "ce_traceparent": context.encode()}
    with spans.telemetry.sending_batch("out", 3, [context], 20):
        pass
    created, batch = spans.told()
    assert (created.name, created.kind, batch.name, batch.kind) == (
        "create out", SpanKind.PRODUCER, "send out", SpanKind.CLIENT
    )  # fmt: skip
    assert created.context is not None
    assert created.context.trace_id == case.int
    assert created.parent is not None
    assert created.parent.span_id == 7
    assert [link.context.span_id for link in batch.links] == [created.context.span_id]
    assert attributes(batch)["messaging.batch.message_count"] == 20


def test_what_is_not_sampled_goes_on_as_the_string_that_it_came_as() -> None:
    spans = Spans()
    headers = [("ce_traceparent", NOT_OURS.encode())]
    assert spans.telemetry.creating("out", headers) == (headers, None)
    envelope = toy.added(uuid.uuid4(), "1", 1)
    unsampled = replace(envelope, traceparent=NOT_OURS)
    assert spans.telemetry.processing(unsampled, Position("in", 0, 0), "whp.toy") == (None, unsampled)
    assert not spans.told()


def test_a_case_is_sampled_whole_or_not_at_all_and_about_as_many_as_the_ratio_says() -> None:
    spans = Spans(ratio=0.05)

    def flags(envelope: Envelope) -> str:
        with spans.telemetry.receiving(envelope) as received:
            assert received.traceparent is not None
            assert received.traceparent[3:35] == envelope.subject.hex, "its trace is known, sampled or not"
            return received.traceparent[-2:]

    cases = [uuid.uuid5(uuid.NAMESPACE_URL, str(nth)) for nth in range(2000)]
    of_cases = [{flags(toy.added(case, str(nth), 1)) for nth in range(3)} for case in cases]
    assert all(len(each) == 1 for each in of_cases)
    assert 60 < sum("01" in each for each in of_cases) < 140


@pytest.mark.stack
async def test_an_event_is_traced_through_a_batch_across_the_outbox(kafka: Kafka, dsn: str) -> None:
    topic, out, case = await kafka.topic(1), await kafka.topic(1), uuid.uuid4()
    spans = Spans()
    traced = replace(toy.added(case, "1", 1), traceparent=sampled(case))
    await toy.send(kafka.bootstrap, topic, [traced, replace(toy.added(case, "2", 2), traceparent=NOT_OURS)])
    handlers = toy.toy_handlers(topic, out, service=f"toy-{topic}")
    async with toy.started(handlers, topic, dsn, kafka.bootstrap, telemetry=spans.telemetry) as process:
        await toy.eventually(process.counted)

        async def published() -> bool:
            return spans.telemetry.sent[out] == 2

        await toy.eventually(published)
    (record,) = [span for span in spans.told(f"process {topic}") if span.parent is not None]
    (created,) = spans.told(f"create {out}")
    batches = [span for span in spans.told(f"process {topic}") if span.parent is None]
    (transaction,) = spans.told("SELECT")
    assert record.context is not None
    assert created.parent is not None
    assert record.context.trace_id == case.int
    assert created.parent.span_id == record.context.span_id
    assert [[link.context.trace_id for link in batch.links] for batch in batches] == [[case.int]]
    assert attributes(transaction)["db.namespace"].endswith(f"|toy-{topic}")
    assert sum(process.consumer.counts.stages["decide"].counts) == process.consumer.counts.batches
    assert process.consumer.counts.consumed == {topic: 2}


SCRIPT = """
import logging, structlog
from opentelemetry.sdk.trace import TracerProvider
from runtime.logs import set_up_logs
set_up_logs("toy", "info")
with TracerProvider().get_tracer("t").start_as_current_span("s") as span:
    structlog.get_logger("toy").info("within")
    logging.getLogger("library").error("of a library")
    structlog.get_logger("toy").info(format(span.get_span_context().trace_id, "032x"))
structlog.get_logger("toy").info("outside")
"""


def test_a_line_of_the_log_bears_the_current_trace_and_span_and_outside_of_one_none() -> None:
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    within, library, trace_id, outside = (json.loads(line) for line in ran.stdout.splitlines())
    assert within["trace_id"] == library["trace_id"] == trace_id["message"]
    assert len(within["span_id"]) == 16
    assert not {"trace_id", "span_id"} & outside.keys()


@pytest.mark.parametrize(
    ("environment", "signals"),
    [
        ({}, set[str]()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, {"traces", "metrics"}),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/v1/metrics"}, {"metrics"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_METRICS_EXPORTER": "none"}, {"traces"}),
    ],
)
def test_what_is_exported_is_said_by_opentelemetrys_own_variables(
    environment: dict[str, str], signals: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_METRICS_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert {signal for signal in ("traces", "metrics") if exports(signal)} == signals
