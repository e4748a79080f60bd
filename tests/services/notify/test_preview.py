"""What a clinician is shown before they sign is what employers are told when they have."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from runtime.fold import Case
from services.notify.preview import Previewed, preview
from services.notify.rows import DeliveryRow
from services.notify.state import Heard, Known
from tests.services.notify.cases import (
    IN_PROGRAM,
    LIMIT,
    MONDAY,
    NOON,
    TABLE,
    closed,
    consent,
    given,
    grant,
    known,
    only,
    opened,
    plan,
    ready,
    revoke,
    told,
    when,
)
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.envelope import Event


def signed(decision: Any = "ready", **more: Any) -> ReadinessSigned:
    return ReadinessSigned(
        readiness_event="assessed-1", role="physician", decision=decision, effective_from=MONDAY, **more
    )


def shown(events: list[Event[Any]], said: ReadinessSigned, *, final: bool = True) -> list[Previewed]:
    return preview(given(events)[0], said, final, NOON, TABLE)


@pytest.mark.parametrize(
    ("said", "follows"),
    [
        (signed(), ready()),
        (
            signed("ready_with_restrictions", restrictions=(LIMIT,), effective_through=date(2026, 5, 1)),
            ready(restrictions=(LIMIT,)),
        ),
        (signed("not_ready"), closed("not_ready")),
    ],
)
def test_what_is_shown_is_what_is_told(said: ReadinessSigned, follows: Event[Any]) -> None:
    case, _ = given(IN_PROGRAM)
    row = only([row for row in when(case, follows).effects if isinstance(row, DeliveryRow)])
    each = only(shown(IN_PROGRAM, said))
    assert (each.employer, each.why_not, each.scopes, each.bases) == (row.employer, None, row.scopes, row.bases)
    assert each.update == told(row).model_dump(mode="json", exclude_none=True)


def test_a_correction_shows_what_it_supersedes_and_a_revocation_that_the_worker_is_unable_again() -> None:
    over = [*IN_PROGRAM, ready(), closed()]
    before = known(given(over)[0]).told[0]
    limited = signed("ready_with_restrictions", restrictions=(LIMIT,), effective_through=date(2026, 5, 1))
    corrected = only(shown(over, limited)).update
    assert (corrected["status"], corrected["supersedes"]) == ("with_restrictions", before.ready_update)
    revoked = only(shown(over, signed("not_ready", reason_code="new_finding"))).update
    assert (revoked["status"], revoked["outcome"]) == ("unable", "revoked")


def test_who_would_be_told_nothing_is_shown_with_the_reason() -> None:
    assert [(each.update, each.why_not) for each in shown([opened(), plan()], signed())] == [(None, "no_consent")]
    stopped = shown([*IN_PROGRAM, revoke()], signed())
    assert [(each.update, each.why_not) for each in stopped] == [(None, "no_consent")]
    assert [each.why_not for each in shown(IN_PROGRAM, signed("not_ready"), final=False)] == ["nothing_new"]


def test_of_several_employers_each_is_shown_what_it_would_be_told() -> None:
    both = [opened(), consent(grant(), grant(employer="depot")), plan()]
    found = {each.employer: each.update for each in shown(both, signed())}
    assert found["acme"] is not None
    assert found["depot"] is not None
    assert (found["acme"]["employee_key"], "employee_key" in found["depot"]) == ("E-42", False)


def test_a_parked_case_sends_nothing_and_a_case_that_never_came_about_has_nobody_to_tell() -> None:
    parked = replace(given(IN_PROGRAM)[0], parked=1)
    assert [each.why_not for each in preview(parked, signed(), True, NOON, TABLE)] == ["parked"]
    heard: Case[Heard | Known] = given([consent(grant())])[0]
    assert preview(heard, signed(), True, NOON, TABLE) == []


def test_a_preview_changes_nothing() -> None:
    case, _ = given(IN_PROGRAM)
    before = case
    preview(case, signed(), True, NOON, TABLE)
    assert case == before
