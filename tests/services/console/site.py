"""The console's access on a real database, behind a few addresses that stand for its pages."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Annotated, Any, cast
from uuid import UUID

import asyncpg
import httpx
from cryptography.fernet import Fernet
from fastapi import Body, Depends, FastAPI, Request, Response
from pydantic import SecretStr

from runtime.db import Pool
from runtime.http import make_app
from runtime.keys import Kind, issue_key
from runtime.running import Running
from runtime.settings import Settings
from services.console.access import console_of, same_origin, sign_in, sign_out
from services.console.live import Hub
from services.console.looking import Looking
from services.console.settings import ConsoleSettings
from services.console.views import CaseloadFilter, Console, Visitor
from tests.conftest import Database

SECRET = "s" * 40
PROXY = "p" * 40
DR_NORTH = Visitor("whp_000000000001", "clinician", "north", ("north",))
OPERATOR = Visitor("whp_000000000002", "operations", None)


def settings(**more: Any) -> ConsoleSettings:
    return ConsoleSettings(session_secret=SecretStr(SECRET), **more)


def looking(pool: Pool, visitor: Visitor = DR_NORTH, hub: Hub | None = None, **more: Any) -> Looking:
    """The console for a visitor who stays signed in."""

    async def still() -> bool:
        return True

    sealer = Fernet("A" * 43 + "=")
    return Looking(visitor, pool, settings(**more), sealer, hub or Hub(), still)


async def key_of(database: Database, kind: Kind, name: str) -> str:
    admin = await asyncpg.connect(database.admin)
    try:
        return await issue_key(admin, kind, name)
    finally:
        await admin.close()


def application(pool: Pool, mode: str = "local", **more: Any) -> FastAPI:
    app = make_app("console")
    service = Settings(
        mode=cast("Any", mode),
        kafka_bootstrap=SecretStr("127.0.0.1:1"),
        database_url=SecretStr("postgresql://nowhere"),
        digest_key=SecretStr("0" * 64),
    )
    app.state.running = cast("Running", SimpleNamespace(pool=pool, settings=service))
    app.state.console_settings = settings(**more)
    app.state.hub = Hub()

    async def enter(request: Request, response: Response, key: Annotated[str, Body(embed=True)]) -> bool:
        return await sign_in(request, response, key)

    async def leave(response: Response) -> None:
        sign_out(response)

    async def who(console: Annotated[Console, Depends(console_of)]) -> dict[str, Any]:
        visitor = console.visitor
        return {"name": visitor.name, "role": visitor.role, "clinics": visitor.clinics}

    async def cases(console: Annotated[Console, Depends(console_of)]) -> int:
        return len((await console.caseload(CaseloadFilter())).lines)

    async def case(ref: UUID, console: Annotated[Console, Depends(console_of)]) -> str:
        return str((await console.case(ref)).line.ref)

    app.add_api_route("/enter", enter, methods=["POST"], dependencies=[Depends(same_origin)])
    app.add_api_route("/leave", leave, methods=["POST"])
    app.add_api_route("/who", who)
    app.add_api_route("/cases", cases)
    app.add_api_route("/cases/{ref}", case)
    return app


@asynccontextmanager
async def browser(app: FastAPI, **headers: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Keeps cookies, as a browser does."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://console.example", headers=headers
    ) as client:
        yield client


async def entered(client: httpx.AsyncClient, key: str) -> bool:
    origin = {"origin": "https://console.example"}
    answer = await client.post("/enter", json={"key": key}, headers=origin)
    assert answer.status_code == 200, answer.text
    return answer.json() is True
