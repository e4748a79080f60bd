"""The doors over a real PostgreSQL; each client comes from an address of its own, unless it says otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient, Response
from pydantic import SecretStr

from runtime.db import Pool, open_pool
from runtime.http import clinic_caller, make_app
from runtime.service import CONNECTIONS
from services.intake.admission import Desk
from services.intake.consultations.door import add_consultations
from services.intake.door import front_desk
from services.intake.receipts import PostgresReceipts
from tests.conftest import Database
from tests.services.intake.consultations.people import EVERY_DAY, PROFILE
from tests.services.intake.desk import KEY, MemoryBroker


@dataclass
class Office:
    """The doors of intake with therapists behind them."""

    app: FastAPI
    pool: Pool
    broker: MemoryBroker
    woken: list[bool] = field(default_factory=list[bool])
    _callers: int = 0

    def client(self, address: str | None = None) -> AsyncClient:
        self._callers += 1
        address = address or f"198.51.{self._callers // 250}.{self._callers % 250 + 1}"
        transport = ASGITransport(self.app, client=(address, 50000), raise_app_exceptions=False)
        return AsyncClient(transport=transport, base_url="http://office")

    async def ask(self, method: str, path: str, **how: Any) -> Response:
        async with self.client() as client:
            return await client.request(method, path, **how)

    async def as_clinic(self, method: str, path: str, clinic: str = "north", **how: Any) -> Response:
        return await self.ask(method, f"/v1/consultations{path}", headers={"x-clinic": clinic}, **how)

    async def therapist(self, hours: dict[str, Any] = EVERY_DAY, clinic: str = "north", **changed: Any) -> UUID:
        """A new one, with these hours."""
        id_ = uuid4()
        put = await self.as_clinic("PUT", f"/therapists/{id_}", clinic, json={**PROFILE, **changed})
        assert put.status_code == 200, put.text
        assert (await self.as_clinic("PUT", f"/therapists/{id_}/hours", clinic, json=hours)).status_code == 200
        return id_

    async def free(self, therapist: UUID, days_ahead: int = 3, **asked: Any) -> list[str]:
        """The times that begin on one day, soon."""
        day = datetime.now(UTC).date() + timedelta(days=days_ahead)
        path = f"/v1/consultations/therapists/{therapist}/slots"
        answer = await self.ask("GET", path, params={"from": str(day), "days": 1, **asked})
        assert answer.status_code == 200, answer.text
        return [slot["starts_at"] for slot in answer.json()["slots"]]

    async def book(self, therapist: UUID, starts_at: str, key: str | None = None, **changed: Any) -> Response:
        body = {
            "therapist": str(therapist), "starts_at": starts_at, "zone": "Europe/London", "name": "CANARY Alex",
            "contact": "CANARY 555 0100", **changed,
        }  # fmt: skip
        headers = {"idempotency-key": key or str(uuid4())}
        return await self.ask("POST", "/v1/consultations/bookings", json=body, headers=headers)

    async def events(self, booking: str) -> list[tuple[str, str]]:
        """What is promised of a booking: kind and data, in order."""
        rows = await self.pool.fetch(
            "SELECT headers::text AS headers, value FROM outbox WHERE case_ref = $1 ORDER BY id", UUID(booking)
        )
        return [(row["headers"], row["value"].decode()) for row in rows]


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    """Whose key it is: tests/services/test_every_door_is_locked.py."""
    pool = await open_pool(database.dsn("intake"), "intake-test", size=CONNECTIONS)
    app, broker, woken = make_app("intake"), MemoryBroker(), list[bool]()
    add_consultations(app)

    def wake() -> None:
        woken.append(True)

    def desk() -> Desk:
        return Desk(PostgresReceipts(pool), broker.publish, KEY, nullcontext)

    app.dependency_overrides |= {clinic_caller: _named, front_desk: desk}
    settings = SimpleNamespace(digest_key=SecretStr(KEY.hex()), policy_file=None)
    app.state.running = SimpleNamespace(pool=pool, settings=settings, relay=SimpleNamespace(wake=wake))
    yield Office(app, pool, broker, woken)
    await pool.close()


def _named(request: Request) -> str:
    return request.headers["x-clinic"]
