"""given(events).when(event): what planning emits."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.fold import Defect
from runtime.policy import Policies
from services.planning.handlers import handlers
from services.planning.plan import WORK_HOURS
from services.planning.policy import Policy
from services.planning.state import Ended, Frozen, Held, Planned
from services.planning.trajectory import ceiling
from tests.services.planning.cases import (
    JOB,
    LIFT,
    STAND,
    Planning,
    assessment,
    capacity,
    demand,
    verdict,
)
from workhardening_contracts.clinic import CaseErased
from workhardening_contracts.demand import Demand, DemandProfile
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import CaseClosed

MONDAY = date(2026, 3, 9)


def closed() -> CaseClosed:
    return CaseClosed(clinic="north", closed_on=MONDAY, outcome="withdrawn", reason_code="moved", weeks_judged=0)


def issued(planning: Planning | None = None, **changes: object) -> tuple[Planning, PlanIssued]:
    planning = planning or Planning()
    [plan] = planning.when(assessment(**changes))  # pyright: ignore[reportArgumentType]
    return planning, plan


def test_the_first_plan_has_eight_weeks_from_the_monday_after_the_assessment() -> None:
    _, plan = issued()
    assert (plan.plan_version, plan.current_week, plan.total_weeks) == (1, 1, 8)
    assert plan.effective_from == MONDAY
    assert [week.number for week in plan.weeks] == list(range(1, 9))
    assert all(week.starts_on.weekday() == 0 and week.ends_on.weekday() == 6 for week in plan.weeks)
    assert plan.weeks[-1].ends_on == MONDAY + timedelta(days=55)


def test_an_assessment_on_a_monday_starts_the_monday_after() -> None:
    _, plan = issued(on=MONDAY)
    assert plan.effective_from == date(2026, 3, 16)


def test_a_plan_never_starts_in_the_past_of_the_day_on_which_the_assessment_was_complete() -> None:
    planning = Planning()
    [plan] = planning.when(assessment(), on=date(2026, 3, 20))
    assert plan.effective_from == date(2026, 3, 23)
    planning.when(verdict("escalate", plan))
    [resumed] = planning.when(assessment(on=date(2026, 4, 1)), on=date(2026, 4, 7))
    assert (resumed.effective_from, resumed.current_week) == (date(2026, 4, 13), 4)


def test_an_assessment_with_an_alert_starts_no_plan_before_one_without() -> None:
    planning = Planning()
    assert planning.when(assessment(alerts=("phq9_item9",))) == []
    assert planning.state == Held(clinic="north")
    assert planning.when(assessment(alerts=("red_flag",))) == []
    [plan] = planning.when(assessment(on=date(2026, 3, 11)))
    assert (plan.plan_version, plan.effective_from) == (1, date(2026, 3, 16))


@pytest.mark.parametrize("kind", ["advance", "hold", "regress"])
def test_an_alert_at_a_later_assessment_freezes_at_the_next_verdict(kind: str) -> None:
    planning, plan = issued()
    assert planning.when(assessment(on=date(2026, 3, 10), alerts=("red_flag",))) == []
    [frozen] = planning.when(verdict(kind, plan))
    answered = planning.last_id
    assert (frozen.frozen, frozen.verdict, frozen.answers) == (True, kind, answered)
    assert planning.when(assessment(on=date(2026, 3, 10))) == []
    [resumed] = planning.when(assessment(on=date(2026, 3, 11)))
    assert (resumed.frozen, resumed.verdict, resumed.answers) == (False, kind, answered)
    assert (resumed.current_week, resumed.assessed_on) == (2, date(2026, 3, 11))


def test_an_alert_at_an_assessment_that_a_clean_one_answers_before_the_verdict_freezes_nothing() -> None:
    planning, plan = issued()
    planning.when(assessment(on=date(2026, 3, 10), alerts=("red_flag",)))
    [again] = planning.when(assessment(on=date(2026, 3, 11)))
    assert isinstance(again, PlanIssued)
    [revised] = planning.when(verdict("advance", plan))
    assert not revised.frozen


def test_an_alert_at_an_assessment_of_a_frozen_case_must_be_answered_by_a_later_one() -> None:
    planning, plan = issued()
    planning.when(verdict("escalate", plan))
    planning.when(assessment(on=date(2026, 3, 20), alerts=("red_flag",)))
    assert planning.when(assessment(on=date(2026, 3, 20))) == []
    [resumed] = planning.when(assessment(on=date(2026, 3, 21)))
    assert resumed.effective_from == date(2026, 3, 23)


def test_week_8_reaches_the_demands_and_the_shift() -> None:
    _, plan = issued()
    last = plan.weeks[-1]
    assert [target.amount.amount for target in last.targets] == [20.0, 240.0]
    assert (last.days, last.hours_per_day) == (5, 8.0)
    assert plan.projected_shortfall == ()


def test_week_1_asks_for_the_first_step_in_the_hours_that_are_tolerated() -> None:
    _, plan = issued()
    first = plan.weeks[0]
    assert first.targets[0].amount.amount == pytest.approx(8.0 * (20 / 8) ** (1 / 8))
    assert first.targets[1].amount.amount == pytest.approx(60 + 180 / 8)
    assert (first.days, first.hours_per_day) == (3, 3.0)


def test_a_target_out_of_reach_is_reported_with_what_the_last_week_reaches() -> None:
    _, plan = issued(baseline=(capacity(LIFT, 8.0), capacity(STAND, 60.0)), weeks=3)
    shortfall, hours = plan.projected_shortfall
    assert (shortfall.demand, hours.demand) == (LIFT.key, WORK_HOURS)
    assert shortfall.required == LIFT.amount
    assert shortfall.projected == plan.weeks[-1].targets[0].amount
    assert shortfall.projected.amount == pytest.approx(8 + 2.25 + 2.25 + 2.5)


def test_authorised_weeks_and_hours_cap_the_plan_and_the_shift_is_reported_short() -> None:
    shift = demand("shift", 8.0, "h", "constant")
    job = JOB.model_copy(update={"demands": (*JOB.demands, shift)})
    _, plan = issued(job=job, weeks=6, hours=5.0)
    assert plan.total_weeks == 6
    assert max(week.hours_per_day for week in plan.weeks) == 5.0
    assert [week.targets[2].amount.amount for week in plan.weeks] == [week.hours_per_day for week in plan.weeks]
    assert [(short.demand, short.projected.amount) for short in plan.projected_shortfall] == [(shift.key, 5.0)]


def test_hours_that_stay_short_of_the_shift_are_reported_short() -> None:
    _, plan = issued(weeks=3, tolerance=2.0)
    assert [week.hours_per_day for week in plan.weeks] == [2.0, 3.5, 5.0]
    short = plan.projected_shortfall[-1]
    assert (short.demand, short.required.amount, short.projected.amount) == (WORK_HOURS, 8.0, 5.0)


def test_a_program_of_one_week_asks_for_no_more_hours_than_are_tolerated() -> None:
    _, plan = issued(weeks=1)
    assert [(week.days, week.hours_per_day) for week in plan.weeks] == [(3, 3.0)]
    assert WORK_HOURS in [short.demand for short in plan.projected_shortfall]


def test_a_time_never_exceeds_the_days_hours_and_is_reported_short_where_it_then_stays() -> None:
    long = demand("stand", 420.0, "min", "constant")
    job = JOB.model_copy(update={"demands": (long,)})
    _, plan = issued(job=job, baseline=(capacity(long, 400.0),), hours=5.0)
    assert [week.targets[0].amount.amount for week in plan.weeks] == [week.hours_per_day * 60 for week in plan.weeks]
    assert [(short.demand, short.projected.amount) for short in plan.projected_shortfall] == [
        (long.key, 300.0),
        (WORK_HOURS, 5.0),
    ]


def test_an_untested_demand_starts_at_most_at_what_was_shown_less_often() -> None:
    often = demand("lift", 20.0, "kg", "frequent", zone="floor_waist")
    job = JOB.model_copy(update={"demands": (often,)})
    planning, plan = issued(job=job, baseline=(capacity(LIFT, 6.0),))
    assert isinstance(planning.state, Planned)
    assert planning.state.basis.assumed == (often.key,)
    assert planning.state.levels[0].amounts == (6.0,)
    assert plan.weeks[0].targets[0].amount.amount < 8.25


def test_an_untested_demand_is_named_as_assumed() -> None:
    planning, plan = issued(baseline=(capacity(LIFT, 8.0),))
    assert isinstance(planning.state, Planned)
    assert planning.state.basis.assumed == (STAND.key,)
    assert plan.weeks[0].targets[1].amount.amount == pytest.approx(120 + 120 / 8)


def test_an_unknown_kind_is_planned_like_any_other() -> None:
    odd = demand("juggle", 12.0, "repetitions")
    _, plan = issued(job=JOB.model_copy(update={"demands": (odd,)}), baseline=())
    assert plan.weeks[-1].targets[0].kind == "juggle"
    assert plan.weeks[-1].stations[0].demand == odd.key


def test_advance_intensifies_from_what_was_really_attained() -> None:
    planning, plan = issued()
    [revised] = planning.when(verdict("advance", plan, [capacity(LIFT, 10.0), capacity(STAND, 75.0)]))
    assert isinstance(revised, PlanRevised)
    assert (revised.plan_version, revised.current_week, revised.total_weeks) == (2, 2, 8)
    assert revised.effective_from == MONDAY + timedelta(days=7)
    assert (revised.answers, revised.verdict, revised.frozen) == (planning.last_id, "advance", False)
    assert revised.weeks[0].targets[0].amount.amount == pytest.approx(10 * 2 ** (1 / 7))
    assert revised.weeks[0].targets[1].amount.amount == pytest.approx(75 + 165 / 7)
    assert [week.number for week in revised.weeks] == list(range(2, 9))


def test_a_demand_that_nobody_showed_takes_no_step_on_its_word() -> None:
    planning, plan = issued()
    [revised] = planning.when(verdict("advance", plan, [capacity(LIFT, 9.0)]))
    before = plan.weeks[0].targets[1].amount.amount
    assert revised.weeks[0].targets[1].amount.amount == pytest.approx(before + (240 - before) / 7)


def test_hold_repeats_the_week_and_adds_one_at_the_end() -> None:
    planning, plan = issued()
    [revised] = planning.when(verdict("hold", plan))
    assert (revised.current_week, revised.total_weeks) == (2, 9)
    assert revised.weeks[0].targets == plan.weeks[0].targets
    assert revised.weeks[0].hours_per_day == plan.weeks[0].hours_per_day
    assert revised.weeks[-1].targets == plan.weeks[-1].targets


def test_holding_extends_at_most_as_often_as_the_policy_says() -> None:
    planning, plan = issued()
    totals: list[int] = []
    for _ in range(4):
        [plan] = planning.when(verdict("hold", plan))
        totals.append(plan.total_weeks)
    assert totals == [9, 10, 10, 10]


def test_holding_never_extends_past_the_authorised_weeks() -> None:
    planning, plan = issued(weeks=8)
    [revised] = planning.when(verdict("hold", plan))
    assert revised.total_weeks == 8


def test_regress_steps_back_to_the_week_before_and_at_first_to_the_start() -> None:
    planning, first = issued()
    [second] = planning.when(verdict("advance", first, [capacity(LIFT, 9.0), capacity(STAND, 80.0)]))
    [back] = planning.when(verdict("regress", second))
    assert back.weeks[0].targets == first.weeks[0].targets
    [further] = planning.when(verdict("regress", back))
    assert [target.amount.amount for target in further.weeks[0].targets] == [8.0, 60.0]
    [floor] = planning.when(verdict("regress", further))
    assert floor.weeks[0].targets == further.weeks[0].targets


def test_an_escalation_freezes_the_plan() -> None:
    planning, plan = issued()
    [frozen] = planning.when(verdict("escalate", plan))
    assert (frozen.frozen, frozen.weeks, frozen.current_week) == (True, (), 2)
    assert frozen.answers == planning.last_id
    assert isinstance(planning.state, Frozen)


def test_a_clean_assessment_resumes_from_the_next_monday_with_the_calendars_week_number() -> None:
    planning, plan = issued()
    planning.when(verdict("escalate", plan))
    escalation = planning.last_id
    [resumed] = planning.when(assessment(on=date(2026, 3, 25), baseline=(capacity(LIFT, 6.0), capacity(STAND, 50.0))))
    assert (resumed.frozen, resumed.answers, resumed.verdict) == (False, escalation, "escalate")
    assert resumed.effective_from == date(2026, 3, 30)
    assert resumed.current_week == 4  # weeks 2 and 3 stood still
    assert resumed.total_weeks == 10
    assert resumed.weeks[0].starts_on == resumed.effective_from
    assert resumed.weeks[0].targets[0].amount.amount < 8.0


@pytest.mark.parametrize(
    "late",
    [
        assessment(on=date(2026, 3, 25), alerts=("red_flag",)),
        assessment(on=date(2026, 3, 11)),
        assessment(on=date(2026, 3, 15)),  # the day of the escalation itself: it may have been made before
    ],
)
def test_an_assessment_with_an_alert_or_from_before_does_not_resume(late: object) -> None:
    planning, plan = issued()
    planning.when(verdict("escalate", plan))
    assert planning.when(late) == []  # pyright: ignore[reportArgumentType]
    assert isinstance(planning.state, Frozen)


def test_an_assessment_that_overtook_the_escalation_resumes_as_if_it_had_come_after() -> None:
    def story(*order: str) -> list[object]:
        planning, first = issued()
        [plan] = planning.when(verdict("advance", first, [capacity(LIFT, 9.0)]))
        emitted: list[object] = []
        for step in order:
            event = assessment(on=date(2026, 3, 24)) if step == "assessment" else verdict("escalate", plan)
            emitted += [(each.frozen, each.current_week, each.weeks) for each in planning.when(event)]
        return emitted

    assert story("assessment", "escalation") == story("escalation", "assessment")


def test_a_second_assessment_before_any_verdict_issues_the_plan_again() -> None:
    planning, _ = issued()
    [again] = planning.when(assessment(on=date(2026, 3, 6), baseline=(capacity(LIFT, 12.0),)))
    assert isinstance(again, PlanIssued)
    assert (again.plan_version, again.effective_from) == (2, MONDAY)
    assert again.weeks[0].targets[0].amount.amount > 12.0


def test_a_program_that_has_begun_keeps_its_calendar_when_it_is_assessed_again() -> None:
    planning, _ = issued()
    [again] = planning.when(assessment(on=date(2026, 3, 12)))
    assert again.effective_from == MONDAY


def test_a_later_assessment_takes_effect_with_the_next_revision() -> None:
    planning, plan = issued()
    [plan] = planning.when(verdict("advance", plan, [capacity(LIFT, 9.0)]))
    assert planning.when(assessment(on=date(2026, 3, 18), baseline=(capacity(LIFT, 15.0),))) == []
    [revised] = planning.when(verdict("hold", plan))
    assert revised.weeks[0].targets[0].amount.amount > 15.0
    assert isinstance(planning.state, Planned)
    assert planning.state.reassessed is None


@pytest.mark.parametrize("kind", ["advance", "hold", "regress", "escalate"])
def test_a_final_verdict_ends_planning_without_a_word(kind: str) -> None:
    planning, plan = issued()
    assert planning.when(verdict(kind, plan, final=True)) == []
    assert planning.state == Ended(clinic="north")


def test_a_closed_case_is_planned_no_more_not_even_when_the_assessment_comes_after() -> None:
    planning = Planning()
    assert planning.when(closed()) == []
    assert planning.when(assessment()) == []
    assert planning.state == Ended(clinic="north")


def test_a_verdict_that_comes_before_the_assessment_waits_for_it() -> None:
    _, plan = issued()
    planning = Planning()
    assert planning.when(verdict("hold", plan)) == []
    emitted = planning.when(assessment())
    assert [type(event) for event in emitted] == [PlanIssued, PlanRevised]
    assert planning.case.waiting == ()


def test_an_erased_case_keeps_nothing() -> None:
    planning, _ = issued()
    planning.when(CaseErased(reason_code="worker_request"))
    assert planning.case.state is None
    assert planning.case.erased


def test_an_internal_event_that_names_another_clinic_parks_the_case() -> None:
    planning, _ = issued(Planning())
    other = assessment().model_copy(update={"clinic": "south"})
    with pytest.raises(Defect, match="foreign_source"):
        planning.when(other)
    assert isinstance(planning.state, Planned)


demands = st.builds(
    demand,
    st.sampled_from(["lift", "carry", "push", "pull"]),
    st.floats(1, 60),
    st.sampled_from(["kg", "lb", "N"]),
)
steps = st.lists(
    st.tuples(st.sampled_from(["advance", "advance", "hold", "regress"]), st.floats(0.5, 1.5)), max_size=11
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.lists(demands, min_size=1, max_size=3, unique_by=lambda each: each.key),
    st.floats(0.05, 1.2),
    st.none() | st.integers(1, 12),
    st.none() | st.floats(1, 8),
    steps,
)
def test_whatever_the_verdicts_a_plan_keeps_its_caps_and_ends_at_the_target_or_says_so(
    profile: list[object], share: float, weeks: int | None, hours: float | None, verdicts: list[tuple[str, float]]
) -> None:
    job = DemandProfile(title="Job", basis="template", demands=tuple(profile), shift_hours=8.0)  # pyright: ignore[reportArgumentType]
    baseline = [capacity(each, each.amount.amount * share) for each in job.demands]
    planning, plan = issued(job=job, baseline=baseline, weeks=weeks, hours=hours)
    current: PlanIssued | PlanRevised = plan
    holds = Policy()
    for kind, effort in [*verdicts, ("advance", 1.0)]:
        number = current.current_week
        assert [week.number for week in current.weeks] == list(range(number, current.total_weeks + 1))
        assert current.total_weeks <= min(weeks or 99, holds.weeks + holds.max_extensions)
        assert all(week.hours_per_day <= min(8.0, hours or 8.0) for week in current.weeks)
        assert all(1 <= week.days <= holds.max_days for week in current.weeks)
        first, *_ = current.weeks
        assert number > 1 or (first.days <= 3 and first.hours_per_day <= 3.0)
        for before, after in pairwise(current.weeks):
            assert after.hours_per_day <= before.hours_per_day + holds.hours_step
        short = {each.demand: each.projected for each in current.projected_shortfall}
        for nth, each in enumerate(job.demands):
            path = [week.targets[nth].amount.amount for week in current.weeks]
            for before, after in pairwise(path):
                assert before * (1 - 1e-9) <= after <= ceiling(before, each.amount.unit, holds) * (1 + 1e-9)
            assert WORK_HOURS in short or current.weeks[-1].hours_per_day == pytest.approx(8.0, rel=1e-8)
            if each.key in short:
                assert path[-1] == short[each.key].amount < each.amount.amount
            else:
                assert path[-1] == each.amount.amount
        if number == current.total_weeks:
            break
        attained = [
            capacity(each, target.amount.amount * effort)
            for each, target in zip(job.demands, current.weeks[0].targets, strict=True)
        ]
        [current] = planning.when(verdict(kind, current, attained))
        assert current.current_week == number + 1


def test_the_state_is_read_back_as_it_was_written() -> None:
    planning, plan = issued()
    planning.when(verdict("escalate", plan))
    planning.when(assessment(on=date(2026, 3, 25), alerts=("red_flag",)))
    adapter = handlers(Policies(Policy())).adapter
    assert adapter.validate_json(adapter.dump_json(planning.state)) == planning.state


odd_amounts = st.sampled_from([0.0, 5e-324, 1e-9, 1.0, 100_000.0])
odd_demands = st.builds(
    demand,
    st.sampled_from(["lift", "shift", "confidence", "juggle"]),
    odd_amounts,
    st.sampled_from(["kg", "lb", "N", "min", "h", "score", "repetitions"]),
    st.sampled_from(["seldom", "constant"]),
    critical=st.booleans(),
)


@settings(derandomize=True, deadline=None)
@given(
    st.lists(odd_demands, min_size=1, max_size=4, unique_by=lambda demand: demand.key),
    st.lists(odd_amounts, min_size=4, max_size=4),
    st.floats(0.01, 16),
    st.floats(0, 16),
    st.lists(st.sampled_from(["advance", "hold", "regress"]), max_size=4),
)
def test_whatever_a_contract_allows_can_be_planned(
    profile: list[Demand], measured: list[float], shift: float, tolerance: float, verdicts: list[str]
) -> None:
    job = DemandProfile(title="Job", basis="template", demands=tuple(profile), shift_hours=shift)
    baseline = [capacity(each, amount) for each, amount in zip(job.demands, measured, strict=False)]
    planning = Planning(Policy(safety_margin=1.1))
    [plan] = planning.when(assessment(job, baseline, tolerance=tolerance))
    for kind in verdicts:
        [plan] = planning.when(verdict(kind, plan, baseline))
    assert plan.weeks[-1].number == plan.total_weeks
