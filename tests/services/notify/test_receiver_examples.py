"""The receiver of docs/examples, as an employer would run it, at the end of the real sender."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest

from runtime.db import Pool
from services.notify.employers import Endpoint, add_endpoint, disable, enable, replay, send_ping
from tests.conftest import ROOT
from tests.services.notify.cases import consent, grant, opened, plan, ready
from tests.services.notify.receiving import sending, status_of, until
from tests.services.notify.stored import fold

pytestmark = pytest.mark.stack


@asynccontextmanager
async def example(endpoint: Endpoint, port: int) -> AsyncGenerator[None]:
    """`uvicorn fastapi_receiver:app`, listening."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "fastapi_receiver:app", "--app-dir", str(ROOT / "docs/examples")),
        *("--port", str(port), "--log-level", "warning"),
        env={**os.environ, "WHP_KEYS": f"whpk_AAAA {endpoint.public_key}"},
    )
    try:
        async with asyncio.timeout(30):
            while not await listens(port):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await process.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_the_example_proves_itself_takes_what_the_sender_sends_and_refuses_a_stranger(pool: Pool) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/work-status"
    async with pool.acquire() as connection:
        endpoint = await add_endpoint(connection, employer, url, False, local=True)
        await disable(connection, employer)
        async with example(endpoint, port), sending(pool):
            await enable(connection, employer, local=True)
            assert (await send_ping(connection, employer, local=True)).status == 204
            ref = await fold(pool, [opened(), consent(grant(employer=employer)), plan(), ready()])
            await until(status_of(pool, ref, 2, "delivered"))
            await replay(connection, employer, case=ref)
            await until(status_of(pool, ref, 2, "delivered"))
            async with httpx.AsyncClient(trust_env=False) as stranger:
                answer = await stranger.post(url, content=b"[" * 10_000, headers={"webhook-id": "u1"})
        assert answer.status_code == 401
        statuses = await connection.fetch("SELECT status FROM delivery_attempts WHERE employer = $1", employer)
    assert {row["status"] for row in statuses} == {200, 204}
    assert len((ROOT / "docs/examples/fastapi_receiver.py").read_text(encoding="utf-8").splitlines()) <= 30
