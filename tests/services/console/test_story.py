"""What a case's page shows, from its events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.console import charts, story
from services.console.story import Logged, Story, read_story
from tests.services.console.cases import (
    completed,
    corrected,
    escalated,
    information_needed,
    readiness,
    replanned,
    session,
    signed,
    week,
)
from tests.services.notify.cases import (
    CLINIC,
    LIMIT,
    MONDAY,
    consent,
    event,
    grant,
    opened,
    plan,
    readiness_revoked,
    ready,
    rejected,
)
from workhardening_contracts.envelope import Event
from workhardening_contracts.progress import WeekHeld


def told(*events: Event[Any]) -> Story:
    log = [
        Logged(each.source, each.id, each.type, each.time, version, "default-1", each.envelope.data)
        for version, each in enumerate(events, 1)
    ]
    return read_story(log, CLINIC)


def test_a_correction_stands_in_the_place_of_its_session_and_a_refused_one_does_not() -> None:
    tuesday = MONDAY + timedelta(days=1)
    second = session("s-2", tuesday, 6.0)
    shown = story.sessions(
        told(
            second,
            session("s-1", MONDAY, 2.0),
            corrected("c-1", "s-1", MONDAY, 4.0),
            session("s-3", MONDAY, 9.0),
            rejected(session("s-3", MONDAY)),
        )
    )
    assert [(each.on, each.pain_after) for each in shown] == [(MONDAY, 4.0), (tuesday, 6.0)]


def test_what_strangers_were_refused_is_not_shown() -> None:
    refused = rejected(session("s-9", MONDAY), clinic="stranger")
    assert told(opened(), refused).read == told(opened()).read


def test_a_chart_has_the_baseline_each_weeks_target_as_it_was_trained_and_what_was_shown() -> None:
    (chart,) = charts.demand_charts(
        told(
            completed(),
            replanned("none", 1, (10.0, 12.0, 14.0)),
            week(1, 11.0),
            replanned("week-1", 2, (13.0, 15.0)),
            week(2, 9.0, model=WeekHeld),
            replanned("week-2", 2, (12.5, 14.5)),
        )
    )
    assert (chart.key, chart.unit, chart.required) == ("lift/floor_waist/occasional", "kg", 20.0)
    assert [(point.week, point.target, point.attained) for point in chart.points] == [
        (0, None, 8.0),
        (1, 10.0, 11.0),
        (2, 12.5, 9.0),
        (3, 14.5, None),
    ]


def test_there_is_no_chart_before_there_is_a_plan() -> None:
    assert charts.demand_charts(told(opened(), completed())) == ()


def test_readiness_says_what_is_missing_critical_things_first() -> None:
    shown = story.readiness(told(readiness("a-1"), readiness("a-2", is_="not_yet", vetoes=("red_flag",))))
    assert shown is not None
    assert shown.event_id == "a-2"
    assert [(each.code, each.what, each.critical) for each in shown.missing] == [
        ("veto", "red_flag", True),
        ("demand_unmet", "lift/floor_waist/occasional", True),
        ("demand_not_shown", "carry/-/seldom", False),
        ("hours_not_shown", "shift", True),
        ("confidence_unknown", "confidence", True),
    ]


def test_a_signature_stands_until_it_is_revoked() -> None:
    signature = story.signature(told(ready(restrictions=(LIMIT,))))
    assert signature is not None
    assert (signature.decision, signature.restrictions) == ("ready_with_restrictions", (LIMIT,))
    assert story.signature(told(ready(), readiness_revoked())) is None


def test_verdicts_and_plans_are_shown_oldest_first_with_their_reasons() -> None:
    read = told(plan(), week(1, 9.0), replanned("week-1", 2, (10.0,)), escalated(2))
    assert [(each.week, each.verdict, each.reasons[0].code) for each in story.verdicts(read)] == [
        (1, "advance", "target_attained"),
        (2, "escalate", "red_flag"),
    ]
    assert [(each.version, each.answers) for each in story.plans(read)] == [(1, None), (2, "advance")]


def test_what_is_lacking_is_what_intake_said_last() -> None:
    assert story.lacking(told(information_needed("red_flag"))) == (("medical_clearance",), ("red_flag",))
    assert story.lacking(told(information_needed("red_flag"), completed())) == ((), ())
    assert story.lacking(told(opened())) == ((), ())


def test_consent_is_as_it_was_stated_last() -> None:
    read = told(consent(grant(), grant("attendance")), consent(grant(), id="consent-2"))
    assert [(each.employer, each.scope) for each in story.grants(read)] == [("acme", "work_status")]


def test_the_timeline_goes_back_page_by_page_and_leaves_nothing_out() -> None:
    read = told(opened(), completed(), plan(), week(1, 9.0), signed())
    found: list[str] = []
    before: int | None = None
    while True:
        moments, following = story.timeline(read, before, 2)
        found += [moment.name for moment in moments]
        if following is None:
            break
        before = int(following)
    assert found == ["readiness.signed", "week.advanced", "plan.issued", "assessment.completed", "case.opened"]


def test_a_readiness_that_was_told_anew_is_the_one_that_is_shown_and_says_so() -> None:
    first = readiness("assessed-1", is_="meets")
    anew = event(first.data.model_copy(update={"supersedes": "assessed-1", "readiness": "not_yet"}), "assessed-2")
    read = told(opened(), plan(), first, anew)
    shown = story.readiness(read)
    assert shown is not None
    assert (shown.event_id, shown.readiness) == ("assessed-2", "not_yet")
    newest, before = story.timeline(read, None, 2)[0]
    assert newest.detail == "week 2, readiness not yet, told anew"
    assert before.detail == "week 2, readiness meets"


def test_an_event_that_can_no_longer_be_read_is_left_out_and_hides_no_other() -> None:
    broken = Logged("/services/progress", "x", week(1, 1.0).type, week(1, 1.0).time, 1, "", b"{}")
    good = week(2, 9.0)
    read = read_story([broken, Logged(good.source, good.id, good.type, good.time, 2, "", good.envelope.data)], CLINIC)
    assert [each.week for each in story.verdicts(read)] == [2]
