"""Abuse of the webhooks: by an employer that points one into our own network, and by a stranger who forges one.

There is no HTTP door to register a webhook at: `whp endpoints` does, by the code that is called here. The sender's own
session and request are used, with a name service and receivers that misbehave.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp.resolver import ThreadedResolver
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.notify.address import CheckedResolver, Refused
from services.notify.employers import EndpointRefused, add_endpoint, change_url
from services.notify.signing import Keys, new_secret, new_seed, public_key, signed_headers
from services.notify.wire import post
from simulator.employer import Employer, EmployerConfig
from tests.e2e.place import Place
from workhardening_contracts.envelope import STRUCTURED, event_of, service_source, write_structured
from workhardening_contracts.readiness import ReadinessUpdated

SEED = new_seed()
PATIENCE_S = 10.0

INTERNAL = [
    "https://169.254.169.254/latest/meta-data",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[2002:a00:1::1]/",
    "https://[2001:0:a00:1::1]/",
    "https://[fd00::1]/",
    "https://[fe80::1%25eth0]/",
    "https://10.0.0.1/",
    "https://127.0.0.1/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://0177.0.0.1/",
    "https://employer.example:5432/",
    "http://employer.example/",
    "https://employer.example@10.0.0.1/",
    "file:///etc/passwd",
]


@pytest.mark.stack
@pytest.mark.parametrize("url", INTERNAL)
async def test_18_a_webhook_into_our_own_network_is_refused_when_it_is_registered_or_moved(
    place: Place, url: str
) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    connection = await asyncpg.connect(place.stack().services["notify"].database)
    try:
        with pytest.raises(Refused):
            await add_endpoint(connection, employer, url, False)
        with pytest.raises(EndpointRefused):
            await change_url(connection, employer, "https://employer.example/")
        await add_endpoint(connection, employer, "https://employer.example/", False)
        with pytest.raises(Refused):
            await change_url(connection, employer, url)
        kept = await connection.fetchval("DELETE FROM endpoints WHERE employer = $1 RETURNING url", employer)
        assert kept == "https://employer.example/"
    finally:
        await connection.close()


@dataclass
class Socket:
    """A listener that counts who connects, answers as it is told, and reads what is sent."""

    answer: Callable[[asyncio.StreamWriter], Awaitable[None]]
    connections: int = 0
    port: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """The other side has gone."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await self.answer(writer)
        self.closed.set()
        writer.close()


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Socket]:
    listener = Socket(answer)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, ssl=tls)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()


async def say_ok(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await writer.drain()


@asynccontextmanager
async def sender(*, local: bool = True, total_s: float = PATIENCE_S) -> AsyncGenerator[aiohttp.ClientSession]:
    """A session such as the sender's worker opens."""
    connector = aiohttp.TCPConnector(resolver=CheckedResolver(local=local), ttl_dns_cache=0)
    timeout = aiohttp.ClientTimeout(total=total_s)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
        yield session


def row(url: str) -> Mapping[str, Any]:
    """A delivery as the worker claims it."""
    return {"url": url, "event_id": "u1", "body": b"{}", "ed25519_seed": SEED, "hmac_secret": new_secret()}


@pytest.mark.parametrize("written", ["2130706433", "169.254.169.254", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"])
async def test_18_an_address_that_was_registered_before_it_was_refused_is_refused_when_it_is_sent_to(
    written: str,
) -> None:
    async with sender(local=False) as session:
        result = await post(session, row(f"https://{written}/hook"), local=False)
        assert (result.outcome, result.status, result.error) == ("permanent", None, "address_refused")


async def test_19_a_name_that_is_pointed_inside_after_its_registration_gets_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(say_ok) as inside, sender(local=False) as session:

        async def rebound(_: object, host: str, port: int, *__: object) -> list[dict[str, Any]]:
            return [{"hostname": host, "host": "127.0.0.1", "port": inside.port, "family": 2, "proto": 0, "flags": 0}]

        monkeypatch.setattr(ThreadedResolver, "resolve", rebound)
        result = await post(session, row("https://employer.example/hook"), local=False)
        assert (result.outcome, result.error) == ("retry", "address_refused")
        assert inside.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_20_a_redirect_to_an_internal_address_is_not_followed(status: int) -> None:
    async with listening(say_ok) as inside, sender() as session:

        async def redirect(writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 {status} Go\r\nlocation: http://127.0.0.1:{inside.port}/\r\n\r\n".encode())
            await writer.drain()

        async with listening(redirect) as outside:
            result = await post(session, row(f"http://127.0.0.1:{outside.port}/hook"), local=True)
        assert (result.outcome, result.status) == ("retry", status)
        assert (outside.connections, inside.connections) == (1, 0)


async def test_21_a_certificate_that_nobody_vouches_for_is_a_failure(tmp_path: Path) -> None:
    async with listening(say_ok, tls=self_signed(tmp_path)) as employer, sender() as session:
        result = await post(session, row(f"https://127.0.0.1:{employer.port}/hook"), local=True)
    assert (result.outcome, result.status, result.error) == ("retry", None, "ClientConnectorCertificateError")
    assert employer.connections == 0, "nothing was sent before the certificate was seen"


async def test_22_an_answer_without_end_is_cut_and_its_status_counts() -> None:
    async def pour(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with listening(pour) as employer, sender() as session:
        result = await post(session, row(f"http://127.0.0.1:{employer.port}/hook"), local=True)
        assert (result.outcome, result.status) == ("delivered", 200)
        await asyncio.wait_for(employer.closed.wait(), PATIENCE_S)


async def test_22_an_answer_of_one_byte_at_a_time_is_cut() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with listening(drip) as employer, sender(total_s=0.3) as session:
        result = await post(session, row(f"http://127.0.0.1:{employer.port}/hook"), local=True)
        assert (result.outcome, result.status, result.error) == ("retry", None, "timeout")
        await asyncio.wait_for(employer.closed.wait(), PATIENCE_S)


def update(sequence: int) -> tuple[str, bytes]:
    """An update that an employer would take: its id and body."""
    case = uuid4()
    data = ReadinessUpdated(
        case_ref=str(case),
        status="no_restrictions",
        effective_from=dt.date(2026, 3, 2),
        restrictions=(),
        outcome="ready",
        sequence=sequence,
        previous_sequence=sequence - 1,
    )
    at = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    event = event_of(data, id=f"u-{uuid4().hex}", source=service_source("notify"), subject=case, time=at)
    return event.id, json.dumps(write_structured(event)).encode()


async def test_23_a_replayed_old_swapped_or_malformed_signature_is_answered_401_and_never_500() -> None:
    now = int(time.time())
    (one, body), (two, other) = update(1), update(2)
    ours = Keys(SEED, None)
    good, swapped = (dict(signed_headers(each, what, now, ours)) for each, what in ((one, body), (two, other)))
    stranger = dict(signed_headers(one, body, now, Keys(new_seed(), None)))
    forged: list[tuple[bytes, dict[str, str]]] = [
        (body, dict(signed_headers(one, body, now - 3600, ours))),
        (body, dict(signed_headers(one, body, now + 3600, ours))),
        (body, {**good, "webhook-timestamp": str(now - 1)}),
        (body, swapped),
        (other, good),
        (body + b" ", good),
        (body, {**good, "webhook-id": two}),
        (body, {**good, "webhook-signature": swapped["webhook-signature"]}),
        (body, stranger),
        *((body, {**good, "webhook-signature": text}) for text in ("", "v1a", "v1a,", "v1a,!!", "v1,QQ==", "x" * 5000)),
        *((body, {**good, "webhook-timestamp": text}) for text in ("", "nan", "-1", "1e9", "9" * 400)),
        (body, {}),
        (b"", good),
        (b"\xff\xfe", good),
        (b"[" * 20_000, good),
    ]
    config = EmployerConfig(public_key=public_key(SEED), trouble=0.0)
    async with Employer("acme", config, "1") as employer, aiohttp.ClientSession(trust_env=False) as session:
        url = f"http://127.0.0.1:{employer.port}/hook"
        for content, headers in forged:
            answer = await session.post(url, data=content, headers={**headers, "content-type": STRUCTURED})
            assert answer.status == 401, headers
        assert employer.book.updates == []
        for _ in range(3):  # what is replayed within five minutes is taken for a delivery repeated, and counts once
            answer = await session.post(url, data=body, headers={**good, "content-type": STRUCTURED})
            assert answer.status == 204
        assert [each.event_id for each in employer.book.updates] == [one]


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate that its own bearer has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "employer.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
