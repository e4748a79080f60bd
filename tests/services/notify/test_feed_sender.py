"""A clinic's feed by webhook: all of it, in its order, to nobody else, whatever fails."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

import pytest
import structlog

from runtime.db import Pool
from runtime.fold import event_id
from services.notify.delivery import SCHEDULE_S
from services.notify.employers import EndpointRefused
from services.notify.feed_sender import LEASE_S, SQL, Failed, failed, webhook_id
from services.notify.gauges import GAUGES
from services.notify.health import DEAD_AFTER, LONGEST_WAIT, OPENS_AT
from services.notify.subscriptions import (
    add_subscription,
    enable_subscription,
    remove_subscription,
)
from services.notify.wire import Result
from tests.services.notify.cases import consent, event, grant, opened, plan, ready, rejected
from tests.services.notify.feeding import at_end, came, claim, is_so, let_pass, receiving, row_of, sending, tell
from tests.services.notify.receiving import until
from tests.services.notify.stored import fold
from workhardening_contracts.clinic import CaseErased

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DOWN = Result("retry", 503)


def known(failures: int = 0, since: datetime | None = None, warned_hours: int = 0) -> dict[str, Any]:
    return {"failures": failures, "failing_since": since, "warned_hours": warned_hours}


def after(times: int, result: Result = DOWN) -> Failed:
    """What is known after so many failures, each tried when the one before said."""
    row, now = known(), NOW
    for _ in range(times - 1):
        each = failed(row, result, now, 0.5)
        row, now = (
            known(each.failures, each.failing_since, each.warned_hours),
            now + timedelta(seconds=each.wait_s),
        )
    return failed(row, result, now, 0.5)


def test_the_first_in_line_is_tried_after_5_s_then_every_5_min_then_as_often_as_a_breaker_probes() -> None:
    waits = [after(times).wait_s for times in range(1, OPENS_AT + 8)]
    assert waits[:OPENS_AT] == [SCHEDULE_S[0], *[SCHEDULE_S[1]] * (OPENS_AT - 1)]
    assert waits[-1] == LONGEST_WAIT.total_seconds()
    assert waits == sorted(waits)


def test_a_clinic_may_ask_for_a_longer_pause() -> None:
    assert failed(known(), Result("retry", 503, retry_after=3600.0), NOW, 0.5).wait_s == 3600.0


@pytest.mark.parametrize("result", [DOWN, Result("permanent", 400), Result("permanent", error="address_refused")])
def test_whatever_is_not_a_2xx_lets_the_line_wait_and_counts(result: Result) -> None:
    assert after(3, result).failures == 3
    assert after(3, result).disabled is None
    assert after(3, result).failing_since == NOW


@pytest.mark.parametrize(
    ("hours", "warned", "now_warned", "disabled"),
    [
        (0.9, 0, 0, None),
        (1, 0, 1, None),
        (2, 1, 1, None),
        (12, 1, 12, None),
        (72, 12, 72, None),
        (119, 72, 72, None),
        (120, 72, 72, "dead"),
    ],
)
def test_a_webhook_is_warned_of_three_times_and_disabled_after_five_days(
    hours: float, warned: int, now_warned: int, disabled: Literal["dead"] | None
) -> None:
    said = failed(known(50, NOW - hours * HOUR, warned), DOWN, NOW, 0.5)
    assert (said.warned_hours, said.disabled) == (now_warned, disabled)


def test_one_that_says_it_is_gone_is_disabled_at_once() -> None:
    assert failed(known(), Result("gone", 410), NOW, 0.5).disabled == "gone"


def test_an_id_of_ours_goes_into_a_header_without_its_full_stop_and_stays_its_own() -> None:
    ids = [event_id("planning", plan(), nth) for nth in range(50)] + ["intake.clinic.events.v1.3.17"]
    headers = {webhook_id(each) for each in ids}
    assert len(headers) == len(ids)
    assert not any("." in each for each in headers)


@pytest.mark.stack
async def test_a_clinic_is_sent_what_its_feed_shows_in_that_order_and_nothing_of_another(pool: Pool) -> None:
    async with receiving(pool, name="north") as north, receiving(pool) as other:
        ref = await fold(pool, [opened(), consent(grant())])
        others = await tell(pool, other, 3)
        await fold(pool, [plan(), ready(), rejected(plan())], ref)
        async with sending(pool):
            await at_end(pool, north)
            await at_end(pool, other)
    rows = await pool.fetch(SQL["read_feed"], "north", "0", 0, 1000)
    shown = [json.loads(row["event"]) for row in rows]
    assert north.events() == [each for each in shown if each["subject"] == str(ref)]
    assert len(north.came) == 5
    assert list(other.taken) == others


@pytest.mark.stack
@pytest.mark.parametrize("from_start", [True, False])
async def test_a_subscription_begins_now_or_at_the_start_and_skips_no_late_commit(pool: Pool, from_start: bool) -> None:
    async with receiving(pool) as clinic, pool.acquire() as late, pool.acquire() as connection:
        await remove_subscription(connection, clinic.name)
        before = await tell(pool, clinic, 2)
        transaction = late.transaction()
        await transaction.start()
        first = await tell(late, clinic)
        clinic.keys = await add_subscription(connection, clinic.name, clinic.url, from_start=from_start, local=True)
        then = await tell(pool, clinic)
        assert from_start or await claim(pool) == [], "a row of an older transaction may still come"
        await transaction.commit()
        then += await tell(pool, clinic)
        async with sending(pool):
            await at_end(pool, clinic)
    assert list(clinic.taken) == [*(before if from_start else []), *first, *then]


@pytest.mark.stack
async def test_what_fails_is_tried_again_and_nothing_comes_before_it(pool: Pool) -> None:
    async with receiving(pool, answers=[500, 429, 302, 400, 204, 503]) as clinic:
        ids = await tell(pool, clinic, 3)
        async with sending(pool):
            await at_end(pool, clinic)
        row = await row_of(pool, clinic)
    first, second, third = (webhook_id(each) for each in ids)
    assert clinic.came == [first] * 5 + [second] * 2 + [third]
    assert list(clinic.taken) == ids
    assert (row["failures"], row["failing_since"], row["last_status"], row["last_error"]) == (0, None, 204, None)


@pytest.mark.stack
async def test_two_workers_at_once_send_each_event_once_and_one_at_a_time(pool: Pool) -> None:
    async with receiving(pool) as clinic, receiving(pool) as other:
        ids, others = await tell(pool, clinic, 40), await tell(pool, other, 40)
        async with sending(pool), sending(pool):
            await at_end(pool, clinic)
            await at_end(pool, other)
    assert clinic.came == [webhook_id(each) for each in ids]
    assert other.came == [webhook_id(each) for each in others]
    assert (clinic.most_at_once, other.most_at_once) == (1, 1)


@pytest.mark.stack
async def test_a_killed_workers_line_comes_back_when_its_lease_ends_and_goes_on_under_the_same_id(pool: Pool) -> None:
    async with receiving(pool, hold=asyncio.Event()) as clinic:
        ids = await tell(pool, clinic, 2)
        async with sending(pool):
            await came(clinic, 1)
        assert clinic.hold is not None
        clinic.hold.set()
        assert await claim(pool) == []
        await let_pass(pool, clinic, timedelta(seconds=LEASE_S))
        async with sending(pool):
            await at_end(pool, clinic)
    assert clinic.came == [webhook_id(ids[0]), webhook_id(ids[0]), webhook_id(ids[1])]
    assert list(clinic.taken) == ids


@pytest.mark.stack
async def test_a_worker_that_lost_its_lease_moves_nothing(pool: Pool) -> None:
    async with receiving(pool) as clinic:
        await tell(pool, clinic, 3)
        (slow,) = await claim(pool)
        await let_pass(pool, clinic, timedelta(seconds=LEASE_S))
        async with sending(pool):
            await at_end(pool, clinic)
        before = await row_of(pool, clinic)
        await pool.execute(SQL["move_cursor"], clinic.name, uuid4(), slow["xid"], slow["id"], 204)
        failure = (5.0, 1, NOW, 0, "gone", 410, None)
        assert await pool.fetchval(SQL["keep_failure"], clinic.name, uuid4(), *failure) is None
        assert await row_of(pool, clinic) == before


@pytest.mark.stack
async def test_a_clinic_that_hangs_does_not_hold_up_another(pool: Pool) -> None:
    async with receiving(pool, hold=asyncio.Event()) as slow, receiving(pool) as quick:
        await tell(pool, slow, 5)
        ids = await tell(pool, quick, 20)
        async with sending(pool):
            await came(slow, 1)
            await at_end(pool, quick)
            assert len(slow.came) == 1
            assert slow.hold is not None
            slow.hold.set()
            await at_end(pool, slow)
    assert list(quick.taken) == ids


@pytest.mark.stack
async def test_an_erased_case_is_passed_over_also_when_it_stands_first_and_waits(pool: Pool) -> None:
    erased = event(CaseErased(reason_code="worker_request"), "erased")
    async with receiving(pool, name="north", down=True) as north:
        first, second = [await fold(pool, [opened(), consent(grant())]) for _ in range(2)]
        async with sending(pool, retry_scale=1.0):
            await until(is_so(pool, north, "failures = 1"))
        await fold(pool, [erased], first)
        north.down = False
        await let_pass(pool, north, HOUR)
        async with sending(pool):
            await at_end(pool, north)
    assert {each["subject"] for each in north.events()} == {str(second)}
    assert len(north.events()) == 2


@pytest.mark.stack
@pytest.mark.parametrize("why", ["gone", "dead"])
async def test_a_webhook_that_was_disabled_goes_on_where_it_was_once_it_has_answered_its_challenge(
    pool: Pool, why: str
) -> None:
    async with receiving(pool, answers=[204, 410 if why == "gone" else 503]) as clinic:
        ids = await tell(pool, clinic, 4)
        with structlog.testing.capture_logs() as logs:
            async with sending(pool, retry_scale=1.0):
                await until(is_so(pool, clinic, "failures = 1"))
                if why == "dead":
                    clinic.down = True
                    await let_pass(pool, clinic, DEAD_AFTER)
                await until(is_so(pool, clinic, "NOT enabled"))
        assert f"clinic's webhook is {why} and was disabled; its feed can be pulled" in [log["event"] for log in logs]
        assert (await row_of(pool, clinic))["disabled_reason"] == why
        assert await claim(pool) == []
        clinic.down, clinic.answers = False, [500]
        async with pool.acquire() as connection:
            with pytest.raises(EndpointRefused, match="status 500"):
                await enable_subscription(connection, clinic.name, local=True)
            assert not (await row_of(pool, clinic))["enabled"]
            await enable_subscription(connection, clinic.name, local=True)
        async with sending(pool, retry_scale=1.0):
            await at_end(pool, clinic)
    assert list(clinic.taken) == ids


@pytest.mark.stack
async def test_a_clinic_that_was_down_for_three_days_is_warned_of_and_ends_with_all_of_its_feed(pool: Pool) -> None:
    async with receiving(pool, down=True) as clinic:
        ids: list[str] = []
        with structlog.testing.capture_logs() as logs:
            async with sending(pool, retry_scale=1.0):
                for times, hours in enumerate((1, 11, 60, 1)):
                    ids += await tell(pool, clinic, 3)
                    await until(is_so(pool, clinic, f"failures > {times} AND lease IS NULL"))
                    clinic.down = hours != 1 or times == 0
                    await let_pass(pool, clinic, hours * HOUR)
                await at_end(pool, clinic)
    assert [log["hours"] for log in logs if log["event"] == "clinic's webhook takes nothing"] == [1, 12, 72]
    assert list(clinic.taken) == ids
    assert clinic.came == [webhook_id(ids[0])] * 4 + [webhook_id(each) for each in ids]


@pytest.mark.stack
async def test_a_webhook_that_takes_nothing_is_told_to_metrics_while_something_waits_for_it(pool: Pool) -> None:
    query = next(gauge.query for gauge in GAUGES if gauge.name == "whp_endpoints_failing_seconds")
    async with receiving(pool) as clinic:
        await pool.execute(
            "UPDATE subscriptions SET failures = 3, failing_since = now() - interval '2 h' WHERE clinic = $1",
            clinic.name,
        )
        assert await pool.fetchval(query) == 0
        await tell(pool, clinic)
        assert await pool.fetchval(query) >= 7200
