"""Nonsense at both doors of the running program: a problem with a code, never the value, never a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ops.contracts.examples import as_bytes, load_hostile
from ops.keys import issue
from tests.e2e.events import session
from tests.e2e.place import Place

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
SENDABLE = {
    name: record
    for name, record in load_hostile(ROOT).items()
    # A client of HTTP sends no line break inside a header, and neither would ours.
    if "http" in record.doors and not any(b"\n" in as_bytes(text or "") for _, text in record.headers)
}
CANARY = "canary-7731"
STRUCTURED = "application/cloudevents+json"
KIB = 1024


@pytest.fixture
def front(steady: Place) -> Iterator[httpx.Client]:
    """The clinics' door, with the key of the clinic north."""
    key = steady.target().clinics["north"]
    with httpx.Client(
        base_url=steady.stack().front_door, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False
    ) as client:
        yield client


@pytest.fixture
def back(steady: Place) -> Iterator[httpx.Client]:
    """The employers' door, without a key."""
    with httpx.Client(base_url=steady.stack().employer_door, timeout=60, trust_env=False) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def assert_problem(answer: httpx.Response, status: int | None = None, code: str | None = None) -> None:
    """It is a problem that says what to do and not what was sent."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    assert body["code"]
    assert CANARY not in answer.text
    assert status in (None, answer.status_code), answer.text
    assert code in (None, body["code"]), answer.text


# The clinics' door

BODIES = {
    "empty": b"",
    "no_json": CANARY.encode(),
    "half": b'{"specversion": "1.0", "id": "canary-7731"',
    "list": b"[]",
    "number": b"7731",
    "null": b"null",
    "string": b'"canary-7731"',
    "not_utf8": b"\xff\xfe{}",
    "nan": b'{"id": NaN}',
    "deep": b"[" * 20_000 + b"]" * 20_000,
    "empty_object": b"{}",
    "key_twice": b'{"id": "canary-7731", "id": "canary-7731"}',
    "nul": b'{"id": "\\u0000canary-7731"}',
    "lone_surrogate": b'{"id": "\\ud800canary-7731"}',
    "huge_number": b'{"id": 1' + b"0" * 5000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("media", [STRUCTURED, "application/json", "text/plain", "", "canary-7731"])
def test_a_body_that_is_no_event_is_a_problem(front: httpx.Client, body: bytes, media: str) -> None:
    assert_problem(front.post("/v1/events", content=body, headers={"content-type": media} if media else {}))


@pytest.fixture(scope="module")
def northside(steady: Place) -> str:
    """A key for the clinic that the examples are from."""
    return asyncio.run(issue(steady.stack().database, "clinic", "northside"))


@pytest.mark.parametrize("name", SENDABLE)
def test_each_hostile_example_is_refused_with_the_code_that_it_documents(
    front: httpx.Client, northside: str, name: str
) -> None:
    record = SENDABLE[name]
    headers = [(key.replace("ce_", "ce-").encode(), as_bytes(text)) for key, text in record.headers if text is not None]
    content = b"" if record.value is None else as_bytes(record.value)
    own = [(b"authorization", f"Bearer {northside}".encode())]
    answer = front.post("/v1/events", content=content, headers=httpx.Headers(headers + own))
    # A time that cannot be read is answered like one that is out of range: for the sender the mend is the same.
    unread_time = (record.code, answer.json().get("field")) == ("envelope.attribute", "/time")
    assert_problem(answer, code="time_out_of_range" if unread_time else record.code)


@pytest.mark.parametrize("size", [64 * KIB + 1, 5000 * KIB])
def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(front: httpx.Client, size: int) -> None:
    def trickle() -> Iterator[bytes]:
        for _ in range(0, size, 8 * KIB):
            yield b" " * 8 * KIB

    assert_problem(front.post("/v1/events", content=b" " * size, headers={"content-type": STRUCTURED}), 413)
    assert_problem(front.post("/v1/events", content=trickle(), headers={"content-type": STRUCTURED}), 413)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "org.workhardening.canary-7731.v1"}, "envelope.attribute"),
        ({"type": "org.workhardening.clinic.canary.sung.v1"}, "contract.unknown_type"),
        ({"type": "org.workhardening.intake.case.opened.v1"}, "contract.unknown_type"),
        ({"type": "org.workhardening.progress.week.advanced.v1"}, "contract.unknown_type"),
        ({"source": "/clinics/harbour"}, "foreign_source"),
        ({"source": "/services/intake"}, None),
        ({"subject": CANARY}, None),
        ({"subject": "00000000-0000-0000-0000-000000000000"}, None),
        ({"time": CANARY}, None),
        ({"time": "2026-03-02T12:00:00"}, "time_out_of_range"),
        ({"time": "9999-12-31T23:59:59Z"}, "time_out_of_range"),
        ({"time": "0001-01-01T00:00:00Z"}, "time_out_of_range"),
        ({"id": ""}, None),
        ({"id": CANARY * 100}, None),
        ({"id": None}, None),
        ({"specversion": "0.3"}, None),
        ({"data": CANARY}, None),
        ({"data": None}, None),
        ({"data": {}}, None),
    ],
)
def test_an_event_that_is_nearly_right_is_refused(
    front: httpx.Client, change: dict[str, Any], code: str | None
) -> None:
    event = {**session(uuid4()), **change}
    assert_problem(front.post("/v1/events", content=json.dumps(event), headers={"content-type": STRUCTURED}), code=code)


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type", "subject", "time"])
def test_an_event_without_a_header_of_its_envelope_is_refused_in_either_form(front: httpx.Client, missing: str) -> None:
    event = session(uuid4())
    data = json.dumps(event.pop("data"))
    left = {name: value for name, value in event.items() if name != missing}
    binary = {f"ce-{name}": str(value) for name, value in left.items()} | {"content-type": "application/json"}
    assert_problem(front.post("/v1/events", content=data, headers=binary), 422)
    structured = json.dumps({**left, "data": json.loads(data)})
    assert_problem(front.post("/v1/events", content=structured, headers={"content-type": STRUCTURED}), 422)


def test_a_wrong_value_is_named_by_its_path_only(front: httpx.Client) -> None:
    event = session(uuid4())
    event["data"]["session"]["hours"] = CANARY
    answer = front.post("/v1/events", content=json.dumps(event), headers={"content-type": STRUCTURED})
    assert_problem(answer, 422)
    assert answer.json()["field"] == "/session/hours"


@pytest.mark.parametrize(
    "path", ["nothing-of-this-id", "%00", "%ff", "..%2f..%2fetc", "x" * 3000, "%F0%9F%92%A9", "%E2%80%AE"]
)
def test_an_event_that_nobody_sent_is_not_known(front: httpx.Client, path: str) -> None:
    assert_problem(front.get(f"/v1/events/{path}"))


@pytest.mark.parametrize(
    "day", ["yesterday", "2026-13-45", "2026-02-30", "20260302", "9999-12-31", "٢٠٢٦-٠٣-٠٢", "%00"]
)
def test_a_day_that_is_none_or_is_to_come_cannot_be_closed(front: httpx.Client, day: str) -> None:
    assert_problem(front.post(f"/v1/days/{day}/close"), 422)


# Keys, at both doors


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Basic Y2FuYXJ5", "Bearer canary-7731", "Bearer " + "k" * 5000, "canary-7731"],
)
def test_without_a_valid_key_nobody_comes_in(steady: Place, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    stack = steady.stack()
    for method, url in (
        ("POST", f"{stack.front_door}/v1/events"),
        ("GET", f"{stack.front_door}/v1/events/some"),
        ("POST", f"{stack.front_door}/v1/days/2026-03-02/close"),
        ("GET", f"{stack.employer_door}/v1/clinic/feed"),
        ("GET", f"{stack.employer_door}/v1/deliveries"),
        ("GET", f"{stack.employer_door}/v1/cases/{uuid4()}/status"),
    ):
        answer = httpx.request(method, url, headers=headers, timeout=60, trust_env=False)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_of_another_kind_opens_nothing(front: httpx.Client, back: httpx.Client, steady: Place) -> None:
    target = steady.target()
    clinic, employer = target.clinics["north"], target.employers["acme-logistics"]
    assert_problem(front.post("/v1/events", headers=bearer(employer)), 403, "forbidden")
    assert_problem(back.get("/v1/clinic/feed", headers=bearer(employer)), 403, "forbidden")
    assert_problem(back.get("/v1/deliveries", headers=bearer(clinic)), 403, "forbidden")
    assert_problem(back.get(f"/v1/cases/{uuid4()}/status", headers=bearer(clinic)), 403, "forbidden")


# The employers' door, where clinics read too


@pytest.mark.parametrize(
    "query",
    [
        "after=canary-7731", "after=1", "after=-1.0", "after=%00", "after=1.99999999999999999999",
        "after=" + "9" * 5000,
        "limit=0", "limit=-1", "limit=501", "limit=canary-7731", "limit=1e9", "limit=", "nobody=asked",
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_a_problem(back: httpx.Client, steady: Place, query: str) -> None:
    target = steady.target()
    assert_problem(back.get(f"/v1/deliveries?{query}", headers=bearer(target.employers["acme-logistics"])), 422)
    assert_problem(back.get(f"/v1/clinic/feed?{query}", headers=bearer(target.clinics["north"])), 422)


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "21", "canary-7731"])
def test_nobody_is_kept_waiting_without_bounds(back: httpx.Client, steady: Place, wait: str) -> None:
    assert_problem(back.get(f"/v1/clinic/feed?wait={wait}", headers=bearer(steady.target().clinics["north"])), 422)


@pytest.mark.parametrize("ref", ["canary-7731", "%00", "0", "0" * 5000])
def test_a_reference_that_is_none_is_a_problem(back: httpx.Client, steady: Place, ref: str) -> None:
    assert_problem(back.get(f"/v1/cases/{ref}/status", headers=bearer(steady.target().employers["acme-logistics"])))


# Addresses that are none


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/events", "/docs", "/openapi.json", "/v1/events/../../etc/passwd"])
@pytest.mark.parametrize("door", ["front_door", "employer_door"])
def test_an_address_that_is_none_is_a_problem(steady: Place, door: str, path: str) -> None:
    assert_problem(httpx.get(f"{getattr(steady.stack(), door)}{path}", timeout=60, trust_env=False))


def test_a_method_that_is_not_for_this_address_is_a_problem(front: httpx.Client, back: httpx.Client) -> None:
    assert_problem(front.delete("/v1/events"), 405)
    assert_problem(back.post("/v1/deliveries"), 405)
