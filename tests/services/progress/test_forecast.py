from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.progress.forecast import crossing, forecast, slope_interval, warnings
from services.progress.policy import Policy

# Sen's own kind of example, worked by hand: ten slopes of five weeks.
FIVE = [(1, 0.40), (2, 0.52), (3, 0.55), (4, 0.70), (5, 0.72)]


def test_the_slope_is_the_median_of_all_pairs_and_its_interval_has_sens_ranks() -> None:
    # Sorted: .02 .03 .066 .075 .08 .085 .09 .1 .12 .15; C = 1.2816 sqrt(5*4*15/18) = 5.232, ranks 2.38 and 8.62.
    interval = slope_interval(FIVE, 3)
    assert interval is not None
    low, middle, high = interval
    assert middle == pytest.approx((0.08 + 0.085) / 2, abs=1e-3)
    assert low == pytest.approx(0.03 + 0.38 * (0.2 / 3 - 0.03), abs=1e-3)
    assert high == pytest.approx(0.10 + 0.62 * (0.12 - 0.10), abs=1e-3)


def test_the_crossing_lies_between_the_ends_of_its_interval() -> None:
    found = crossing(FIVE, 3)
    assert found is not None
    expected, earliest, latest = found
    assert 5 < earliest < expected < latest


def test_two_weeks_are_no_trend() -> None:
    assert crossing([(1, 0.4), (2, 0.6)], 3) is None
    assert forecast({"lift": [(1, 0.4), (2, 0.6)]}, 2, 3, barred=False).status == "insufficient_data"


def test_no_growth_is_no_forecast() -> None:
    assert (
        forecast({"lift": [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.5)]}, 4, 3, barred=False).status == "insufficient_data"
    )


def test_growth_that_may_be_none_is_no_forecast() -> None:
    assert forecast({"lift": [(1, 0.5), (2, 0.7), (3, 0.4)]}, 3, 3, barred=False).status == "insufficient_data"


def test_one_wild_week_does_not_move_the_expected_week_much() -> None:
    steady = [(week, 0.1 * week) for week in range(1, 8)]
    wild = [*steady[:3], (4, 0.9), *steady[4:]]
    before, after = crossing(steady, 3), crossing(wild, 3)
    assert before is not None
    assert after is not None
    assert after[0] == pytest.approx(before[0], abs=0.5)


def test_the_last_demand_to_be_met_decides() -> None:
    fast = [(1, 0.5), (2, 0.6), (3, 0.7)]
    slow = [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert forecast({"a": fast, "b": slow}, 3, 3, barred=False).week == pytest.approx(10.0)


def test_one_demand_without_a_trend_leaves_the_whole_open() -> None:
    assert forecast({"a": [(1, 0.5), (2, 0.6), (3, 0.7)], "b": []}, 3, 3, barred=False).status == "insufficient_data"


def test_nothing_unmet_is_reached() -> None:
    reached = forecast({}, 6, 3, barred=False)
    assert (reached.status, reached.week) == ("reached", 6.0)


def test_nothing_unmet_is_not_reached_while_something_else_stands_in_the_way() -> None:
    barred = forecast({}, 6, 3, barred=True)
    assert (barred.status, barred.week) == ("insufficient_data", None)


def test_the_policy_may_ask_for_more_weeks_than_three() -> None:
    assert crossing(FIVE[:4], 4) is not None
    assert crossing(FIVE[:4], 5) is None


def test_what_should_have_been_met_by_now_is_expected_with_the_next_week_at_the_earliest() -> None:
    overdue = forecast({"a": [(1, 0.9), (2, 1.0), (3, 1.1)]}, 5, 3, barred=False)
    assert (overdue.week, overdue.earliest) == (6.0, 6.0)


def test_a_week_beyond_any_program_is_no_forecast() -> None:
    assert forecast({"a": [(1, 0.1), (2, 0.101), (3, 0.102)]}, 3, 3, barred=False).status == "insufficient_data"


@settings(derandomize=True, deadline=None)
@given(st.floats(0.01, 0.2), st.floats(0, 0.3), st.integers(3, 9))
def test_a_straight_line_is_forecast_exactly(slope: float, start: float, weeks: int) -> None:
    found = crossing([(week, start + slope * week) for week in range(1, weeks + 1)], 3)
    assert found is not None
    assert found == pytest.approx([(1 - start) / slope] * 3, rel=1e-6)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.floats(0, 1.5)), max_size=12, unique_by=lambda point: point[0]))
def test_whatever_the_weeks_the_expected_week_lies_in_its_interval_and_not_in_the_past(
    points: list[tuple[int, float]],
) -> None:
    found = forecast({"a": points}, 12, 3, barred=False)
    if found.status == "expected":
        assert found.week is not None
        assert found.earliest is not None
        assert found.latest is not None
        assert 13 <= found.earliest <= found.week <= found.latest <= 200
        assert all(each == int(each) for each in (found.earliest, found.week, found.latest))


def test_a_line_that_is_reached_within_a_week_is_expected_at_that_weeks_close() -> None:
    found = forecast({"a": [(week, 0.1 + 0.125 * week) for week in range(1, 5)]}, 4, 4, barred=False)  # at 7.2
    assert (found.week, found.earliest, found.latest) == (8.0, 8.0, 8.0)


def test_three_weeks_are_too_few_by_default_since_their_slopes_span_no_interval_of_80_percent() -> None:
    fewest = Policy().forecast_weeks
    three = [(1, 0.4), (2, 0.5), (3, 0.6)]
    assert forecast({"a": three}, 3, fewest, barred=False).status == "insufficient_data"
    assert forecast({"a": [*three, (4, 0.7)]}, 4, fewest, barred=False).status == "expected"


RISING = [(1, 0.40), (2, 0.48), (3, 0.56), (4, 0.64), (5, 0.72)]


def test_a_demand_that_hardly_grew_over_its_latest_weeks_is_a_plateau_with_those_weeks_and_slopes() -> None:
    stuck = [*RISING[:3], (4, 0.57), (5, 0.57), (6, 0.56), (7, 0.57)]
    found = warnings({"lift/-/occasional": stuck}, 8, 4, 0.02)[0]
    assert (found.code, found.demand, found.from_week, found.through_week) == ("plateau", "lift/-/occasional", 4, 7)
    assert found.slope_low <= found.slope <= found.slope_high < 0.02
    assert found.slope == pytest.approx(0.0, abs=1e-9)


def test_a_demand_that_is_reached_only_after_the_last_week_is_late_with_its_slope() -> None:
    slow = [(week, 0.4 + 0.05 * week) for week in range(1, 6)]
    (found,) = warnings({"lift/-/occasional": slow}, 8, 4, 0.02)
    assert (found.code, found.from_week, found.through_week) == ("late", 1, 5)
    assert found.slope == pytest.approx(0.05)


def test_steady_growth_that_arrives_in_time_warns_of_nothing_and_neither_do_too_few_weeks() -> None:
    assert warnings({"lift/-/occasional": RISING}, 9, 4, 0.02) == ()
    assert warnings({"lift/-/occasional": [(1, 0.5), (2, 0.5), (3, 0.5)]}, 8, 4, 0.02) == ()


def test_the_order_of_the_weeks_does_not_matter() -> None:
    unmet = {"lift/-/occasional": [(week, 0.4 + 0.05 * week + 0.01 * (week % 2)) for week in range(1, 7)]}
    turned = {key: points[::-1] for key, points in unmet.items()}
    assert warnings(unmet, 8, 4, 0.02) == warnings(turned, 8, 4, 0.02)
    assert forecast(unmet, 6, 4, barred=False) == forecast(turned, 6, 4, barred=False)
