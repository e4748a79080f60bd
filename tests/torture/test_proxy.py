"""The fault proxy: what each fault does to a connection, and that the others are left alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from torture.proxy import FAULTS, HOST, SLICE, Link, Proxy, remote

Talk = Callable[[Proxy, list[bytes]], Awaitable[None]]


def everything(_: Link) -> bool:
    return True


@asynccontextmanager
async def echo() -> AsyncGenerator[tuple[Proxy, list[bytes]]]:
    """A server that says back what it hears, behind a proxy; and what it heard."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while said := await reader.read(1 << 16):
                heard.append(said)
                writer.write(said)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(answer, HOST, 0)
    async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy, heard


def run(talk: Talk) -> None:
    async def main() -> None:
        async with asyncio.timeout(30), echo() as (proxy, heard):
            await talk(proxy, heard)

    asyncio.run(main())


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    await writer.drain()
    return await reader.readexactly(len(text))


def test_without_a_fault_every_byte_passes_in_order() -> None:
    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        text = bytes(range(256)) * 4000
        said = asyncio.create_task(reader.readexactly(len(text)))
        writer.write(text)
        await writer.drain()
        assert await said == text
        assert b"".join(heard) == text
        writer.transport.abort()

    run(talk)


def test_a_slicer_cuts_and_loses_nothing() -> None:
    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        await exchange(reader, writer, b"before")
        heard.clear()
        async with proxy.faulty("slicer", everything) as struck:
            assert struck == 1
            text = bytes(range(200))
            assert await exchange(reader, writer, text) == text
        assert b"".join(heard) == text
        assert len(heard[0]) <= 10 * SLICE, "what came at once is a piece and not the whole"
        writer.transport.abort()

    run(talk)


def test_a_late_byte_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torture.proxy.LATENCY_S", 0.05)

    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        async with proxy.faulty("latency", everything):
            writer.write(b"late")
            await writer.drain()
            await asyncio.sleep(0)
            assert heard == [], "it does not come at once"
            assert await reader.readexactly(4) == b"late"
        writer.transport.abort()

    run(talk)


def test_a_reset_breaks_off_the_connection_and_new_ones_are_taken() -> None:
    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        await exchange(reader, writer, b"before")
        async with proxy.faulty("reset", everything) as struck:
            assert struck == 1
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        assert await exchange(reader, writer, b"after") == b"after"
        writer.transport.abort()

    run(talk)


def test_a_half_open_connection_carries_nothing_and_says_nothing() -> None:
    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        await exchange(reader, writer, b"before")
        async with proxy.faulty("half_open", everything):
            writer.write(b"into the dark")
            await writer.drain()
            (link,) = proxy.links
            while not link.dead:  # noqa: ASYNC110 - the proxy has no event for it
                await asyncio.sleep(0)
            assert b"".join(heard) == b"before"
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)

    run(talk)


def test_a_request_whose_response_is_lost_has_arrived() -> None:
    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        await exchange(reader, writer, b"before")
        async with proxy.faulty("lost_response", everything):
            writer.write(b"commit")
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
        assert b"".join(heard) == b"beforecommit"

    run(talk)


def test_a_proxy_of_its_own_process_strikes_what_passes_through_it_and_says_so() -> None:
    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        async with remote(proxy.port, dict(os.environ)) as other:
            reader, writer = await asyncio.open_connection(HOST, other.port)
            assert await exchange(reader, writer, b"before") == b"before"
            assert await other.strike("reset", 1.0, 0.0) == 1
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            assert await other.strike("latency", 1.0, 0.0) == 0
            writer.transport.abort()

    run(talk)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_connections_alone_that_it_was_not_meant_for(fault: str) -> None:
    async def talk(proxy: Proxy, heard: list[bytes]) -> None:
        kept_reader, kept = await asyncio.open_connection(HOST, proxy.port)
        await exchange(kept_reader, kept, b"one")
        spared = set(proxy.links)
        _, other = await asyncio.open_connection(HOST, proxy.port)
        while len(proxy.links) < 2:  # noqa: ASYNC110 - nor for this
            await asyncio.sleep(0)
        async with proxy.faulty(fault, lambda link: link not in spared) as struck:  # pyright: ignore[reportArgumentType]
            assert struck == 1
            assert await exchange(kept_reader, kept, b"two") == b"two"
        for writer in (kept, other):
            writer.transport.abort()

    run(talk)
