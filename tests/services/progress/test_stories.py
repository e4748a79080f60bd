"""Planning and progress together, from the assessment to the end of the case."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from services.planning.state import Ended
from services.progress.state import Closed, Frozen, InProgram
from tests.services.planning.cases import LIFT
from tests.services.progress.worker import OPENED, assessed, begun, live, opened, session, signature, trained
from tests.services.progress.world import World
from workhardening_contracts import registry
from workhardening_contracts.clinic import (
    CaseErased,
    CaseWithdrawn,
    DayClosed,
    FollowUpRecorded,
    ReadinessWithdrawn,
    Restriction,
    SessionRecorded,
)
from workhardening_contracts.planning import PlanIssued, PlanRevised
from workhardening_contracts.progress import (
    AttendanceLapsed,
    CaseClosed,
    CaseEscalated,
    ReadinessAssessed,
    ReadinessRevoked,
    ReadyForWork,
    WeekAdvanced,
    WeekHeld,
    WeekRegressed,
)

VERDICTS = (WeekAdvanced, WeekHeld, WeekRegressed, CaseEscalated)


def improver() -> World:
    """Eight weeks, each target attained."""
    world = begun()
    for _ in range(8):
        live(world, *trained(world.plan().weeks[0]))
    return world


def sign(world: World, decision: str, on: date, reason: str | None = None) -> World:
    latest = [envelope.id for envelope, data in world.told() if isinstance(data, ReadinessAssessed)][-1]
    signed = signature(decision, on, reason=reason).model_copy(update={"readiness_event": latest})
    return live(world, (signed, on))


def closed(world: World) -> CaseClosed:
    [event] = [data for data in world.data() if isinstance(data, CaseClosed)]
    assert world.data()[-1] == event or isinstance(world.data()[-1], ReadyForWork | ReadinessRevoked)
    return event


def test_a_steady_improver_advances_each_week_meets_the_job_and_is_signed_ready() -> None:
    world = improver()
    assert world.kinds() == ["WeekAdvanced"] * 3 + ["WeekAdvanced", "ReadinessAssessed"] * 5
    last = world.data()[-1]
    assert (last.readiness, last.final, last.vetoes, last.restrictions) == ("meets", True, (), ())
    assert last.shift_hours_days == 5
    assert (last.confidence, last.forecast.status) == (pytest.approx(7.0), "reached")
    sign(world, "ready", date(2026, 5, 4))
    assert world.kinds()[-2:] == ["ReadyForWork", "CaseClosed"]
    assert (closed(world).outcome, closed(world).weeks_judged) == ("ready", 8)
    assert isinstance(world.state, Closed)
    assert not world.data()[-2].contradicts


def test_each_plan_answers_its_verdict_and_intensifies() -> None:
    world = improver()
    plans = world.data(registry.PLANNING_TOPIC)
    assert [type(plan) for plan in plans] == [PlanIssued] + [PlanRevised] * 7
    loads = [plan.weeks[0].targets[0].amount.amount for plan in plans]
    assert loads == sorted(loads)
    assert loads[-1] == LIFT.amount.amount
    verdicts = [envelope.id for envelope, data in world.told() if isinstance(data, VERDICTS)]
    assert [plan.answers for plan in plans[1:]] == verdicts[:-1]


def test_an_improving_worker_is_forecast_before_the_demands_are_met() -> None:
    readiness = [data for data in improver().data() if isinstance(data, ReadinessAssessed)]
    assert [each.readiness for each in readiness] == ["not_yet"] * 4 + ["meets"]
    expected = readiness[0].forecast
    assert expected.status == "expected"
    assert expected.week is not None
    assert expected.earliest is not None
    assert expected.latest is not None
    assert 4 <= expected.earliest <= expected.week <= expected.latest


def test_a_plateau_is_held_steps_back_is_reported_short_and_ends_not_ready() -> None:
    world = begun()
    weeks = 0
    while not any(isinstance(data, ReadinessAssessed) and data.final for data in world.data()):
        live(world, *trained(world.plan().weeks[0], most_kg=9.5))
        weeks += 1
        assert weeks <= 10
    verdicts = [type(data).__name__ for data in world.data() if isinstance(data, VERDICTS)]
    assert "WeekHeld" in verdicts
    assert not any(isinstance(data, CaseClosed) for data in world.data())
    assert world.data()[-1].readiness == "not_yet"
    assert world.data()[-1].forecast.status == "insufficient_data"
    assert LIFT.key in [short.demand for short in world.plan().projected_shortfall]
    sign(world, "not_ready", world.data()[-1].assessed_through + timedelta(days=1))
    assert closed(world).outcome == "not_ready"
    assert closed(world).weeks_judged == weeks


def test_a_plateau_is_held_at_most_twice_in_a_row_and_steps_back_then() -> None:
    world = begun()
    for _ in range(6):
        live(world, *trained(world.plan().weeks[0], most_kg=8.0))
    verdicts = [type(data).__name__ for data in world.data() if isinstance(data, VERDICTS)]
    for third in zip(verdicts, verdicts[1:], verdicts[2:], strict=False):
        assert set(third) != {"WeekHeld"}
    assert "WeekRegressed" in verdicts


def test_an_absentee_lapses_twice_and_is_discontinued() -> None:
    world = begun()
    for _ in range(2):
        week = world.plan().weeks[0]
        live(world, (DayClosed(through=week.ends_on), week.ends_on))
    assert world.kinds() == ["AttendanceLapsed", "WeekHeld", "AttendanceLapsed", "WeekHeld", "CaseClosed"]
    assert world.data()[3].final
    assert (closed(world).outcome, closed(world).reason_code) == ("discontinued", "no_compliance_or_gain")
    lapsed = world.data()[0]
    assert isinstance(lapsed, AttendanceLapsed)
    assert (lapsed.planned, lapsed.attended) == (3, 0)


def test_an_excused_week_is_no_lapse_and_no_step_towards_discontinuing() -> None:
    world = begun()
    for _ in range(3):
        live(world, *trained(world.plan().weeks[0], attendance="excused"))
    assert world.kinds() == ["WeekHeld", "WeekHeld", "WeekRegressed"]


def is_frozen(world: World) -> bool:
    plan = world.plan()
    return isinstance(plan, PlanRevised) and plan.frozen


def escalated() -> World:
    world = begun()
    week = world.plan().weeks[0]
    stopped = session(week, 0, safety_stop=True)
    return live(
        world,
        (SessionRecorded(session=stopped), stopped.held_on),
        (DayClosed(through=week.ends_on), week.ends_on),
    )


def test_an_escalation_freezes_and_a_clean_assessment_resumes_the_program() -> None:
    world = escalated()
    assert world.kinds() == ["CaseEscalated"]
    plan = world.plan()
    assert isinstance(plan, PlanRevised)
    assert plan.frozen
    assert isinstance(world.state, InProgram)
    assert isinstance(world.state.status, Frozen)
    live(world, (DayClosed(through=date(2026, 3, 22)), date(2026, 3, 22)))
    assert len(world.kinds()) == 1
    live(world, (assessed(on=date(2026, 3, 24)), date(2026, 3, 24)))
    plan = world.plan()
    assert (plan.current_week, plan.effective_from, plan.total_weeks) == (4, date(2026, 3, 30), 10)
    for _ in range(7):
        live(world, *trained(world.plan().weeks[0]))
    assert world.data()[-1].final
    sign(world, "ready", world.data()[-1].assessed_through + timedelta(days=1))
    assert closed(world).outcome == "ready"
    assert closed(world).weeks_judged == 8


def test_an_escalated_case_that_nobody_assesses_is_discontinued_after_four_weeks() -> None:
    world = escalated()
    live(world, (DayClosed(through=date(2026, 4, 11)), date(2026, 4, 11)))
    assert len(world.kinds()) == 1
    live(world, (DayClosed(through=date(2026, 4, 12)), date(2026, 4, 12)))
    assert (closed(world).outcome, closed(world).reason_code) == ("discontinued", "frozen_too_long")
    assert closed(world).closed_on == date(2026, 4, 12)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_alert_escalates_when_its_day_is_closed_and_that_cuts_the_week_short(at_once: bool) -> None:
    world = begun()
    week = world.plan().weeks[0]
    live(world, *[(SessionRecorded(session=held), held.held_on) for held in (session(week, 0), session(week, 1))])
    alarm = session(week, 1, safety_stop=True, held_on=week.starts_on + timedelta(days=2))
    live(world, (SessionRecorded(session=alarm), alarm.held_on))
    assert world.kinds() == []
    # However late the day is closed, it is the day on which the alert was known that is judged.
    through = alarm.held_on if at_once else week.ends_on
    live(world, (DayClosed(through=through), through))
    assert world.kinds() == ["CaseEscalated"]
    [escalated] = world.data()
    assert (escalated.through, escalated.week) == (alarm.held_on, 1)
    assert {reason.code for reason in escalated.reasons} == {"safety_stop", "target_attained"}
    assert is_frozen(world)


def test_an_assessment_on_the_day_of_the_escalation_does_not_resume_and_the_day_after_does() -> None:
    world = escalated()
    monday = world.data()[0].through
    live(world, (assessed(on=monday), monday))
    assert is_frozen(world)
    live(world, (assessed(on=monday + timedelta(days=1)), monday + timedelta(days=1)))
    resumed = world.plan()
    assert isinstance(resumed, PlanRevised)
    assert (resumed.frozen, resumed.assessed_on) == (False, monday + timedelta(days=1))
    assert (resumed.current_week, resumed.effective_from) == (2, date(2026, 3, 16))


@pytest.mark.parametrize(("day", "kinds"), [(1, ["CaseEscalated"]), (3, ["CaseEscalated", "CaseEscalated"])])
def test_an_alert_after_the_clean_assessment_counts_and_one_before_it_is_answered(day: int, kinds: list[str]) -> None:
    world = escalated()
    week, wednesday = world.data()[0], date(2026, 3, 11)
    alarm = session(begun().plan().weeks[0], day, safety_stop=True)
    live(world, (SessionRecorded(session=alarm), alarm.held_on), (assessed(on=wednesday), wednesday))
    live(world, (DayClosed(through=date(2026, 3, 16)), date(2026, 3, 16)))
    assert world.kinds() == kinds
    assert week.through == date(2026, 3, 9)


def test_an_alert_at_an_assessment_in_mid_program_freezes_at_the_next_verdict_until_a_clean_one() -> None:
    world = begun()
    live(world, *trained(world.plan().weeks[0]))
    second = world.plan().weeks[0]
    found = assessed(on=second.starts_on).model_copy(update={"alerts": ("phq9_item9",)})
    live(world, (found, second.starts_on), *trained(second))
    assert world.kinds() == ["WeekAdvanced"] * 2
    assert isinstance(world.state, InProgram)
    assert isinstance(world.state.status, Frozen)
    live(world, (DayClosed(through=date(2026, 3, 29)), date(2026, 3, 29)))
    assert world.kinds() == ["WeekAdvanced"] * 2
    live(world, (assessed(on=date(2026, 3, 25)), date(2026, 3, 30)))
    resumed = world.plan()
    assert isinstance(resumed, PlanRevised)
    # Complete only on 30 March, a Monday: the plan starts on the one after.
    assert (resumed.verdict, resumed.frozen, resumed.effective_from) == ("advance", False, date(2026, 4, 6))
    live(world, *trained(world.plan().weeks[0]))
    assert world.kinds()[2] == "WeekAdvanced"


def test_a_first_assessment_with_an_alert_issues_no_plan_until_one_without_comes() -> None:
    world = World()
    found = assessed().model_copy(update={"alerts": ("red_flag",)})
    live(world, (opened(), OPENED), (found, date(2026, 3, 4)))
    assert world.data(registry.PLANNING_TOPIC) == []
    live(world, (assessed(on=date(2026, 3, 11)), date(2026, 3, 11)))
    assert world.plan().effective_from == date(2026, 3, 16)


def test_a_withdrawal_in_mid_week_closes_the_case_after_the_weeks_that_were_closed() -> None:
    world = begun()
    live(world, *trained(world.plan().weeks[0]))
    second = session(world.plan().weeks[0], 0)
    on = second.held_on + timedelta(days=1)
    live(world, (SessionRecorded(session=second), second.held_on))
    live(world, (CaseWithdrawn(withdrawn_on=on, reason_code="moved"), on))
    assert world.kinds() == ["WeekAdvanced", "CaseClosed"]
    assert (closed(world).outcome, closed(world).closed_on, closed(world).weeks_judged) == ("withdrawn", on, 1)
    late = session(world.plan().weeks[0], 2)
    live(world, (SessionRecorded(session=late), late.held_on))
    assert [refused.code for refused in world.rejections] == ["case_closed"]
    assert world.readers["planning"].case.state == Ended(clinic="north")


def test_a_final_assessment_that_nobody_signs_expires_and_ends_not_ready() -> None:
    world = improver()
    expires = world.data()[-1].expires_on
    live(world, (DayClosed(through=expires), expires))
    assert world.kinds()[-1] == "ReadinessAssessed"
    live(world, (DayClosed(through=expires + timedelta(days=1)), expires + timedelta(days=1)))
    assert (closed(world).outcome, closed(world).reason_code) == ("not_ready", "unsigned")
    sign(world, "ready", expires + timedelta(days=2))
    assert [refused.code for refused in world.rejections] == ["readiness_expired"]


def test_a_signature_against_the_recommendation_needs_a_reason_and_is_visible() -> None:
    world = improver()
    sign(world, "not_ready", date(2026, 5, 4))
    assert [refused.code for refused in world.rejections] == ["reason_required"]
    sign(world, "ready_with_restrictions", date(2026, 5, 4), reason="clinical_judgement")
    ready = world.data()[-2]
    assert (ready.decision, ready.contradicts, ready.reason_code) == (
        "ready_with_restrictions",
        True,
        "clinical_judgement",
    )


def test_a_signed_decision_can_be_corrected_withdrawn_and_followed_up() -> None:
    world = improver()
    sign(world, "ready", date(2026, 5, 4))
    first = next(envelope.id for envelope, data in world.told() if isinstance(data, ReadyForWork))
    sign(world, "ready_with_restrictions", date(2026, 5, 25), reason="new_finding")
    assert world.data()[-1].supersedes == first
    second = world.told()[-1][0].id
    live(
        world,
        (
            ReadinessWithdrawn(role="physician", reason_code="relapse", withdrawn_on=date(2026, 5, 27)),
            date(2026, 5, 27),
        ),
    )
    revoked = world.data()[-1]
    assert isinstance(revoked, ReadinessRevoked)
    assert (revoked.supersedes, revoked.revoked_on) == (second, date(2026, 5, 27))
    live(
        world,
        (
            ReadinessWithdrawn(role="physician", reason_code="relapse", withdrawn_on=date(2026, 5, 28)),
            date(2026, 5, 28),
        ),
        (
            FollowUpRecorded(month=1, as_of=date(2026, 6, 1), reinjured="no", working="modified_work"),
            date(2026, 6, 1),
        ),
    )
    assert [refused.code for refused in world.rejections] == ["nothing_to_withdraw"]
    assert isinstance(world.state, Closed)
    assert [each.month for each in world.state.follow_ups] == [1]


def test_a_role_that_may_not_sign_may_not_withdraw_either() -> None:
    world = improver()
    latest = world.told()[-1][0].id
    signed = signature("ready", date(2026, 5, 4)).model_copy(update={"readiness_event": latest, "role": "office_clerk"})
    live(world, (signed, date(2026, 5, 4)))
    sign(world, "ready", date(2026, 5, 4))
    on = date(2026, 5, 27)
    live(world, (ReadinessWithdrawn(role="office_clerk", reason_code="relapse", withdrawn_on=on), on))
    assert [refused.code for refused in world.rejections] == ["role_not_allowed"] * 2
    assert closed(world).outcome == "ready"


def test_a_correction_may_not_name_a_body_part_to_the_employer() -> None:
    world = improver()
    sign(world, "ready", date(2026, 5, 4))
    latest = [envelope.id for envelope, data in world.told() if isinstance(data, ReadinessAssessed)][-1]
    named = signature("ready_with_restrictions", date(2026, 5, 5), reason="new_finding").model_copy(
        update={"readiness_event": latest, "restrictions": (Restriction(activity="lumbar_disc"),)}
    )
    live(world, (named, date(2026, 5, 5)))
    assert [refused.code for refused in world.rejections] == ["restriction_not_allowed"]


def test_a_not_ready_signed_in_mid_program_lets_it_go_on() -> None:
    world = begun()
    for _ in range(4):
        live(world, *trained(world.plan().weeks[0]))
    sign(world, "not_ready", date(2026, 4, 6))
    live(world, *trained(world.plan().weeks[0]))
    assert world.kinds()[-2:] == ["WeekAdvanced", "ReadinessAssessed"]


def test_ready_may_be_signed_before_the_last_week_and_ends_the_program() -> None:
    world = begun()
    for _ in range(4):
        live(world, *trained(world.plan().weeks[0]))
    sign(world, "ready", date(2026, 4, 6), reason="returned_early")
    assert (closed(world).outcome, closed(world).weeks_judged) == ("ready", 4)
    assert world.readers["planning"].case.state == Ended(clinic="north")


def test_an_earlier_assessment_cannot_be_signed_once_a_later_one_is_there() -> None:
    world = begun()
    for _ in range(5):
        live(world, *trained(world.plan().weeks[0]))
    old = next(envelope.id for envelope, data in world.told() if isinstance(data, ReadinessAssessed))
    signed = signature("not_ready", date(2026, 4, 14)).model_copy(update={"readiness_event": old})
    live(world, (signed, date(2026, 4, 14)))
    assert [refused.code for refused in world.rejections] == ["readiness_superseded"]


def test_an_erased_case_is_gone_in_both_services() -> None:
    world = improver()
    live(world, (CaseErased(reason_code="worker_request"), date(2026, 5, 5)))
    assert all(reader.case.erased and reader.case.state is None for reader in world.readers.values())


def test_the_state_stays_small_and_is_read_back_as_it_was_written() -> None:
    world = improver()
    adapter = world.readers["progress"].handlers.adapter
    text = adapter.dump_json(world.state)
    assert adapter.validate_json(text) == world.state
    assert len(text) < 20_000


def test_a_state_that_a_later_release_wrote_is_read_without_what_is_new_in_it() -> None:
    world = improver()
    adapter = world.readers["progress"].handlers.adapter
    text = adapter.dump_json(world.state).decode().replace('{"', '{"of_a_later_release":1,"')
    assert adapter.validate_json(text, extra="ignore") == world.state


def test_an_alert_that_is_reported_after_the_last_assessment_makes_a_ready_need_a_reason() -> None:
    world = improver()
    alarm = session(world.plan().weeks[0], 7, safety_stop=True)
    live(world, (SessionRecorded(session=alarm), alarm.held_on))
    sign(world, "ready", date(2026, 5, 5))
    assert [refused.code for refused in world.rejections] == ["reason_required"]
    sign(world, "ready", date(2026, 5, 5), reason="alarm_was_false")
    assert world.data()[-2].contradicts
