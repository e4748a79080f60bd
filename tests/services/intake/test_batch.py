"""A batch of events at the front door: each is answered for itself, and those of a case stay in order."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import Response

from runtime.fold import Position
from services.intake.screening import MAX_BATCH, MAX_BATCH_BODY
from tests.services.intake.cases import CASE, assessed
from tests.services.intake.test_door import Door, door, key, problem, sent
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import BATCHED, Envelope, event_of, write_structured

__all__ = ["door"]  # the fixture

OTHER = UUID(int=7)


async def post(door: Door, documents: Any, clinic: str = "north", **headers: str) -> Response:
    given = {"content-type": f"{BATCHED}; charset=UTF-8"} | headers | key(clinic)
    return await door.client.post("/v1/events", content=json.dumps(documents), headers=given)


def batch(*envelopes: Envelope) -> list[dict[str, Any]]:
    return [write_structured(each) for each in envelopes]


def told(response: Response) -> list[str]:
    """What came of each: `accepted`, or the code of its refusal."""
    return [each.get("problem", {}).get("code", each["status"]) for each in response.json()["events"]]


async def test_a_batch_that_is_taken_in_is_answered_event_by_event(door: Door) -> None:
    response = await post(door, batch(sent("a1"), sent("a2")))
    assert response.status_code == 202
    assert response.json()["events"][1] == {
        "id": "a2", "source": "/clinics/north", "status": "accepted", "status_url": "/v1/events/a2",
    }  # fmt: skip
    assert [envelope.id for _, envelope in door.broker.sent] == ["a1", "a2"]
    assert {held.status for held in door.receipts.rows.values()} == {"accepted"}


async def test_an_empty_batch_is_one(door: Door) -> None:
    response = await post(door, [])
    assert (response.status_code, response.json()) == (202, {"events": []})


async def test_what_is_refused_of_a_batch_is_told_in_its_place_and_the_others_are_taken_in(door: Door) -> None:
    await door.post(sent("used"))
    documents = batch(
        sent("a1"),
        replace(sent("a2"), source="/clinics/south"),
        sent("used", data=assessed(baseline_pain=1.0)),
        sent("a4", time=datetime.now(UTC) + timedelta(days=3)),
        event_of(DayClosed(through=datetime.now(UTC).date()), id="all", source="/clinics/north", subject=UUID(int=0),
                 time=datetime.now(UTC)),
        sent("a6"),
    )  # fmt: skip
    documents[5]["data"]["baseline_pain"] = "CANARY"
    response = await post(door, [*documents, "CANARY", {"id": "CANARY"}])
    assert response.status_code == 207
    assert told(response) == [
        "accepted", "foreign_source", "id_reused", "time_out_of_range", "nil_subject", "contract.float_type",
        "envelope.structured", "envelope.no_data",
    ]  # fmt: skip
    refused = response.json()["events"][5]["problem"]
    assert (refused["status"], refused["field"]) == (422, "/baseline_pain")
    assert "CANARY" not in response.text
    assert [envelope.id for _, envelope in door.broker.sent] == ["used", "a1"]


async def test_a_batch_sent_again_is_answered_the_same(door: Door) -> None:
    first, again = [await post(door, batch(sent("a1"), sent("a2"))) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(door.receipts.rows) == 2


async def test_of_two_with_one_id_the_same_event_counts_once_and_another_is_refused(door: Door) -> None:
    response = await post(door, batch(sent("a1"), sent("a1"), sent("a1", data=assessed(baseline_pain=1.0))))
    assert told(response) == ["accepted", "accepted", "id_reused"]
    assert len(door.broker.sent) == 1


async def test_a_batch_that_is_none_or_too_large_is_a_problem(door: Door) -> None:
    assert problem(await post(door, batch(sent())[0]))[:2] == (422, "envelope.batch")
    many = batch(*(sent(f"a{number}") for number in range(MAX_BATCH + 1)))
    assert problem(await post(door, many))[:2] == (413, "too_large")
    large = await door.client.post(
        "/v1/events", content=b" " * (MAX_BATCH_BODY + 1), headers={"content-type": BATCHED} | key("north")
    )
    assert problem(large)[:2] == (413, "too_large")
    assert door.broker.sent == []


async def test_an_outage_asks_for_the_whole_batch_again_and_the_repetition_completes_it(door: Door) -> None:
    door.broker.failures = 1
    documents = batch(sent("a1"), replace(sent("b1"), subject=OTHER))
    assert problem(await post(door, documents))[:2] == (503, "unavailable")
    assert {held.status for held in door.receipts.rows.values()} == {"pending"}
    assert told(await post(door, documents)) == ["accepted", "accepted"]
    assert {held.status for held in door.receipts.rows.values()} == {"accepted"}


async def test_behind_an_event_that_could_not_be_sent_none_of_its_case_is(door: Door) -> None:
    door.broker.failures = 1
    await post(door, batch(sent("a1"), sent("a2"), replace(sent("b1"), subject=OTHER)))
    assert [envelope.id for _, envelope in door.broker.sent] == ["b1"]


async def test_a_clinic_sends_one_batch_at_a_time_and_holds_up_nobody_else(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, asked, publish = asyncio.Event(), asyncio.Event(), door.broker.publish

    async def slow(topic: str, envelope: Envelope) -> Position:
        asked.set()
        await go.wait()
        return await publish(topic, envelope)

    monkeypatch.setattr(door.broker, "publish", slow)
    first = asyncio.create_task(post(door, batch(sent("a1"))))
    await asked.wait()
    second = await post(door, batch(sent("a2")))
    assert problem(second)[:2] == (429, "rate_limited")
    assert second.headers["retry-after"] == "1"
    south = replace(sent("s1"), source="/clinics/south", subject=CASE)
    others = asyncio.create_task(post(door, batch(south), clinic="south"))
    go.set()
    assert [told(await each) for each in (first, others)] == [["accepted"], ["accepted"]]
    assert told(await post(door, batch(sent("a2")))) == ["accepted"]


async def test_the_trace_of_the_request_is_carried_by_each_of_a_batch(door: Door) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await post(door, batch(sent("a1"), sent("a2")), traceparent=trace)
    assert [envelope.traceparent for _, envelope in door.broker.sent] == [trace, trace]
