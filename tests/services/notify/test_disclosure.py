"""An employer learns what consent allows, field by field, and nothing else whatever the case holds."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from services.notify.disclosure import disclosure, permitted, readiness_updated, still_permitted
from services.notify.state import Ended, Known, Program, Progressed, Revoked, Signed, Stop, Told
from tests.services.notify.cases import CASE, EMPLOYER, LIMIT, MONDAY, grant
from workhardening_contracts.intake import ConsentGrant

SCOPES = ("work_status", "program_week", "attendance", "expected_date", "demands_met")
ALLOWED = {
    "case_ref",
    "employee_key",
    "status",
    "effective_from",
    "effective_through",
    "restrictions",
    "outcome",
    "certifier_role",
    "sequence",
    "previous_sequence",
    "supersedes",
    "program",
}
OF_SCOPE = {
    "program_week": {"week", "total_weeks"},
    "attendance": {"attendance"},
    "expected_date": {"expected_date"},
    "demands_met": {"demands_met", "demands_total"},
}
CANARY = "canary-phi"
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))


def a_case(*grants: ConsentGrant, **more: Any) -> Known:
    facts: dict[str, Any] = {
        "clinic": "north",
        "worker_ref": f"worker-{CANARY}",
        "employer": EMPLOYER,
        "employee_key": "E-42",
        "grants": grants,
        "program": Program(starts_on=MONDAY, ends_on=MONDAY + timedelta(days=55), week=3, total_weeks=8),
        "progressed": Progressed(attendance=0.9, demands_met=2, demands_total=5, forecast_week=7.0),
    }
    return Known(**{**facts, **more})


def test_without_a_grant_of_the_work_status_nothing_is_told() -> None:
    assert disclosure(a_case(grant("attendance")), EMPLOYER, MONDAY, 28) is None


def test_each_scope_opens_its_own_fields_and_is_recorded_with_its_basis() -> None:
    allowed = disclosure(a_case(*(grant(scope) for scope in SCOPES)), EMPLOYER, MONDAY, 28)
    assert allowed is not None
    assert allowed.program is not None
    assert allowed.program.model_dump() == {
        "week": 3,
        "total_weeks": 8,
        "attendance": 0.9,
        "expected_date": MONDAY + timedelta(days=49),
        "demands_met": 2,
        "demands_total": 5,
    }
    assert allowed.scopes == SCOPES
    assert allowed.bases == ("worker_consent",) * 5


def test_a_scope_under_which_nothing_is_told_is_not_recorded_as_disclosed() -> None:
    allowed = disclosure(a_case(grant(), grant("attendance"), progressed=Progressed()), EMPLOYER, MONDAY, 28)
    assert allowed is not None
    assert allowed.scopes == ("work_status",)
    assert allowed.program is None


def test_the_employee_key_is_told_only_to_the_employer_whose_key_it_is() -> None:
    case = a_case(grant(employer="other"), grant())
    own, other = disclosure(case, EMPLOYER, MONDAY, 28), disclosure(case, "other", MONDAY, 28)
    assert own is not None
    assert other is not None
    assert (own.employee_key, other.employee_key) == ("E-42", None)


def test_consent_that_begins_later_is_told_from_that_day_on() -> None:
    later = MONDAY + timedelta(days=9)
    allowed = disclosure(a_case(grant(start=later)), EMPLOYER, MONDAY, 28)
    assert allowed is not None
    assert allowed.on == later


def test_consent_that_has_ended_is_none() -> None:
    assert disclosure(a_case(grant(end=MONDAY)), EMPLOYER, MONDAY + timedelta(days=1), 28) is None


def test_the_last_day_of_consent_counts() -> None:
    assert permitted((grant(end=MONDAY),), EMPLOYER, MONDAY).keys() == {"work_status"}


def test_what_was_permitted_is_asked_again_by_scope() -> None:
    case = a_case(grant(), grant("attendance", end=MONDAY))
    assert still_permitted(case, EMPLOYER, ("work_status", "attendance"), MONDAY)
    assert not still_permitted(case, EMPLOYER, ("work_status", "attendance"), MONDAY + timedelta(days=1))
    assert still_permitted(case, EMPLOYER, ("work_status",), MONDAY + timedelta(days=1))


def test_a_case_that_is_not_in_the_program_permits_nothing() -> None:
    assert not still_permitted(None, EMPLOYER, (), MONDAY)


GRANTS = st.builds(
    ConsentGrant,
    employer=st.sampled_from([EMPLOYER, "other"]),
    scope=st.sampled_from([*SCOPES, "diagnosis", "everything"]),
    basis=st.sampled_from(["worker_consent", "workers_compensation_law"]),
    valid_from=DAYS,
    valid_through=st.one_of(st.none(), DAYS),
)
STATES = st.builds(
    a_case,
    # The worker, an unanswered stop and whatever was answered may hold anything; none of it may come out.
    worker_ref=st.just(f"worker-{CANARY}"),
    answered=st.just((f"/clinics/{CANARY}#1",)),
    clinic=st.just(f"clinic-{CANARY}"),
    grants=st.lists(GRANTS, max_size=8).map(tuple),
    declined=st.booleans(),
    closed=st.booleans(),
    stops=st.lists(
        st.builds(
            Stop,
            reference=st.just(f"/clinics/{CANARY}#2"),
            what=st.sampled_from(["consent", "readiness", "case"]),
            employer=st.just(EMPLOYER),
            scopes=st.lists(st.sampled_from(SCOPES), max_size=3).map(tuple),
        ),
        max_size=1,
    ).map(tuple),
    standing=st.one_of(
        st.none(),
        st.builds(
            Signed,
            decision=st.just("ready_with_restrictions"),
            restrictions=st.just((LIMIT,)),
            effective_from=DAYS,
            effective_through=st.none(),
            role=st.just("physician"),
        ),
        st.builds(Revoked, revoked_on=DAYS, role=st.just("physician")),
        st.builds(Ended, ended_on=DAYS, outcome=st.just("not_ready")),
    ),
    progressed=st.builds(
        Progressed,
        attendance=st.one_of(st.none(), st.floats(0, 1)),
        demands_met=st.one_of(st.none(), st.integers(0, 5)),
        demands_total=st.just(5),
        forecast_week=st.one_of(st.none(), st.floats(0, 200)),
        reached_on=st.one_of(st.none(), DAYS),
    ),
)


@settings(derandomize=True, deadline=None, max_examples=200)
@cases(state=STATES, employer=st.sampled_from([EMPLOYER, "other", "stranger"]), on=DAYS)
def test_no_field_outside_the_allow_list_and_nothing_without_a_valid_grant(
    state: Known, employer: str, on: date
) -> None:
    allowed = disclosure(state, employer, on, 28)
    if allowed is None:
        return
    body = json.loads(readiness_updated(allowed, CASE, None, 1).model_dump_json(exclude_none=True))
    assert body.keys() <= ALLOWED
    assert CANARY not in json.dumps(body)
    assert not state.declined
    assert all(stop.what == "consent" for stop in state.stops)
    granted_scopes = {
        entry.scope
        for entry in state.grants
        if entry.employer == employer
        and entry.valid_from <= allowed.on
        and (entry.valid_through is None or entry.valid_through >= allowed.on)
    } - {scope for stop in state.stops if stop.employer == employer for scope in stop.scopes}
    assert "work_status" in granted_scopes
    opened = set[str]().union(*(OF_SCOPE.get(scope, set[str]()) for scope in granted_scopes))
    assert body.get("program", {}).keys() <= opened
    assert set(allowed.scopes) <= granted_scopes


def test_a_revocation_names_the_update_that_it_withdraws() -> None:
    case = a_case(grant(), standing=Revoked(revoked_on=MONDAY, role="physician"))
    allowed = disclosure(case, EMPLOYER, MONDAY, 28)
    assert allowed is not None
    before = Told(employer=EMPLOYER, sequence=4, digest="x", ready_update="update-4")
    update = readiness_updated(allowed, CASE, before, 5)
    assert (update.supersedes, update.sequence, update.previous_sequence) == ("update-4", 5, 4)
