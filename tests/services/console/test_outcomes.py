"""The outcome tables and their intervals: pure."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.outcomes import LEAST, Told, by_name, months_after, share, table, wilson

ENDED: dict[str | None, int] = {
    "declined": 12,
    "withdrawn": 15,
    "discontinued": 7,
    "ready": 32,
    "ready_with_restrictions": 20,
    "not_ready": 14,
}


def test_each_share_has_its_own_denominator() -> None:
    rows = by_name(table(ENDED))
    assert (rows["not accepted"].count, rows["not accepted"].of) == (12, 100)
    assert (rows["did not complete"].count, rows["did not complete"].of) == (22, 88)
    assert (rows["ready: usual job"].count, rows["ready: usual job"].of) == (32, 66)
    assert rows["did not complete"].percent == pytest.approx(25.0)


def test_a_case_in_the_program_was_accepted_and_is_in_no_other_share() -> None:
    rows = by_name(table({**ENDED, "in_program": 20}))
    assert (rows["not accepted"].count, rows["not accepted"].of) == (12, 120)
    assert {name: row for name, row in rows.items() if name != "not accepted"} == {
        name: row for name, row in by_name(table(ENDED)).items() if name != "not accepted"
    }


def test_the_published_figures_stand_beside_them() -> None:
    published = [row.published for row in table(ENDED) if row.published is not None]
    assert published == [11.5, 24.6, 48.2, 30.5]


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        # Reference values: R, binom::binom.wilson.
        (10, 50, 0.1124375, 0.3303711),
        (0, 20, 0.0, 0.1611252),
        (8, 10, 0.4901625, 0.9433178),
    ],
)
def test_the_interval_is_wilsons(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_an_interval_holds_its_share_lies_on_the_scale_and_turns_with_it(count: int, of: int) -> None:
    count = min(count, of)
    low, high = wilson(count, of)
    assert 0 <= low <= count / of <= high <= 1
    assert low < high
    assert wilson(of - count, of) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(st.integers(0, 100), st.integers(1, 100), st.integers(2, 50))
def test_more_cases_make_a_shorter_interval(count: int, of: int, times: int) -> None:
    count = min(count, of)
    (low, high), (nearer_low, nearer_high) = wilson(count, of), wilson(count * times, of * times)
    assert nearer_high - nearer_low < high - low


def test_a_case_that_hangs_is_in_no_share() -> None:
    assert by_name(table({**ENDED, None: 3}))["not accepted"].of == 100


@pytest.mark.parametrize("of", range(LEAST))
def test_of_fewer_than_five_there_is_no_percentage_and_always_the_numbers(of: int) -> None:
    row = share("working", of, of)
    assert (row.count, row.of, row.percent, row.low, row.high) == (of, of, None, None, None)
    assert share("working", of, LEAST).percent == 100 * of / LEAST


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="not an outcome: cured"):
        table({"cured": 1})


@pytest.mark.parametrize(("count", "of"), [(1, 0), (-1, 5), (6, 5)])
def test_a_share_that_cannot_be_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="a share needs"):
        wilson(count, of)


def test_what_came_after_is_told_of_those_of_whom_it_is_known() -> None:
    first, *others = months_after(
        [
            Told(1, True, "usual_job", "no", 6),
            Told(1, True, "modified_work", "yes", 1),
            Told(1, True, "not_working", "unknown", 2),
            Told(1, True, "unknown", "unknown", 3),
            Told(1, False, "modified_work", "no", 1),
            Told(1, False, None, None, 4),
        ]
    )
    assert (first.month, first.due, first.asked) == (1, 17, 13)
    assert (first.working.count, first.working.of, first.work_unknown) == (8, 10, 3)
    assert (first.retained.count, first.retained.of) == (7, 9), "of those who had been signed ready"
    assert (first.reinjured.count, first.reinjured.of, first.injury_unknown) == (1, 8, 5)
    assert first.working.percent == pytest.approx(80.0)
    assert [(each.month, each.due, each.working.percent) for each in others] == [
        (3, 0, None),
        (6, 0, None),
        (12, 0, None),
    ]


ANSWERS = st.builds(
    Told,
    st.sampled_from((1, 3, 6, 12)),
    st.booleans(),
    st.sampled_from(("usual_job", "modified_work", "not_working", "unknown")),
    st.sampled_from(("yes", "no", "unknown")),
    st.integers(1, 40),
) | st.builds(Told, st.sampled_from((1, 3, 6, 12)), st.booleans(), st.none(), st.none(), st.integers(1, 40))


@given(st.lists(ANSWERS, max_size=20))
def test_nobody_is_counted_twice_and_nobody_is_lost(told: list[Told]) -> None:
    due = Counter[int]()
    for each in told:
        due[each.month] += each.cases
    for month in months_after(told):
        assert month.due == due[month.month] >= month.asked
        assert month.asked == month.working.of + month.work_unknown == month.reinjured.of + month.injury_unknown
        assert month.retained.of <= month.working.of
        assert month.retained.count <= month.working.count
