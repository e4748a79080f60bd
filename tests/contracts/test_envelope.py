"""The codec: what is written is read back, the SDK agrees, and a hostile record raises nothing but a Violation."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.bindings import kafka as sdk_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workhardening_contracts import registry
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.contract import Violation
from workhardening_contracts.envelope import (
    STRUCTURED,
    Envelope,
    Unreadable,
    event_of,
    read_http,
    read_kafka,
    read_structured,
    strict_json,
    write_http,
    write_kafka,
    write_structured,
)

ROUNDS = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

PRINTED = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
# The SDK writes objects as JSON and everything else as its Python text; our data is always an object.
OBJECTS = st.dictionaries(st.text(), JSON, min_size=1, max_size=3)
BODIES = JSON.map(lambda document: json.dumps(document, separators=(",", ":")).encode())
ENVELOPES = st.builds(
    Envelope,
    id=PRINTED,
    source=st.from_regex(r"/[a-z0-9][a-z0-9_/.-]{0,20}", fullmatch=True),
    type=st.from_regex(r"[a-z][a-z0-9_.]{2,40}", fullmatch=True),
    subject=st.uuids(),
    time=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS),  # noqa: DTZ001
    data=BODIES,
    sequence=st.none() | st.integers(1, 10**18 - 1),
    causationid=st.none() | PRINTED,
    policyversion=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,20}", fullmatch=True),
    traceparent=st.none() | st.just("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    dataschema=st.none() | PRINTED,
)
CASE = "0195a3c2-7e40-7b1a-9f3e-2c4d5e6f7a8b"
KAFKA_HEADERS: dict[str, bytes | None] = {
    "ce_specversion": b"1.0",
    "ce_id": b"evt-1",
    "ce_source": b"/clinics/northside",
    "ce_type": DayClosed.TYPE.encode(),
    "ce_subject": CASE.encode(),
    "ce_time": b"2026-03-15T20:00:00+01:00",
    "content-type": b"application/json",
}
BODY = b'{"through":"2026-03-15"}'
TRUE_KEY = CASE.encode()


@ROUNDS
@given(ENVELOPES)
def test_a_kafka_record_is_read_back_as_it_was_written(envelope: Envelope) -> None:
    assert read_kafka(*write_kafka(envelope)) == envelope


@ROUNDS
@given(ENVELOPES)
def test_an_http_request_is_read_back_as_it_was_written(envelope: Envelope) -> None:
    headers, body = write_http(envelope)
    assert all(text.isascii() and text.isprintable() for text in headers.values())
    assert read_http(headers.items(), body) == envelope


@ROUNDS
@given(ENVELOPES)
def test_a_structured_event_is_read_back_as_it_was_written(envelope: Envelope) -> None:
    document = json.dumps(write_structured(envelope)).encode()
    assert read_structured(document) == envelope
    headers = [("content-type", STRUCTURED.encode())]
    assert read_kafka(str(envelope.subject).encode(), headers, document) == envelope
    assert read_http([("Content-Type", f"{STRUCTURED}; charset=utf-8")], document) == envelope


def _as_sdk(envelope: Envelope) -> CloudEvent:
    optional = {
        name: value
        for name in ("sequence", "causationid", "policyversion", "traceparent", "dataschema")
        if (value := getattr(envelope, name)) is not None
    }
    return CloudEvent(
        attributes={
            "specversion": "1.0",
            "id": envelope.id,
            "source": envelope.source,
            "type": envelope.type,
            "subject": str(envelope.subject),
            "time": envelope.time,
            "datacontenttype": "application/json",
            **{name: str(value) for name, value in optional.items()},
        },
        data=json.loads(envelope.data),
    )


def _same_but_spelling(read: Envelope, envelope: Envelope) -> bool:
    return replace(read, data=b"") == replace(envelope, data=b"") and json.loads(read.data) == json.loads(envelope.data)


@ROUNDS
@given(ENVELOPES, OBJECTS)
def test_what_the_sdk_writes_is_read_as_the_same_event(envelope: Envelope, data: dict[str, Any]) -> None:
    envelope = replace(envelope, data=json.dumps(data).encode())
    event = _as_sdk(envelope)
    record = sdk_kafka.to_binary(event, JSONFormat(), lambda _: str(envelope.subject))
    request = sdk_http.to_binary(event, JSONFormat())
    structured = sdk_http.to_structured(event, JSONFormat())
    assert isinstance(record.key, str)
    assert _same_but_spelling(read_kafka(record.key.encode(), record.headers.items(), record.value), envelope)
    assert _same_but_spelling(read_http(request.headers.items(), request.body), envelope)
    assert _same_but_spelling(read_http(structured.headers.items(), structured.body), envelope)


@ROUNDS
@given(ENVELOPES)
def test_the_sdk_reads_what_we_write_as_the_same_event(envelope: Envelope) -> None:
    key, headers, value = write_kafka(envelope)
    record = sdk_kafka.KafkaMessage(headers=dict(headers), key=key, value=value)
    web_headers, body = write_http(envelope)
    for read in (
        sdk_kafka.from_binary(record, JSONFormat()),
        sdk_http.from_binary(sdk_http.HTTPMessage(headers=web_headers, body=body), JSONFormat()),
    ):
        given = read.get_attributes()
        assert given["id"] == envelope.id
        assert given["source"] == envelope.source
        assert given["type"] == envelope.type
        assert given["subject"] == str(envelope.subject)
        assert given["time"] == envelope.time
        assert read.get_data() == json.loads(envelope.data)


def _read_all(key: bytes | None, headers: list[tuple[str, bytes | None]], value: bytes | None) -> None:
    """Every way into the codec; anything but a Violation is a defect."""
    try:
        registry.open_closed(read_kafka(key, headers, value))
    except Violation as violation:
        _is_fit_to_show(violation)
    try:
        web = [(name.replace("ce_", "ce-"), (text or b"").decode("latin-1")) for name, text in headers]
        registry.open_closed(read_http(web, value or b""))
    except Violation as violation:
        _is_fit_to_show(violation)


def _is_fit_to_show(violation: Violation) -> None:
    """Codes, paths and sentences go to logs and to EventRejected."""
    assert violation.code
    assert len(violation.code) <= 64
    assert len(violation.field) <= 500
    assert 0 < len(violation.detail) <= 500
    assert (violation.field + violation.detail).isprintable()


RAW = st.binary(max_size=60)
NAMES = st.sampled_from([*KAFKA_HEADERS, "ce_sequence", "ce_traceparent", "CE_ID", "ce_", "x"]) | st.text(max_size=8)
DOCUMENTS = st.one_of(
    RAW,
    BODIES,
    st.sampled_from(
        [b"[" * 10_000, b'{"a":' * 10_000, b"1" * 5_000, b"1e400", b"[" * 800 + b"]" * 800, b"\xef\xbb\xbf{}"]
    ),
)


@ROUNDS
@given(st.none() | RAW, st.lists(st.tuples(NAMES, st.none() | RAW), max_size=8), st.none() | DOCUMENTS)
def test_arbitrary_bytes_raise_nothing_but_a_violation(
    key: bytes | None, headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    _read_all(key, headers, value)


@ROUNDS
@given(
    st.dictionaries(
        st.sampled_from(sorted(KAFKA_HEADERS)), st.none() | RAW | st.text(max_size=40).map(str.encode), max_size=3
    ),
    st.sampled_from(sorted(registry.BY_TYPE)),
    st.none() | DOCUMENTS,
)
def test_a_true_record_with_a_few_false_parts_raises_nothing_but_a_violation(
    changed: dict[str, bytes | None], type_: str, value: bytes | None
) -> None:
    _read_all(TRUE_KEY, list({**KAFKA_HEADERS, "ce_type": type_.encode(), **changed}.items()), value)


ATTRIBUTES = st.sampled_from(
    ["specversion", "id", "source", "type", "subject", "time", "data", "sequence", "datacontenttype", "data_base64"]
)


@ROUNDS
@given(st.dictionaries(ATTRIBUTES | st.text(max_size=5), JSON, max_size=6))
def test_an_arbitrary_structured_document_raises_nothing_but_a_violation(changed: dict[str, Any]) -> None:
    whole = {name.removeprefix("ce_"): text.decode() for name, text in KAFKA_HEADERS.items() if text is not None}
    body = json.dumps({**whole, "data": {"through": "2026-03-15"}, **changed}).encode()
    _read_all(TRUE_KEY, [("content-type", STRUCTURED.encode())], body)


@pytest.mark.parametrize("depth", [100, 190, 210, 400, 900, 1_000, 5_000, 100_000])
def test_a_depth_is_read_or_refused_and_never_ends_the_process(depth: int) -> None:
    whole = json.dumps({name.removeprefix("ce_"): (text or b"").decode() for name, text in KAFKA_HEADERS.items()})
    deep = whole[:-1].encode() + b',"data":' + b"[" * depth + b"]" * depth + b"}"
    _read_all(TRUE_KEY, [("content-type", STRUCTURED.encode())], deep)
    _read_all(TRUE_KEY, list(KAFKA_HEADERS.items()), b"[" * depth + b"]" * depth)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a":1,"a":1}', "json.duplicate_key"),
        (b'{"a":{"b":1,"b":2}}', "json.duplicate_key"),
        (b"NaN", "json.number"),
        (b"[-Infinity]", "json.number"),
        (b"-1e400", "json.number"),
        (b"[" * 10_000, "json.too_deep"),
        (b"", "json.invalid"),
        (b"{", "json.invalid"),
        (b'"\xff"', "json.invalid"),
        ('{"a":"\ud800"}'.encode("utf-8", "surrogatepass"), "json.invalid"),
        ('{"a":1}'.encode("utf-16"), "json.invalid"),
        (b"\xef\xbb\xbf{}", "json.invalid"),
        (b"9" * 5_000, "json.invalid"),
    ],
    ids=lambda part: repr(part[:20]),
)
def test_json_that_two_parsers_could_read_differently_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as raised:
        strict_json(body)
    assert raised.value.code == code


@pytest.mark.parametrize(
    "time", ["2026-03-15T20:00:00.123456789+01:00", "2026-03-15T19:00:00Z", "2026-03-15T20:00:00-00:00"]
)
def test_every_rfc_3339_time_with_an_offset_is_read(time: str) -> None:
    envelope = read_kafka(TRUE_KEY, {**KAFKA_HEADERS, "ce_time": time.encode()}.items(), BODY)
    assert envelope.time.utcoffset() is not None


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-15T20:00:00",
        "2026-03-15 20:00:00Z",
        "2026-03-15",
        "20260315T200000Z",
        "2026-02-30T20:00:00Z",
        "2026-03-15T25:00:00Z",
        "2026-03-15T20:00:00+25:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "٢٠٢٦-03-15T20:00:00Z",
        "1773604800",
    ],
)
def test_a_time_that_is_no_instant_is_refused(time: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read_kafka(TRUE_KEY, {**KAFKA_HEADERS, "ce_time": time.encode()}.items(), BODY)
    assert (raised.value.code, raised.value.field) == ("envelope.attribute", "/time")


@pytest.mark.parametrize("sequence", ["0", "-1", "01", "1.0", "1e3", "", "١", "9" * 19])
def test_a_sequence_is_a_whole_number_from_one(sequence: str) -> None:
    with pytest.raises(Unreadable):
        read_kafka(TRUE_KEY, {**KAFKA_HEADERS, "ce_sequence": sequence.encode()}.items(), BODY)


@pytest.mark.parametrize("traceparent", ["", "garbage", f"00-{'0' * 32}-00f067aa0ba902b7-01", "x" * 8_000])
def test_a_forged_traceparent_costs_nobody_an_event(traceparent: str) -> None:
    envelope = read_kafka(TRUE_KEY, {**KAFKA_HEADERS, "ce_traceparent": traceparent.encode()}.items(), BODY)
    assert envelope.traceparent is None


def test_headers_of_others_are_left_alone_whatever_they_hold() -> None:
    headers = [*KAFKA_HEADERS.items(), ("x-null", None), ("x-bytes", b"\xff"), ("x-twice", b"1"), ("x-twice", b"2")]
    assert read_kafka(TRUE_KEY, headers, BODY).id == "evt-1"


def test_a_header_that_is_repeated_with_the_same_value_is_one_header() -> None:
    assert read_kafka(TRUE_KEY, [*KAFKA_HEADERS.items(), ("CE_ID", b"evt-1")], BODY).id == "evt-1"


def test_a_null_attribute_of_a_structured_event_is_an_absent_one() -> None:
    event = event_of(
        DayClosed.model_validate_json(BODY),
        id="evt-1",
        source="/clinics/northside",
        subject=UUID(CASE),
        time=datetime(2026, 3, 15, 20, tzinfo=UTC),
    )
    document = {**write_structured(event), "traceparent": None, "priority": 5, "urgent": True}
    assert read_structured(json.dumps(document).encode()) == event
    with pytest.raises(Unreadable) as raised:
        read_structured(json.dumps({**document, "id": None}).encode())
    assert (raised.value.code, raised.value.field) == ("envelope.missing", "/id")


def test_structured_data_of_another_content_type_is_refused() -> None:
    whole = {name.removeprefix("ce_"): (text or b"").decode() for name, text in KAFKA_HEADERS.items()}
    with pytest.raises(Unreadable) as raised:
        read_structured(json.dumps({**whole, "datacontenttype": "text/xml", "data": "<a/>"}).encode())
    assert raised.value.code == "envelope.content_type"


@pytest.mark.parametrize(
    "wrong",
    [{"time": datetime(2026, 3, 15)}, {"id": "with space"}, {"id": ""}, {"source": "northside"}],  # noqa: DTZ001
    ids=["naive time", "id with a space", "no id", "source without a slash"],
)
def test_an_event_that_nobody_would_read_is_not_built(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "id": "evt-1",
        "source": "/clinics/northside",
        "subject": UUID(CASE),
        "time": datetime(2026, 3, 15, tzinfo=UTC),
    }
    with pytest.raises((ValueError, Unreadable)):
        event_of(DayClosed.model_validate_json(BODY), **{**right, **wrong})
