"""What a door answers when something fails behind it: an outage is said to be one, and no text of an error goes out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Annotated

import asyncpg
import pytest
import structlog
from fastapi import Depends
from httpx import ASGITransport, AsyncClient
from starlette.requests import ClientDisconnect

from runtime.http import clinic_caller, make_app

CANARY = "canary-7731"

PASSING = [
    ConnectionRefusedError(CANARY),
    TimeoutError(CANARY),
    asyncpg.ConnectionDoesNotExistError(CANARY),
    asyncpg.CannotConnectNowError(CANARY),
    asyncpg.TooManyConnectionsError(CANARY),
    asyncpg.InterfaceError(CANARY),
    asyncpg.InternalClientError(CANARY),
]
DEFECTS = [ValueError(CANARY), KeyError(CANARY), asyncpg.UndefinedTableError(CANARY), asyncpg.DataError(CANARY)]


class Failing:
    """What a service has instead of a pool while its database fails."""

    def __init__(self) -> None:
        self.error: Exception = ValueError()

    def acquire(self, timeout: float) -> object:
        raise self.error


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
async def client(failing: Failing) -> AsyncIterator[AsyncClient]:
    app = make_app("toy")
    app.state.running = SimpleNamespace(pool=failing)

    async def read(name: str) -> str:
        raise failing.error

    async def keyed(clinic: Annotated[str, Depends(clinic_caller)]) -> str:
        return clinic

    app.add_api_route("/read/{name}", read)
    app.add_api_route("/keyed", keyed)
    async with AsyncClient(transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://toy") as opened:
        yield opened


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
async def test_an_outage_behind_a_door_is_answered_as_one(
    client: AsyncClient, failing: Failing, error: Exception
) -> None:
    failing.error = error
    key = f"whp_{'0' * 12}_{'A' * 43}"
    for path in (f"/read/{CANARY}", "/keyed"):
        with structlog.testing.capture_logs() as logs:
            answer = await client.get(path, headers={"authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "5"
        assert CANARY not in answer.text
        assert [line["log_level"] for line in logs] == ["warning"]
        assert CANARY not in str(logs)


@pytest.mark.parametrize("error", DEFECTS, ids=lambda error: type(error).__name__)
async def test_a_defect_behind_a_door_is_answered_without_its_text(
    client: AsyncClient, failing: Failing, error: Exception
) -> None:
    failing.error = error
    with structlog.testing.capture_logs() as logs:
        answer = await client.get(f"/read/{CANARY}")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY not in answer.text
    assert [(line["log_level"], line["path"]) for line in logs] == [("error", "/read/{name}")]
    assert CANARY not in str(logs)


async def test_a_caller_who_leaves_in_the_middle_is_no_defect_of_ours(client: AsyncClient, failing: Failing) -> None:
    failing.error = ClientDisconnect()
    with structlog.testing.capture_logs() as logs:
        answer = await client.get(f"/read/{CANARY}")
    assert answer.status_code == 400
    assert [(line["log_level"], line["path"]) for line in logs] == [("info", "/read/{name}")]


async def test_nothing_tells_a_stranger_how_the_doors_are_made(client: AsyncClient) -> None:
    for path in ("/openapi.json", "/docs", "/redoc"):
        assert (await client.get(path)).status_code == 404
