"""The outcome table and its intervals."""

import pytest

from simulator.outcomes import by_name, table, wilson

ENDED = {
    "declined": 12,
    "withdrawn": 15,
    "discontinued": 7,
    "ready": 32,
    "ready_with_restrictions": 20,
    "not_ready": 14,
}
COHORT = [outcome for outcome, count in ENDED.items() for _ in range(count)]


def test_each_share_has_its_own_denominator() -> None:
    rows = by_name(table(COHORT))
    assert (rows["not accepted"].count, rows["not accepted"].of) == (12, 100)
    assert (rows["did not complete"].count, rows["did not complete"].of) == (22, 88)
    assert (rows["ready: usual job"].count, rows["ready: usual job"].of) == (32, 66)
    assert rows["did not complete"].percent == pytest.approx(25.0)


def test_the_published_figures_stand_beside_them() -> None:
    published = [row.published for row in table(COHORT) if row.published is not None]
    assert published == [11.5, 24.6, 48.2, 30.5]


def test_the_interval_is_wilsons() -> None:
    # Reference values: R, binom::binom.wilson(10, 50) and (0, 20).
    assert wilson(10, 50) == pytest.approx((0.1124375, 0.3303711), abs=1e-6)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611252), abs=1e-6)


def test_a_case_that_hangs_is_in_no_share() -> None:
    assert by_name(table([*COHORT, None]))["not accepted"].of == 100


def test_nothing_to_share_is_no_percentage() -> None:
    assert by_name(table(["declined"]))["did not complete"].percent is None
    assert by_name(table([]))["not accepted"].percent is None


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="not an outcome: cured"):
        table(["cured"])


@pytest.mark.parametrize(("count", "of"), [(1, 0), (-1, 5), (6, 5)])
def test_a_share_that_cannot_be_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="a share needs"):
        wilson(count, of)
