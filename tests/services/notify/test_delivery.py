"""When to try again, and when not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.delivery import SCHEDULE_S, following, outcome_of, retry_after_s, used_up, wait_s

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (301, "retry"),
        (307, "retry"),
        (400, "permanent"),
        (401, "permanent"),
        (404, "permanent"),
        (408, "retry"),
        (410, "gone"),
        (425, "retry"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ],
)
def test_a_status_means_one_thing(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    waits = [wait_s(attempt, 0.5) for attempt in range(1, 12)]
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, 86400, 86400]
    assert [used_up(attempt) for attempt in (9, 10)] == [False, True]


@settings(derandomize=True, deadline=None)
@given(attempt=st.integers(1, len(SCHEDULE_S)), random=st.floats(0, 1, exclude_max=True))
def test_jitter_moves_a_wait_by_at_most_a_fifth(attempt: int, random: float) -> None:
    wait = wait_s(attempt, random)
    assert 0.8 * SCHEDULE_S[attempt - 1] <= wait <= 1.2 * SCHEDULE_S[attempt - 1]


def test_an_endpoint_may_ask_for_more_time_but_not_for_less_or_for_ever() -> None:
    assert wait_s(1, 0.5, retry_after=60) == 60
    assert wait_s(2, 0.5, retry_after=60) == 300
    assert wait_s(1, 0.5, retry_after=10_000_000) == 86_400


def test_a_drill_shortens_the_schedule() -> None:
    assert wait_s(2, 0.5, scale=0.01) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 0 ", 0),
        ("Mon, 02 Mar 2026 12:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 11:00:00 GMT", 0),
        ("99999999999999999999", 86_400),
        ("-5", None),
        ("soon", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds


@settings(derandomize=True, deadline=None)
@given(header=st.text(max_size=60))
def test_no_header_of_an_endpoint_breaks_the_sender(header: str) -> None:
    wait = retry_after_s(header, NOW)
    assert wait is None or 0 <= wait <= 86_400


def test_an_update_names_the_one_that_was_sent_before_it() -> None:
    body = b'{"id":"u3","data":{"sequence":3,"previous_sequence":2}}'
    assert following(body, 2) is body
    assert json.loads(following(body, 1)) == {"id": "u3", "data": {"sequence": 3, "previous_sequence": 1}}
