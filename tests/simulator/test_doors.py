"""Doors: the same event again, with the same id, until there is an answer."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from random import Random
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from simulator import doors, hostile
from simulator.doors import Feed, FrontDoor, OwnTopic, Refused
from simulator.ledger import Ledger, Sending
from workhardening_contracts.clinic import DayClosed
from workhardening_contracts.envelope import clinic_source, event_of, read_http, read_kafka, write_structured

REF = UUID("01944000-0000-7000-8000-000000000001")
CLOSING = event_of(
    DayClosed(through=date(2025, 1, 12)),
    id="closed.1",
    source=clinic_source("north"),
    subject=REF,
    time=datetime(2025, 1, 12, 23, tzinfo=UTC),
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts."""

    async def at_once(_: Random) -> AsyncIterator[int]:
        for attempt in range(1, 100):
            yield attempt

    monkeypatch.setattr(doors, "patience", at_once)


@asynccontextmanager
async def served(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncGenerator[str, None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_post_is_repeated_with_the_same_id_until_it_is_answered() -> None:
    seen: list[tuple[str, str]] = []

    async def failing_at_first(request: web.Request) -> web.Response:
        envelope = read_http(request.headers.items(), await request.read())
        seen.append((envelope.id, request.headers["Authorization"]))
        if len(seen) == 2:
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=202 if len(seen) == 4 else 503)

    ledger = Ledger()
    async with served(failing_at_first) as base, aiohttp.ClientSession() as http:
        await FrontDoor(http, base, "north", "key", ledger).send(Sending(CLOSING))
    assert seen == [("closed.1", "Bearer key")] * 4
    assert [(entry.answer, entry.attempts) for entry in ledger.entries] == [(202, 4)]


async def test_a_refusal_is_an_answer() -> None:
    async def refusing(_: web.Request) -> web.Response:
        return web.Response(status=409)

    ledger = Ledger()
    async with served(refusing) as base, aiohttp.ClientSession() as http:
        await FrontDoor(http, base, "north", "key", ledger).send(Sending(CLOSING, "reject", "reused_id", 409))
    assert [(entry.answer, entry.attempts, entry.surprising) for entry in ledger.entries] == [(409, 1, False)]


async def test_a_day_is_closed_for_the_whole_clinic() -> None:
    paths: list[str] = []

    async def closing(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=202)

    ledger = Ledger()
    async with served(closing) as base, aiohttp.ClientSession() as http:
        await FrontDoor(http, base, "north", "key", ledger).close_day(date(2025, 1, 12))
    assert paths == ["/v1/days/2025-01-12/close"]
    assert [(close.through, close.answer) for close in ledger.closes] == [("2025-01-12", 202)]


async def test_a_key_that_the_front_door_does_not_know_is_no_answer_to_wait_for() -> None:
    async def refusing(_: web.Request) -> web.Response:
        return web.Response(status=401)

    async with served(refusing) as base, aiohttp.ClientSession() as http:
        with pytest.raises(Refused, match="does not know the key of north"):
            await FrontDoor(http, base, "north", "key", Ledger()).send(Sending(CLOSING))


async def test_http_cannot_carry_a_raw_record() -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(TypeError):
            await FrontDoor(http, "", "north", "key", Ledger()).send(hostile.unreadable(CLOSING)[0])


async def test_the_feed_goes_on_from_its_cursor_and_through_errors() -> None:
    asked: list[str | None] = []

    async def feeding(request: web.Request) -> web.Response:
        asked.append(request.query.get("after"))
        if len(asked) == 2:
            return web.Response(status=503)
        item = {"position": len(asked), "event": write_structured(CLOSING)}
        empty = len(asked) == 3
        return web.json_response({"items": [] if empty else [item], "next": f"c{len(asked)}"})

    async with served(feeding) as base, aiohttp.ClientSession() as http:
        pages = Feed(http, base, "key").pages()
        assert [envelope.id for envelope in await anext(pages)] == ["closed.1"]
        assert [envelope.id for envelope in await anext(pages)] == ["closed.1"]
        await pages.aclose()
    assert asked == [None, "c1", "c1", "c3"]


async def test_a_feed_that_refuses_the_key_says_so_at_once() -> None:
    async def refusing(_: web.Request) -> web.Response:
        return web.Response(status=401)

    async with served(refusing) as base, aiohttp.ClientSession() as http:
        with pytest.raises(Refused, match="the clinic feed answered 401"):
            await anext(Feed(http, base, "key").pages())


class Producer:
    """Stands in for the Kafka client: fails once, then takes everything."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.failed = False

    async def send_and_wait(self, topic: str, value: bytes | None, **given: Any) -> None:
        from aiokafka.errors import RequestTimedOutError

        if not self.failed:
            self.failed = True
            raise RequestTimedOutError
        self.taken.append((topic, {"value": value, **given}))


async def test_kafka_records_go_to_the_clinics_own_topic_and_are_repeated_too() -> None:
    producer, ledger = Producer(), Ledger()
    door = OwnTopic(producer, "kafka-valley", ledger)  # pyright: ignore[reportArgumentType]
    await door.send(Sending(CLOSING))
    topic, record = producer.taken[0]
    assert (topic, record["partition"]) == ("clinic.kafka-valley.events.v1", 0)
    assert read_kafka(record["key"], record["headers"], record["value"]) == CLOSING
    assert [(entry.via, entry.answer, entry.attempts) for entry in ledger.entries] == [("kafka", None, 2)]
    for raw in hostile.unreadable(CLOSING):
        await door.send(raw)
    assert len(producer.taken) == 1 + len(hostile.unreadable(CLOSING))
    assert {entry.expected for entry in ledger.entries[1:]} == {"dead_letter"}
