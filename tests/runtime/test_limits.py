"""Token buckets by a given clock: never more than promised, never less, and nobody pays for another."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.limits import Bucket, Buckets, Rate, level, take

RATES = st.builds(Rate, st.floats(0.01, 1000), st.integers(1, 1000))
GAPS = st.lists(st.floats(0, 100), max_size=80)
"""Seconds between one request and the next."""
START = 1_000_000.0
"""A machine that has been up for twelve days."""

properly = settings(derandomize=True, deadline=None, max_examples=300)


def times(gaps: list[float]) -> list[float]:
    now, found = START, list[float]()
    for gap in gaps:
        now += gap
        found.append(now)
    return found


def taken(rate: Rate, at: list[float]) -> list[float]:
    """The moments at which a token was taken."""
    bucket, found = None, list[float]()
    for now in at:
        bucket, wait = take(bucket, rate, now)
        if wait == 0:
            found.append(now)
    return found


@properly
@given(RATES, GAPS)
def test_in_no_stretch_of_time_is_more_taken_than_the_burst_and_the_rate(rate: Rate, gaps: list[float]) -> None:
    moments = taken(rate, times(gaps))
    for first, start in enumerate(moments):
        for last in range(first, len(moments)):
            assert last - first + 1 <= rate.burst + (moments[last] - start) * rate.per_s + 0.001


@properly
@given(RATES, st.integers(1, 200))
def test_who_asks_no_faster_than_the_rate_is_never_refused(rate: Rate, requests: int) -> None:
    at = [START + number / rate.per_s for number in range(requests)]
    assert taken(rate, at) == at


@properly
@given(RATES, GAPS)
def test_who_waits_as_long_as_he_is_told_is_let_in(rate: Rate, gaps: list[float]) -> None:
    bucket = None
    for now in times(gaps):
        bucket, wait = take(bucket, rate, now)
        if wait:
            assert take(bucket, rate, now + wait)[1] == 0
            assert take(bucket, rate, now + max(1, math.ceil(wait)))[1] == 0, "as Retry-After says it"


@properly
@given(RATES, GAPS)
def test_a_refusal_costs_nothing(rate: Rate, gaps: list[float]) -> None:
    bucket = None
    for now in times(gaps):
        before = level(bucket, rate, now)
        bucket, wait = take(bucket, rate, now)
        assert level(bucket, rate, now) == (before if wait else max(0.0, before - 1))


@properly
@given(RATES, st.floats(0, 1000))
def test_a_clock_that_goes_back_gives_nothing(rate: Rate, back: float) -> None:
    bucket = Bucket(0.0, START)
    after, wait = take(bucket, rate, START - back)
    assert wait > 0
    assert after == bucket


@properly
@given(RATES, GAPS, st.integers(0, 500))
def test_whatever_others_ask_a_name_has_its_own_tokens(rate: Rate, gaps: list[float], others: int) -> None:
    alone, beside = Buckets(rate), Buckets(rate)
    for now in times(gaps):
        for other in range(min(others, 20)):
            beside.take(f"other-{other}", now)
        assert alone.take("mine", now) == beside.take("mine", now)
        assert alone.wait("mine", now) == beside.wait("mine", now)


def test_asking_how_long_takes_nothing() -> None:
    buckets = Buckets(Rate(1, 1))
    assert [buckets.wait("a", START) for _ in range(5)] == [0] * 5
    assert len(buckets) == 0
    assert buckets.take("a", START) == 0
    assert buckets.wait("a", START) == buckets.take("a", START) == 1


@properly
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 3)), max_size=120))
def test_ever_new_names_do_not_fill_the_memory(asked: list[tuple[int, float]]) -> None:
    buckets, now = Buckets(Rate(1, 2), most=8), START
    for name, gap in asked:
        now += gap
        buckets.take(str(name), now)
        assert len(buckets) <= 8


def test_of_too_many_names_those_that_are_owed_nothing_are_forgotten_first() -> None:
    buckets = Buckets(Rate(1, 2), most=3)
    for _ in range(2):
        buckets.take("busy", START)
    buckets.take("full again", START)
    buckets.take("late", START + 1.5)
    buckets.take("new", START + 1.5)
    assert len(buckets) == 3
    assert buckets.wait("busy", START + 0.5) > 0, "it has not been forgotten"
    for name in "abc":
        buckets.take(name, START + 1.5)
    assert len(buckets) == 3
