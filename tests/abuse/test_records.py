"""Abuse of the topics, on the running program: each record is kept or answered with a reason, nothing comes of it, and
what stands behind it is taken.

A clinic may write to its own topic, where the bridge reads; nobody but us may write to `clinic.events.v1`, and the
services that read it hold out all the same. A record that tells whose event it is and only breaks the contract is
answered: the clinic reads the rejection in its feed. One that cannot be read, or that may not be answered since its id
may be another event's, is kept as a dead letter.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from tests.abuse.attack import (
    CLINIC,
    OWN_TOPIC,
    Headers,
    Log,
    Raw,
    assert_no_effect,
    case_on,
    counter,
    dead_letter,
    document,
    logged,
    referred,
    refusals,
    said,
    send,
    session,
    the_next_is_taken,
    with_session,
)
from tests.e2e.events import MONDAY
from tests.e2e.place import Place, await_that
from tests.services.intake.cases import assessed, capacity
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import clinic_source, write_kafka
from workhardening_contracts.registry import CLINIC_TOPIC, PLANNING_TOPIC

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("clinic_key")]

either_topic = pytest.mark.parametrize("topic", [OWN_TOPIC, CLINIC_TOPIC])


def changed(headers: Headers, name: str, value: bytes | None) -> Headers:
    """The headers with one changed."""
    return [(each, value if each == name else given) for each, given in headers]


def without(headers: Headers, name: str) -> Headers:
    """The headers without one."""
    return [(each, given) for each, given in headers if each != name]


def assert_buried(place: Place, topic: str, raw: Raw, reason: str) -> None:
    """The record is a dead letter for this reason, counted, and holds nothing up."""
    before = counter(place, "intake", "whp_dead_lettered_total")
    at = send(place, topic, raw)
    the_next_is_taken(place, at)
    assert dead_letter(place, at) == reason
    if topic == CLINIC_TOPIC:  # the bridge counts nothing
        # The next record is seen in the database a moment before the batch that took it is counted.
        await_that(lambda: counter(place, "intake", "whp_dead_lettered_total") == before + 1, "the count")


@either_topic
@pytest.mark.parametrize("value", [None, b"\xff\xfe", b"caf\xe9"])
@pytest.mark.parametrize("name", ["ce_id", "ce_traceparent"])
def test_01_a_null_or_non_utf8_header_is_kept_with_its_reason_and_the_offset_moves_on(
    steady: Place, topic: str, name: str, value: bytes | None
) -> None:
    event = referred(uuid4())
    key, headers, body = write_kafka(replace(event, traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"))
    assert_buried(steady, topic, (key, changed(headers, name, value), body), "envelope.header")
    assert_no_effect(steady, event.subject)


def test_01_a_null_header_in_an_event_of_ours_parks_its_case_alone(steady: Place, front: httpx.Client) -> None:
    case = case_on(7)
    before = counter(steady, "progress", "whp_parked_total")
    at = send(steady, PLANNING_TOPIC, (str(case).encode(), [("ce_id", None)], b"{}"))
    await_that(lambda: steady.count("progress", f"parked WHERE case_ref = '{case}'"), "the parked record")
    await_that(lambda: steady.count("notify", f"parked WHERE case_ref = '{case}'"), "the parked record")
    await_that(lambda: steady.count("console", f"parked WHERE case_ref = '{case}'"), "the parked record")
    await_that(lambda: counter(steady, "progress", "whp_parked_total") == before + 1, "the count")
    row = steady.query("progress", 'SELECT reason, "offset" FROM parked WHERE case_ref = $1', case)[0]
    assert (row["reason"], row["offset"]) == ("envelope.header", at.offset)
    other = case_on(at.partition)
    assert front.post("/v1/events", content=document(referred(other))).status_code == 202
    assessment = said(assessed(assessed_on=MONDAY, functional_tests=(capacity(10.0, MONDAY),)), other)
    assert front.post("/v1/events", content=document(assessment)).status_code == 202
    plan = f"event_log WHERE case_ref = '{other}' AND topic = '{PLANNING_TOPIC}' AND partition = {at.partition}"
    await_that(lambda: steady.count("progress", plan), "another case's plan on the same partition")
    for service in ("progress", "notify", "console"):
        discarded = steady.whp("parked", "discard", str(case), "--service", service, "--reason", "an attack")
        assert discarded.returncode == 0, discarded.stderr
    assert steady.whp("parked", "retry", str(case)).returncode == 0
    assert_no_effect(steady, case)


@either_topic
@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_type"])
def test_02_a_record_without_id_source_or_type_is_kept(steady: Place, topic: str, name: str) -> None:
    event = referred(uuid4())
    key, headers, body = write_kafka(event)
    assert_buried(steady, topic, (key, without(headers, name), body), "envelope.missing")
    assert_no_effect(steady, event.subject)


@either_topic
def test_03_an_id_given_twice_and_differently_is_kept(steady: Place, topic: str) -> None:
    event = referred(uuid4())
    key, headers, body = write_kafka(event)
    assert_buried(steady, topic, (key, [*headers, ("ce_id", b"another")], body), "envelope.header_twice")
    assert_no_effect(steady, event.subject)


@either_topic
def test_04_a_null_value_is_kept(steady: Place, topic: str) -> None:
    event = referred(uuid4())
    key, headers, _ = write_kafka(event)
    assert_buried(steady, topic, (key, headers, None), "envelope.no_data")
    assert_no_effect(steady, event.subject)


JSON = {
    "json.too_deep": '"note":' + "[" * 10_000 + "]" * 10_000,
    "json.number": '"pain":1e400',
    "json.duplicate_key": '"hours":1.0,"hours":8.0',
}


@either_topic
@pytest.mark.parametrize(("code", "member"), [*JSON.items(), ("json.number", '"pain":NaN')])
def test_05_json_that_is_too_deep_infinite_no_number_or_ambiguous_is_answered(
    steady: Place, topic: str, code: str, member: str
) -> None:
    event = session(uuid4())
    key, headers, _ = write_kafka(event)
    at = send(steady, topic, (key, headers, with_session(event, member)))
    the_next_is_taken(steady, at)
    await_that(lambda: refusals(steady, event.subject), "the rejection")
    assert refusals(steady, event.subject) == [code]
    assert_no_effect(steady, event.subject)


@pytest.mark.parametrize("code", JSON)
def test_05_the_same_in_a_structured_record_is_kept_since_it_does_not_tell_whose_it_is(
    steady: Place, code: str
) -> None:
    event = session(uuid4())
    data = with_session(event, JSON[code])
    body = document(event, data=CLINIC).replace(f'"{CLINIC}"'.encode(), data)
    headers = [("content-type", b"application/cloudevents+json")]
    assert_buried(steady, OWN_TOPIC, (str(event.subject).encode(), headers, body), code)
    assert_no_effect(steady, event.subject)


def test_06_a_body_over_the_cap_is_answered(steady: Place) -> None:
    event = session(uuid4())
    key, headers, _ = write_kafka(event)
    at = send(steady, OWN_TOPIC, (key, headers, with_session(event, '"note":"' + "x" * 65_536 + '"')))
    the_next_is_taken(steady, at)
    await_that(lambda: refusals(steady, event.subject), "the rejection")
    assert refusals(steady, event.subject) == ["too_large"]
    assert_no_effect(steady, event.subject)


@either_topic
def test_08_an_id_used_for_another_body_is_kept_and_is_a_security_event(steady: Place, topic: str) -> None:
    event = referred(case_on(3))
    send(steady, topic, write_kafka(event))
    await_that(lambda: logged(steady, "intake", event.id) == "folded", "the first")
    version = case_version(steady, event.subject)
    log = Log(steady, "intake")
    forged = replace(
        event, data=event.data.replace(b'"unknown"', b'"yes"').replace(b'"worker_ref":"', b'"worker_ref":"x')
    )
    assert forged.data != event.data
    assert_buried(steady, topic, write_kafka(forged), "id_reused")
    assert case_version(steady, event.subject) == version
    if topic == OWN_TOPIC:
        assert log.saying("security", finding="id_reused")


def test_09_another_clinics_source_in_a_clinics_topic_is_kept_and_is_a_security_event(steady: Place) -> None:
    event = referred(uuid4(), clinic="north")
    log = Log(steady, "intake")
    assert_buried(steady, OWN_TOPIC, write_kafka(event), "foreign_source")
    assert_no_effect(steady, event.subject)
    assert len(log.saying("security", finding="foreign_source")) == 1


def test_09_another_clinics_event_for_a_case_is_refused_by_its_judge(steady: Place) -> None:
    event = referred(case_on(5))
    send(steady, CLINIC_TOPIC, write_kafka(event))
    await_that(lambda: logged(steady, "intake", event.id) == "folded", "the case")
    before = steady.query("intake", "SELECT state FROM cases WHERE case_ref = $1", event.subject)
    forged = replace(referred(event.subject), source=clinic_source("north"))
    at = send(steady, CLINIC_TOPIC, write_kafka(forged))
    the_next_is_taken(steady, at)
    assert logged(steady, "intake", forged.id) == "rejected"
    assert steady.query("intake", "SELECT state FROM cases WHERE case_ref = $1", event.subject) == before


@either_topic
def test_10_a_time_ten_years_ahead_is_answered(steady: Place, topic: str) -> None:
    ahead = datetime.now(UTC) + timedelta(days=3652)
    event = said(DayClosed(through=MONDAY), uuid4(), at=ahead)
    at = send(steady, topic, write_kafka(event))
    the_next_is_taken(steady, at)
    await_that(lambda: refusals(steady, event.subject), "the rejection")
    assert refusals(steady, event.subject) == ["time_out_of_range"]
    assert_no_effect(steady, event.subject)


@either_topic
def test_10_a_time_without_an_offset_is_kept(steady: Place, topic: str) -> None:
    event = referred(uuid4())
    key, headers, body = write_kafka(event)
    naive = changed(headers, "ce_time", b"2026-03-02T18:00:00")
    assert_buried(steady, topic, (key, naive, body), "envelope.attribute")
    assert_no_effect(steady, event.subject)


def case_version(place: Place, case: object) -> int:
    """How many events intake has taken of the case."""
    return int(place.query("intake", "SELECT version FROM cases WHERE case_ref = $1", case)[0]["version"])
