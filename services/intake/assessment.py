"""The assessment: recorded in parts, over several events, and complete when every part is there.

Intake keeps only what decides completeness and what planning needs (capacities, pain, alerts); findings, vital signs
and questionnaire totals stay in the event log and go no further.
"""

from __future__ import annotations

from datetime import date

from pydantic import ConfigDict

from workhardening_contracts.clinic import AssessmentRecorded
from workhardening_contracts.contract import Code, Contract, EventId, Score10
from workhardening_contracts.demand import Capacity

REQUIRED = ("history_flags", "physical_examination", "posture", "mobility", "functional_tests", "baseline_pain")
"""The initial visit: history, physical examination, posture, mobility, functional tests; and the pain that a later
flare is measured against."""

MAX_PARTS = 50
"""An initial visit has six parts and a re-assessment a few more; the state is rewritten with every event."""

MAX_CORRECTIONS = 20
"""Ids of one part that a later correction may still name: the state is rewritten with every event."""


class Part(Contract):
    """What one AssessmentRecorded event contributes."""

    model_config = ConfigDict(extra="ignore")  # it is stored: see state._Stored

    ids: tuple[EventId, ...]
    """The event and those it supersedes, the newest last, so that a correction may name any of them."""
    round: int
    """0 for the initial assessment, then one higher for everything recorded after each completion."""
    assessed_on: date
    done: tuple[Code, ...]
    """Which of the required parts it holds."""
    capacities: tuple[Capacity, ...] = ()
    baseline_pain: Score10 | None = None
    phq9_item9: int | None = None
    red_flag: bool = False


Parts = tuple[Part, ...]


def knows(parts: Parts, event_id: str) -> bool:
    """Whether an event contributed to this assessment, be it superseded by now."""
    return any(event_id in part.ids for part in parts)


def record(parts: Parts, event_id: str, recorded: AssessmentRecorded, round_: int) -> Parts:
    """The parts after one more event. One that supersedes takes the place of what it corrects, so that what was
    recorded later still counts as later. A `supersedes` that `knows` denies is taken as a new part.
    """
    for index, part in enumerate(parts):
        if recorded.supersedes is not None and recorded.supersedes in part.ids:
            corrected = _part((*part.ids, event_id)[-MAX_CORRECTIONS:], recorded, part.round)
            return (*parts[:index], corrected, *parts[index + 1 :])
    return (*parts, _part((event_id,), recorded, round_))


def missing(parts: Parts) -> tuple[str, ...]:
    """The parts that are not there yet, as `assessment.<part>` by the field's name in AssessmentRecorded."""
    done = {name for part in parts for name in part.done}
    return tuple(f"assessment.{name}" for name in REQUIRED if name not in done)


def assessed_on(parts: Parts) -> date:
    """The day the assessment stands for: the last one. Raises ValueError without parts."""
    return max(part.assessed_on for part in parts)


def baseline(parts: Parts) -> tuple[Capacity, ...]:
    """One capacity for each kind, zone and frequency: the last measured; of the same day, the last recorded."""
    latest: dict[tuple[str, str | None, str], Capacity] = {}
    for part in _by_day(parts):
        for capacity in part.capacities:
            key = (capacity.kind, capacity.zone, capacity.frequency)
            if key not in latest or capacity.measured_on >= latest[key].measured_on:
                latest[key] = capacity
    return tuple(latest.values())


def baseline_pain(parts: Parts) -> float | None:
    """The pain of the last day on which it was asked, NPRS 0-10."""
    return next((p.baseline_pain for p in reversed(_by_day(parts)) if p.baseline_pain is not None), None)


def alerts(parts: Parts) -> tuple[str, ...]:
    """What a clinician must hear of the same day, as it stands.

    `phq9_item9` stays until item 9 is answered 0: a re-assessment that does not ask has not cleared it. `red_flag`
    is that of the last round: a re-assessment examines anew.
    """
    item9 = next((p.phq9_item9 for p in reversed(_by_day(parts)) if p.phq9_item9 is not None), 0)
    last_round = max((part.round for part in parts), default=0)
    raised = {
        "phq9_item9": item9 > 0,
        "red_flag": any(part.red_flag for part in parts if part.round == last_round),
    }
    return tuple(name for name, is_raised in raised.items() if is_raised)


def _by_day(parts: Parts) -> Parts:
    """By the day of the examination, then as recorded: a late entry never overwrites what was found after it."""
    return tuple(sorted(parts, key=lambda part: part.assessed_on))


def _part(ids: tuple[str, ...], recorded: AssessmentRecorded, round_: int) -> Part:
    return Part(
        ids=ids,
        round=round_,
        assessed_on=recorded.assessed_on,
        done=tuple(name for name in REQUIRED if _is_done(recorded, name)),
        capacities=recorded.functional_tests or (),
        baseline_pain=recorded.baseline_pain,
        phq9_item9=recorded.phq9_item9,
        red_flag=bool(recorded.red_flags),
    )


def _is_done(recorded: AssessmentRecorded, name: str) -> bool:
    """An examination may find nothing (an empty list), but mobility and functional tests are measurements: without
    one there was no test."""
    value = getattr(recorded, name)
    return value is not None and not (name in {"mobility", "functional_tests"} and not value)
