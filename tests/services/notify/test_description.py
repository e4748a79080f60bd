"""The employers' OpenAPI document: as committed, as the doors are, and as they answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest

from runtime.db import Pool
from services.notify.describe import describe
from services.notify.door import employers
from tests.conftest import ROOT, Database
from tests.services.notify.cases import CORRECTED, consent, grant, opened, plan
from tests.services.notify.stored import fold
from tests.services.notify.test_doors import caller

FILE = Path(ROOT) / "contracts/openapi/employers.v1.json"
DOCUMENT: dict[str, Any] = describe()


def test_the_committed_document_is_what_the_doors_are() -> None:
    mend = "python -m services.notify.describe > contracts/openapi/employers.v1.json"
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(DOCUMENT)), mend


def test_every_door_for_employers_is_described_and_asks_for_a_key() -> None:
    assert set(DOCUMENT["paths"]) == {getattr(route, "path", "") for route in employers.routes}
    for door in DOCUMENT["paths"].values():
        assert door["get"]["security"] == [{"key": []}]
        assert {"200", "401", "403", "422"} <= set(door["get"]["responses"])


def test_nothing_outside_the_allow_list_is_described() -> None:
    names = {name for schema in DOCUMENT["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert not names & {"diagnosis", "body_part", "pain", "score", "vitals", "note", "notes", "worker_ref", "clinic"}
    assert DOCUMENT["components"]["schemas"]["ReadinessUpdated"]["additionalProperties"] is False


def conforms(answer: httpx.Response, path: str) -> None:
    """The answer is one that the document describes for this door."""
    described = DOCUMENT["paths"][path]["get"]["responses"][str(answer.status_code)]["content"]
    schema = described[answer.headers["content-type"].partition(";")[0]]["schema"]
    whole = {**schema, "components": DOCUMENT["components"]}
    validator: Any = jsonschema.Draft202012Validator(whole)
    validator.validate(answer.json())


@pytest.mark.stack
async def test_what_the_doors_answer_is_what_the_document_says(database: Database, pool: Pool) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    ref = await fold(pool, [opened(), consent(grant(employer=employer)), plan(), *CORRECTED])
    async with caller(database, pool, "employer", employer) as client:
        page = await client.get("/v1/deliveries")
        assert len(page.json()["items"]) == 2
        conforms(page, "/v1/deliveries")
        conforms(await client.get("/v1/deliveries?limit=0"), "/v1/deliveries")
        conforms(await client.get("/v1/deliveries", headers={"authorization": ""}), "/v1/deliveries")
        status = await client.get(f"/v1/cases/{ref}/status")
        assert status.status_code == 200
        conforms(status, "/v1/cases/{ref}/status")
        conforms(await client.get(f"/v1/cases/{uuid4()}/status"), "/v1/cases/{ref}/status")
        broken = {**status.json(), "data": {**status.json()["data"], "diagnosis": "canary"}}
    with pytest.raises(jsonschema.ValidationError):
        conforms(httpx.Response(200, json=broken, headers=status.headers), "/v1/cases/{ref}/status")
