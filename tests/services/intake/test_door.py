"""The HTTP door, without Kafka and PostgreSQL behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import Request
from httpx import ASGITransport, AsyncClient, Response

from runtime.http import Problem, clinic_caller, console_caller, make_app
from services.intake.door import front_desk, router
from services.intake.receipts import Held
from services.intake.screening import MAX_BODY
from tests.services.intake.cases import CASE, assessed
from tests.services.intake.desk import KEY, TRACE, MemoryBroker, MemoryReceipts, desk_of
from workhardening_contracts.clinic import AssessmentRecorded, Finding, ReadinessSigned
from workhardening_contracts.envelope import Envelope, event_of, write_http, write_structured

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class Door:
    """The door as clinics reach it; the key is the clinic's name."""

    def __init__(self, client: AsyncClient, receipts: MemoryReceipts, broker: MemoryBroker) -> None:
        self.client, self.receipts, self.broker = client, receipts, broker

    async def post(self, envelope: Envelope, clinic: str = "north", **headers: str) -> Response:
        written, body = write_http(envelope)
        return await self.client.post("/v1/events", content=body, headers=written | headers | key(clinic))


def key(clinic: str) -> dict[str, str]:
    return {"authorization": f"Bearer {clinic}"}


def sent(id_: str = "a1", data: AssessmentRecorded | None = None, time: datetime = YESTERDAY) -> Envelope:
    return event_of(data or assessed(), id=id_, source="/clinics/north", subject=CASE, time=time)


async def _caller(request: Request) -> str:
    _, _, clinic = request.headers.get("authorization", "").partition(" ")
    if not clinic:
        raise Problem(401, "unauthorized", "send a key")
    return clinic


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    receipts, broker = MemoryReceipts(), MemoryBroker()
    app = make_app("intake")
    app.include_router(router)
    app.dependency_overrides[clinic_caller] = _caller
    app.dependency_overrides[console_caller] = lambda: None  # whose key: tests/services/test_every_door_is_locked.py
    app.dependency_overrides[front_desk] = lambda: desk_of(receipts, broker)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://door") as client:
        yield Door(client, receipts, broker)


def problem(response: Response) -> tuple[int, str, str | None]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["code"], body.get("field")


async def test_a_binary_event_is_answered_with_where_to_ask_for_it(door: Door) -> None:
    response = await door.post(sent("a/1?"))
    assert response.status_code == 202
    assert response.json() == {
        "id": "a/1?",
        "source": "/clinics/north",
        "status": "accepted",
        "status_url": "/v1/events/a%2F1%3F",
    }
    status = await door.client.get(response.json()["status_url"], headers=key("north"))
    assert status.json() == {"id": "a/1?", "source": "/clinics/north", "status": "accepted"}


async def test_a_structured_event_is_the_same_event(door: Door) -> None:
    await door.post(sent())
    response = await door.client.post(
        "/v1/events",
        content=json.dumps(write_structured(sent())),
        headers={"content-type": "application/cloudevents+json; charset=utf-8"} | key("north"),
    )
    assert response.status_code == 202
    assert door.broker.sent[0][1].data == door.broker.sent[1][1].data


async def test_a_retry_is_answered_the_same(door: Door) -> None:
    first, again = await door.post(sent()), await door.post(sent())
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(door.broker.sent) == 2


async def test_without_a_key_nothing_is_taken_in(door: Door) -> None:
    written, body = write_http(sent())
    assert problem(await door.client.post("/v1/events", content=body, headers=written))[:2] == (401, "unauthorized")
    assert door.receipts.rows == {}


async def test_another_clinics_source_is_forbidden(door: Door) -> None:
    assert problem(await door.post(sent(), clinic="south")) == (403, "foreign_source", "/source")


async def test_a_reused_id_is_a_conflict(door: Door) -> None:
    await door.post(sent())
    assert problem(await door.post(sent(data=assessed(baseline_pain=1.0)))) == (409, "id_reused", "/id")


async def test_a_breach_of_the_contract_names_the_field_and_not_the_value(door: Door) -> None:
    written, _ = write_http(sent())
    response = await door.client.post(
        "/v1/events",
        content=b'{"assessed_on":"2026-03-02","baseline_pain":"CANARY"}',
        headers=written | key("north"),
    )
    assert problem(response)[::2] == (422, "/baseline_pain")
    assert "CANARY" not in response.text


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"ce-id": ""}, (422, "envelope.attribute", "/id")),
        ({"ce-specversion": "0.3"}, (422, "envelope.specversion", "/specversion")),
        ({"ce-subject": "case-7"}, (422, "envelope.attribute", "/subject")),
        ({"ce-time": "2026-03-02T09:30:00"}, (422, "time_out_of_range", "/time")),
        ({"ce-time": "2126-03-02T09:30:00Z"}, (422, "time_out_of_range", "/time")),
        ({"ce-type": "org.workhardening.intake.case.opened.v1"}, (422, "contract.unknown_type", "/type")),
        ({"ce-subject": str(UUID(int=0))}, (422, "nil_subject", "/subject")),
        ({"content-type": "text/plain"}, (422, "envelope.content_type", "/content-type")),
    ],
)
async def test_an_envelope_that_cannot_be_read_is_told_where(
    door: Door, headers: dict[str, str], answer: tuple[int, str, str]
) -> None:
    assert problem(await door.post(sent(), **headers)) == answer


async def test_a_missing_attribute_is_never_made_up(door: Door) -> None:
    written, body = write_http(sent())
    del written["ce-id"]
    response = await door.client.post("/v1/events", content=body, headers=written | key("north"))
    assert problem(response) == (422, "envelope.missing", "/id")


async def test_a_body_over_the_cap_is_refused_by_its_declared_length(door: Door) -> None:
    written, _ = write_http(sent())
    response = await door.client.post("/v1/events", content=b" " * (MAX_BODY + 1), headers=written | key("north"))
    assert problem(response)[:2] == (413, "too_large")


async def test_a_body_of_untold_length_is_read_no_further_than_the_cap(door: Door) -> None:
    read = 0

    async def drip() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 1024
            yield b" " * 1024

    written, _ = write_http(sent())
    response = await door.client.post("/v1/events", content=drip(), headers=written | key("north"))
    assert problem(response)[:2] == (413, "too_large")
    assert read <= MAX_BODY + 2048


async def test_the_largest_body_goes_through(door: Door) -> None:
    notes = tuple(Finding(code="none", note="n" * 500) for _ in range(40))
    big = sent(data=assessed(physical_examination=notes, posture=notes))
    assert len(big.data) > MAX_BODY / 2
    assert (await door.post(big)).status_code == 202


async def test_a_broker_outage_asks_to_come_again_and_leaves_the_receipt_pending(door: Door) -> None:
    door.broker.failures = 1
    response = await door.post(sent())
    assert problem(response)[:2] == (503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    status = await door.client.get("/v1/events/a1", headers=key("north"))
    assert status.json()["status"] == "pending"


async def test_a_clinic_sees_its_own_events_only(door: Door) -> None:
    await door.post(sent())
    response = await door.client.get("/v1/events/a1", headers=key("south"))
    assert problem(response)[:2] == (404, "event_unknown")


async def test_a_rejected_event_tells_the_reason(door: Door) -> None:
    reason = {"code": "case_exists", "field": "/subject", "detail": "d", "mend": "m"}
    door.receipts.rows["/clinics/north", "r2"] = Held(b"", "rejected")
    door.receipts.reasons["/clinics/north", "r2"] = reason
    response = await door.client.get("/v1/events/r2", headers=key("north"))
    assert (response.json()["status"], response.json()["reason"]) == ("rejected", reason)


@pytest.mark.parametrize(
    ("in_event", "in_header", "carried"),
    [
        (None, TRACE, TRACE),
        (TRACE, TRACE.replace("b7ad", "0000"), TRACE),
        (None, "00-zz-yy-01", None),
        (None, TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), None),
        (None, None, None),
    ],
)
async def test_the_trace_of_the_request_is_carried_unless_the_event_has_its_own(
    door: Door, in_event: str | None, in_header: str | None, carried: str | None
) -> None:
    headers: dict[str, Any] = {}
    if in_event is not None:
        headers["ce-traceparent"] = in_event
    if in_header is not None:
        headers["traceparent"] = in_header
    assert (await door.post(sent(), **headers)).status_code == 202
    assert door.broker.sent[0][1].traceparent == carried


async def test_a_closed_day_comes_behind_what_was_answered_before(door: Door) -> None:
    door.receipts.open = {"north": [CASE, UUID(int=5)]}
    await door.post(sent())
    response = await door.client.post(f"/v1/days/{YESTERDAY.date()}/close", headers=key("north"))
    assert response.status_code == 202
    assert response.json() == {"through": str(YESTERDAY.date()), "cases": 2, "repeated": 0}
    assert [envelope.type.rsplit(".", 3)[1] for _, envelope in door.broker.sent] == ["assessment", "day", "day"]
    again = await door.client.post(f"/v1/days/{YESTERDAY.date()}/close", headers=key("north"))
    assert again.json() == {"through": str(YESTERDAY.date()), "cases": 2, "repeated": 2}


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "20260302", "2026-W10-1"])
async def test_a_day_is_named_as_a_date(door: Door, day: str) -> None:
    assert problem(await door.client.post(f"/v1/days/{day}/close", headers=key("north"))) == (422, "path.day", "/day")


@pytest.mark.parametrize("day", [date(9999, 12, 31), date(1999, 1, 1), date(1, 1, 1)])
async def test_days_out_of_range_cannot_be_closed(door: Door, day: date) -> None:
    response = await door.client.post(f"/v1/days/{day}/close", headers=key("north"))
    assert problem(response)[:2] == (422, "time_out_of_range")


def test_the_test_key_is_long_enough_to_be_one() -> None:
    assert len(KEY) == 32


# The console


def signature(id_: str = "console-1", source: str = "/clinics/north") -> Envelope:
    data = ReadinessSigned(
        readiness_event="assessed-1", role="physician", decision="ready", effective_from=date(2026, 3, 2)
    )
    return event_of(data, id=id_, source=source, subject=CASE, time=YESTERDAY)


async def signs(door: Door, envelope: Envelope, clinic: str = "north") -> Response:
    written, body = write_http(envelope)
    return await door.client.post(f"/v1/clinics/{clinic}/signatures", content=body, headers=written)


async def test_a_signature_from_the_console_goes_the_clinics_own_way(door: Door) -> None:
    for _ in range(2):
        answer = await signs(door, signature())
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert {(topic, envelope.source, envelope.id) for topic, envelope in door.broker.sent} == {
        ("clinic.events.v1", "/clinics/north", "console-1")
    }
    assert list(door.receipts.rows) == [("/clinics/north", "console-1")]


async def test_the_console_says_nothing_but_signatures_and_nothing_for_another_clinic_than_it_names(door: Door) -> None:
    assert problem(await signs(door, sent()))[:2] == (422, "type_not_allowed")
    assert problem(await signs(door, signature(), "south"))[:2] == (403, "foreign_source")
    assert problem(await signs(door, signature(), "no clinic"))[0] == 422
    assert door.broker.sent == []
