"""The pages over made-up cases, on a port of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import Request

from runtime.http import Problem, make_app
from services.console.access import console_of
from services.console.pages import add_pages
from tests.browser.world import CLINICIAN, OPERATOR, MadeUp, World


@dataclass
class Site:
    """Where the pages are, and what they show."""

    url: str
    world: World = field(default_factory=World)

    async def listening(self) -> None:
        """Wait until a page hears what changes."""
        await self.world.heard.wait()


@asynccontextmanager
async def served() -> AsyncGenerator[Site]:
    """The pages, for whomever the cookie `who` names: the seam is the one that the service has, `console_of`."""
    app = make_app("console")
    add_pages(app)
    listening = socket.create_server(("127.0.0.1", 0))
    site = Site(f"http://127.0.0.1:{listening.getsockname()[1]}")

    def visitor(request: Request) -> MadeUp:
        who = {"clinician": CLINICIAN, "operations": OPERATOR}.get(request.cookies.get("who", ""))
        if who is None:
            raise Problem(303, "sign_in", "sign in first", headers={"location": "/login", "hx-redirect": "/login"})
        return MadeUp(site.world, who)

    app.dependency_overrides[console_of] = visitor
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    yield site
    # Every browser has gone by now, and there is nothing to wait for.
    server.should_exit = server.force_exit = True
    await task
