"""One case in FHIR only, on the running program: referred, assessed and trained, and its plan and readiness read back.

Days are closed by an event: FHIR has nothing that means it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class

from tests.e2e.place import Place, await_that
from tests.services.intake.fhir.sending import EXAMPLES
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import clinic_source, event_of, write_http

pytestmark = pytest.mark.stack

Json = dict[str, Any]
FHIR = {"content-type": "application/fhir+json"}


@pytest.fixture
def clinic(steady: Place) -> Iterator[httpx.Client]:
    """The clinic north at the front door."""
    key = {"authorization": f"Bearer {steady.target().clinics['north']}"}
    with httpx.Client(base_url=steady.stack().front_door, headers=key, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def console(steady: Place) -> Iterator[httpx.Client]:
    """The console's door, without a key."""
    port = steady.stack().services["console"].port
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        yield client


def example(name: str, number: str) -> Json:
    """An example for a case of its own."""
    return json.loads((EXAMPLES / f"{name}.json").read_text().replace("0117", number))


def trained(session: Json, day: date, hours: float, targets: dict[str, Json]) -> Json:
    """The example's session on another day, with all that the plan asked for done."""
    moved = json.loads(json.dumps(session).replace("2025-03-10", day.isoformat()))
    encounter, pain_before, pain_after = (each["resource"] for each in moved["entry"][:3])
    encounter["length"] = {"value": hours, "system": "http://unitsofmeasure.org", "code": "h"}
    done: list[dict[str, Any]] = [
        {
            **pain_after,
            "id": key.replace("/", "-").replace("_", "-"),
            "code": {"coding": [{"system": "urn:workhardening:demand", "code": key}]},
            "valueQuantity": amount,
        }
        for key, amount in targets.items()
    ]
    for each in (encounter, pain_before, pain_after, *done):
        each["id"] += f"-{day.isoformat()}"
    entries = [{"resource": each, "request": {"method": "POST", "url": "Observation"}} for each in done]
    return {**moved, "entry": [*moved["entry"][:3], *entries]}


def test_a_case_is_told_in_fhir_and_read_back_in_fhir(
    steady: Place, clinic: httpx.Client, console: httpx.Client
) -> None:
    number = uuid4().hex[:12]

    def send(bundle: Json) -> list[Json]:
        answer = clinic.post("/fhir", json=bundle, headers=FHIR)
        assert answer.status_code == 200, answer.text
        return [each["response"] for each in answer.json()["entry"]]

    referred, *_ = send(example("referral", number))
    case = UUID(referred["outcome"]["issue"][0]["diagnostics"][-36:])
    assert send(example("referral", number))[0] == referred, "sent again it is the same"
    send(example("assessment", number))
    key = {"authorization": f"Bearer {steady.target().clinics['north']}"}

    def shown(kind: str) -> list[Json]:
        answer = console.get(f"/fhir/{kind}", params={"case": str(case)}, headers=key)
        if answer.status_code == 404:  # the console has not heard of it yet
            return []
        assert answer.status_code == 200, answer.text
        get_fhir_model_class("Bundle").model_validate(answer.json())
        return [each["resource"] for each in answer.json().get("entry", [])]

    def close(day: date) -> None:
        at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=20)
        source = clinic_source("north")
        closed = event_of(DayClosed(through=day), id=f"closed-{number}-{day}", source=source, subject=case, time=at)
        headers, body = write_http(closed)
        assert clinic.post("/v1/events", content=body, headers=headers).status_code == 202

    await_that(lambda: shown("CarePlan"), "the plan")
    (plan,) = shown("CarePlan")
    assert (plan["status"], plan["title"], len(plan["activity"])) == ("active", "Warehouse order picker", 8)
    held = 0
    while not shown("Composition"):  # readiness is assessed from a later week of the program on
        (plan,), goals = shown("CarePlan"), shown("Goal")
        week = plan["activity"][0]["detail"]["scheduledTiming"]["repeat"]
        starts, ends = (date.fromisoformat(week["boundsPeriod"][edge]) for edge in ("start", "end"))
        asked = {each["description"]["text"]: each["target"][0]["detailQuantity"] for each in goals}
        assert set(asked) == {
            "lift/floor_waist/occasional", "carry/-/frequent", "stand/-/constant", "reach/overhead/seldom",
            "confidence/-/constant",
        }  # fmt: skip
        for nth in range(week["frequency"]):
            send(trained(example("session", number), starts + timedelta(days=nth), week["duration"], asked))
            held += 1
        close(ends)
        await_that(lambda: shown("CarePlan") != [plan] or shown("Composition"), "the week's verdict")  # noqa: B023 - awaited here
    (document,) = shown("Composition")
    assert document["status"] == "preliminary"
    assert [each["agent"][0]["who"]["display"] for each in shown("Provenance")] == ["Work Hardening Program"]
    observed = shown("Observation")
    (readiness,) = [each for each in observed if each["code"]["coding"][0]["code"] == "readiness"]
    assert readiness["valueCodeableConcept"]["coding"][0]["code"] in ("not_yet", "insufficient_data")
    lifts = [each for each in observed if each["code"]["coding"][0]["code"] == "lift/floor_waist/occasional"]
    assert len(lifts) == 1 + held, "what was assessed and what was done each day"

    looks = steady.query("console", "SELECT DISTINCT who, role, clinic FROM views WHERE case_ref = $1", case)
    assert [(row["who"], row["role"], row["clinic"]) for row in looks] == [
        ("_".join(steady.target().clinics["north"].split("_")[:2]), "clinic", "north")
    ]
    others = [key for name, key in steady.target().clinics.items() if name != "north"]
    for other in others:
        answer = console.get("/fhir/CarePlan", params={"case": str(case)}, headers={"authorization": f"Bearer {other}"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
