"""Consent as it stands."""

from __future__ import annotations

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.consent import Grants, recorded, revoked
from workhardening_contracts.clinic import ConsentRecorded, ConsentRevoked

SCOPES = ("work_status", "attendance", "program_week")


def _record(employer: str, *scopes: str, through: date | None = None) -> ConsentRecorded:
    return ConsentRecorded(
        employer=employer,
        scopes=scopes,
        basis="worker_consent",
        valid_from=date(2026, 3, 2),
        valid_through=through,
    )


def _pairs(grants: Grants) -> list[tuple[str, str]]:
    return [(grant.employer, grant.scope) for grant in grants]


def test_each_scope_is_a_grant_of_its_own_in_a_stable_order() -> None:
    grants = recorded(recorded((), _record("zeta", "work_status")), _record("acme", "work_status", "attendance"))
    assert _pairs(grants) == [("acme", "attendance"), ("acme", "work_status"), ("zeta", "work_status")]


def test_consent_said_again_replaces_its_dates() -> None:
    grants = recorded((), _record("acme", "work_status"))
    grants = recorded(grants, _record("acme", "work_status", through=date(2026, 6, 1)))
    assert [grant.valid_through for grant in grants] == [date(2026, 6, 1)]


def test_a_revocation_ends_its_employers_scopes_and_no_others() -> None:
    grants = recorded(recorded((), _record("acme", "work_status", "attendance")), _record("zeta", "work_status"))
    left = revoked(grants, ConsentRevoked(employer="acme", scopes=("work_status", "demands_met")))
    assert _pairs(left) == [("acme", "attendance"), ("zeta", "work_status")]


def test_a_scope_named_twice_is_granted_once() -> None:
    assert len(recorded((), _record("acme", "work_status", "work_status"))) == 1


said = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["acme", "zeta"]),
        st.lists(st.sampled_from(SCOPES), min_size=1, max_size=3, unique=True).map(tuple),
    ),
    max_size=12,
)


@given(said)
@settings(derandomize=True, deadline=None)
def test_the_last_word_on_a_scope_stands(words: list[tuple[bool, str, tuple[str, ...]]]) -> None:
    grants: Grants = ()
    expected: dict[tuple[str, str], bool] = {}
    for granted, employer, scopes in words:
        if granted:
            grants = recorded(grants, _record(employer, *scopes))
        else:
            grants = revoked(grants, ConsentRevoked(employer=employer, scopes=scopes))
        expected |= {(employer, scope): granted for scope in scopes}
    assert _pairs(grants) == sorted(pair for pair, stands in expected.items() if stands)
