"""Which times a therapist offers: by the clock on his wall, over changes of the clock, and less what is booked."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.intake.consultations.slots import DAYS, Hours, Slot, bounds, free, offered

BERLIN = "Europe/Berlin"
MONDAY = date(2026, 3, 2)
EVERY = settings(derandomize=True, deadline=None, max_examples=150)
# Zones that leap an hour, half an hour (Lord Howe), at midnight (Santiago, Azores) and never; and the days they do.
LEAPS = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "America/Santiago": (date(2026, 4, 5), date(2026, 9, 6)),
    "Atlantic/Azores": (date(2026, 3, 29), date(2026, 10, 25)),
    "Asia/Kathmandu": (date(2026, 4, 14),),
}


def hours(*windows: tuple[str, str, str], zone: str = BERLIN, minutes: int = 30, **more: Any) -> Hours:
    weekly = [{"day": day, "opens": opens, "closes": closes} for day, opens, closes in windows]
    return Hours.model_validate({"zone": zone, "minutes": minutes, "weekly": tuple(weekly), **more})


def on_the_wall(times: list[Slot] | Any, zone: str = BERLIN) -> list[str]:
    return [f"{slot.starts.astimezone(ZoneInfo(zone)):%d %H:%M}" for slot in times]


def test_hours_are_cut_into_consultations_and_a_rest_is_not_offered() -> None:
    given_hours = hours(("monday", "09:00", "10:20"), ("monday", "14:00", "14:30"))
    assert on_the_wall(offered(given_hours, MONDAY, MONDAY + timedelta(days=7))) == [
        "02 09:00", "02 09:30", "02 14:00", "09 09:00", "09 09:30", "09 14:00",
    ]  # fmt: skip


def test_the_clock_on_the_wall_stands_whatever_the_offset_of_the_season_is() -> None:
    each = hours(("sunday", "09:00", "09:30"))
    before, after = (next(offered(each, day, day)) for day in (date(2026, 3, 22), date(2026, 3, 29)))
    assert (before.starts.hour, after.starts.hour) == (8, 7)


def test_an_hour_that_the_clock_leaps_over_is_not_offered() -> None:
    leap = date(2026, 3, 29)
    assert on_the_wall(offered(hours(("sunday", "01:00", "04:00")), leap, leap)) == [
        "29 01:00", "29 03:00", "29 03:30",
    ]  # fmt: skip


def test_an_hour_that_comes_twice_is_offered_once() -> None:
    back = date(2026, 10, 25)
    assert on_the_wall(offered(hours(("sunday", "02:00", "04:00")), back, back)) == ["25 02:00", "25 03:00", "25 03:30"]


def test_days_away_offer_nothing() -> None:
    away = ({"first": date(2026, 3, 9), "last": date(2026, 3, 16)},)
    each = hours(("monday", "09:00", "09:30"), away=away)
    assert on_the_wall(offered(each, MONDAY, date(2026, 3, 23))) == ["02 09:00", "23 09:00"]


def test_what_is_booked_is_not_free_whatever_hours_it_was_booked_under() -> None:
    begin = datetime(2026, 3, 2, 8, tzinfo=UTC)  # 09:00 in Berlin
    odd = Slot(begin + timedelta(minutes=45), begin + timedelta(minutes=75))  # of hours that began at 09:45
    found = free(hours(("monday", "09:00", "11:00")), [odd], begin, begin + timedelta(hours=3))
    assert on_the_wall(found) == ["02 09:00", "02 10:30"]


@pytest.mark.parametrize(
    ("windows", "more"),
    [
        ([("monday", "09:00", "09:00")], {}),
        ([("monday", "10:00", "09:00")], {}),
        ([("monday", "09:00", "11:00"), ("monday", "10:30", "12:00")], {}),
        ([("monday", "24:00", "24:30")], {}),
        ([("someday", "09:00", "10:00")], {}),
        ([], {"zone": "Europe/Atlantis"}),
        ([], {"zone": "../../etc/localtime"}),
        ([], {"minutes": 5}),
        ([], {"away": ({"first": date(2026, 3, 9), "last": date(2026, 3, 8)},)}),
    ],
)
def test_hours_that_cannot_be_kept_are_refused(windows: list[tuple[str, str, str]], more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        hours(*windows, **more)


def test_a_span_is_the_askers_days_less_what_is_too_soon_or_too_far() -> None:
    now, notice, ahead = datetime(2026, 3, 2, 20, tzinfo=UTC), timedelta(hours=12), timedelta(days=60)

    def span(first: date | None, days: int = 7) -> tuple[datetime, datetime]:
        return bounds(first, days, "America/New_York", now, notice, ahead)

    assert span(None) == (now + notice, datetime(2026, 3, 9, 4, tzinfo=UTC)), "New York has summer time since the 8th"
    assert span(date(1, 1, 1)) == span(None)
    assert span(date(2026, 3, 10), 1) == (datetime(2026, 3, 10, 4, tzinfo=UTC), datetime(2026, 3, 11, 4, tzinfo=UTC))
    assert span(date.max)[1] == now + ahead


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Hours, date]:
    """Hours in some zone, and a day around which its clock is changed."""
    zone = draw(st.sampled_from(sorted(LEAPS)))
    windows: list[tuple[str, str, str]] = []
    for day in draw(st.sets(st.sampled_from(DAYS), min_size=1)):
        marks = draw(st.lists(st.integers(0, 24 * 12 - 1), min_size=2, max_size=6, unique=True).map(sorted))
        clock = [f"{mark // 12:02}:{mark % 12 * 5:02}" for mark in marks]
        windows += [(day, *pair) for pair in zip(clock[::2], clock[1::2], strict=False)]
    return hours(*windows, zone=zone, minutes=draw(st.integers(10, 120))), draw(st.sampled_from(LEAPS[zone]))


@EVERY
@given(calendars())
def test_over_a_change_of_the_clock_every_time_is_within_the_hours_and_none_meets_another(
    drawn: tuple[Hours, date],
) -> None:
    given_hours, leap = drawn
    zone = ZoneInfo(given_hours.zone)
    slots = list(offered(given_hours, leap - timedelta(days=4), leap + timedelta(days=4)))
    for slot in slots:
        assert slot.ends - slot.starts == timedelta(minutes=given_hours.minutes)
        starts, ends = (at.astimezone(zone) for at in (slot.starts, slot.ends))
        assert starts.date() == ends.date()
        assert any(
            window.day == DAYS[starts.weekday()]
            and time.fromisoformat(window.opens) <= starts.time()
            and ends.time() <= time.fromisoformat(window.closes)
            for window in given_hours.weekly
        )
    assert all(before.ends <= after.starts for before, after in pairwise(slots))


@EVERY
@given(calendars(), st.data())
def test_what_is_free_and_what_is_taken_never_meet_and_together_are_all_that_is_offered(
    drawn: tuple[Hours, date], data: st.DataObject
) -> None:
    given_hours, leap = drawn
    zone = ZoneInfo(given_hours.zone)
    first, last = leap - timedelta(days=2), leap + timedelta(days=2)
    slots = list(offered(given_hours, first, last))
    taken = sorted(data.draw(st.sets(st.sampled_from(slots)))) if slots else []
    earliest, before = (datetime.combine(day, time.min, zone).astimezone(UTC) for day in (first, last))
    found = free(given_hours, taken, earliest, before)
    assert sorted([*found, *(slot for slot in taken if earliest <= slot.starts < before)]) == [
        slot for slot in slots if earliest <= slot.starts < before
    ]
