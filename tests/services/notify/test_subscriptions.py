"""What operators do with a clinic's webhook: add, enable, list, ping and remove it; and where it may lead."""

from __future__ import annotations

from uuid import uuid4

import pytest

from runtime.db import Pool
from services.notify.address import Refused
from services.notify.employers import EndpointRefused
from services.notify.subscriptions import (
    add_subscription,
    enable_subscription,
    list_subscriptions,
    ping_subscription,
    remove_subscription,
)
from tests.services.notify.feeding import Clinic, claim, is_so, receiving, row_of, sending, tell
from tests.services.notify.receiving import until

pytestmark = pytest.mark.stack


async def test_a_new_webhook_gets_nothing_before_its_challenge_and_a_second_one_is_refused(pool: Pool) -> None:
    name = f"c-{uuid4().hex[:8]}"
    async with pool.acquire() as connection:
        added = await add_subscription(connection, name, "https://clinic.invalid/feed", from_start=True)
        assert not added.enabled
        await tell(connection, Clinic(name))
        assert await claim(pool) == []
        with pytest.raises(EndpointRefused, match="name_not_resolved"):
            await enable_subscription(connection, name)
        with pytest.raises(EndpointRefused, match="has a webhook already"):
            await add_subscription(connection, name, "https://clinic.invalid/other")
        (listed,) = [each for each in await list_subscriptions(connection) if each.clinic == name]
        assert (listed.enabled, listed.disabled_reason, listed.pending) == (False, "unverified", 1)
        assert (listed.public_key, listed.position) == (added.public_key, "0.0")
        assert added.hmac_secret not in repr(listed)
        await remove_subscription(connection, name)
        for act in (enable_subscription, ping_subscription, remove_subscription):
            with pytest.raises(EndpointRefused, match="add one first"):
                await act(connection, name)


@pytest.mark.parametrize(
    "url",
    [
        "http://clinic.example/feed",
        "https://clinic.example:8443/feed",
        "https://clinic.example@10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://intranet/",
        "file:///etc/passwd",
    ],
)
async def test_a_webhook_goes_to_public_https_only_when_it_is_added_and_at_each_attempt(pool: Pool, url: str) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(Refused):
            await add_subscription(connection, f"c-{uuid4().hex[:8]}", url)
    async with receiving(pool) as clinic:  # whoever wrote the row
        await pool.execute("UPDATE subscriptions SET url = $2 WHERE clinic = $1", clinic.name, url)
        await tell(pool, clinic)
        async with sending(pool, retry_scale=1.0):
            await until(is_so(pool, clinic, "failures = 1"))
        assert (await row_of(pool, clinic))["last_error"] == "address_refused"


async def test_a_ping_tells_of_nobody_and_moves_nothing(pool: Pool) -> None:
    async with receiving(pool, answers=[204, 500]) as clinic, pool.acquire() as connection:
        await tell(pool, clinic)
        before = await row_of(pool, clinic)
        assert (await ping_subscription(connection, clinic.name, local=True)).outcome == "delivered"
        assert (await ping_subscription(connection, clinic.name, local=True)).status == 500
        assert await row_of(pool, clinic) == before
        assert clinic.came == []
