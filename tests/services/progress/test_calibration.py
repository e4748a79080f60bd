"""The forecast's 80 % interval holds as often as it says, on a cohort of a fixed seed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.services.progress.calibration import Course, courses, coverage, warned

Cohort = Sequence[Course]


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return tuple(courses(150, 1))


def test_the_interval_holds_in_75_to_85_percent_of_the_forecasts_of_cases_that_become_ready(cohort: Cohort) -> None:
    found = coverage(cohort)
    assert found.expected > 200
    assert 0.75 <= found.share <= 0.85
    assert found.held + found.sooner + found.later == found.expected


def test_from_the_fourth_week_on_nearly_every_case_has_a_forecast_and_none_before(cohort: Cohort) -> None:
    assert [coverage(cohort, week).expected for week in (1, 2, 3)] == [0, 0, 0]
    later = coverage(cohort, 5)
    assert later.expected > 0.9 * later.made


def test_a_plateau_is_warned_of_where_the_worker_has_one(cohort: Cohort) -> None:
    by = warned(cohort, "plateau")
    assert by["plateau", True] > by["plateau", False]
    assert by["full", False] > 4 * by["full", True]
