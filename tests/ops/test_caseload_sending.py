"""What an import does with each answer of the front door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ops.caseload.fault import Fault
from ops.caseload.progress import Progress, keep, place_of, resumed
from ops.caseload.sending import Batch, answer_to, send
from ops.target import CommandError

Answer = httpx.Response | httpx.TransportError


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, each time; nobody waits for it."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waited


def door(*answers: Answer) -> httpx.AsyncClient:
    """A front door that answers so, in this order."""
    left: Iterator[Answer] = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        answer = next(left)
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answer

    return httpx.AsyncClient(base_url="http://door", transport=httpx.MockTransport(handle))


def problem(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": "c", "detail": "d"}, headers=headers)


async def test_a_door_that_is_away_or_busy_is_asked_again_and_as_late_as_it_says(waits: list[float]) -> None:
    again: list[Answer] = [
        httpx.ConnectError("refused"),
        httpx.ReadError("gone"),
        problem(429, **{"retry-after": "7"}),
        problem(503, **{"retry-after": "5"}),
        problem(500),
        problem(502, **{"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    ]
    async with door(*again, httpx.Response(207, json={"events": []})) as client:
        assert (await answer_to(client, b"[]")).status_code == 207
    assert len(waits) == len(again)
    assert waits[2] >= 7
    assert waits[3] >= 5
    assert all(0 < wait < 15 for wait in waits)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (problem(401), "answers 401: c, d"),
        (problem(413), "answers 413: c, d"),
        (httpx.Response(404, text="<html>"), "answers 404: and that is no door of this program"),
        (httpx.Response(200, text="welcome"), "answers 200: and that is no door of this program"),
    ],
)
async def test_what_no_repetition_mends_is_said_at_once(waits: list[float], answer: Answer, told: str) -> None:
    async with door(answer) as client:
        with pytest.raises(CommandError) as error:
            await answer_to(client, b"[]")
    assert told in str(error.value)
    assert waits == []


async def test_a_door_that_stays_away_ends_the_import(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.caseload.sending.PATIENCE_S", 0.0)
    async with door(httpx.ConnectError("refused")) as client:
        with pytest.raises(CommandError, match="does not answer"):
            await answer_to(client, b"[]")


async def test_each_refusal_is_told_by_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"code": "contract.x", "detail": "send it again", "field": "/assessed_on"}
    events = [
        {"status": "accepted"},
        {"status": "refused", "problem": {"code": "id_reused", "detail": "d", "field": "/id"}},
        {"status": "refused", "problem": refused},
    ]
    told = httpx.Response(207, json={"events": events})
    _answering(monkeypatch, lambda request: told if json.loads(request.content) == [1, 2, 3] else problem(500))
    (answered,) = [each async for each in send("http://door", "key", iter([Batch(b"[1,2,3]", (4, 4, 5))]))]
    assert [fault[:3] for fault in answered.refused] == [(4, "", "already_imported"), (5, "/assessed_on", "contract.x")]


def _answering(monkeypatch: pytest.MonkeyPatch, handle: Callable[[httpx.Request], httpx.Response]) -> None:
    real = httpx.AsyncClient

    def client(*, base_url: str, **_: object) -> httpx.AsyncClient:
        return real(base_url=base_url, transport=httpx.MockTransport(handle))

    monkeypatch.setattr("ops.caseload.sending.httpx.AsyncClient", client)


def test_progress_is_taken_up_only_by_the_same_file_to_the_same_place(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    new = Progress(sha256="a", clinic="north", door="http://door")
    assert resumed(file, new) is None
    kept = new.model_copy(update={"through": 7, "events": 9, "refused": [Fault(3, "", "already_imported", "mend")]})
    keep(file, kept)
    assert resumed(file, new) == kept
    for change in ({"sha256": "b"}, {"clinic": "south"}, {"door": "http://other"}):
        assert resumed(file, new.model_copy(update=change)) is None
    place_of(file).write_text("{")
    assert resumed(file, new) is None
