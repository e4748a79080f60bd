"""Where a case stands in the caseload, and what makes it stand out."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from tests.services.console.cases import (
    TABLE,
    completed,
    declined,
    erased,
    escalated,
    given,
    information_needed,
    line_of,
    readiness,
    replanned,
    session,
    signed,
    week,
)
from tests.services.notify.cases import (
    MONDAY,
    closed,
    consent,
    grant,
    opened,
    plan,
    readiness_revoked,
    ready,
    rejected,
    withdraw_case,
)
from workhardening_contracts.envelope import Event
from workhardening_contracts.intake import ConsultationBooked, ConsultationCancelled, ConsultationReminderDue
from workhardening_contracts.progress import WeekRegressed
from workhardening_contracts.registry import BY_MODEL


@pytest.mark.parametrize(
    ("events", "phase"),
    [
        ([information_needed()], "referred"),
        ([declined()], "declined"),
        ([opened()], "opened"),
        ([opened(), completed()], "opened"),
        ([opened(), plan()], "in_program"),
        ([opened(), plan(), closed("not_ready")], "closed"),
        ([opened(), plan(), withdraw_case()], "closed"),
        ([opened(), plan(), withdraw_case(), rejected(withdraw_case())], "in_program"),
    ],
)
def test_a_case_comes_so_far(events: list[Event[Any]], phase: str) -> None:
    assert line_of(*events).phase == phase


def test_a_line_says_the_job_the_week_and_the_last_verdict() -> None:
    line = line_of(opened(), completed(), plan(), week(1, 9.0), replanned("week-1", 2, (10.0,)))
    assert (line.job_title, line.worker_ref) == ("Warehouse worker", "worker-7")
    assert (line.week, line.total_weeks, line.verdict) == (2, 8, "advance")
    assert (line.risk, line.risk_reasons, line.escalated) == ("low", (), False)


def test_an_escalation_stands_until_a_plan_that_is_not_frozen_answers_it() -> None:
    begun = [opened(), plan(), escalated(1)]
    assert line_of(*begun).escalated, "before planning has answered"
    begun += [replanned("week-1", 1, (), frozen=True, verdict="escalate")]
    assert (line_of(*begun).escalated, line_of(*begun).rank) == (True, 0)
    begun += [replanned("week-1", 1, (8.0,), verdict="escalate")]
    assert not line_of(*begun).escalated, "a clinician has decided"


def test_an_assessment_with_alerts_freezes_too() -> None:
    line = line_of(opened(), plan(), week(1, 9.0), replanned("week-1", 2, (), frozen=True))
    assert (line.escalated, line.risk, line.risk_reasons) == (True, "high", ("escalated",))


@pytest.mark.parametrize("said", [information_needed("phq9_item9"), declined("phq9_item9"), completed("phq9_item9")])
def test_an_alert_before_the_program_comes_first_whatever_was_decided(said: Event[Any]) -> None:
    line = line_of(said)
    assert (line.escalated, line.rank, line.risk_reasons) == (True, 0, ("alert.phq9_item9",))


def test_a_week_that_went_back_and_a_flare_raise_the_risk_and_say_why() -> None:
    line = line_of(opened(), plan(), week(1, 5.0, "second_flare", "attendance_low", model=WeekRegressed))
    assert (line.risk, line.rank) == ("raised", 2)
    assert line.risk_reasons == ("regressed", "second_flare", "attendance_low")


def test_a_safety_veto_is_a_high_risk_and_no_escalation() -> None:
    line = line_of(opened(), plan(), readiness(is_="not_yet", vetoes=("unresolved_flare",)))
    assert (line.risk, line.rank, line.escalated) == ("high", 1, False)
    assert line.risk_reasons == ("veto.unresolved_flare",)


def test_a_recommendation_to_be_ready_waits_for_a_signature_and_the_last_one_whatever_it_says() -> None:
    program = [opened(), plan()]
    assert line_of(*program, readiness()).awaits_signature
    assert not line_of(*program, readiness(is_="not_yet")).awaits_signature
    assert line_of(*program, readiness(is_="not_yet", final=True)).awaits_signature
    assert not line_of(*program, readiness(), signed()).awaits_signature
    assert line_of(*program, readiness(), signed(), rejected(signed())).awaits_signature, "it was refused"
    assert line_of(*program, readiness(), signed(), readiness("assessed-2")).awaits_signature, "assessed anew"
    assert not line_of(*program, readiness(), signed(), ready(), closed()).awaits_signature


def test_a_closed_case_comes_last_and_alarms_nobody() -> None:
    line = line_of(opened(), plan(), escalated(1), closed("discontinued"))
    assert (line.rank, line.risk, line.risk_reasons, line.escalated) == (4, "low", (), False)
    assert line.outcome == "discontinued"


def test_the_outcome_follows_what_was_signed_last() -> None:
    over = [opened(), plan(), ready(), closed()]
    assert line_of(*over).outcome == "ready"
    assert line_of(*over, readiness_revoked()).outcome == "not_ready"


def test_a_strangers_events_make_no_case_and_change_none() -> None:
    assert given([session("s", MONDAY, clinic="stranger")]).state is None
    case = given([opened(), erased(clinic="stranger")])
    assert case.state is not None
    assert not case.erased


def test_an_erased_case_refuses_every_later_event_one_of_ours_too() -> None:
    case = given([opened(), plan(), erased(), week(1, 9.0), session("s", MONDAY)])
    assert (case.state, case.erased, case.waiting) == (None, True, ())


STORY = [
    opened(),
    completed(),
    consent(grant()),
    plan(),
    session("s-1", MONDAY),
    week(1, 9.0),
    replanned("week-1", 2, (10.0,)),
    escalated(2),
    replanned("week-2", 2, (), frozen=True, verdict="escalate"),
    replanned("week-2", 2, (10.0, 11.0), verdict="escalate"),
    readiness(),
    signed(),
    ready(),
    closed(),
]


@pytest.mark.parametrize("seed", range(50))
def test_in_whatever_order_the_topics_are_read_a_case_ends_the_same(seed: int) -> None:
    lanes: dict[str, list[Event[Any]]] = defaultdict(list)
    for each in STORY:
        lanes[BY_MODEL[type(each.data)].topic].append(each)
    chance, woven = random.Random(seed), list[Event[Any]]()
    while waiting := [lane for lane in lanes.values() if lane]:
        woven.append(chance.choice(waiting).pop(0))
    assert given(woven).state == given(STORY).state
    assert given(woven).waiting == ()


def test_every_event_of_a_case_on_the_topics_that_the_console_reads_is_folded() -> None:
    of_no_case = {ConsultationBooked, ConsultationCancelled, ConsultationReminderDue}
    assert TABLE.by_type.keys() == {
        entry.type
        for model, entry in BY_MODEL.items()
        if model not in of_no_case and not entry.topic.startswith("employer.")
    }
