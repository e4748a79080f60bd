"""Whichever topic is read first, the same is published in the same order, and the case ends the same.

A clinic's story is told once with everybody listening in between. The same words are then said again, while chance
decides which service reads which topic next; planning really runs, so plans come as late as its reading is.

Each case is assessed once here. What a second assessment does rests on whether a verdict was read before it (the plan
is issued again, waits for the next revision, or resumes), and no order between those two topics is promised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.planning.policy import Policy as PlanningPolicy
from services.planning.state import Planned
from services.progress.policy import Policy as ProgressPolicy
from tests.services.progress.worker import OPENED, assessed, begun, opened, session, signature
from tests.services.progress.world import Said, Signs, World, replay
from workhardening_contracts.clinic import (
    CaseWithdrawn,
    DayClosed,
    FollowUpRecorded,
    SessionCorrected,
    SessionRecorded,
)

INTAKE = [(opened(), OPENED), (assessed(), date(2026, 3, 4))]


@dataclass(frozen=True)
class Behaviour:
    """How one week goes."""

    effort: float
    days: int
    daily: bool
    """Days are closed one by one, or the week at once."""
    flare: bool
    stop: bool
    late: bool
    """The last session is reported only after the week was closed."""
    corrected: str | None
    """The first session is corrected: `early` before the week closes, `late` after."""
    signs: str | None
    """The week's readiness is signed so; `stale`: the one of the week before is, after this week was closed."""
    withdraws: bool


behaviours = st.builds(
    Behaviour,
    effort=st.sampled_from([0.4, 0.8, 0.95, 1.0, 1.1]),
    days=st.integers(0, 3),
    daily=st.booleans(),
    flare=st.sampled_from([False, False, False, True]),
    stop=st.sampled_from([False, False, True]),
    late=st.booleans(),
    corrected=st.sampled_from([None, None, "early", "late"]),
    signs=st.sampled_from([None, None, "not_ready", "ready", "stale", "stale"]),
    withdraws=st.sampled_from([False] * 6 + [True]),
)


def world() -> World:
    return World(PlanningPolicy(weeks=4), ProgressPolicy(readiness_from_week=2))


def tell(weeks: Sequence[Behaviour]) -> tuple[World, list[Said]]:
    """The story, and what the clinic said in it."""
    there, said = begun(world()), list[Said]()

    def say(each: Said) -> str:
        name = there.say(each, f"clinic-{len(said)}")
        said.append(each)
        there.settle()
        return name

    for how in weeks:
        if not isinstance(there.readers["planning"].case.state, Planned):
            break
        week = there.plan().weeks[0]
        sessions = [
            session(
                week,
                day,
                effort=how.effort,
                pain_next_day=6.0 if how.flare and day == 0 else 2.0,
                safety_stop=how.stop and day == 0,
            )
            # The first week always has a session: a withdrawal before any closes a case that has no plan at once.
            for day in range(how.days if week.number > 1 else max(1, how.days))
        ]
        on_time = sessions[:-1] if how.late and len(sessions) > 1 else sessions
        first: str | None = None
        for each in on_time:
            name = say((SessionRecorded(session=each), each.held_on))
            first = first or name
            if how.daily:
                say((DayClosed(through=each.held_on), each.held_on))
        corrected = (
            sessions[0].model_copy(update={"hours": 1.0, "performed": (), "red_flags": ()}) if sessions else None
        )
        if how.corrected == "early" and first and corrected:
            first = say((SessionCorrected(supersedes=first, session=corrected), week.ends_on))
        if how.withdraws and week.number > 1:
            say((CaseWithdrawn(withdrawn_on=week.starts_on, reason_code="moved"), week.starts_on))
            break
        say((DayClosed(through=week.ends_on), week.ends_on))
        if how.corrected == "late" and first and corrected:
            say((SessionCorrected(supersedes=first, session=corrected), week.ends_on))
        if on_time != sessions:
            say((SessionRecorded(session=sessions[-1]), week.ends_on))
        signed = week.number - 1 if how.signs == "stale" else week.number
        if how.signs and there.readiness_of(signed):
            on = week.ends_on + timedelta(days=1)
            decision = "ready" if how.signs == "stale" else how.signs
            say(Signs(signed, signature(decision, on, reason="clinical_judgement"), on))
    end = date(2026, 7, 5)
    say((DayClosed(through=end), end))
    say((FollowUpRecorded(month=1, as_of=end, reinjured="no", working="usual_job"), end))
    return there, said


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.lists(behaviours, min_size=1, max_size=7), st.integers(0, 2**32))
def test_any_interleaving_of_the_topics_ends_in_the_same_state_and_the_same_events(
    weeks: list[Behaviour], seed: int
) -> None:
    there, said = tell(weeks)
    again = replay(said, INTAKE, world(), Random(seed).randrange)
    assert again.neutral() == there.neutral()
    assert all(reader.case.waiting == () for reader in again.readers.values())


def test_all_of_the_clinics_events_may_come_before_the_first_plan_and_before_the_case_is_opened() -> None:
    weeks = [Behaviour(1.0, 3, True, False, False, True, "late", None, False)] * 3
    there, said = tell([*weeks, Behaviour(1.0, 2, False, False, False, False, None, None, True)])
    assert len(said) < 50
    # 0: the first unread topic, or else the clinic speaks; -1: the clinic speaks as long as it has something to say.
    choices: list[Callable[[int], int]] = [lambda n: 0, lambda n: n - 1]
    for choose in choices:
        assert replay(said, INTAKE, world(), choose).neutral() == there.neutral()


def test_stories_differ_so_that_the_comparison_can_fail() -> None:
    steady, _ = tell([Behaviour(1.0, 3, False, False, False, False, None, None, False)] * 2)
    slack, _ = tell([Behaviour(0.8, 3, False, False, False, False, None, None, False)] * 2)
    assert steady.neutral()[1] != slack.neutral()[1]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(behaviours, min_size=1, max_size=7))
def test_however_a_case_goes_it_closes_once_and_its_weeks_are_judged_once_each(weeks: list[Behaviour]) -> None:
    there, _ = tell(weeks)
    kinds = there.kinds()
    judged = [
        d.week
        for d in there.data()
        if type(d).__name__ in ("WeekAdvanced", "WeekHeld", "WeekRegressed", "CaseEscalated")
    ]
    assert judged == list(range(1, len(judged) + 1))
    assert kinds.count("CaseClosed") == 1
    assert kinds[-1] == "CaseClosed"
