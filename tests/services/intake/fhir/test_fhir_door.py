"""The FHIR door, without Kafka and PostgreSQL behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Request
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from httpx import ASGITransport, AsyncClient, Response

from runtime.http import clinic_caller, make_app
from services.intake.door import front_desk, router
from services.intake.fhir.door import MAX_BUNDLE
from services.intake.fhir.door import router as fhir
from tests.services.intake.desk import MemoryBroker, MemoryReceipts, desk_of
from tests.services.intake.fhir.sending import example, read_bundle, resource_of, updating
from workhardening_contracts.envelope import write_http

HEADERS = {"content-type": "application/fhir+json", "authorization": "Bearer north"}


class Door:
    """The door as clinics reach it; the key is the clinic's name."""

    def __init__(self, client: AsyncClient, broker: MemoryBroker) -> None:
        self.client, self.broker = client, broker

    async def post(self, document: Any, kind: str = "") -> Response:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.client.post(f"/fhir{kind and f'/{kind}'}", content=content, headers=HEADERS)


async def _caller(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    receipts, broker = MemoryReceipts(), MemoryBroker()
    app = make_app("intake")
    app.include_router(router)
    app.include_router(fhir)
    app.dependency_overrides[clinic_caller] = _caller
    app.dependency_overrides[front_desk] = lambda: desk_of(receipts, broker)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://door") as client:
        yield Door(client, broker)


def outcome(response: Response) -> list[tuple[str, str, list[str]]]:
    """Severity, code and places of each issue of an OperationOutcome."""
    assert response.headers["content-type"] == "application/fhir+json"
    OperationOutcome.model_validate(response.json())
    return [(each["severity"], each["code"], each["expression"]) for each in response.json()["issue"]]


async def test_a_transaction_is_answered_entry_by_entry(door: Door) -> None:
    response = await door.post(example("referral"))
    assert response.status_code == 200
    Bundle.model_validate(response.json())
    first, *others = [each["response"] for each in response.json()["entry"]]
    (said,), _ = read_bundle(example("referral"))
    assert (first["status"], first["etag"]) == ("202", f'W/"{said.envelope.id}"')
    assert str(said.envelope.subject) in first["outcome"]["issue"][0]["diagnostics"]
    assert [each["status"] for each in others] == ["200"] * 4
    written, body = write_http(said.envelope)
    await door.client.post("/v1/events", content=body, headers=HEADERS | written)
    sent, same = [envelope for _, envelope in door.broker.sent]
    assert sent == same, "it is the event that the clinic could have sent itself"
    standing = await door.client.get(first["location"], headers=HEADERS)
    assert standing.json()["status"] == "accepted"


async def test_one_resource_is_taken_in_by_its_type(door: Door) -> None:
    walk = resource_of(example("assessment"), "Observation", 9)
    walk["basedOn"] = resource_of(example("assessment"), "DiagnosticReport")["basedOn"]
    response = await door.post(walk, "Observation")
    assert response.status_code == 202
    assert outcome(response)[0] == ("information", "informational", ["Observation"])
    assert response.headers["etag"] == f'W/"{door.broker.sent[0][1].id}"'
    assert response.headers["location"] == f"/v1/events/{door.broker.sent[0][1].id}"


async def test_the_same_transaction_again_is_answered_the_same(door: Door) -> None:
    first, again = await door.post(example("session")), await door.post(example("session"))
    assert (first.status_code, first.json()) == (again.status_code, again.json())


async def test_another_content_of_the_same_resource_is_a_conflict_until_it_is_sent_as_a_correction(door: Door) -> None:
    await door.post(example("session"))
    changed = example("session")
    resource_of(changed, "Observation", 1)["valueQuantity"]["value"] = 7
    refused = await door.post(changed)
    assert refused.status_code == 409
    assert outcome(refused) == [("error", "conflict", ["Bundle.entry[0].resource"])]
    corrected = await door.post(updating(changed, "Encounter"))
    assert corrected.status_code == 200
    assert json.loads(door.broker.sent[-1][1].data)["supersedes"] == door.broker.sent[0][1].id


async def test_a_fault_refuses_the_whole_transaction(door: Door) -> None:
    both = example("referral")
    both["entry"] += example("session")["entry"]
    del resource_of(both, "Encounter")["period"]
    response = await door.post(both)
    assert response.status_code == 422
    assert outcome(response)[0] == ("error", "required", ["Bundle.entry[5].resource.period.start"])
    assert door.broker.sent == []


async def test_what_the_front_door_refuses_is_refused_before_anything_is_taken_in(door: Door) -> None:
    both = example("referral")
    both["entry"] += example("session")["entry"]
    resource_of(both, "Encounter")["period"] = {"start": "2525-01-01T09:00:00Z", "end": "2525-01-01T10:00:00Z"}
    response = await door.post(both)
    assert response.status_code == 422
    assert outcome(response)[-1] == ("error", "business-rule", ["Bundle.entry[5].resource"])
    assert door.broker.sent == []


async def test_a_transaction_that_was_cut_short_is_sent_again(door: Door) -> None:
    door.broker.failures = 1
    cut = await door.post(example("session"))
    assert (cut.status_code, cut.headers["retry-after"]) == (503, "5")
    assert outcome(cut)[0][:2] == ("error", "transient")
    assert (await door.post(example("session"))).status_code == 200
    assert len(door.broker.sent) == 1


async def test_a_conflict_says_how_much_was_taken_in_before_it(door: Door) -> None:
    await door.post(example("session"))
    both = example("referral")
    both["entry"] += example("session")["entry"]
    resource_of(both, "Observation", 3)["valueQuantity"]["value"] = 7
    response = await door.post(both)
    assert response.status_code == 409
    assert response.json()["issue"][0]["diagnostics"].endswith("1 events before it were taken in")


@pytest.mark.parametrize(
    ("document", "kind", "status", "code"),
    [
        (b"{", "", 422, "structure"),
        (b"[]", "", 422, "structure"),
        (b'{"a": 1, "a": 2}', "", 422, "structure"),
        (b"<Bundle/>", "", 422, "structure"),
        ({"resourceType": "Observation"}, "", 422, "structure"),
        ({"resourceType": "Observation"}, "Encounter", 422, "structure"),
        ({"resourceType": "Observation"}, "Observation", 422, "required"),
        ({"resourceType": "Patient"}, "Patient", 404, "not-supported"),
        ({"resourceType": "Bundle", "type": "transaction"}, "", 422, "not-supported"),
        (b'{"resourceType": "' + b"B" * MAX_BUNDLE + b'"}', "", 413, "too-costly"),
    ],
)
async def test_what_is_no_resource_of_ours_is_refused(
    door: Door, document: Any, kind: str, status: int, code: str
) -> None:
    response = await door.post(document, kind)
    assert response.status_code == status
    assert outcome(response)[0][:2] == ("error", code)


async def test_the_door_says_what_it_can_do(door: Door) -> None:
    answer = await door.client.get("/fhir/metadata", headers=HEADERS)
    CapabilityStatement.model_validate(answer.json())
    resources = {each["type"]: each for each in answer.json()["rest"][0]["resource"]}
    assert resources["Encounter"]["interaction"] == [{"code": "create"}]
    assert "interaction" not in resources["Condition"]
