"""Which times are free: a therapist's weekly hours on the clock of where he works, less what is booked. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from workhardening_contracts.contract import Contract

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = get_args(Day)

ZONES = frozenset(available_timezones())


def _known(zone: str) -> str:
    if zone not in ZONES:
        raise ValueError("name a time zone of the IANA database, such as Europe/Berlin")
    return zone


Zone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known)]
"""A time zone's IANA name. One that is not known is never looked for among the files."""

Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of day as the clock on the wall shows it."""


class Window(Contract):
    """Hours of one day of the week."""

    day: Day
    opens: Clock
    closes: Clock


class Away(Contract):
    """Days on which there are no consultations: holidays, leave."""

    first: date
    last: date


class Hours(Contract):
    """When a therapist gives consultations, week by week."""

    zone: Zone
    """Where the clock hangs that the hours are read from."""
    minutes: Annotated[int, Field(ge=10, le=120)] = 30
    """How long one consultation takes."""
    weekly: Annotated[tuple[Window, ...], Field(max_length=42)]
    away: Annotated[tuple[Away, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if any(window.opens >= window.closes for window in self.weekly):
            raise ValueError("hours close later than they open, on the same day")
        if any(leave.first > leave.last for leave in self.away):
            raise ValueError("the last day away is not before the first")
        for before, after in pairwise(sorted(self.weekly, key=lambda window: (window.day, window.opens))):
            if before.day == after.day and after.opens < before.closes:
                raise ValueError("the hours of a day do not overlap")
        return self


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A time for one consultation, in UTC."""

    starts: datetime
    ends: datetime


def offered(hours: Hours, first: date, last: date) -> Iterator[Slot]:
    """The times of these days (the therapist's own, both included), in order, booked or not."""
    zone, length = ZoneInfo(hours.zone), timedelta(minutes=hours.minutes)
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        if any(leave.first <= day <= leave.last for leave in hours.away):
            continue
        today = (window for window in hours.weekly if window.day == DAYS[day.weekday()])
        for window in sorted(today, key=lambda window: window.opens):
            wall = datetime.combine(day, time.fromisoformat(window.opens))
            closes = datetime.combine(day, time.fromisoformat(window.closes))
            while wall + length <= closes:
                if slot := _on_the_clock(wall, length, zone):
                    yield slot
                wall += length


def free(hours: Hours, taken: Sequence[Slot], earliest: datetime, before: datetime) -> list[Slot]:
    """The times that begin from `earliest` on and before `before`, less those that meet one of `taken`.

    `taken` is sorted, and none of it overlaps: a therapist is with one person at a time.
    """
    zone = ZoneInfo(hours.zone)
    candidates = offered(hours, earliest.astimezone(zone).date(), before.astimezone(zone).date())
    return [slot for slot in candidates if earliest <= slot.starts < before and not _meets(slot, taken)]


def bounds(
    first: date | None, days: int, zone: str, now: datetime, notice: timedelta, horizon: timedelta
) -> tuple[datetime, datetime]:
    """From when and before when times may begin, asked for as `days` days from `first` on by the asker's clock.

    Days that are gone or too far away are asked for in vain, not refused: whoever turns pages passes them.
    """
    clock = ZoneInfo(zone)
    today = now.astimezone(clock).date()
    begin = min(max(first or today, today), today + horizon)
    midnight, end = (datetime.combine(day, time.min, clock) for day in (begin, begin + timedelta(days=days)))
    return max(midnight.astimezone(UTC), now + notice), min(end.astimezone(UTC), now + horizon)


def _meets(slot: Slot, taken: Sequence[Slot]) -> bool:
    index = bisect_left(taken, slot.ends, key=lambda one: one.starts)
    return index > 0 and taken[index - 1].ends > slot.starts


def _on_the_clock(wall: datetime, length: timedelta, zone: ZoneInfo) -> Slot | None:
    """The slot that the clock on the wall shows, or None where the clock is changed meanwhile.

    A time that the clock leaps over does not exist, and one around which it is set back would be read in two ways.
    """
    starts, ends = (at.replace(tzinfo=zone).astimezone(UTC) for at in (wall, wall + length))
    shown = tuple(at.astimezone(zone).replace(tzinfo=None, fold=0) for at in (starts, ends))
    return Slot(starts, ends) if ends - starts == length and shown == (wall, wall + length) else None
