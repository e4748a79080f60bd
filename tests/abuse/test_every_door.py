"""Every HTTP door of the running program, questioned by its own OpenAPI description.

The descriptions are not served; they are built from the applications. What they permit is asked, and what they do not,
with the right key, another partner's, a wrong one and none. No answer may be a server error, none may be other than
described, a problem is problem+json, and none repeats what was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks as general
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as described

from runtime.service import Service, doors
from services.console.__main__ import SERVICE as CONSOLE
from services.intake.__main__ import SERVICE as INTAKE
from services.notify.__main__ import SERVICE as NOTIFY
from services.planning.__main__ import SERVICE as PLANNING
from services.progress.__main__ import SERVICE as PROGRESS
from tests.abuse.attack import CLINIC
from tests.e2e.place import Place, await_that
from workhardening_contracts import registry
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import BATCHED, BINARY, STRUCTURED, clinic_source

pytestmark = pytest.mark.stack

SERVICES: dict[str, Service] = {each.name: each for each in (INTAKE, PLANNING, PROGRESS, NOTIFY, CONSOLE)}
FOR_EMPLOYERS = ("/v1/deliveries", "/v1/cases/{ref}/status")
FOR_ANYBODY = (
    "GET /v1/consultations/services",
    "GET /v1/consultations/therapists",
    "GET /v1/consultations/therapists/{therapist}/slots",
    "POST /v1/consultations/bookings",
    "GET /v1/consultations/appointments/{token}",
    "DELETE /v1/consultations/appointments/{token}",
)
"""They ask for no key; strangers are counted by address."""
FOR_THE_CONSOLE = ("/v1/preview/{ref}", "/v1/disclosures/{ref}", "/v1/clinics/{clinic}/signatures")
GENERAL: Any = general
DESCRIBED: Any = described
CHECKS: list[Any] = [
    GENERAL.not_a_server_error,
    DESCRIBED.status_code_conformance,
    DESCRIBED.content_type_conformance,
    DESCRIBED.response_headers_conformance,
    DESCRIBED.response_schema_conformance,
]
SOURCED = ("/v1/events", "/v1/clinics/{clinic}/signatures")
"""Doors that refuse an event which says it is another clinic's."""
LONGEST_WAIT_S = 0.05
"""The feed would hold an answer back for 20 s if it was asked to."""

asked = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def operations(description: dict[str, Any]) -> dict[str, Any]:
    """The doors of a description, by method and path."""
    schema: Any = schemathesis.openapi.from_dict(description)
    found: list[Any] = [result.ok() for result in schema.get_all_operations()]
    return {operation.label: operation for operation in found}


DOORS = {
    (service, label): operation
    for service in SERVICES
    for label, operation in operations(doors(SERVICES[service]).openapi()).items()
}
KEYED = [at for at in DOORS if (" /v1/" in at[1] or " /fhir" in at[1]) and at[1] not in FOR_ANYBODY]
ANYBODYS = [at for at in DOORS if at[1] in FOR_ANYBODY]
OPEN = [at for at in DOORS if at not in KEYED and at not in ANYBODYS]


@pytest.fixture(scope="module")
def clients(steady: Place) -> Iterator[dict[str, httpx.Client]]:
    """A connection to each service's door."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60, trust_env=False)
            )
            for name, service in steady.stack().services.items()
        }


def ask(client: httpx.Client, case: Any, key: str | None) -> httpx.Response:
    """Send what was generated, with this key or what was generated for one, and judge the answer by the description."""
    wait = case.query.get("wait")
    if isinstance(wait, int | float) and wait > LONGEST_WAIT_S:
        case.query["wait"] = LONGEST_WAIT_S
    sent = case.as_transport_kwargs(base_url=str(client.base_url))
    headers = dict(sent["headers"])
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    content = json.dumps(sent["json"]).encode() if "json" in sent else sent.get("data")
    answer = client.request(
        sent["method"],
        sent["url"],
        params=sent["params"],
        content=content,
        headers=[(name.encode("latin-1"), str(value).strip().encode("latin-1")) for name, value in headers.items()],
    )
    case.validate_response(answer, checks=CHECKS)
    if answer.status_code >= 400:
        if answer.headers["content-type"] == "application/fhir+json":
            told = [issue["diagnostics"] for issue in answer.json()["issue"]]
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
            told = [text for name, text in answer.json().items() if name != "field"]
        assert not [value for value in values(case) if any(value in str(text) for text in told)], "input is repeated"
    return answer


def values(case: Any) -> list[str]:
    """The texts that were sent, as far as they can be known again: not words of the contract."""
    found: list[Any] = [case.path_parameters, case.query, case.body]
    return [text for text in texts(found) if len(text) >= 8 and not re.fullmatch("[a-z_]+", text)]


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, keys aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        held = cast("Mapping[str, Any] | list[Any]", value)
        for each in held.values() if isinstance(held, Mapping) else held:
            yield from texts(each)


def test_each_door_is_described_and_no_description_is_served(clients: dict[str, httpx.Client]) -> None:
    operated = [
        "GET /v1/operations",
        "POST /v1/operations/parked/{ref}/discard",
        "POST /v1/operations/parked/{ref}/retry",
    ]
    assert sorted(label for _, label in KEYED) == sorted(
        [
            *(label for label in operated for _ in SERVICES),
            "DELETE /v1/consultations/bookings/{booking}",
            "GET /v1/cases/{ref}/status",
            "GET /v1/clinic/feed",
            "GET /v1/consultations/bookings",
            "GET /v1/demands",
            "GET /v1/demands/compare",
            "GET /v1/demands/{code}",
            "GET /v1/demands/{code}/sheet",
            "GET /v1/deliveries",
            "GET /v1/disclosures/{ref}",
            "GET /v1/events/{event_id}",
            "GET /v1/operations/endpoints",
            "POST /v1/clinics/{clinic}/signatures",
            "POST /v1/consultations/bookings/{booking}/refer",
            "POST /v1/days/{day}/close",
            "POST /v1/demands/grade",
            "POST /v1/events",
            "POST /fhir",
            "POST /fhir/{kind}",
            *["GET /fhir/metadata"] * 2,
            *(f"GET /fhir/{kind}" for kind in ("CarePlan", "Goal", "Observation", "Composition", "Provenance")),
            "POST /v1/preview/{ref}",
            "PUT /v1/consultations/services/{service}",
            "PUT /v1/consultations/therapists/{therapist}",
            "PUT /v1/consultations/therapists/{therapist}/hours",
        ]
    )
    assert sorted(label for _, label in ANYBODYS) == sorted(FOR_ANYBODY)
    assert sorted(OPEN) == sorted(
        (service, f"GET /{path}") for service in SERVICES for path in ("healthz", "readyz", "metrics")
    )
    for client in clients.values():
        for path in ("/openapi.json", "/docs", "/redoc"):
            assert client.get(path).status_code == 404


@pytest.mark.parametrize(("service", "label"), OPEN)
def test_what_is_open_to_all_answers_as_it_is_described(
    clients: dict[str, httpx.Client], service: str, label: str
) -> None:
    @settings(asked, max_examples=5)
    @given(case=DOORS[service, label].as_strategy())
    def each(case: Any) -> None:
        assert ask(clients[service], case, None).status_code == 200

    each()


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("service", "label"), ANYBODYS)
def test_whatever_a_stranger_asks_is_answered_as_it_is_described(
    clients: dict[str, httpx.Client], service: str, label: str, mode: GenerationMode
) -> None:
    @settings(asked, max_examples=8)
    @given(case=DOORS[service, label].as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        assert ask(clients[service], case, None).status_code not in (401, 403)

    each()


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("caller", ["right", "other", "generated"])
@pytest.mark.parametrize(("service", "label"), KEYED)
def test_whatever_a_door_is_asked_it_answers_as_it_is_described(
    steady: Place,
    clients: dict[str, httpx.Client],
    clinic_key: str,
    employer_key: str,
    service: str,
    label: str,
    caller: str,
    mode: GenerationMode,
) -> None:
    roles = steady.stack().keys.roles
    if label.endswith(FOR_EMPLOYERS):
        right = employer_key
    elif label.endswith(FOR_THE_CONSOLE):
        right = roles["console"]
    else:
        right = roles["operations"] if "/v1/operations" in label else clinic_key
    key = {"right": right, "other": clinic_key if right != clinic_key else employer_key, "generated": None}[caller]
    refused = {"right": set[int](), "other": {403}, "generated": {401}}[caller]

    # Who is refused is refused whatever is asked.
    @settings(asked, max_examples=5 if refused else 15)
    @given(case=DOORS[service, label].as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        status = ask(clients[service], case, key).status_code
        if refused:
            # A parameter that is none may be refused before the key is looked at; a door is never passed.
            assert status in refused | {422, 404}
        else:
            assert status not in (401, 403) or case.operation.path in SOURCED

    each()


def logged(place: Place, service: str, ids: list[str]) -> int:
    """How many of these events a service has folded, refused or kept waiting."""
    query = "SELECT count(DISTINCT id) FROM event_log WHERE source = $1 AND id = ANY($2)"
    return int(place.query(service, query, clinic_source(CLINIC), ids)[0][0])


def narrowed(model: type[EventData]) -> Any:
    """The clinics' door, described as if this were the only type: with what its contract says of the data."""
    description = doors(INTAKE).openapi()
    data = model.model_json_schema(ref_template="#/components/schemas/{model}")
    description["components"]["schemas"] |= data.pop("$defs", {})
    door = description["paths"]["/v1/events"]["post"]
    body = door["requestBody"]["content"]
    del body[BINARY], body[BATCHED], door["parameters"]
    event = body[STRUCTURED]["schema"]
    event["properties"] |= {"type": {"const": model.TYPE}, "data": data}
    return operations(description)["POST /v1/events"]


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("model", [each.model for each in registry.ENTRIES if registry.from_clinic(each.type)])
def test_an_event_made_from_its_contract_is_taken_or_refused_and_parks_no_case(
    steady: Place, clients: dict[str, httpx.Client], clinic_key: str, model: type[EventData], mode: GenerationMode
) -> None:
    taken: list[str] = []

    @settings(asked, max_examples=10)
    @given(case=narrowed(model).as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        if mode is GenerationMode.POSITIVE:
            ours = {"source": clinic_source(CLINIC), "time": "2026-03-02T18:00:00Z", "id": uuid4().hex}
            case.body = {**case.body, **ours, "subject": str(uuid4())}
        answer = ask(clients["intake"], case, clinic_key)
        assert answer.status_code in ((202, 422) if mode is GenerationMode.POSITIVE else (202, 403, 422))
        if answer.status_code == 202:
            taken.append(answer.json()["id"])

    each()
    assert taken or mode is GenerationMode.NEGATIVE
    judge = registry.BY_TYPE[model.TYPE].judge
    assert judge is not None
    await_that(lambda: logged(steady, judge, taken) == len(taken), f"all that was taken at {judge}")
    for service in SERVICES:
        assert steady.count(service, f"event_log WHERE source = '{clinic_source(CLINIC)}' AND result = 'parked'") == 0
