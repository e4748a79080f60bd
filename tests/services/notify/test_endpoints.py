"""What operators do with an endpoint: verify, enable, disable, ping, replay, and change it by two persons."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from runtime.db import Connection, Pool
from services.notify import changes
from services.notify.address import Refused
from services.notify.challenge import is_answer
from services.notify.employers import (
    EndpointRefused,
    add_endpoint,
    attempts,
    disable,
    enable,
    list_endpoints,
    replay,
    send_ping,
)
from services.notify.watch import look
from tests.services.notify.cases import consent, grant, opened, plan, ready, revised, revoke
from tests.services.notify.receiving import Receiver, receiving, sending, status_of, until
from tests.services.notify.stored import fold
from workhardening_contracts.webhook import CHALLENGE_TYPE, PING_TYPE, verify_v1a


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (b'{"challenge": "abc"}', True),
        (b'{"challenge": "abd"}', False),
        (b'{"challenge": ["abc"]}', False),
        (b'{"data": {"challenge": "abc"}}', False),
        (b'{"challenge": "\xc3\xa9\\ud800"}', False),
        (b"abc", False),
        (b'"abc"', False),
        (b"", False),
        (b"\xff", False),
        (b"[" * 1024, False),
    ],
)
def test_a_challenge_is_answered_by_its_own_text_and_not_by_an_echo(body: bytes, right: bool) -> None:
    assert is_answer(body, "abc") is right


@pytest.mark.parametrize(("by", "may"), [("ada", False), ("grace", True)])
def test_who_proposed_may_not_approve(by: str, may: bool) -> None:
    assert (changes.why_not("ada", by) is None) is may


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as acquired:
        yield acquired


async def enabled(connection: Connection, employer: str) -> tuple[bool, str | None]:
    row = await connection.fetchrow("SELECT enabled, disabled_reason FROM endpoints WHERE employer = $1", employer)
    assert row is not None
    return tuple(row)


async def url_of(connection: Connection, employer: str) -> str:
    return await connection.fetchval("SELECT url FROM endpoints WHERE employer = $1", employer)


@pytest.mark.stack
async def test_a_new_webhook_gets_nothing_until_it_has_answered_the_challenge(connection: Connection) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    added = await add_endpoint(connection, employer, "https://employer.invalid/hook", False)
    assert not added.enabled
    assert await enabled(connection, employer) == (False, "unverified")
    with pytest.raises(EndpointRefused, match="name_not_resolved"):
        await enable(connection, employer)
    assert await enabled(connection, employer) == (False, "unverified")


@pytest.mark.stack
@pytest.mark.parametrize("answer", ["wrong answer", "status 500", "status 302"])
async def test_an_endpoint_that_does_not_answer_the_challenge_stays_disabled(
    pool: Pool, connection: Connection, answer: str
) -> None:
    async with receiving(pool) as receiver:
        if answer == "wrong answer":
            receiver.says = b'{"challenge": "something"}'
        else:
            receiver.answers = [int(answer.removeprefix("status "))]
        await disable(connection, receiver.employer)
        with pytest.raises(EndpointRefused, match=answer):
            await enable(connection, receiver.employer, local=True)
        assert await enabled(connection, receiver.employer) == (False, "by_operator")


@pytest.mark.stack
async def test_an_endpoint_that_is_enabled_again_goes_on_in_order_with_its_backlog(
    pool: Pool, connection: Connection
) -> None:
    async with receiving(pool, answers=[503]) as receiver:
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan()])
        async with sending(pool, retry_scale=1.0):
            await until(tried(pool, receiver))
        await disable(connection, receiver.employer)
        await fold(pool, [revised(2, 9)], ref)
        await fold(pool, [ready()], ref)
        async with sending(pool, retry_scale=1.0):
            await enable(connection, receiver.employer, local=True)
            await until(status_of(pool, ref, 3, "delivered"))
    assert receiver.sequences() == [1, 3], "2 was never tried, and 3 took its place"
    assert [each.previous_sequence for each in receiver.taken] == [0, 1]


def tried(pool: Pool, receiver: Receiver) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        query = "SELECT count(*) = 1 FROM delivery_attempts WHERE employer = $1"
        return await pool.fetchval(query, receiver.employer)

    return is_so


@pytest.mark.stack
async def test_a_ping_is_signed_tells_of_nobody_and_is_in_the_attempt_log(pool: Pool, connection: Connection) -> None:
    async with receiving(pool, answers=[204, 500]) as receiver:
        await disable(connection, receiver.employer)
        assert (await send_ping(connection, receiver.employer, local=True)).outcome == "delivered"
        assert (await send_ping(connection, receiver.employer, local=True)).status == 500
        (body, headers), _ = receiver.asked
    assert receiver.endpoint is not None
    assert verify_v1a(body, headers, receiver.endpoint.public_key or "")
    assert json.loads(body)["type"] == PING_TYPE
    assert json.loads(body)["data"] == {}
    log = await attempts(connection, receiver.employer, None, 10)
    assert [(each.status, each.outcome, each.number) for each in log] == [(500, "retry", 1), (204, "delivered", 1)]
    assert await attempts(connection, receiver.employer, log[0].event_id, 10) == [log[0]]
    assert receiver.taken == []


@pytest.mark.stack
async def test_a_url_is_changed_by_two_operators_once_the_new_one_has_answered(
    pool: Pool, connection: Connection
) -> None:
    async with receiving(pool) as old, receiving(pool) as new:
        assert old.endpoint is not None
        new.use(old.endpoint.public_key, old.endpoint.hmac_secret)
        target = await url_of(connection, new.employer)
        change = await changes.propose_url(connection, old.employer, target, "Ada", local=True)
        (waiting,) = [each for each in await changes.proposals(connection) if each.employer == old.employer]
        assert (waiting.id, waiting.what, waiting.url, waiting.proposed_by) == (change, "url", target, "ada")
        with pytest.raises(EndpointRefused, match="another operator"):
            await changes.approve(connection, change, " ADA ", local=True)
        assert await url_of(connection, old.employer) != target
        assert await changes.approve(connection, change, "grace", local=True) == old.employer
        assert await url_of(connection, old.employer) == target
        assert [json.loads(body)["type"] for body, _ in new.asked] == [CHALLENGE_TYPE]
        with pytest.raises(EndpointRefused, match="no such proposal"):
            await changes.approve(connection, change, "grace", local=True)


@pytest.mark.stack
async def test_a_new_url_that_does_not_answer_changes_nothing(pool: Pool, connection: Connection) -> None:
    async with receiving(pool) as receiver:
        before = await url_of(connection, receiver.employer)
        change = await changes.propose_url(connection, receiver.employer, "https://employer.invalid/", "ada")
        with pytest.raises(EndpointRefused, match="did not answer"):
            await changes.approve(connection, change, "grace")
        with pytest.raises(Refused):
            await changes.propose_url(connection, receiver.employer, "https://10.0.0.1/", "ada")
        assert await url_of(connection, receiver.employer) == before


@pytest.mark.stack
async def test_what_is_approved_is_what_was_seen_and_not_what_replaced_it(pool: Pool, connection: Connection) -> None:
    async with receiving(pool) as receiver:
        seen = await changes.propose_url(connection, receiver.employer, "https://employer.example/", "ada")
        await changes.propose_url(connection, receiver.employer, "https://elsewhere.example/", "ada")
        with pytest.raises(EndpointRefused, match="replaced"):
            await changes.approve(connection, seen, "grace")
        newest = await changes.propose_keys(connection, receiver.employer, "ada", leaked=False)
        await connection.execute(
            "UPDATE endpoint_changes SET proposed_at = now() - interval '4 days' WHERE id = $1", newest.change
        )
        with pytest.raises(EndpointRefused, match="too old"):
            await changes.approve(connection, newest.change, "grace")


@pytest.mark.stack
async def test_not_even_the_database_takes_one_operator_for_two(pool: Pool, connection: Connection) -> None:
    async with receiving(pool) as receiver:
        change = await changes.propose_url(connection, receiver.employer, "https://employer.example/", "ada")
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "UPDATE endpoint_changes SET status = 'applied', approved_by = 'ada' WHERE id = $1", change
            )


@pytest.mark.stack
@pytest.mark.parametrize("leaked", [False, True])
async def test_rotated_keys_overlap_unless_they_leaked(pool: Pool, connection: Connection, leaked: bool) -> None:
    async with receiving(pool) as receiver:
        assert receiver.endpoint is not None
        old = receiver.endpoint.public_key or ""
        rotated = await changes.propose_keys(connection, receiver.employer, "ada", leaked=leaked)
        await changes.approve(connection, rotated.change, "grace")
        receiver.use(rotated.public_key, rotated.hmac_secret)
        await send_ping(connection, receiver.employer, local=True)
        await look(pool, datetime.now(UTC) + timedelta(days=4))
        await send_ping(connection, receiver.employer, local=True)
        during, after = receiver.asked
    assert [verify_v1a(body, headers, rotated.public_key) for body, headers in (during, after)] == [True, True]
    assert [verify_v1a(body, headers, old) for body, headers in (during, after)] == [not leaked, False]
    query = "SELECT count(*) FROM endpoint_changes WHERE employer = $1 AND ed25519_seed IS NOT NULL"
    assert await connection.fetchval(query, receiver.employer) == 0


@pytest.mark.stack
async def test_updates_are_sent_with_both_keys_while_an_employer_changes_over(
    pool: Pool, connection: Connection
) -> None:
    async with receiving(pool) as receiver:
        assert receiver.endpoint is not None
        rotated = await changes.propose_keys(connection, receiver.employer, "ada", leaked=False)
        await changes.approve(connection, rotated.change, "grace")
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan()])
        async with sending(pool):
            await until(status_of(pool, ref, 1, "delivered"))  # the receiver still verifies by the old keys
        receiver.use(rotated.public_key, rotated.hmac_secret)
        await fold(pool, [ready()], ref)
        async with sending(pool):
            await until(status_of(pool, ref, 2, "delivered"))
    assert receiver.sequences() == [1, 2]


@pytest.mark.stack
async def test_a_replay_tells_again_by_the_same_ids_what_was_told_and_what_came_after(
    pool: Pool, connection: Connection
) -> None:
    async with receiving(pool) as receiver:
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan()])
        async with sending(pool):
            for number, each in enumerate((revised(2, 9), ready()), 2):
                await until(status_of(pool, ref, number - 1, "delivered"))
                await fold(pool, [each], ref)
            await until(status_of(pool, ref, 3, "delivered"))
            first = list(receiver.ids)
            again = await replay(connection, receiver.employer, id=first[1])
            await until(status_of(pool, ref, 3, "delivered"))
            await until(status_of(pool, ref, 2, "delivered"))
    assert [each.event_id for each in again] == first[1:]
    assert receiver.ids == [*first, *first[1:]]
    assert receiver.sequences() == [1, 2, 3, 2, 3]
    told = await connection.fetchval("SELECT count(*) FROM disclosures WHERE case_ref = $1", ref)
    assert told == 3, "the same was told to the same: nothing new to account for"


@pytest.mark.stack
async def test_a_replay_is_by_case_or_time_and_never_of_everything_or_of_what_was_withheld(
    pool: Pool, connection: Connection
) -> None:
    async with receiving(pool) as receiver:
        mine = consent(grant(employer=receiver.employer))
        one, two = [await fold(pool, [opened(), mine, plan()]) for _ in range(2)]
        gone = await fold(pool, [opened(), mine, plan(), revoke(employer=receiver.employer)])
        async with sending(pool):
            for ref in (one, two):
                await until(status_of(pool, ref, 1, "delivered"))
        await connection.execute(
            "UPDATE deliveries SET delivered_at = now() - interval '2 days' WHERE case_ref = $1", one
        )
        now = datetime.now(UTC)
        by_case = await replay(connection, receiver.employer, case=two)
        late = await replay(connection, receiver.employer, since=now - timedelta(days=3), until=now - timedelta(days=1))
        assert [each.case_ref for each in (*by_case, *late)] == [two, one]
        assert await replay(connection, receiver.employer, case=gone) == []
        with pytest.raises(EndpointRefused, match="say what"):
            await replay(connection, receiver.employer)
        with pytest.raises(EndpointRefused, match="no endpoint"):
            await replay(connection, "nobody", case=one)


@pytest.mark.stack
async def test_consent_that_ended_keeps_a_replay_back(pool: Pool, connection: Connection) -> None:
    async with receiving(pool) as receiver:
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan()])
        async with sending(pool):
            await until(status_of(pool, ref, 1, "delivered"))
            await fold(pool, [revoke(employer=receiver.employer)], ref)
            await replay(connection, receiver.employer, case=ref)
            await until(status_of(pool, ref, 1, "withheld"))
    assert len(receiver.ids) == 1


@pytest.mark.stack
async def test_an_endpoint_shows_its_health(pool: Pool, connection: Connection) -> None:
    async with receiving(pool, down=True) as receiver:
        await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan()])
        async with sending(pool, retry_scale=1.0):
            await until(tried(pool, receiver))
        (mine,) = [each for each in await list_endpoints(connection) if each.employer == receiver.employer]
    assert (mine.failures, mine.open, mine.pending, mine.delivered_at) == (1, False, 1, None)
    assert mine.failing_since is not None
