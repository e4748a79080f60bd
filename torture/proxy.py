"""A TCP proxy between the services and what they stand on, that can be told to be a bad network.

A fault lies on single connections, so that others go on beside them. Bytes are never changed or reordered, only late,
in slices, or gone for good together with their connection: that is what networks do.

`python -m torture.proxy PORT` is a process of its own, so that whoever tortures does not slow what passes through. It
says its port, then takes a line of JSON for each fault and answers when it struck and when it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from subprocess import PIPE
from typing import Any, Final, Literal, get_args

Fault = Literal["latency", "reset", "slicer", "half_open", "lost_response"]
"""latency: each chunk is `LATENCY_S` late. reset: both ends get RST at once. slicer: a few bytes at a time.
half_open: nothing arrives any more and nobody is told. lost_response: the request arrives, its answer does not."""

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
HOST = "127.0.0.1"
LATENCY_S = 2.0
CHUNK = 1 << 16
SLICE = 7
SLICED = 2048
"""Bytes of a chunk that go in slices: enough to cut every length field and header of either protocol."""
_ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends RST."""


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    fault: Fault | None = None
    dead: bool = False
    """Bytes of it were thrown away: it carries nothing any more."""

    def reset(self) -> None:
        """Break it off, at both ends."""
        self.dead = True
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            writer.transport.abort()


@dataclass
class Proxy:
    """A listening port that leads to another."""

    upstream: int
    """Port on this machine."""
    port: int = 0
    """Where it listens; 0 takes a free port, which stands here once it listens."""
    links: set[Link] = field(default_factory=set[Link])
    new: Callable[[Link], None] = lambda _: None
    """Called with each new connection: a fault may want it too."""
    _server: asyncio.Server | None = None
    _pumps: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, HOST, self.port, limit=4 * CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self.links):
            link.reset()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    @asynccontextmanager
    async def faulty(self, fault: Fault, chosen: Callable[[Link], bool]) -> AsyncGenerator[int]:
        """Put a fault on the chosen connections, those made meanwhile included. Gives how many it struck at first.

        What a half-open or answerless connection has lost stays lost: it is broken off at the end, unless its client
        gave it up before.
        """
        struck = [link for link in self.links if chosen(link)]
        if fault == "reset":
            for link in struck:
                link.reset()
            yield len(struck)
            return
        for link in struck:
            link.fault = fault

        def strike(link: Link) -> None:
            link.fault = fault if chosen(link) else None

        before, self.new = self.new, strike
        try:
            yield len(struck)
        finally:
            self.new = before
            for link in list(self.links):
                link.fault = None
                if link.dead:
                    link.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, server = await asyncio.open_connection(HOST, self.upstream, limit=4 * CHUNK)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, server)
        self.links.add(link)
        self.new(link)
        up = asyncio.create_task(_pump(link, reader, server, answers=False))
        down = asyncio.create_task(_pump(link, upstream, writer, answers=True))
        self._pumps |= {up, down}
        try:
            await asyncio.wait((up, down))
        finally:
            self._pumps -= {up, down}
            self.links.discard(link)
            for end in (writer, server):
                end.transport.abort()


async def _pump(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
    try:
        while chunk := await reader.read(CHUNK):
            fault = link.fault
            if link.dead or fault == "half_open":
                link.dead = True
            elif fault == "lost_response" and answers:
                link.reset()
            else:
                await _forward(chunk, writer, fault)
        if not link.dead and writer.can_write_eof():
            writer.write_eof()
    except OSError:
        link.reset()


async def _forward(chunk: bytes, writer: asyncio.StreamWriter, fault: Fault | None) -> None:
    if fault == "latency":
        await asyncio.sleep(LATENCY_S)
    sliced = chunk[:SLICED] if fault == "slicer" else b""
    for start in range(0, len(sliced), SLICE):
        writer.write(sliced[start : start + SLICE])
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(chunk[len(sliced) :])
    await writer.drain()


@dataclass(frozen=True)
class Remote:
    """A proxy in a process of its own."""

    process: asyncio.subprocess.Process
    port: int

    async def strike(self, fault: Fault, share: float, seconds: float) -> int:
        """Put a fault on a share of the connections for a while.

        Returns, when it is over, how many it struck at first.
        """
        assert self.process.stdin is not None
        order = {"fault": fault, "share": share, "seconds": seconds}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        struck = (await _answer(self.process))["struck"]
        await _answer(self.process)
        return int(struck)


@asynccontextmanager
async def remote(upstream: int, environment: dict[str, str]) -> AsyncGenerator[Remote]:
    """A proxy process that leads to a port of this machine; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "torture.proxy", str(upstream)), stdin=PIPE, stdout=PIPE, env=environment
    )
    try:
        yield Remote(process, (await _answer(process))["port"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(await process.stdout.readline())


async def serve(upstream: int) -> None:
    """Be a proxy until standard input ends."""
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with Proxy(upstream) as proxy:
        _say(port=proxy.port)
        while line := await orders.readline():
            order = json.loads(line)
            share = float(order["share"])
            async with proxy.faulty(order["fault"], lambda _, share=share: random.random() < share) as struck:
                _say(struck=struck)
                await asyncio.sleep(order["seconds"])
            _say(over=True)


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
