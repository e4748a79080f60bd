"""Exactly one statement, and never one without an end that needs one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.state import Ended, Program, Revoked, Signed
from services.notify.work_status import statement
from tests.services.notify.cases import LIMIT, MONDAY

PROGRAM = Program(starts_on=MONDAY, ends_on=MONDAY + timedelta(days=55), week=1, total_weeks=8)
DAYS = st.dates(date(2020, 1, 1), date(2030, 1, 1))
STANDINGS = st.one_of(
    st.none(),
    st.builds(
        Signed,
        decision=st.just("ready"),
        restrictions=st.just(()),
        effective_from=DAYS,
        effective_through=st.none(),
        role=st.just("physician"),
    ),
    st.builds(
        Signed,
        decision=st.just("ready_with_restrictions"),
        restrictions=st.just((LIMIT,)),
        effective_from=DAYS,
        effective_through=st.none(),
        role=st.just("physician"),
    ),
    st.builds(Revoked, revoked_on=DAYS, role=st.just("physician")),
    st.builds(Ended, ended_on=DAYS, outcome=st.sampled_from(["not_ready", "discontinued"])),
)


def signed(decision: Any, through: date | None = None, restrictions: Any = ()) -> Signed:
    return Signed(
        decision=decision, restrictions=restrictions, effective_from=MONDAY, effective_through=through, role="physician"
    )


def test_nothing_is_said_before_there_is_a_plan() -> None:
    assert statement(None, None, 28) is None


def test_in_the_program_the_worker_is_unable_until_its_planned_end() -> None:
    said = statement(PROGRAM, None, 28)
    assert said is not None
    assert (said.status, said.effective_from, said.effective_through) == ("unable", MONDAY, PROGRAM.ends_on)
    assert (said.outcome, said.certifier_role) == ("in_program", None)


def test_a_full_signature_is_no_restrictions_from_its_date_without_an_end() -> None:
    said = statement(PROGRAM, signed("ready"), 28)
    assert said is not None
    assert (said.status, said.effective_through, said.certifier_role) == ("no_restrictions", None, "physician")


def test_restrictions_without_an_end_are_given_one() -> None:
    said = statement(PROGRAM, signed("ready_with_restrictions", None, (LIMIT,)), 28)
    assert said is not None
    assert said.effective_through == MONDAY + timedelta(days=28)
    assert said.restrictions == (LIMIT,)


def test_restrictions_that_name_none_are_refused_rather_than_told() -> None:
    with pytest.raises(ValueError, match="without a restriction"):
        statement(PROGRAM, signed("ready_with_restrictions"), 28)


def test_a_revoked_signature_is_unable_until_the_next_review() -> None:
    said = statement(PROGRAM, Revoked(revoked_on=MONDAY, role="physician"), 28)
    assert said is not None
    assert (said.status, said.outcome) == ("unable", "revoked")
    assert said.effective_through == MONDAY + timedelta(days=28)


@settings(derandomize=True, deadline=None)
@cases(standing=STANDINGS, program=st.one_of(st.none(), st.just(PROGRAM)), review=st.integers(7, 90))
def test_only_no_restrictions_may_be_without_an_end(standing: Any, program: Program | None, review: int) -> None:
    said = statement(program, standing, review)
    if said is None:
        assert program is None
        assert standing is None
        return
    assert said.effective_through is not None or said.status == "no_restrictions"
    assert said.effective_through is None or said.effective_through >= said.effective_from
    assert bool(said.restrictions) == (said.status == "with_restrictions")
