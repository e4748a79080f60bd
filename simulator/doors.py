"""The ways into the system and out of it that a clinic has: HTTP front door, its own Kafka topic, its feed.

Services are killed while they are spoken to. A sender that hears no clear answer says the same again, with the same
id, until it does: that is safe, since the id tells a repetition from news.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Protocol

import aiohttp
from aiokafka import AIOKafkaProducer  # pyright: ignore[reportMissingTypeStubs]
from aiokafka.errors import KafkaConnectionError, KafkaError  # pyright: ignore[reportMissingTypeStubs]

from simulator.ledger import Ledger, RawRecord, Sending
from workhardening_contracts.envelope import Envelope, read_structured, write_http, write_kafka
from workhardening_contracts.kafka import client_options

# 429 and the gateway answers ask for another try; 500 is what a service says that dies while it answers.
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

ANSWER_S = 15.0
CLOSING_S = 5.0
LONG_POLL_S = 10
PAGE = 500


class Refused(Exception):
    """A door that refuses for good: a wrong key or address. Nothing that waiting mends."""


class Door(Protocol):
    """Where a clinic puts its events."""

    async def send(self, sending: Sending | RawRecord) -> None:
        """Send until there is an answer, which goes into the ledger. Raises Refused where the key is not known."""
        ...


async def patience(random: Random) -> AsyncGenerator[int, None]:
    """Numbers the attempts from 1, and waits before each but the first: 0.1 s, doubling up to 3 s, with jitter."""
    attempt, pause = 1, 0.1
    while True:
        yield attempt
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        attempt, pause = attempt + 1, min(pause * 2, 3.0)


def noting_errors(ledger: Ledger) -> aiohttp.ClientMiddlewareType:
    """For a session: what its doors answer when they say no goes into the ledger, word for word."""

    async def noting(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        answer = await handler(request)
        if answer.status >= 400:
            ledger.said_no(answer.status, (await answer.read()).decode("utf-8", "replace"))
        return answer

    return noting


@dataclass
class FrontDoor:
    """HTTP, with keep-alive."""

    http: aiohttp.ClientSession
    base: str
    clinic: str
    key: str
    ledger: Ledger
    jitter: Random = field(default_factory=Random)

    async def send(self, sending: Sending | RawRecord) -> None:
        """Post one event. Raises TypeError for a raw record: HTTP cannot carry it."""
        if isinstance(sending, RawRecord):
            raise TypeError("a raw record can only go to Kafka")
        headers, body = write_http(sending.envelope)
        status, attempts = await self._post("/v1/events", headers, body)
        self.ledger.sent(sending, self.clinic, "http", status, attempts)

    async def close_day(self, through: date) -> None:
        """Close a day for every open case of the clinic."""
        status, attempts = await self._post(f"/v1/days/{through}/close", {}, b"")
        self.ledger.closed(self.clinic, str(through), status, attempts)

    async def _post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, int]:
        bearer = {"Authorization": f"Bearer {self.key}"}
        async for attempt in patience(self.jitter):
            try:
                async with self.http.post(self.base + path, headers=headers | bearer, data=body) as answer:
                    await answer.read()
                    if answer.status == 401:
                        raise Refused(f"the front door does not know the key of {self.clinic}")
                    if answer.status not in TRY_AGAIN:
                        return answer.status, attempt
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
        raise AssertionError("patience has no end")


@dataclass
class Producing:
    """An idempotent producer that is thrown away when it fails: after a broker's disaster it may hang for good.

    What it had not sent may come twice, or late; the same ids tell that. An asynchronous context manager.
    """

    bootstrap: str
    _producer: AIOKafkaProducer | None = None
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __aenter__(self) -> Producing:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._discard(self._producer)

    async def send_and_wait(self, topic: str, value: bytes | None, **record: Any) -> None:
        """Produce one record, acknowledged. Raises KafkaError, also when no answer comes."""
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(ANSWER_S):
                producer = await self._started()
                await producer.send_and_wait(topic, value, **record)  # pyright: ignore[reportUnknownMemberType]
        except (KafkaError, OSError, TimeoutError) as error:
            await self._discard(producer)
            raise KafkaConnectionError(type(error).__name__) from None

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **client_options(self.bootstrap), acks="all", enable_idempotence=True, linger_ms=2
                )
                try:
                    await producer.start()
                except BaseException:
                    await _closed(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self, producer: AIOKafkaProducer | None) -> None:
        if producer is not None and producer is self._producer:
            self._producer = None
            await _closed(producer)


async def _closed(producer: AIOKafkaProducer) -> None:
    with suppress(KafkaError, OSError, TimeoutError):
        await asyncio.wait_for(producer.stop(), CLOSING_S)


@dataclass
class OwnTopic:
    """The clinic's own Kafka topic: one partition, records in order, each acknowledged before the next."""

    producer: Producing
    clinic: str
    ledger: Ledger
    jitter: Random = field(default_factory=Random)

    async def send(self, sending: Sending | RawRecord) -> None:
        """Produce one record."""
        if isinstance(sending, RawRecord):
            key, headers, value = sending.key, list(sending.headers), sending.value
        else:
            key, given, value = write_kafka(sending.envelope)
            headers = list(given)
        async for attempt in patience(self.jitter):
            try:
                await self.producer.send_and_wait(
                    f"clinic.{self.clinic}.events.v1", value, key=key, partition=0, headers=headers
                )
            except KafkaError:
                continue
            self.ledger.sent(sending, self.clinic, "kafka", None, attempt)
            return


@dataclass
class Feed:
    """What a clinic hears back: its own cases and rejections, by long poll, from the start."""

    http: aiohttp.ClientSession
    base: str
    key: str
    jitter: Random = field(default_factory=Random)

    async def pages(self) -> AsyncGenerator[list[Envelope], None]:
        """Page after page, without end. A page may be heard again after an error."""
        cursor: str | None = None
        while True:
            page = await self._page(cursor)
            cursor = str(page["next"]) if page.get("next") is not None else cursor
            events: Sequence[dict[str, Any]] = [item["event"] for item in page["items"]]
            if events:
                yield [read_structured(json.dumps(event).encode()) for event in events]

    async def _page(self, cursor: str | None) -> dict[str, Any]:
        query = {"limit": str(PAGE), "wait": str(LONG_POLL_S)} | ({} if cursor is None else {"after": cursor})
        bearer = {"Authorization": f"Bearer {self.key}"}
        waiting = aiohttp.ClientTimeout(total=LONG_POLL_S + ANSWER_S)
        async for _ in patience(self.jitter):
            try:
                async with self.http.get(
                    self.base + "/v1/clinic/feed", params=query, headers=bearer, timeout=waiting
                ) as answer:
                    if answer.status == 200:
                        return await answer.json()
                    if answer.status not in TRY_AGAIN:
                        raise Refused(f"the clinic feed answered {answer.status}")
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
        raise AssertionError("patience has no end")
