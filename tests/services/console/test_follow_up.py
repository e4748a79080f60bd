"""When a case is asked how it went, and which word on it stands: pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.follow_up import LAPSES, MONTHS, months_later, standing
from tests.services.console.cases import line_of
from tests.services.notify.cases import MONDAY, closed, event, opened, plan, readiness_revoked, ready, rejected
from workhardening_contracts.clinic import FollowUpRecorded
from workhardening_contracts.envelope import Event

OVER = [opened(), plan(), ready(), closed()]


def followed(id: str, month: Any = 1, *, day: int = 0, working: Any = "usual_job") -> Event[FollowUpRecorded]:
    on = MONDAY + timedelta(days=90 + day)
    return event(FollowUpRecorded(month=month, as_of=on, reinjured="no", working=working), id, on=on)


def words(*events: Event[Any]) -> dict[int, str | None]:
    return {row.month: row.working for row in line_of(*events).follow_ups}


@pytest.mark.parametrize(
    ("on", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2027, 11, 30), 3, date(2028, 2, 29)),
        (date(2026, 3, 15), 12, date(2027, 3, 15)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_months_last(on: date, months: int, expected: date) -> None:
    assert months_later(on, months) == expected


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_each_month_comes_before_it_lapses_and_lapses_when_the_next_one_comes(on: date) -> None:
    due = [months_later(on, month) for month in MONTHS]
    lapsed = [months_later(on, LAPSES[month]) for month in MONTHS]
    assert due == sorted(due)
    assert lapsed[:-1] == due[1:]
    assert lapsed[-1] > due[-1]


def test_a_month_is_overdue_after_thirty_days() -> None:
    due_on = date(2026, 3, 1)
    assert [standing(due_on, due_on + timedelta(days=days)) for days in (0, 30, 31)] == ["due", "due", "overdue"]


def test_a_case_that_completed_the_program_is_asked_four_times() -> None:
    rows = line_of(*OVER).follow_ups
    assert [(row.month, row.returned, row.working) for row in rows] == [(month, True, None) for month in (1, 3, 6, 12)]
    assert not any(row.returned for row in line_of(opened(), plan(), closed("not_ready")).follow_ups)
    assert not any(row.returned for row in line_of(*OVER, readiness_revoked()).follow_ups)


@pytest.mark.parametrize("outcome", ["discontinued", "withdrawn"])
def test_nobody_is_asked_who_left_or_is_there_still(outcome: Any) -> None:
    assert line_of(opened(), plan()).follow_ups == ()
    assert line_of(opened(), plan(), closed(outcome), followed("f-1")).follow_ups == ()


def test_the_latest_word_on_a_month_stands_by_its_date_and_then_by_its_place() -> None:
    begun = [*OVER, followed("f-1", working="not_working", day=5)]
    assert words(*begun)[1] == "not_working"
    assert words(*begun, followed("f-2", day=4))[1] == "not_working", "an earlier date says nothing new"
    assert words(*begun, followed("f-2", day=5))[1] == "usual_job", "a correction of the same day"
    assert words(*begun, followed("f-3", 3, day=60))[1] == "not_working"
    assert words(*begun, followed("f-3", 3, day=60))[3] == "usual_job"


def test_a_refused_word_counts_for_nothing_whichever_was_read_first() -> None:
    first, second = followed("f-1", working="not_working"), followed("f-2", day=1)
    refused = rejected(second)
    assert words(*OVER, first, second, refused)[1] == "not_working"
    assert words(*OVER, refused, first, second)[1] == "not_working"


def test_a_word_that_came_before_the_end_was_known_counts_from_then_on() -> None:
    assert words(opened(), plan(), followed("f-1"), ready(), closed())[1] == "usual_job"
    assert words(followed("f-1"), *OVER)[1] == "usual_job", "before the case was known at all"
