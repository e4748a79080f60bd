"""Updates on their way to a real receiver: in order, once in the log, and not at all when that is not allowed."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from runtime.db import Pool
from runtime.fold import Position
from services.notify.employers import add_endpoint
from tests.services.notify.cases import CORRECTED, MONDAY, consent, event, grant, opened, plan, ready, revoke
from tests.services.notify.receiving import receiving, sending, status_of, until
from tests.services.notify.stored import fold
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.envelope import Envelope
from workhardening_contracts.readiness import ReadinessUpdated

pytestmark = pytest.mark.stack


async def test_updates_of_a_case_arrive_in_order_through_failures_and_are_logged_once(pool: Pool) -> None:
    async with receiving(pool, answers=[500, 429, 302]) as receiver:
        mine = grant(employer=receiver.employer)
        ref = await fold(pool, [opened(), consent(mine), plan(), *CORRECTED])
        async with sending(pool):
            await until(status_of(pool, ref, 4, "delivered"))
    assert [update.sequence for update in receiver.taken] == [3, 4]
    assert [update.previous_sequence for update in receiver.taken] == [0, 3]
    assert len(set(receiver.ids[:4])) == 1
    attempts = await pool.fetch(
        "SELECT number, status, outcome FROM delivery_attempts WHERE employer = $1 ORDER BY id", receiver.employer
    )
    assert [tuple(row) for row in attempts] == [
        (1, 500, "retry"),
        (2, 429, "retry"),
        (3, 302, "retry"),
        (4, 204, "delivered"),
        (1, 204, "delivered"),
    ]
    log = await pool.fetch("SELECT channel, scopes, sequence FROM disclosures WHERE case_ref = $1 ORDER BY id", ref)
    assert [tuple(row) for row in log] == [("webhook", ["work_status"], number) for number in (3, 4)]


async def test_consent_that_ended_meanwhile_withholds_the_update(pool: Pool) -> None:
    async with receiving(pool) as receiver:
        ended = grant(employer=receiver.employer, start=MONDAY, end=MONDAY)
        ref = await fold(pool, [opened(), consent(ended), plan()])
        await pool.execute("UPDATE deliveries SET next_attempt_at = now() WHERE case_ref = $1", ref)
        async with sending(pool):
            await until(status_of(pool, ref, 1, "withheld"))
    assert receiver.ids == []


async def test_an_update_after_a_withheld_one_names_the_last_that_was_sent(pool: Pool) -> None:
    async with receiving(pool) as receiver:
        mine = grant(employer=receiver.employer)
        ref = await fold(pool, [opened(), consent(mine), plan(), revoke(id="r1", employer=receiver.employer)])
        await fold(pool, [consent(id="c2", cause="/clinics/north#r1"), consent(mine, id="c3")], ref)
        async with sending(pool):
            await until(status_of(pool, ref, 2, "delivered"))
    assert [(update.sequence, update.previous_sequence) for update in receiver.taken] == [(2, 0)]


async def test_an_endpoint_that_is_gone_is_disabled_and_its_line_is_kept(pool: Pool) -> None:
    async with receiving(pool, answers=[410]) as receiver:
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan(), *CORRECTED])

        async def disabled() -> bool:
            return not await pool.fetchval("SELECT enabled FROM endpoints WHERE employer = $1", receiver.employer)

        async with sending(pool):
            await until(disabled)
        assert (
            await pool.fetchval("SELECT count(*) FROM deliveries WHERE case_ref = $1 AND status = 'pending'", ref) == 2
        )
        await pool.execute("UPDATE endpoints SET enabled = true WHERE employer = $1", receiver.employer)
        async with sending(pool):
            await until(status_of(pool, ref, 4, "delivered"))
    assert [update.sequence for update in receiver.taken] == [3, 4]


async def test_what_an_endpoint_refuses_for_good_fails_and_the_next_goes_on(pool: Pool) -> None:
    async with receiving(pool, answers=[400]) as receiver:
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan(), *CORRECTED])
        async with sending(pool):
            await until(status_of(pool, ref, 4, "delivered"))
    # The gap is visible to the employer, who may pull what it refused.
    assert [(update.sequence, update.previous_sequence) for update in receiver.taken] == [(4, 3)]
    assert await status_of(pool, ref, 3, "failed")()


async def test_a_parked_case_sends_nothing_until_it_is_mended(pool: Pool) -> None:
    async with receiving(pool) as parked, receiving(pool) as other:
        ref = await fold(pool, [opened(), consent(grant(employer=parked.employer)), plan()])
        await pool.execute("UPDATE cases SET parked = 1 WHERE case_ref = $1", ref)
        free = await fold(pool, [opened(), consent(grant(employer=other.employer)), plan()])
        async with sending(pool):
            await until(status_of(pool, free, 1, "delivered"))
            assert parked.ids == []
            await pool.execute("UPDATE cases SET parked = 0 WHERE case_ref = $1", ref)
            await until(status_of(pool, ref, 1, "delivered"))


async def test_a_killed_senders_claim_comes_back_when_its_lease_ends(pool: Pool) -> None:
    async with receiving(pool, hold=asyncio.Event()) as receiver:
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan()])

        async def in_hand() -> bool:
            return len(receiver.ids) == 1

        async with sending(pool):
            await until(in_hand)
        assert receiver.hold is not None
        receiver.hold.set()
        assert await pool.fetchval("SELECT leased_until > now() FROM deliveries WHERE case_ref = $1", ref)
        await pool.execute("UPDATE deliveries SET leased_until = now() WHERE case_ref = $1", ref)
        async with sending(pool):
            await until(status_of(pool, ref, 1, "delivered"))
    assert receiver.ids[0] == receiver.ids[1]


async def test_one_endpoint_that_hangs_does_not_hold_up_another_and_has_one_in_flight_per_case(pool: Pool) -> None:
    async with receiving(pool, hold=asyncio.Event()) as slow, receiving(pool) as quick:
        slow_ones = [
            await fold(pool, [opened(), consent(grant(employer=slow.employer)), plan(), ready()]) for _ in range(12)
        ]
        quick_one = await fold(pool, [opened(), consent(grant(employer=quick.employer)), plan(), ready()])
        async with sending(pool):
            await until(status_of(pool, quick_one, 2, "delivered"))
            assert slow.hold is not None
            assert len(slow.ids) <= 8
            assert len(set(slow.ids)) == len(slow.ids)
            slow.hold.set()
            for ref in slow_ones:
                await until(status_of(pool, ref, 2, "delivered"))


async def test_a_case_that_is_erased_in_flight_leaves_only_its_disclosure(pool: Pool) -> None:
    async with receiving(pool, hold=asyncio.Event()) as receiver:
        ref = await fold(pool, [opened(), consent(grant(employer=receiver.employer)), plan()])

        async def in_hand() -> bool:
            return len(receiver.ids) == 1

        async def disclosed() -> bool:
            return await pool.fetchval("SELECT count(*) FROM disclosures WHERE case_ref = $1", ref) == 1

        async with sending(pool):
            await until(in_hand)
            await fold(pool, [event(CaseErased(reason_code="worker_request"), "erased")], ref)
            assert receiver.hold is not None
            receiver.hold.set()
            await until(disclosed)
    assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE case_ref = $1", ref) == 0


async def test_an_employer_with_a_topic_gets_the_same_event_there(pool: Pool) -> None:
    employer = f"e-{uuid4().hex[:8]}"
    published: list[tuple[str, Envelope]] = []

    async def publish(topic: str, envelope: Envelope) -> Position:
        published.append((topic, envelope))
        return Position(topic, 0, 0)

    async with pool.acquire() as connection:
        await add_endpoint(connection, employer, None, True)
    ref = await fold(pool, [opened(), consent(grant(employer=employer)), plan()])
    async with sending(pool, publish):
        await until(status_of(pool, ref, 1, "delivered"))
    ((topic, envelope),) = published
    assert topic == f"employer.{employer}.readiness.v1"
    assert ReadinessUpdated.model_validate_json(envelope.data, extra="forbid").sequence == 1
    assert await pool.fetchval("SELECT channel FROM disclosures WHERE case_ref = $1", ref) == "kafka"
