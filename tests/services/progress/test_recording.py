"""What is recorded, what is refused, and what a week is judged on."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.planning.state import Planned
from services.progress.policy import Policy as ProgressPolicy
from services.progress.session_log import as_of, capacities, compact, current, entry
from services.progress.state import Closed, InProgram, Opened
from tests.services.planning.cases import LIFT, assessment, demand
from tests.services.progress.worker import OPENED, assessed, begun, live, opened, session, signature, trained
from tests.services.progress.world import World
from workhardening_contracts import registry
from workhardening_contracts.clinic import (
    CaseWithdrawn,
    DayClosed,
    FollowUpRecorded,
    Performed,
    Session,
    SessionCorrected,
    SessionRecorded,
)
from workhardening_contracts.contract import EventData
from workhardening_contracts.demand import DemandProfile
from workhardening_contracts.planning import PlannedWeek
from workhardening_contracts.quantity import Quantity, Unit

MONDAY = date(2026, 3, 9)
SUNDAY = MONDAY + timedelta(days=6)


def first_week(world: World) -> PlannedWeek:
    return world.plan().weeks[0]


def recorded(held: Session) -> tuple[EventData, date]:
    return SessionRecorded(session=held), held.held_on


def closes(through: date) -> tuple[EventData, date]:
    return DayClosed(through=through), through


def corrects(id: str, held: Session) -> tuple[EventData, date]:
    return SessionCorrected(supersedes=id, session=held), held.held_on


def codes(world: World) -> list[str]:
    return [refused.code for refused in world.rejections]


def test_a_second_session_of_a_date_is_refused_and_corrected_instead() -> None:
    world = begun()
    held = session(first_week(world))
    live(world, recorded(held), recorded(held))
    assert codes(world) == ["session_exists"]
    assert world.rejections[0].field == "/session/held_on"
    assert "SessionCorrected" in world.rejections[0].mend


@pytest.mark.parametrize(
    ("held_on", "said_on", "code"),
    [
        (MONDAY + timedelta(days=1), MONDAY, None),  # a clinic's date may be one ahead of the clock's
        (MONDAY + timedelta(days=2), MONDAY, "held_on_to_come"),
        (OPENED - timedelta(days=60), MONDAY, None),
        (OPENED - timedelta(days=61), MONDAY, "held_on_out_of_range"),
        (date(9999, 12, 31), MONDAY, "held_on_to_come"),
        (date(1, 1, 1), MONDAY, "held_on_out_of_range"),
    ],
)
def test_a_session_is_recorded_when_it_was_held_and_not_long_before_the_case(
    held_on: date, said_on: date, code: str | None
) -> None:
    world = begun()
    held = session(first_week(world), held_on=held_on)
    live(world, (SessionRecorded(session=held), said_on))
    assert codes(world) == ([code] if code else [])


def test_a_day_to_come_cannot_be_closed() -> None:
    world = begun()
    live(world, (DayClosed(through=MONDAY + timedelta(days=2)), MONDAY))
    assert codes(world) == ["day_to_come"]
    assert isinstance(world.state, InProgram)
    assert world.state.closed_through is None


def test_a_case_takes_500_reports() -> None:
    world = begun()
    held = session(first_week(world))
    world.say(recorded(held), "fix-0")
    for nth in range(1, 502):
        world.say(corrects(f"fix-{nth - 1}", held), f"fix-{nth}")
    world.settle()
    assert codes(world) == ["too_many_reports", "too_many_reports"]
    assert isinstance(world.state, InProgram)
    assert len(world.state.log) == 500


def test_a_correction_replaces_the_session_it_names() -> None:
    world = begun()
    week = first_week(world)
    weak = session(week, 0, effort=0.4)
    id = world.say(recorded(weak), "first")
    world.settle()
    live(world, *[recorded(session(week, day, effort=0.4)) for day in (1, 2)])
    live(world, corrects(id, session(week, 0)), closes(week.ends_on))
    assert world.kinds() == ["WeekAdvanced"]


@pytest.mark.parametrize(("supersedes", "code"), [("never-sent", "session_unknown"), ("first", "session_superseded")])
def test_a_correction_must_name_the_latest_report_of_a_session(supersedes: str, code: str) -> None:
    world = begun()
    held = session(first_week(world))
    world.say(recorded(held), "first")
    live(world, corrects("first", held), corrects(supersedes, held))
    assert codes(world) == [code]


def test_a_correction_may_move_a_session_but_not_onto_another_one() -> None:
    world = begun()
    week = first_week(world)
    world.say(recorded(session(week, 0)), "first")
    world.say(recorded(session(week, 1)), "second")
    live(world, corrects("first", session(week, 1)), corrects("first", session(week, 2)))
    assert codes(world) == ["session_exists"]
    assert isinstance(world.state, InProgram)
    assert [each.held_on.weekday() for each in current(world.state.log)] == [1, 2]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 5), max_size=8))
def test_no_week_is_judged_before_its_last_day_is_closed(through: list[int]) -> None:
    world = begun()
    live(world, *trained(first_week(world))[:-1])
    live(world, *(closes(MONDAY + timedelta(days=days)) for days in through))
    assert world.kinds() == []
    live(world, closes(SUNDAY))
    assert world.kinds() == ["WeekAdvanced"]


def test_a_day_that_is_closed_again_changes_nothing() -> None:
    world = live(begun(), *trained(first_week(begun())))
    before = world.state
    live(world, closes(SUNDAY), closes(MONDAY))
    assert world.state == before


def test_a_session_that_comes_after_its_week_was_closed_never_changes_its_verdict() -> None:
    world = begun()
    week = first_week(world)
    live(world, recorded(session(week, 0)), recorded(session(week, 1)), closes(week.ends_on))
    assert world.kinds() == ["AttendanceLapsed", "WeekHeld"]
    live(world, recorded(session(week, 2)))
    assert world.kinds() == ["AttendanceLapsed", "WeekHeld"]
    assert isinstance(world.state, InProgram)
    assert [each.reported_after for each in world.state.log] == [None, None, week.ends_on]


def test_a_flare_that_was_reported_late_makes_the_next_one_the_second() -> None:
    def kinds(late_pain: float) -> list[str]:
        world = begun()
        week = first_week(world)
        live(world, *(recorded(session(week, day)) for day in (0, 1)), closes(week.ends_on))
        live(world, recorded(session(week, 4, pain_next_day=late_pain)))
        week = first_week(world)
        live(world, *(recorded(session(week, day, pain_next_day=6.0 - 2 * day)) for day in (0, 1, 2)))
        return live(world, closes(week.ends_on)).kinds()

    assert kinds(late_pain=2.0)[-1] == "WeekHeld"
    assert kinds(late_pain=6.0)[-1] == "WeekRegressed"


def test_a_late_report_counts_from_then_on_and_its_alert_once() -> None:
    world = begun()
    week = first_week(world)
    live(world, recorded(session(week, 0)), recorded(session(week, 1)), closes(week.ends_on))
    live(world, recorded(session(week, 2, safety_stop=True)))
    live(world, *trained(first_week(world)))
    assert world.kinds()[-1] == "CaseEscalated"
    assert "late_session" in [reason.code for reason in world.data()[-1].reasons]
    live(world, (assessed(on=date(2026, 3, 25)), date(2026, 3, 25)))
    live(world, *trained(first_week(world)))
    assert world.kinds()[-2:] == ["WeekAdvanced", "ReadinessAssessed"]


def test_a_late_correction_stands_in_the_log_and_leaves_the_verdict_as_it_was() -> None:
    world = begun()
    week = first_week(world)
    world.say(recorded(session(week, 0)), "first")
    live(world, *trained(week)[1:])
    live(world, corrects("first", session(week, 0, effort=0.1)))
    assert world.kinds() == ["WeekAdvanced"]
    assert isinstance(world.state, InProgram)
    assert current(world.state.log)[0].replaces == "first"


def test_events_that_come_before_the_case_is_opened_wait_for_it() -> None:
    world = World()
    week = first_week(begun())
    said = trained(week)
    live(world, *said)
    assert world.state is None
    assert len(world.readers["progress"].case.waiting) == len(said)
    live(world, (opened(), OPENED))
    assert isinstance(world.state, Opened)
    live(world, (assessed(), date(2026, 3, 4)))
    assert world.kinds() == ["WeekAdvanced"]
    assert world.readers["progress"].case.waiting == ()


def test_a_case_that_is_opened_again_goes_on() -> None:
    world = live(begun(), (opened(), OPENED))
    assert isinstance(world.state, InProgram)


def test_a_withdrawal_without_plan_or_session_closes_at_once() -> None:
    world = live(World(), (opened(), OPENED), closes(MONDAY))
    live(world, (CaseWithdrawn(withdrawn_on=MONDAY, reason_code="worker_choice"), MONDAY))
    assert world.kinds() == ["CaseClosed"]
    assert (world.data()[0].outcome, world.data()[0].reason_code) == ("withdrawn", "worker_choice")
    live(world, (assessed(), date(2026, 3, 4)))
    assert world.data(registry.PLANNING_TOPIC) == []


def test_a_withdrawal_with_sessions_but_without_plan_waits_for_the_plan_and_judges_first() -> None:
    world = live(World(), (opened(), OPENED), *trained(first_week(begun())))
    on = SUNDAY + timedelta(days=1)
    live(world, (CaseWithdrawn(withdrawn_on=on, reason_code="moved"), on))
    assert isinstance(world.state, Opened)
    live(world, recorded(session(first_week(begun()), 7)), closes(on + timedelta(days=20)))
    assert codes(world) == ["case_closed"]
    live(world, (assessed(), date(2026, 3, 4)))
    assert world.kinds() == ["WeekAdvanced", "CaseClosed"]


def test_a_signature_of_a_case_that_was_never_assessed_is_refused() -> None:
    world = live(World(), (opened(), OPENED), (signature("ready", MONDAY), MONDAY))
    live(world, (assessed(), date(2026, 3, 4)), (signature("ready", MONDAY), MONDAY))
    assert codes(world) == ["readiness_unknown", "readiness_unknown"]


def test_a_follow_up_waits_until_the_case_is_closed_and_keeps_the_latest_word() -> None:
    def follow_up(month: int, day: int, working: str) -> tuple[EventData, date]:
        on = date(2026, 6, day)
        return FollowUpRecorded(month=month, as_of=on, reinjured="no", working=working), on  # pyright: ignore[reportArgumentType]

    world = live(begun(), follow_up(1, 2, "not_working"))
    assert len(world.readers["progress"].case.waiting) == 1
    live(world, (CaseWithdrawn(withdrawn_on=MONDAY, reason_code="moved"), MONDAY))
    live(world, follow_up(1, 9, "usual_job"), follow_up(1, 1, "unknown"), follow_up(3, 20, "usual_job"))
    assert isinstance(world.state, Closed)
    assert [(each.month, each.working) for each in world.state.follow_ups] == [(1, "usual_job"), (3, "usual_job")]


def test_a_plan_that_is_issued_again_counts_while_nothing_is_judged() -> None:
    world = begun()
    live(world, (assessed(on=date(2026, 3, 5)), date(2026, 3, 5)))
    assert isinstance(world.state, InProgram)
    assert world.state.plan.version == 2


def test_the_log_as_of_a_closed_day_leaves_later_reports_out_and_what_they_replace_in() -> None:
    week = first_week(begun())
    first = entry("a", session(week, 0), None)
    late = entry("b", session(week, 1), week.ends_on)
    fix = entry("c", session(week, 0, effort=0.5), week.ends_on, replaces="a")
    log = (late, first, fix)
    assert [each.id for each in as_of(log, week.ends_on)] == ["a"]
    assert [each.id for each in as_of(log, week.ends_on + timedelta(days=7))] == ["c", "b"]


def test_compacting_forgets_only_performances_that_were_known_and_are_needed_no_more() -> None:
    week = first_week(begun())
    old = entry("old", session(week, 0), None)
    young = entry("young", session(week, 4), None)
    late = entry("late", session(week, 1), week.ends_on)
    kept = compact((old, young, late), week.ends_on, week.starts_on + timedelta(days=3))
    assert [(each.id, bool(each.performed)) for each in kept] == [("old", False), ("young", True), ("late", True)]


def test_only_attended_sessions_show_a_capacity_and_each_on_its_day() -> None:
    week = first_week(begun())
    there, away = session(week, 0), session(week, 1, attendance="absent")
    by_kind = capacities([entry("a", there, None), entry("b", away, None)])
    shown = [each for kind in by_kind.values() for each in kind]
    assert {each.measured_on for each in shown} == {week.starts_on}
    assert {each.kind for each in shown} == {"lift", "stand", "shift", "confidence"}
    assert next(each.amount for each in shown if each.kind == "lift").unit == LIFT.amount.unit


odd = st.sampled_from([0.0, 5e-324, 1.0, 100_000.0])


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(odd, st.sampled_from(["kg", "lb", "score"])), min_size=1, max_size=3),
    st.lists(st.tuples(odd, st.sampled_from(["kg", "lb", "N"])), min_size=5, max_size=5),
)
def test_whatever_a_contract_allows_can_be_judged(
    profile: list[tuple[float, Unit]], shown: list[tuple[float, Unit]]
) -> None:
    zones = ("floor_waist", "waist_shoulder", "overhead")
    demands = tuple(
        demand("lift", amount, unit, zone=zone) for (amount, unit), zone in zip(profile, zones, strict=False)
    )
    job = DemandProfile(title="Job", basis="template", demands=demands, shift_hours=8.0)
    world = World(progress=ProgressPolicy(readiness_from_week=1))
    live(world, (opened(), OPENED), (assessment(job, ()), date(2026, 3, 4)))
    for amount, unit in shown:
        if not isinstance(world.readers["planning"].case.state, Planned):
            break
        week = first_week(world)
        done = tuple(
            Performed(kind="lift", zone=zone, frequency="constant", amount=Quantity(amount=amount, unit=unit))
            for zone in zones
        )
        held = session(week, 0, performed=done)
        live(world, recorded(held), closes(week.ends_on))
    assert "ReadinessAssessed" in world.kinds()
