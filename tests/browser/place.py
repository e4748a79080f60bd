"""The pages over made-up cases, on a port of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

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
    world: World


@asynccontextmanager
async def served(world: World) -> AsyncGenerator[Site]:
    """The pages, for whomever the cookie `who` names: the seam is the one that the service has, `console_of`."""
    app = make_app("console")
    add_pages(app)

    def visitor(request: Request) -> MadeUp:
        who = {"clinician": CLINICIAN, "operations": OPERATOR}.get(request.cookies.get("who", ""))
        if who is None:
            raise Problem(303, "sign_in", "sign in first", headers={"location": "/login", "hx-redirect": "/login"})
        return MadeUp(world, who)

    app.dependency_overrides[console_of] = visitor
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", world)
    for queue in world.listeners:
        queue.put_nowait(None)
    server.should_exit = True
    await task
