"""Abuse of the HTTP doors of the running program: each is answered with status and code, and nothing comes of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ops.keys import issue
from ops.registered import handlers_of
from runtime.retry import expire_waiting
from runtime.telemetry import Telemetry
from tests.abuse.attack import (
    CANARY,
    CLINIC,
    Log,
    assert_no_effect,
    counter,
    document,
    logged,
    referred,
    session,
    with_session,
)
from tests.e2e.place import Place, await_that
from workhardening_contracts.envelope import write_http
from workhardening_contracts.kafka import client_options
from workhardening_contracts.registry import CLINIC_TOPIC

pytestmark = pytest.mark.stack


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    """It is this problem, and does not repeat what was sent."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert CANARY not in answer.text


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    ("code", "member"),
    [
        ("json.too_deep", '"note":' + DEEP),
        ("json.number", '"pain":1e400'),
        ("json.number", '"pain":NaN'),
        ("json.duplicate_key", '"hours":1.0,"hours":8.0'),
    ],
)
@pytest.mark.parametrize("form", ["binary", "structured"])
def test_05_json_that_is_too_deep_infinite_no_number_or_ambiguous_is_refused(
    steady: Place, front: httpx.Client, code: str, member: str, form: str
) -> None:
    event = session(uuid4())
    data = with_session(event, member)
    if form == "binary":
        answer = front.post("/v1/events", content=data, headers=write_http(event)[0])
    else:
        answer = front.post("/v1/events", content=document(event, data=CANARY).replace(f'"{CANARY}"'.encode(), data))
    assert_problem(answer, 422, code)
    assert_no_effect(steady, event.subject)


def test_06_a_body_over_the_cap_is_refused_unread(steady: Place, front: httpx.Client) -> None:
    event = session(uuid4())
    log = Log(steady, "intake")
    for size in (65_536, 1_000_000):
        assert_problem(front.post("/v1/events", content=document(event) + b" " * size), 413, "too_large")
    assert_no_effect(steady, event.subject)
    assert len(log.saying("refused", code="too_large", clinic=CLINIC)) == 2


def test_07_the_same_event_a_hundred_times_at_once_has_one_effect_and_a_hundred_equal_answers(
    steady: Place, front: httpx.Client
) -> None:
    event = referred(uuid4())
    body = document(event)
    before = counter(steady, "intake", "whp_duplicates_total")

    async def at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=front.base_url, headers=front.headers, timeout=60, trust_env=False
        ) as client:
            return await asyncio.gather(*(client.post("/v1/events", content=body) for _ in range(100)))

    answers = asyncio.run(at_once())
    assert Counter((answer.status_code, answer.text) for answer in answers).most_common() == [
        ((202, answers[0].text), 100)
    ]
    await_that(
        lambda: counter(steady, "intake", "whp_duplicates_total") >= before + 99, "the other 99 records at intake"
    )
    for service, kind in (("intake", "referral.received"), ("notify", "case.opened"), ("planning", "case.opened")):
        taken = f"event_log WHERE case_ref = '{event.subject}' AND type LIKE '%.{kind}.v1'"
        if service == "notify":
            await_that(lambda service=service, taken=taken: steady.count(service, taken), "the case at notify")
        assert steady.count(service, taken) <= 1
    assert logged(steady, "intake", event.id) == "folded"
    assert (
        steady.count("notify", f"feed WHERE case_ref = '{event.subject}' AND event ->> 'type' LIKE '%case.opened%'")
        == 1
    )


def test_08_an_id_used_for_another_body_is_refused_and_is_a_security_event(steady: Place, front: httpx.Client) -> None:
    event = session(uuid4())
    assert front.post("/v1/events", content=document(event)).status_code == 202
    log = Log(steady, "intake")
    other = replace(session(event.subject, note="another"), id=event.id)
    assert_problem(front.post("/v1/events", content=document(other)), 409, "id_reused")
    assert len(log.saying("security", finding="id_reused", clinic=CLINIC)) == 1
    await_that(lambda: logged(steady, "progress", event.id) == "waiting", "the first body")
    body = steady.query("progress", "SELECT body FROM event_log WHERE id = $1", event.id)[0]["body"]
    assert b"another" not in body


def test_09_another_clinics_source_is_refused_and_is_a_security_event(steady: Place, front: httpx.Client) -> None:
    event = referred(uuid4(), clinic="north")
    log = Log(steady, "intake")
    assert_problem(front.post("/v1/events", content=document(event)), 403, "foreign_source")
    assert len(log.saying("security", finding="foreign_source", clinic=CLINIC)) == 1
    assert_no_effect(steady, event.subject)


def test_10_a_time_ten_years_ahead_or_without_an_offset_is_refused(steady: Place, front: httpx.Client) -> None:
    event = session(uuid4())
    for time in ((datetime.now(UTC) + timedelta(days=3652)).isoformat(), "2026-03-02T18:00:00"):
        assert_problem(front.post("/v1/events", content=document(event, time=time)), 422, "time_out_of_range")
    assert_no_effect(steady, event.subject)


def test_11_a_session_for_a_case_that_never_opened_waits_and_is_then_rejected(
    steady: Place, front: httpx.Client
) -> None:
    event = session(uuid4())
    assert front.post("/v1/events", content=document(event)).status_code == 202
    await_that(lambda: logged(steady, "progress", event.id) == "waiting", "the session")
    assert front.get(f"/v1/events/{event.id}").json()["status"] == "accepted"
    # It came fifteen days ago, and the hour has struck at which a service looks for what waits in vain.
    older = "UPDATE event_log SET received_at = received_at - interval '15 days' WHERE id = $1 RETURNING id"
    assert len(steady.query("progress", older, event.id)) == 1
    assert asyncio.run(given_up(steady.stack().services["progress"].database)) == 1
    await_that(lambda: front.get(f"/v1/events/{event.id}").json()["status"] == "rejected", "the rejection")
    assert front.get(f"/v1/events/{event.id}").json()["reason"]["code"] == "wait_expired"


async def given_up(database: str) -> int:
    """How many events progress has just stopped to keep waiting."""
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        return await expire_waiting(pool, handlers_of("progress"), {})


UNFIT: dict[str, tuple[str, int]] = {
    "nul": (f"{CANARY}\x00", 422),
    "right_to_left_override": (f"{CANARY}\u202e", 422),
    "line_break": (f"{CANARY}\r\n" + '{"message": "forged"}', 422),
    "line_separator": (f"{CANARY}\u2028", 422),
    "long": (CANARY * 5000, 422),
    "a_megabyte": (CANARY * 91_000, 413),
}


@pytest.mark.parametrize(("text", "status"), UNFIT.values(), ids=UNFIT)
def test_12_text_that_no_log_line_or_table_can_carry_is_refused_and_leaves_one_log_line(
    steady: Place, front: httpx.Client, text: str, status: int
) -> None:
    event = session(uuid4())
    body = json.loads(document(event))
    body["data"]["session"]["note"] = text
    log = Log(steady, "intake")
    answer = front.post("/v1/events", content=json.dumps(body))
    assert answer.status_code == status
    assert CANARY not in answer.text
    lines = log.lines()
    assert [line["message"] for line in lines] == ["refused"]
    assert CANARY not in json.dumps(lines)
    assert lines[0]["code"] == answer.json()["code"]
    assert_no_effect(steady, event.subject)


@pytest.mark.parametrize(
    "text",
    [
        "Robert'); DROP TABLE cases; --",
        "' OR 1=1; DELETE FROM event_log WHERE ''='",
        "{{ 7 * 7 }} {% for x in y %} ${7*7} %(s)s {0}",
        '<script>alert("1")</script> & "quoted" \\',
    ],
)
def test_13_sql_and_templates_are_text_and_are_kept_verbatim(steady: Place, front: httpx.Client, text: str) -> None:
    event = session(uuid4(), note=text)
    assert front.post("/v1/events", content=document(event)).status_code == 202
    await_that(lambda: logged(steady, "progress", event.id) == "waiting", "the session")
    body = steady.query("progress", "SELECT body FROM event_log WHERE id = $1", event.id)[0]["body"]
    assert json.loads(body)["session"]["note"] == text
    waiting = steady.query("progress", "SELECT waiting FROM cases WHERE case_ref = $1", event.subject)[0]["waiting"]
    assert [entry["event"]["data"]["session"]["note"] for entry in json.loads(waiting)] == [text]
    assert steady.count("progress", "event_log") > 1


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        ("revoked_at = now()", 401, "unauthorized"),
        ("expires_at = now()", 401, "unauthorized"),
        ("expires_at = now() + interval '1 day'", 404, "event_unknown"),
        ("kind = 'employer'", 403, "forbidden"),
        ("kind = 'role'", 403, "forbidden"),
    ],
)
def test_14_a_revoked_or_expired_key_or_one_of_another_role_opens_nothing(
    steady: Place, front: httpx.Client, spoil: str, status: int, code: str
) -> None:
    key = asyncio.run(issue(steady.stack().database, "clinic", CLINIC))
    bearing = {"authorization": f"Bearer {key}"}
    assert_problem(front.get("/v1/events/none", headers=bearing), 404, "event_unknown")
    changed = f"UPDATE access.api_keys SET {spoil} WHERE prefix = $1 RETURNING name"
    assert steady.query("intake", changed, key.split("_")[1])[0]["name"] == CLINIC
    assert_problem(front.get("/v1/events/none", headers=bearing), status, code)


def test_14_a_truncated_or_altered_key_opens_nothing(front: httpx.Client, back: httpx.Client, clinic_key: str) -> None:
    other_end = clinic_key[:-1] + ("B" if clinic_key.endswith("A") else "A")
    for key in (clinic_key[:-1], clinic_key[:20], clinic_key + "A", clinic_key.upper(), other_end, ""):
        bearing = {"authorization": f"Bearer {key}".strip()}
        assert_problem(front.get("/v1/events/none", headers=bearing), 401, "unauthorized")
        assert_problem(back.get("/v1/clinic/feed", headers=bearing), 401, "unauthorized")


def test_15_a_case_of_another_employer_is_not_to_be_told_from_none_and_the_asking_is_noted(
    steady: Place, back: httpx.Client
) -> None:
    rows = steady.query("notify", "SELECT employer, case_ref FROM deliveries WHERE status = 'delivered' LIMIT 1")
    other = next(name for name in steady.target().employers if name != rows[0]["employer"])
    bearing = {"authorization": f"Bearer {steady.target().employers[other]}"}
    refs = (rows[0]["case_ref"], uuid4())
    log = Log(steady, "notify")
    foreign, none = (back.get(f"/v1/cases/{ref}/status", headers=bearing) for ref in refs)
    assert_problem(foreign, 404, "not_found")
    assert foreign.json() == none.json()
    for ref in refs:
        assert len(log.saying("status refused", employer=other, case=str(ref))) == 1
    pulled = "disclosures WHERE employer = $1 AND case_ref = $2"
    assert steady.query("notify", f"SELECT count(*) FROM {pulled}", other, refs[0])[0][0] == 0


def test_16_a_field_that_an_employer_wishes_for_is_refused(steady: Place, back: httpx.Client, clinic_key: str) -> None:
    employer, key = next(iter(steady.target().employers.items()))
    rows = steady.query("notify", "SELECT case_ref FROM deliveries WHERE employer = $1 LIMIT 1", employer)
    for path in (f"/v1/cases/{rows[0]['case_ref']}/status", "/v1/deliveries"):
        answer = back.get(f"{path}?fields=diagnosis", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
    answer = back.get("/v1/clinic/feed?fields=diagnosis", headers={"authorization": f"Bearer {clinic_key}"})
    assert answer.status_code == 422


FORGED = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def test_24_a_forged_trace_is_not_continued_and_its_baggage_goes_nowhere(steady: Place, front: httpx.Client) -> None:
    event = replace(session(uuid4()), traceparent=FORGED)
    sent = {"traceparent": FORGED, "tracestate": "evil=1", "baggage": "key=" + CANARY * 745, "ce-baggage": CANARY}
    assert len(sent["baggage"]) > 8 * 1024
    headers, body = write_http(event)
    assert front.post("/v1/events", content=body, headers=headers | sent).status_code == 202
    await_that(lambda: logged(steady, "progress", event.id) == "waiting", "the session")
    row = steady.query("progress", 'SELECT partition, "offset", traceparent FROM event_log WHERE id = $1', event.id)[0]
    assert row["traceparent"] is None or row["traceparent"].split("-")[1] == event.subject.hex
    stored = asyncio.run(record_at(steady.stack().kafka, row["partition"], row["offset"]))
    assert {name for name, _ in stored} <= {
        "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_dataschema", "ce_traceparent",
        "content-type",
    }  # fmt: skip
    assert not any(CANARY.encode() in value or b"a" * 32 in value for _, value in stored)


def test_24_a_forged_trace_is_linked_to_the_cases_own() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = Telemetry("intake", provider.get_tracer("test"), True, 1.0, provider)
    event = replace(session(uuid4()), traceparent=FORGED)
    with telemetry.receiving(event) as received:
        assert received.traceparent is not None
        assert received.traceparent.split("-")[1] == event.subject.hex
    (span,) = spans.get_finished_spans()
    assert span.context is not None
    assert span.context.trace_id == event.subject.int
    assert [link.context.trace_id for link in span.links] == [int("a" * 32, 16)]


async def record_at(bootstrap: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    """The headers of a record of the clinics' topic."""
    consumer: Any = AIOKafkaConsumer(**client_options(bootstrap), enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(CLINIC_TOPIC, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        record = await consumer.getone(place)
        assert record.offset == offset
        return list(record.headers)
    finally:
        await consumer.stop()
