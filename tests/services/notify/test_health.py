"""When an endpoint is left alone, when people are told, and when it is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.health import (
    BACKLOG_KEPT,
    DEAD_AFTER,
    FIRST_WAIT,
    LONGEST_WAIT,
    OPENS_AT,
    Health,
    after_failure,
    is_dead,
    proven,
    warning,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def failed(times: int, *, answered: bool = False) -> Health:
    health = Health()
    for nth in range(times):
        health = after_failure(health, NOW + nth * timedelta(seconds=1), answered=answered)
    return health


def test_the_tenth_failure_in_a_row_opens_the_breaker_and_the_ninth_does_not() -> None:
    assert failed(OPENS_AT - 1).open_until is None
    assert failed(OPENS_AT).open_until == NOW + timedelta(seconds=9) + FIRST_WAIT


def test_each_probe_that_fails_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    waits: list[timedelta] = []
    health = failed(OPENS_AT)
    for _ in range(7):
        assert health.open_until is not None
        now = health.open_until
        health = after_failure(health, now, answered=False)
        assert health.open_until is not None
        waits.append(health.open_until - now)
    assert [wait.total_seconds() for wait in waits] == [60, 120, 240, 480, 900, 900, 900]
    assert waits[-1] == LONGEST_WAIT


def test_failing_begins_with_the_first_failure_and_stays_there() -> None:
    assert failed(1).failing_since == NOW
    assert failed(30).failing_since == NOW


def test_an_endpoint_that_refuses_one_update_is_not_failing_and_one_that_refuses_ten_is() -> None:
    assert failed(OPENS_AT - 1, answered=True).failing_since is None
    assert failed(OPENS_AT, answered=True).failing_since is not None


@settings(derandomize=True, deadline=None)
@given(answers=st.lists(st.booleans(), max_size=60))
def test_the_breaker_is_open_exactly_from_ten_failures_in_a_row_on(answers: list[bool]) -> None:
    health = Health()
    for nth, answered in enumerate(answers):
        health = after_failure(health, NOW + nth * HOUR, answered=answered)
        assert health.failures == nth + 1
        assert (health.open_until is not None) == (health.failures >= OPENS_AT)


@pytest.mark.parametrize(
    ("hours", "warned", "warns_of"),
    [(0.9, 0, None), (1, 0, 1), (3, 1, None), (12, 1, 12), (72, 12, 72), (100, 72, None), (100, 0, 72)],
)
def test_people_are_warned_once_at_each_step(hours: float, warned: int, warns_of: int | None) -> None:
    assert warning(NOW - hours * HOUR, warned, NOW) == warns_of


def test_an_endpoint_is_dead_after_five_days_and_its_backlog_is_kept_for_thirty() -> None:
    assert not is_dead(NOW - DEAD_AFTER + HOUR, NOW)
    assert is_dead(NOW - DEAD_AFTER, NOW)
    assert (DEAD_AFTER.days, BACKLOG_KEPT.days) == (5, 30)


def test_an_endpoint_that_took_something_within_a_day_works() -> None:
    assert proven(NOW - 23 * HOUR, NOW)
    assert not proven(NOW - 25 * HOUR, NOW)
    assert not proven(None, NOW)
