"""Readiness that is told anew: a report that comes after an assessment and changes what it says replaces it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from services.progress.state import Closed, InProgram
from tests.services.planning.cases import LIFT
from tests.services.progress.worker import JOB, assessed, begun, live, session, signature, trained
from tests.services.progress.world import World
from workhardening_contracts import registry
from workhardening_contracts.clinic import DayClosed, SessionCorrected, SessionRecorded
from workhardening_contracts.contract import EventData
from workhardening_contracts.envelope import Envelope
from workhardening_contracts.planning import PlanIssued, PlannedWeek, PlanRevised
from workhardening_contracts.progress import ReadinessAssessed

SUNDAY = date(2026, 5, 3)
"""The end of the eighth week."""


def improved(weeks: int = 8) -> World:
    world = begun()
    for _ in range(weeks):
        live(world, *trained(world.plan().weeks[0]))
    return world


def assessments(world: World) -> list[tuple[Envelope, ReadinessAssessed]]:
    return [(envelope, data) for envelope, data in world.told() if isinstance(data, ReadinessAssessed)]


def latest(world: World) -> ReadinessAssessed:
    return assessments(world)[-1][1]


def last_week(world: World) -> PlannedWeek:
    plans = [plan for plan in world.data(registry.PLANNING_TOPIC) if isinstance(plan, PlanIssued | PlanRevised)]
    return plans[-1].weeks[0]


def recorded(world: World) -> list[tuple[str, SessionRecorded]]:
    return [
        (envelope.id, data) for envelope, data in world.told(registry.CLINIC_TOPIC) if isinstance(data, SessionRecorded)
    ]


def correct(world: World, nth: int, on: date = SUNDAY, **changes: Any) -> World:
    """Correct the nth session that was recorded, e.g. -1 for the last."""
    wrong, data = recorded(world)[nth]
    return live(world, (SessionCorrected(supersedes=wrong, session=data.session.model_copy(update=changes)), on))


def codes(world: World) -> list[str]:
    return [each.code for each in world.rejections]


def sign(world: World, event: str, decision: str, reason: str | None = None) -> World:
    on = SUNDAY + timedelta(days=1)
    return live(world, (signature(decision, on, reason=reason).model_copy(update={"readiness_event": event}), on))


def test_a_correction_that_changes_what_was_told_replaces_it_and_the_old_one_can_be_signed_no_more() -> None:
    world = improved()
    (envelope, before), told = assessments(world)[-1], len(world.data())
    assert (before.readiness, before.supersedes) == ("meets", None)
    correct(world, -1, confidence=3.0)
    new = world.data()[told:]
    assert new == [latest(world)], "the verdict stands as it was acted on"
    assert (new[0].readiness, new[0].confidence, new[0].supersedes) == ("not_yet", 3.0, envelope.id)
    assert (new[0].assessed_through, new[0].expires_on, new[0].week, new[0].final) == (
        before.assessed_through, before.expires_on, before.week, before.final,
    )  # fmt: skip
    sign(world, envelope.id, "ready")
    assert codes(world) == ["readiness_superseded"]
    sign(world, assessments(world)[-1][0].id, "ready")
    assert codes(world) == ["readiness_superseded", "reason_required"], "it is no longer what is recommended"
    sign(world, assessments(world)[-1][0].id, "not_ready")
    assert isinstance(world.state, Closed)
    assert world.state.readiness is not None
    assert world.state.readiness.basis is None, "a case that is over takes no reports"


def test_a_correction_that_changes_nothing_of_it_says_nothing() -> None:
    world = improved()
    told = world.kinds()
    correct(world, -1, note="entered by another therapist", exertion=5.0)
    correct(world, 0, hours=1.0, performed=())
    assert world.kinds() == told, "the first week is longer ago than a capacity is valid"


def test_each_correction_replaces_the_one_before() -> None:
    world = improved()
    correct(world, -1, confidence=3.0)
    correct(world, -2, pain_next_day=9.0)
    wrong = [envelope.id for envelope, data in world.told(registry.CLINIC_TOPIC) if isinstance(data, SessionCorrected)]
    back = recorded(world)[-1][1].session
    live(world, (SessionCorrected(supersedes=wrong[0], session=back), SUNDAY))
    *_, first, second, third, fourth = [(envelope.id, data) for envelope, data in assessments(world)]
    assert [each.supersedes for _, each in (second, third, fourth)] == [first[0], second[0], third[0]]
    assert [each.readiness for _, each in (first, second, third, fourth)] == ["meets", "not_yet", "not_yet", "not_yet"]
    assert fourth[1].vetoes == ("unresolved_flare",)
    assert fourth[1].confidence == first[1].confidence


def test_a_session_that_is_entered_late_is_counted_too() -> None:
    world = begun()
    for _ in range(7):
        live(world, *trained(world.plan().weeks[0]))
    week = last_week(world)
    live(world, *trained(week, days=week.days - 1))
    before = latest(world)
    flared = session(week, week.days - 1, pain_after=9.0, pain_next_day=9.0)
    live(world, (SessionRecorded(session=flared), week.ends_on))
    assert latest(world).supersedes == assessments(world)[-2][0].id
    assert (before.vetoes, latest(world).vetoes) == ((), ("unresolved_flare",))
    assert latest(world).shift_hours_days == before.shift_hours_days + 1


def test_an_alert_that_is_reported_late_is_a_veto_and_one_that_was_told_is_not_taken_back_by_a_correction() -> None:
    world = improved()
    correct(world, -1, safety_stop=True)
    assert (latest(world).readiness, latest(world).vetoes) == ("not_yet", ("safety_stop",))
    wrong = next(e.id for e, data in world.told(registry.CLINIC_TOPIC) if isinstance(data, SessionCorrected))
    live(world, (SessionCorrected(supersedes=wrong, session=recorded(world)[-1][1].session), SUNDAY))
    assert latest(world).vetoes == ("safety_stop",), "a clinician may sign against it, with a reason"
    sign(world, assessments(world)[-1][0].id, "ready", reason="entered_in_error")
    assert isinstance(world.state, Closed)


def test_a_correction_that_takes_a_session_out_of_the_days_that_were_looked_at_is_counted() -> None:
    world = improved(3)
    live(world, *trained(world.plan().weeks[0], days=1))
    before, week = latest(world), world.plan().weeks[0]
    correct(world, -1, held_on=week.starts_on, on=week.starts_on)
    assert latest(world).supersedes == assessments(world)[-2][0].id
    most = [{each.demand: each.shown for each in told.standings}[LIFT.key] for told in (before, latest(world))]
    assert most[0] is not None
    assert most[1] is not None
    assert most[1].amount < most[0].amount


def test_a_report_of_the_days_that_came_after_changes_nothing() -> None:
    world = improved(4)
    told, week = world.kinds(), world.plan().weeks[0]
    live(world, (SessionRecorded(session=session(week, 0, pain_next_day=9.0)), week.starts_on))
    correct(world, -1, on=week.starts_on, confidence=1.0)
    assert world.kinds() == told
    assert isinstance(world.state, InProgram)


def test_what_was_shown_on_the_oldest_day_that_counts_is_still_known_when_it_is_told_anew() -> None:
    world = begun()
    for number in range(1, 9):
        # In the last week nobody lifts, so the day 13 days before its end is one of those that show it.
        week = world.plan().weeks[0] if number < 8 else last_week(world)
        live(world, *(trained(week, without=(LIFT.kind,)) if number == 8 else trained(week)))
    before = latest(world)
    correct(world, -1, pain_next_day=9.0)
    assert latest(world).vetoes == ("unresolved_flare",)
    assert latest(world).standings == before.standings
    assert next(each.shown for each in before.standings if each.demand == LIFT.key) is not None


def test_what_came_after_the_week_was_closed_and_before_its_plan_is_told_in_the_order_of_a_prompt_plan() -> None:
    prompt = improved(4)
    week = prompt.plan().weeks[0]
    later = [
        *trained(week),
        (SessionRecorded(session=session(week, week.days, pain_next_day=9.0)), week.ends_on + timedelta(days=1)),
        (DayClosed(through=week.ends_on + timedelta(days=1)), week.ends_on + timedelta(days=1)),
    ]
    slow = improved(4)
    live(prompt, *later)
    said: list[tuple[EventData, date]] = list(later)
    for each in said:
        slow.say(each)
        while ("progress", registry.CLINIC_TOPIC) in slow.unread():
            slow.read("progress", registry.CLINIC_TOPIC)
    slow.settle()
    assert slow.neutral() == prompt.neutral()
    assert latest(prompt).supersedes is not None


def reassess(world: World, on: date, *, kg: float = 20.0, pain: float = 3.0) -> World:
    """Intake completes the assessment anew: with another job, or another baseline that was measured on that day."""
    heavier = LIFT.model_copy(update={"amount": LIFT.amount.model_copy(update={"amount": kg})})
    job = JOB.model_copy(update={"demands": (heavier, *JOB.demands[1:])})
    world.publish(assessed(on).model_copy(update={"job": job, "baseline_pain": pain}), SUNDAY)
    world.settle()
    return world


def test_a_corrected_demand_profile_is_what_readiness_is_held_against_from_then_on() -> None:
    world = improved(6)
    before, asked = latest(world), LIFT.amount.amount
    reassess(world, date(2026, 3, 4), kg=asked * 2)
    assert latest(world).supersedes == assessments(world)[-2][0].id
    required = [
        {each.demand: each.required.amount for each in told.standings}[LIFT.key] for told in (before, latest(world))
    ]
    assert required == [asked, asked * 2]
    live(world, *trained(world.plan().weeks[0]))
    assert latest(world).supersedes is None
    assert next(each.required.amount for each in latest(world).standings if each.demand == LIFT.key) == asked * 2
    assert isinstance(world.state, InProgram)
    assert world.state.corrected is None, "the plan has followed"


def test_a_demand_profile_that_is_corrected_after_the_last_week_is_told_before_anybody_signs() -> None:
    world = improved()
    envelope, before = assessments(world)[-1]
    assert before.readiness == "meets"
    reassess(world, date(2026, 3, 4), kg=LIFT.amount.amount * 2)
    assert (latest(world).readiness, latest(world).supersedes) == ("not_yet", envelope.id)
    sign(world, envelope.id, "ready")
    assert codes(world) == ["readiness_superseded"]


def test_a_baseline_counts_for_what_was_held_on_its_day_and_later() -> None:
    world = improved()
    correct(world, -1, pain_next_day=4.5)
    assert latest(world).vetoes == ()
    told = world.kinds()
    reassess(world, SUNDAY + timedelta(days=1), pain=1.0)
    assert world.kinds() == told, "measured after what the readiness looked at"
    reassess(world, date(2026, 3, 4), pain=1.0)
    assert latest(world).vetoes == ("unresolved_flare",)


def test_an_assessment_that_is_completed_again_as_it_was_changes_nothing() -> None:
    world = improved()
    told = world.kinds()
    reassess(world, date(2026, 3, 4), kg=LIFT.amount.amount, pain=world.plan().baseline_pain)
    assert world.kinds() == told
    assert isinstance(world.state, InProgram)
    assert world.state.corrected is None


def test_a_case_that_an_earlier_release_assessed_is_told_anew_from_its_next_assessment_on() -> None:
    world = improved(4)
    reader = world.readers["progress"]
    stored = reader.handlers.adapter.dump_python(reader.case.state, mode="json")
    del stored["readiness"]["basis"]
    state = reader.handlers.adapter.validate_json(json.dumps(stored), extra="ignore")
    reader.case = replace(reader.case, state=state)
    told = world.kinds()
    correct(world, -1, on=world.plan().weeks[0].starts_on, confidence=1.0)
    assert world.kinds() == told
    live(world, *trained(world.plan().weeks[0]))
    correct(world, -1, on=world.plan().weeks[0].starts_on, confidence=1.0)
    assert latest(world).supersedes == assessments(world)[-2][0].id
