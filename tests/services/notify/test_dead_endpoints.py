"""Endpoints that fail: left alone but for a probe, warned of, disabled, and served to the end when they are back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import structlog

from runtime.db import Pool
from services.notify.gauges import GAUGES
from services.notify.health import OPENS_AT
from services.notify.watch import look
from tests.services.notify.cases import consent, grant, opened, plan, ready, revised, revoke
from tests.services.notify.receiving import Receiver, receiving, sending, status_of, until
from tests.services.notify.stored import fold
from tests.services.notify.test_backlog import claim, endpoint, tell

pytestmark = pytest.mark.stack

HOUR = timedelta(hours=1)


async def cases(pool: Pool, employer: str, count: int) -> list[UUID]:
    return [await fold(pool, [opened(), consent(grant(employer=employer)), plan()]) for _ in range(count)]


async def let_pass(pool: Pool, employer: str, time: timedelta) -> None:
    """As if it were later: every time that is kept of this employer lies further back."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "UPDATE deliveries SET next_attempt_at = next_attempt_at - $2::interval, behind_until = behind_until - $2,"
            " created_at = created_at - $2 WHERE employer = $1 AND status = 'pending'",
            *(employer, time),
        )
        await connection.execute(
            "UPDATE endpoints SET failing_since = failing_since - $2::interval, open_until = open_until - $2,"
            " delivered_at = delivered_at - $2, drawn_until = drawn_until - $2 WHERE employer = $1",
            *(employer, time),
        )


async def nothing_due(pool: Pool, employer: str) -> None:
    """Wait until the sender has nothing in hand and nothing to do for this employer."""

    async def quiet() -> bool:
        return await pool.fetchval(
            "SELECT NOT EXISTS (SELECT FROM deliveries d JOIN endpoints e USING (employer) WHERE employer = $1"
            " AND d.status = 'pending' AND (d.lease IS NOT NULL"
            " OR (greatest(d.next_attempt_at, d.behind_until) <= now()"
            " AND (e.open_until IS NULL OR e.open_until <= now()))))",
            employer,
        )

    await until(quiet)


async def test_after_ten_failures_in_a_row_an_endpoint_is_left_alone_and_others_are_served(pool: Pool) -> None:
    async with receiving(pool, down=True) as dead, receiving(pool) as alive:
        await cases(pool, dead.employer, 2 * OPENS_AT)
        (other,) = await cases(pool, alive.employer, 1)
        async with sending(pool, retry_scale=1.0):
            await until(status_of(pool, other, 1, "delivered"))
            await nothing_due(pool, dead.employer)
    assert len(dead.ids) == OPENS_AT
    assert await pool.fetchval("SELECT open_until > now() FROM endpoints WHERE employer = $1", dead.employer)


async def test_two_senders_send_one_probe_and_the_first_success_sends_the_rest(pool: Pool) -> None:
    async with receiving(pool, down=True) as receiver:
        refs = await cases(pool, receiver.employer, OPENS_AT + 5)
        async with sending(pool, retry_scale=1.0):
            await nothing_due(pool, receiver.employer)
        receiver.hold, receiver.down = asyncio.Event(), False
        await pool.execute("UPDATE endpoints SET open_until = now() WHERE employer = $1", receiver.employer)
        async with sending(pool, retry_scale=1.0), sending(pool, retry_scale=1.0), receiving(pool) as other:

            async def probed() -> bool:
                return len(receiver.ids) > OPENS_AT

            await until(probed)
            (ref,) = await cases(pool, other.employer, 1)
            await until(status_of(pool, ref, 1, "delivered"))  # each sender has looked again meanwhile
            assert len(receiver.ids) == OPENS_AT + 1
            receiver.hold.set()
            for ref in refs:  # those that had failed wait no longer for their retry, either
                await until(status_of(pool, ref, 1, "delivered"))
    row = await pool.fetchrow("SELECT failures, open_until FROM endpoints WHERE employer = $1", receiver.employer)
    assert row is not None
    assert tuple(row) == (0, None)


async def test_a_probe_whose_sender_was_killed_is_sent_again_when_its_lease_ends(pool: Pool) -> None:
    employer, refs = await endpoint(pool, 3)
    for ref in refs:
        await tell(pool, employer, ref, 1)
    await pool.execute("UPDATE endpoints SET failures = 10, open_until = now() WHERE employer = $1", employer)
    assert len(await claim(pool)) == 1
    assert await claim(pool) == []
    await pool.execute("UPDATE endpoints SET open_until = now() WHERE employer = $1", employer)
    assert len(await claim(pool)) == 1


async def test_an_endpoint_that_failed_last_gets_one_at_a_time(pool: Pool) -> None:
    employer, refs = await endpoint(pool, 3)
    for ref in refs:
        await tell(pool, employer, ref, 1)
    await pool.execute("UPDATE endpoints SET failures = 1 WHERE employer = $1", employer)
    assert len(await claim(pool)) == 1


async def test_an_endpoint_gets_no_more_than_its_bucket_holds(pool: Pool) -> None:
    employer, refs = await endpoint(pool, 10)
    for ref in refs:
        await tell(pool, employer, ref, 1)
    await pool.execute("UPDATE endpoints SET rate_per_s = 5 WHERE employer = $1", employer)
    assert len(await claim(pool)) == 5
    assert await pool.fetchval(
        "SELECT drawn_until > now() - interval '1 s' FROM endpoints WHERE employer = $1", employer
    )
    # As in the moment after: what was drawn is drawn for every sender.
    await pool.execute("UPDATE endpoints SET drawn_until = now() + interval '1 h' WHERE employer = $1", employer)
    assert await claim(pool) == []


@pytest.mark.parametrize(("works", "status"), [(True, "failed"), (False, "pending")])
async def test_an_update_is_given_up_only_where_the_endpoint_takes_others(pool: Pool, works: bool, status: str) -> None:
    async with receiving(pool, down=True) as receiver:
        (ref,) = await cases(pool, receiver.employer, 1)
        await pool.execute("UPDATE deliveries SET attempts = 9 WHERE case_ref = $1", ref)
        if works:
            await pool.execute("UPDATE endpoints SET delivered_at = now() WHERE employer = $1", receiver.employer)
        async with sending(pool, retry_scale=1.0):
            await nothing_due(pool, receiver.employer)
    assert await pool.fetchval("SELECT status FROM deliveries WHERE case_ref = $1", ref) == status


async def test_a_failing_endpoint_is_warned_of_three_times_then_disabled_and_kept(pool: Pool) -> None:
    async with receiving(pool, down=True) as receiver:
        (ref,) = await cases(pool, receiver.employer, 1)
        async with sending(pool, retry_scale=1.0):
            await nothing_due(pool, receiver.employer)
        now = datetime.now(UTC)
        said: list[tuple[str, int | None]] = []
        for hours in (0, 1, 2, 12, 13, 72, 100, 119, 120, 121):
            with structlog.testing.capture_logs() as logs:
                await look(pool, now + hours * HOUR)
            said += [(log["event"], log.get("hours")) for log in logs if log["employer"] == receiver.employer]
    assert [hours for _, hours in said] == [1, 12, 72, None]
    row = await pool.fetchrow("SELECT enabled, disabled_reason FROM endpoints WHERE employer = $1", receiver.employer)
    assert row is not None
    assert tuple(row) == (False, "dead")
    assert await status_of(pool, ref, 1, "pending")()


async def test_the_endpoint_that_has_failed_longest_is_told_to_metrics_while_something_is_due(pool: Pool) -> None:
    told = {gauge.name: gauge.query for gauge in GAUGES}
    employer, (ref,) = await endpoint(pool)
    await tell(pool, employer, ref, 1)
    await pool.execute("UPDATE endpoints SET open_until = NULL, failing_since = NULL")
    await pool.execute("UPDATE endpoints SET failing_since = now() - interval '2 h' WHERE employer = $1", employer)
    assert await pool.fetchval(told["whp_endpoints_failing_seconds"]) == 0
    await pool.execute("UPDATE deliveries SET attempts = 1 WHERE employer = $1", employer)
    assert await pool.fetchval(told["whp_endpoints_failing_seconds"]) >= 7200
    assert await pool.fetchval(told["whp_endpoints_open"]) == 0
    await pool.execute("UPDATE endpoints SET failures = 10, open_until = now() WHERE employer = $1", employer)
    assert await pool.fetchval(told["whp_endpoints_open"]) == 1


async def test_an_old_refusal_of_one_update_is_no_failing(pool: Pool) -> None:
    async with receiving(pool, answers=[400]) as receiver:
        (ref,) = await cases(pool, receiver.employer, 1)
        async with sending(pool):
            await until(status_of(pool, ref, 1, "failed"))
    await look(pool, datetime.now(UTC) + 200 * HOUR)
    assert await pool.fetchval("SELECT enabled FROM endpoints WHERE employer = $1", receiver.employer)


async def failed(pool: Pool) -> dict[str, int]:
    """What /metrics says of updates that failed for good."""
    query = next(gauge.query for gauge in GAUGES if gauge.name == "whp_deliveries_failed")
    return {row["class"]: row["count"] for row in await pool.fetch(query)}


async def test_a_case_whose_newest_update_was_refused_is_told_until_a_later_one_is_made(pool: Pool) -> None:
    before = await failed(pool)
    async with receiving(pool, answers=[400, 404]) as receiver:
        first, second = await cases(pool, receiver.employer, 2)
        async with sending(pool):
            for ref in (first, second):
                await until(status_of(pool, ref, 1, "failed"))
            assert await failed(pool) == before | {"refused": before.get("refused", 0) + 2}
            await fold(pool, [revised(2, 9)], first)
            await until(status_of(pool, first, 2, "delivered"))
    assert await failed(pool) == before | {"refused": before.get("refused", 0) + 1}


async def test_what_failed_and_was_pulled_since_is_told_no_more(pool: Pool) -> None:
    before = await failed(pool)
    employer, (ref,) = await endpoint(pool)
    await tell(pool, employer, ref, 1)
    await pool.execute("UPDATE deliveries SET status = 'failed', reason = 'defect.KeyError' WHERE case_ref = $1", ref)
    assert await failed(pool) == before | {"defect": before.get("defect", 0) + 1}
    await pool.execute(
        "INSERT INTO disclosures (employer, case_ref, event_id, sequence, channel, scopes, bases, body_sha256)"
        " SELECT employer, case_ref, event_id, sequence, 'pull', scopes, bases, '' FROM deliveries WHERE case_ref = $1",
        ref,
    )
    assert await failed(pool) == before


async def test_a_disabled_endpoints_backlog_is_kept_for_thirty_days_and_then_recorded(pool: Pool) -> None:
    employer, (old, young) = await endpoint(pool, 2)
    await tell(pool, employer, old, 1)
    await tell(pool, employer, young, 1)
    await pool.execute("UPDATE endpoints SET enabled = false WHERE employer = $1", employer)
    await pool.execute("UPDATE deliveries SET created_at = now() - interval '2 days' WHERE case_ref = $1", old)
    await look(pool, datetime.now(UTC) + timedelta(days=29))
    rows = await pool.fetch("SELECT case_ref, status, reason FROM deliveries WHERE employer = $1", employer)
    assert {row["case_ref"]: (row["status"], row["reason"]) for row in rows} == {
        old: ("failed", "backlog_expired"),
        young: ("pending", None),
    }


async def test_an_employer_that_was_down_for_three_days_ends_with_exactly_what_it_may_know_in_order(
    pool: Pool,
) -> None:
    async with receiving(pool, down=True) as receiver:
        refs = await cases(pool, receiver.employer, 16)
        steady, revoked, early = refs[:8], refs[8:12], refs[12:]
        async with sending(pool, retry_scale=1.0):
            await nothing_due(pool, receiver.employer)
            for step in range(36):  # of two hours
                await let_pass(pool, receiver.employer, 2 * HOUR)
                if step == 10:
                    for ref in refs:
                        await fold(pool, [revised(2, 9)], ref)
                if step == 20:
                    for ref in steady:
                        await fold(pool, [ready()], ref)
                    for ref in revoked:
                        await fold(pool, [revoke(employer=receiver.employer)], ref)
                await look(pool, datetime.now(UTC))
                await nothing_due(pool, receiver.employer)
            assert receiver.taken == []
            receiver.down = False
            await let_pass(pool, receiver.employer, HOUR)
            for ref in steady:
                await until(status_of(pool, ref, 3, "delivered"))
            for ref in early:
                await until(status_of(pool, ref, 2, "delivered"))
            await nothing_due(pool, receiver.employer)
    told = {ref: [each for each in receiver.taken if each.case_ref == str(ref)] for ref in refs}
    assert all(told[ref] == [] for ref in revoked)
    assert {ref: told[ref][-1].outcome for ref in steady} == dict.fromkeys(steady, "ready")
    assert {ref: told[ref][-1].sequence for ref in early} == dict.fromkeys(early, 2)
    for ref in (*steady, *early):
        sequences = [each.sequence for each in told[ref]]
        assert sequences == sorted(set(sequences))
        assert [each.previous_sequence for each in told[ref]] == [0, *sequences[:-1]]
    rows = await pool.fetch(
        "SELECT case_ref, sequence, event_id, status, reason, attempts, superseded_by FROM deliveries"
        " WHERE employer = $1",
        receiver.employer,
    )
    assert {row["status"] for row in rows} == {"delivered", "withheld", "coalesced"}
    delivered = {(str(row["case_ref"]), row["sequence"]) for row in rows if row["status"] == "delivered"}
    assert delivered == {(each.case_ref, each.sequence) for each in receiver.taken}
    assert len(receiver.taken) == len(delivered)
    place = {row["event_id"]: (row["case_ref"], row["sequence"]) for row in rows}
    replaced = [row for row in rows if row["status"] == "coalesced"]
    assert all(place[row["superseded_by"]] == (row["case_ref"], row["sequence"] + 1) for row in replaced)
    assert {row["attempts"] for row in replaced} == {0}
    # Nobody who comes back is told last week's plan: the revised one was not tried anywhere before the signature came.
    assert {row["case_ref"] for row in replaced if row["sequence"] == 2} == set(steady)
    everything = {(row["case_ref"], row["sequence"]) for row in replaced if row["case_ref"] not in revoked}
    everything |= {(UUID(case), sequence) for case, sequence in delivered}
    assert everything == {(ref, n) for ref in steady for n in (1, 2, 3)} | {(ref, n) for ref in early for n in (1, 2)}
    kept_back = {row["case_ref"] for row in rows if row["reason"] == "not_permitted"}
    assert kept_back == set(revoked)
    assert await probes(pool, receiver) > 36, "it was tried all the time"


async def probes(pool: Pool, receiver: Receiver) -> int:
    return await pool.fetchval(
        "SELECT count(*) FROM delivery_attempts WHERE employer = $1 AND outcome = 'retry'", receiver.employer
    )
