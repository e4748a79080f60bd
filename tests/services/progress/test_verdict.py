"""The weekly verdict against the figures of the policy, and what must hold for any week."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.progress.policy import Policy
from services.progress.session_log import Entry, entry
from services.progress.verdict import Before, Judgement, below, judge
from tests.services.planning.cases import LIFT, STAND, demand
from tests.services.progress.worker import session
from workhardening_contracts.clinic import BlockMinutes, Session
from workhardening_contracts.demand import Demand
from workhardening_contracts.planning import PlannedWeek, Target

POLICY = Policy()
MONDAY = date(2026, 3, 9)
CARRY = demand("carry", 15.0, "kg", "frequent")


def week_of(*demands: Demand, days: int = 5) -> PlannedWeek:
    return PlannedWeek(
        number=1,
        starts_on=MONDAY,
        ends_on=MONDAY + timedelta(days=6),
        days=days,
        hours_per_day=4.0,
        targets=tuple(Target(**dict(each)) for each in demands),
        minutes=BlockMinutes(),
        stations=(),
        education=("pacing",),
    )


WEEK = week_of(LIFT, STAND)


def entries(*sessions: Session) -> list[Entry]:
    return [entry(f"s{nth}", each, None) for nth, each in enumerate(sessions)]


def week_like(week: PlannedWeek = WEEK, days: int = 5, **how: object) -> list[Entry]:
    return entries(*(session(week, day, **how) for day in range(days)))  # pyright: ignore[reportArgumentType]


def judged(
    sessions: list[Entry], week: PlannedWeek = WEEK, before: Before | None = None, **changes: object
) -> Judgement:
    late: list[Entry] = changes.pop("late", [])  # pyright: ignore[reportAssignmentType]
    return judge(week.targets, week.days, sessions, late, 3.0, before or Before(), POLICY.model_copy(update=changes))


def codes(judgement: Judgement, demand: str | None = None) -> set[str]:
    return {reason.code for reason in judgement.reasons if reason.demand == demand}


@pytest.mark.parametrize(
    ("days", "effort", "verdict"),
    [
        (5, 1.0, "advance"),
        (4, 1.0, "advance"),  # 80 % attendance, exactly
        (3, 1.0, "hold"),
        (5, 0.9, "advance"),  # 90 % attained, exactly
        (5, 0.899, "hold"),
        (5, 0.6, "hold"),  # 60 %, exactly
        (5, 0.599, "regress"),
        (0, 1.0, "hold"),
    ],
)
def test_attendance_and_attainment_decide_at_their_figures(days: int, effort: float, verdict: str) -> None:
    assert judged(week_like(days=days, effort=effort)).verdict == verdict


@pytest.mark.parametrize(
    ("pains", "before", "verdict"),
    [
        ([4.9, 2, 2, 2, 2], Before(), "advance"),
        ([5.0, 2, 2, 2, 2], Before(), "hold"),  # baseline 3 + 2, still there a day later
        ([5.0, 5.0, 2, 2, 2], Before(), "hold"),  # one that lasts is one
        ([5.0, 2, 5.0, 2, 2], Before(), "regress"),
        ([5.0, 2, 2, 2, 2], Before(flared=True), "regress"),  # the second one, a week later
        ([2, 2, 2, 2, 2], Before(flared=True), "advance"),
    ],
)
def test_a_flare_holds_and_a_second_one_steps_back(pains: list[float], before: Before, verdict: str) -> None:
    sessions = [session(WEEK, day, pain_next_day=float(pain)) for day, pain in enumerate(pains)]
    assert judged(entries(*sessions), before=before).verdict == verdict


def test_pain_that_rose_and_settled_within_a_day_is_no_flare() -> None:
    assert judged(week_like(pain_after=7.0, pain_next_day=3.0)).verdict == "advance"


def test_pain_that_rose_and_was_not_asked_for_again_does_not_advance() -> None:
    held = judged(week_like(pain_after=7.0))
    assert held.verdict == "hold"
    assert "pain_not_reported" in codes(held)


def test_the_next_days_session_tells_how_the_pain_was_a_day_later() -> None:
    assert judged(week_like(pain_after=7.0, pain_before=3.0)[:-1]).verdict == "hold"
    settled = [*week_like(pain_after=7.0, pain_before=3.0)[:-1], *week_like(pain_before=3.0)[-1:]]
    assert judged(settled).verdict == "advance"


def test_pain_that_nobody_wrote_down_does_not_advance() -> None:
    assert judged(week_like(pain_after=None)).verdict == "hold"


@pytest.mark.parametrize("alarm", [{"safety_stop": True}, {"red_flags": ("chest_pain",)}, {"phq9_item9": 1}])
def test_a_safety_alert_escalates_whatever_else_is_good(alarm: dict[str, object]) -> None:
    escalated = judged([*week_like(days=4), *entries(session(WEEK, 4, **alarm))])  # pyright: ignore[reportArgumentType]
    assert escalated.verdict == "escalate"
    assert codes(escalated) & {"safety_stop", "red_flag", "phq9_item9"} == set(escalated.alerts)


def test_an_alert_of_an_earlier_week_that_was_reported_late_escalates_too() -> None:
    late = entries(session(WEEK, 0, safety_stop=True, held_on=MONDAY - timedelta(days=3)))
    escalated = judged(week_like(), late=late)
    assert escalated.verdict == "escalate"
    assert "late_session" in codes(escalated)


def test_a_phq9_item9_of_zero_is_no_alert() -> None:
    assert judged(week_like(phq9_item9=0)).verdict == "advance"


def test_a_critical_target_that_was_not_performed_holds_and_another_one_does_not() -> None:
    held = judged(week_like(without=("lift",)))
    assert held.verdict == "hold"
    assert codes(held, LIFT.key) == {"not_performed"}
    assert judged(week_like(without=("stand",))).verdict == "advance"


def test_a_lower_frequency_does_not_show_the_target() -> None:
    easier = [
        replace(each, performed=re.sub("occasional|frequent|constant", "seldom", each.performed))
        for each in week_like()
    ]
    assert easier != week_like()
    assert judged(easier).verdict == "hold"


def test_reasons_name_each_demand_with_what_was_attained_and_asked() -> None:
    missed = judged(week_like(effort=0.8))
    reason = next(each for each in missed.reasons if each.demand == LIFT.key)
    assert reason.code == "target_missed"
    assert reason.attained is not None
    assert (reason.attained.amount, reason.target) == (pytest.approx(16.0), LIFT.amount)


def test_where_no_demand_is_critical_all_of_them_decide() -> None:
    week = week_of(STAND)
    assert judged(week_like(week, effort=0.8), week).verdict == "hold"
    assert judged(week_like(week, effort=0.95), week).verdict == "advance"


def test_hours_show_the_shift_and_the_stated_confidence_shows_confidence() -> None:
    week = week_of(demand("shift", 4.0, "h", "constant"), demand("confidence", 6.0, "score", "constant"))
    assert judged(week_like(week, confidence=6.0, without=("shift",)), week).verdict == "advance"
    assert judged(week_like(week, confidence=5.0, hours=2.0, without=("shift",)), week).verdict == "hold"


def test_the_same_targets_are_held_twice_and_then_step_back() -> None:
    assert judged(week_like(effort=0.8), before=Before(holds=1)).verdict == "hold"
    stepped = judged(week_like(effort=0.8), before=Before(holds=2))
    assert stepped.verdict == "regress"
    assert "held_too_often" in codes(stepped)
    assert judged(week_like(), before=Before(holds=2)).verdict == "advance"


def test_two_weeks_with_neither_compliance_nor_gain_end_the_program() -> None:
    best = {LIFT.key: 20.0}
    first = judged(week_like(days=2), before=Before(best=best))
    assert (first.stalled, first.discontinue) == (1, False)
    assert judged(week_like(days=2), before=Before(stalled=1, best=best)).discontinue
    # What is shown for the first time is no gain over anything yet.
    assert judged(week_like(days=2), before=Before(stalled=1)).stalled == 2
    # Either is enough to go on: coming without gaining, or gaining without coming.
    assert judged(week_like(days=4, effort=0.8), before=Before(stalled=1, best=best)).stalled == 0
    assert judged(week_like(days=2), before=Before(stalled=1, best={LIFT.key: 19.0})).stalled == 0


def test_an_excused_day_is_no_attendance_and_no_lack_of_compliance() -> None:
    excused = entries(*(session(WEEK, day, attendance="excused") for day in (3, 4)))
    judgement = judged([*week_like(days=3), *excused])
    assert judgement.attendance == pytest.approx(0.6)
    assert (judgement.excused, judgement.stalled) == (2, 0)
    assert judged(week_like(days=3)).stalled == 1


def test_an_escalated_week_does_not_discontinue() -> None:
    stopped = entries(session(WEEK, 0, safety_stop=True))
    judgement = judged(stopped, before=Before(stalled=1, best={LIFT.key: 99.0}))
    assert (judgement.discontinue, judgement.stalled) == (False, 1)
    assert "attendance_low" not in codes(judgement)


def test_a_flare_whose_end_nobody_asked_for_is_still_the_same_one() -> None:
    pains = [5.0, None, 5.0, 2.0, 2.0]
    sessions = [session(WEEK, day, pain_after=7.0, pain_next_day=pain) for day, pain in enumerate(pains)]
    assert judged(entries(*sessions)).verdict == "hold"


def test_what_was_shown_late_counts_for_the_trend_and_not_for_the_week() -> None:
    late = entries(session(WEEK, 0, effort=1.2, held_on=MONDAY - timedelta(days=3)))
    judgement = judged(week_like(effort=0.8), late=late)
    assert judgement.verdict == "hold"
    assert judgement.best[LIFT.key] == pytest.approx(24.0)
    assert max(each.amount.amount for each in judgement.attained if each.kind == "lift") == pytest.approx(16.0)


def test_a_share_that_misses_its_figure_by_rounding_reaches_it() -> None:
    week = week_of(demand("lift", 0.1 + 0.2, "kg"))
    assert judged(week_like(week, effort=0.9), week).verdict == "advance"
    assert not below(0.9 - 1e-12, 0.9)
    assert below(0.9 - 1e-6, 0.9)


days = st.builds(
    session,
    st.just(week_of(LIFT, CARRY, STAND)),
    st.just(0),
    effort=st.floats(0.3, 1.3),
    attendance=st.sampled_from(["attended", "attended", "attended", "partial", "excused", "absent"]),
    pain_after=st.none() | st.sampled_from([2.0, 6.0]),
    pain_next_day=st.none() | st.sampled_from([2.0, 6.0]),
    without=st.sampled_from([(), (), ("lift",), ("carry",), ("stand",)]),
    safety_stop=st.sampled_from([False] * 9 + [True]),
)
weeks = st.lists(days, max_size=6).map(
    lambda held: [each.model_copy(update={"held_on": MONDAY + timedelta(days=nth)}) for nth, each in enumerate(held)]
)
befores = st.builds(Before, st.integers(0, 2), st.booleans(), st.integers(0, 1), st.just({LIFT.key: 12.0}))
OF_THREE = week_of(LIFT, CARRY, STAND)


@settings(derandomize=True, deadline=None)
@given(weeks, befores, st.randoms(use_true_random=False))
def test_the_order_of_the_sessions_does_not_matter(held: list[Session], before: Before, random: Random) -> None:
    sessions = entries(*held)
    shuffled = list(sessions)
    random.shuffle(shuffled)
    assert judged(shuffled, OF_THREE, before) == judged(sessions, OF_THREE, before)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(weeks, befores)
def test_a_week_never_advances_with_anything_missing(held: list[Session], before: Before) -> None:
    judgement = judged(entries(*held), OF_THREE, before)
    there = [each for each in held if each.attendance in ("attended", "partial")]
    shown = {done.kind for each in there for done in each.performed}
    if judgement.verdict == "advance":
        assert {"lift", "carry"} <= shown
        assert len(there) >= 4
        assert not any(each.safety_stop for each in held)
        assert all(each.pain_after is not None or each.pain_next_day is not None for each in there)
        assert all((each.pain_next_day or 0) < 5 for each in there)
    assert judgement.reasons
    assert 0 <= judgement.attendance <= 1


@settings(derandomize=True, deadline=None)
@given(weeks, befores)
def test_doing_more_never_makes_the_verdict_worse(held: list[Session], before: Before) -> None:
    more = [
        each.model_copy(
            update={
                "performed": tuple(
                    done.model_copy(
                        update={"amount": done.amount.model_copy(update={"amount": done.amount.amount * 2})}
                    )
                    for done in each.performed
                )
            }
        )
        for each in held
    ]
    order = ["escalate", "regress", "hold", "advance"]
    assert order.index(judged(entries(*more), OF_THREE, before).verdict) >= order.index(
        judged(entries(*held), OF_THREE, before).verdict
    )
