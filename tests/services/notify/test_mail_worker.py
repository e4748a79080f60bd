"""Pending mail is sent once a mail server is there, and stays where it is while there is none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
import structlog
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from runtime.db import Pool
from services.notify.clinics import set_mailbox
from services.notify.mail import mail
from tests.services.notify.cases import opened, plan
from tests.services.notify.stored import fold, running

pytestmark = pytest.mark.stack


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    """The same, with a clinic that has a mailbox."""
    async with pool.acquire() as connection:
        await set_mailbox(connection, "north", "rehab@north.example")
    return pool


async def working(pool: Pool, until: Callable[[], Awaitable[Any]], **more: Any) -> None:
    """Run the worker until something holds; ten seconds is far more than it takes."""
    task = asyncio.create_task(mail(running(pool, **more)))
    try:
        async with asyncio.timeout(10):
            while not await until():  # noqa: ASYNC110 - the database raises no event
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def status(pool: Pool, ref: UUID, wanted: str) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        return await pool.fetchval("SELECT status FROM messages WHERE case_ref = $1", ref) == wanted

    return is_so


class Refusing:
    """A mail server that knows no mailbox, or takes everything."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.taken = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:
        self.taken += 1
        return "250 taken"


@pytest.mark.parametrize(("answer", "then", "taken"), [("250 OK", "sent", 1), ("550 no such mailbox", "failed", 0)])
async def test_a_message_is_sent_once_or_fails_for_good(pool: Pool, answer: str, then: str, taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    server = Refusing(answer)
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        ref = await fold(pool, [opened(), plan()])
        await working(pool, status(pool, ref, then), smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"))
    finally:
        controller.stop()
    assert server.taken == taken


async def test_without_a_mail_server_messages_stay_pending_and_the_log_says_so_once(pool: Pool) -> None:
    ref = await fold(pool, [opened(), plan()])
    with structlog.testing.capture_logs() as logs:

        async def said_so() -> bool:
            return bool(logs)

        await working(pool, said_so)
    assert [entry["event"] for entry in logs] == ["no mail server is configured; messages stay pending"]
    assert await status(pool, ref, "pending")()
