"""What an employer learns of a running program: its dates and its progress, and when it learns nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.notify.state import MAX_TOLD
from tests.services.notify.cases import (
    IN_PROGRAM,
    MONDAY,
    assessed,
    consent,
    event,
    given,
    grant,
    judged,
    known,
    only,
    opened,
    plan,
    ready,
    revised,
    updates,
    when,
)
from workhardening_contracts.progress import CaseEscalated, WeekAdvanced
from workhardening_contracts.readiness import ReadinessUpdated


def test_a_longer_program_is_told_because_its_end_moved() -> None:
    case, _ = given(IN_PROGRAM)
    update: ReadinessUpdated = only(updates(when(case, revised(2, 9)).effects))
    assert (update.sequence, update.previous_sequence) == (2, 1)
    assert update.effective_from == MONDAY
    assert update.effective_through == MONDAY + timedelta(days=62)


def test_a_frozen_plan_without_weeks_keeps_the_planned_end() -> None:
    case, _ = given(IN_PROGRAM)
    folded = when(case, revised(2, 8, frozen=True, verdict="escalate"))
    assert updates(folded.effects) == []


def test_attendance_is_told_week_by_week_where_the_worker_agreed_to_it() -> None:
    case, _ = given([opened(), consent(grant(), grant("attendance")), plan()])
    update: ReadinessUpdated = only(updates(when(case, judged(WeekAdvanced)).effects))
    assert update.program is not None
    assert update.program.attendance == 0.8
    assert update.program.week is None


def test_the_attendance_of_a_week_that_was_cut_short_is_not_told() -> None:
    case, _ = given([opened(), consent(grant(), grant("attendance")), plan(), judged(WeekAdvanced)])
    escalated = event(judged(CaseEscalated, 2).data.model_copy(update={"attendance": 0.2}), "verdict-2")
    folded = when(case, escalated)
    assert updates(folded.effects) == []
    assert known(folded.case).progressed.attendance == 0.8


@pytest.mark.parametrize(
    ("readiness", "told_on"),
    [("meets", MONDAY), ("meets_with_restrictions", MONDAY), ("not_yet", None), ("insufficient_data", None)],
)
def test_a_reached_date_is_told_only_where_nothing_else_speaks_against_work(readiness: str, told_on: Any) -> None:
    case, _ = given([opened(), consent(grant(), grant("expected_date")), plan()])
    folded = when(case, assessed(readiness, "reached"))
    program = [update.program for update in updates(folded.effects)]
    assert [each.expected_date for each in program if each is not None] == ([told_on] if told_on else [])


@pytest.mark.parametrize("days", [-7, 7])
def test_a_plan_that_is_issued_again_moves_the_start_that_the_employer_is_told(days: int) -> None:
    case, _ = given(IN_PROGRAM)
    moved = MONDAY + timedelta(days=days)
    again = event(plan().data.model_copy(update={"plan_version": 2, "effective_from": moved}), "plan-again")
    folded = when(case, again)
    assert only(updates(folded.effects)).effective_from == moved
    program = known(when(folded.case, revised(2)).case).program
    assert program is not None
    assert (program.starts_on, program.week) == (moved, 2)


def test_the_employers_that_are_remembered_are_bounded_and_those_told_before_go_on() -> None:
    case, rows = given([opened(), consent(grant(employer="zz")), plan()])
    for number in range(MAX_TOLD + 5):
        each = consent(grant(employer=f"e{number:03}"), grant(employer="zz"), id=f"c{number}")
        folded = when(case, each)
        case = folded.case
        rows += folded.effects
    assert len(known(case).told) == MAX_TOLD
    assert len(updates(rows)) == MAX_TOLD
    assert only(updates(when(case, ready()).effects)).sequence == 2, "zz; e104 was one too many"
