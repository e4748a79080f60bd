"""The sessions of a case as they were reported: by date, corrected, and when each report came.

A week is judged on what was reported before it was closed, whenever the judging happens. So the log keeps for each
report the last day that was closed before it, and a view of the log "as of" a closed day leaves later reports out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Literal, NamedTuple, cast

from pydantic.dataclasses import dataclass

from workhardening_contracts.clinic import Performed, Session
from workhardening_contracts.contract import Contract
from workhardening_contracts.demand import Frequency
from workhardening_contracts.quantity import Amount, Unit


@dataclass(slots=True, config=Contract.model_config)
class Entry:
    """One report of one session: only what decisions need. No model, since a state holds some fifteen of them: they are
    read in 0.6 of the time, and 500 cases take 25 MB instead of 32."""

    id: str
    """The id of the event that reported it."""
    reported_after: date | None
    """The last day that was closed when the report came; null before any."""
    held_on: date
    attendance: Literal["attended", "partial", "excused", "absent"]
    hours: float
    performed: str
    """What was performed, as `written` has it. Text until a week is judged, which is one event in five: all of a case's
    rows are read and written again with each of its events, and as tuples made a fold 1.15 times as slow."""
    replaces: str | None = None
    """The id of the report that this one corrects."""
    pain_before: float | None = None
    pain_after: float | None = None
    pain_next_day: float | None = None
    confidence: float | None = None
    alerts: tuple[str, ...] = ()
    """`red_flag`, `safety_stop`, `phq9_item9`."""

    @property
    def attended(self) -> bool:
        """A session that was cut short was attended: what it shows is judged by its targets."""
        return self.attendance in ("attended", "partial")


def entry(event_id: str, session: Session, closed_through: date | None, replaces: str | None = None) -> Entry:
    """What is kept of a session that is reported when `closed_through` is the last closed day."""
    given = {
        "red_flag": bool(session.red_flags),
        "safety_stop": session.safety_stop,
        "phq9_item9": (session.phq9_item9 or 0) > 0,
    }
    return Entry(
        id=event_id,
        replaces=replaces,
        reported_after=closed_through,
        held_on=session.held_on,
        attendance=session.attendance,
        hours=session.hours,
        performed=written(session.performed),
        pain_before=session.pain_before,
        pain_after=session.pain_after,
        pain_next_day=session.pain_next_day,
        confidence=session.confidence,
        alerts=tuple(code for code, raised in given.items() if raised),
    )


def written(performed: Iterable[Performed]) -> str:
    """`lift/floor_waist/occasional/kg 22.5;walk/-/frequent/h 1.5`: a code has neither slash nor space nor semicolon."""
    return ";".join(
        f"{done.kind}/{done.zone or '-'}/{done.frequency}/{done.amount.unit} {done.amount.amount!r}"
        for done in performed
    )


def current(log: Iterable[Entry]) -> tuple[Entry, ...]:
    """The reports that no other replaces, by date."""
    entries = tuple(log)
    replaced = {each.replaces for each in entries}
    return tuple(sorted((each for each in entries if each.id not in replaced), key=lambda each: each.held_on))


def known_by(each: Entry, closed: date) -> bool:
    """Whether the report came before the day `closed` was closed."""
    return each.reported_after is None or each.reported_after < closed


def as_of(log: Iterable[Entry], closed: date) -> tuple[Entry, ...]:
    """The log as it stood when the day `closed` was closed, by date."""
    return current(each for each in log if known_by(each, closed))


def reported_on(log: Iterable[Entry], held_on: date) -> Entry | None:
    """The current report for a date, or None. A date has one session."""
    entries = tuple(log)
    there = [each for each in entries if each.held_on == held_on]
    return next((each for each in there if all(other.replaces != each.id for other in entries)), None)


class Shown(NamedTuple):
    """A capacity as a session showed it. Its parts were checked when the session came, and a contract's model for each
    was a third of a verdict's time."""

    kind: str
    zone: str | None
    frequency: Frequency
    amount: Amount
    measured_on: date


def capacities(entries: Iterable[Entry]) -> dict[str, list[Shown]]:
    """The most that was shown in these sessions of each thing, as capacities of their day, by kind.

    The day's hours show the shift, and the confidence that was stated shows the demand `confidence`: each holds for
    the whole day, so at any frequency.
    """
    most: dict[str, tuple[float, date]] = {}
    for each in entries:
        if not each.attended:
            continue
        for thing, amount in _shown_in(each):
            if thing not in most or amount > most[thing][0]:
                most.pop(thing, None)  # what is shown stands in the order of its day: of equals the first one counts
                most[thing] = amount, each.held_on
    shown: dict[str, list[Shown]] = defaultdict(list)
    for thing, (amount, held_on) in most.items():
        kind, zone, frequency, unit = thing.split("/")
        measured = Amount(amount, cast("Unit", unit))
        shown[kind].append(Shown(kind, None if zone == "-" else zone, cast("Frequency", frequency), measured, held_on))
    return shown


def _shown_in(each: Entry) -> Iterator[tuple[str, float]]:
    yield from performances(each)
    yield "shift/-/constant/h", each.hours
    if each.confidence is not None:
        yield "confidence/-/constant/score", each.confidence


def performances(each: Entry) -> Iterator[tuple[str, float]]:
    """Each `kind/zone/frequency/unit` that was performed, and how much of it."""
    for row in each.performed.split(";") if each.performed else ():
        thing, _, amount = row.partition(" ")
        yield thing, float(amount)


def pain_after_a_day(entries: Sequence[Entry], nth: int) -> float | None:
    """NPRS 24 hours after the nth session: as reported, or as the next day's session began; None if unknown."""
    here = entries[nth]
    if here.pain_next_day is not None:
        return here.pain_next_day
    after = entries[nth + 1] if nth + 1 < len(entries) else None
    return after.pain_before if after is not None and after.held_on == here.held_on + timedelta(days=1) else None


def compact(log: Iterable[Entry], judged: date, keep_from: date) -> tuple[Entry, ...]:
    """The log without the performances that no later decision asks for.

    Those are of sessions before `keep_from` and of replaced reports, as far as both were known when the day `judged`
    was closed. What came later stays, so that a late judging leaves the same log as a prompt one.
    """
    entries = tuple(log)
    standing = {each.id for each in as_of(entries, judged)}
    return tuple(
        replace(each, performed="")
        if each.performed and known_by(each, judged) and (each.held_on < keep_from or each.id not in standing)
        else each
        for each in entries
    )
