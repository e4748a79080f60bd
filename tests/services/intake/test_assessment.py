"""The assessment: parts, corrections, completeness, alerts."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake import assessment
from tests.services.intake.cases import TODAY, assessed, capacity
from workhardening_contracts.clinic import AssessmentRecorded, JointMobility

YESTERDAY = TODAY - timedelta(days=1)


def _parts(*recorded: AssessmentRecorded) -> assessment.Parts:
    parts: assessment.Parts = ()
    for number, data in enumerate(recorded):
        parts = assessment.record(parts, f"a{number}", data, 0)
    return parts


def _only(*names: str, **more: Any) -> AssessmentRecorded:
    return assessed(**({name: None for name in assessment.REQUIRED if name not in names} | more))


def test_a_whole_assessment_in_one_event_lacks_nothing() -> None:
    assert assessment.missing(_parts(assessed())) == ()


@pytest.mark.parametrize("name", assessment.REQUIRED)
def test_a_part_that_was_left_out_is_missing_by_its_name(name: str) -> None:
    assert assessment.missing(_parts(assessed(**{name: None}))) == (f"assessment.{name}",)


@pytest.mark.parametrize("order", list(permutations(assessment.REQUIRED))[::97])
def test_parts_merge_over_several_events_in_any_order(order: tuple[str, ...]) -> None:
    parts: assessment.Parts = ()
    for number, name in enumerate(order):
        assert f"assessment.{name}" in assessment.missing(parts)
        parts = assessment.record(parts, f"a{number}", _only(name), 0)
        assert len(assessment.missing(parts)) == len(order) - number - 1


def test_an_examination_may_find_nothing_but_a_test_without_a_measurement_is_no_test() -> None:
    nothing = assessed(history_flags=(), posture=(), physical_examination=(), mobility=(), functional_tests=())
    assert assessment.missing(_parts(nothing)) == ("assessment.mobility", "assessment.functional_tests")


def test_capacities_of_two_days_are_one_baseline_and_the_later_measurement_counts() -> None:
    first = assessed(functional_tests=(capacity(10.0, YESTERDAY), capacity(5.0, YESTERDAY, "overhead")))
    second = assessed(functional_tests=(capacity(12.0, TODAY),))
    for parts in (_parts(first, second), _parts(second, first)):
        found = {each.zone: each.amount.amount for each in assessment.baseline(parts)}
        assert found == {"floor_waist": 12.0, "overhead": 5.0}


def test_a_late_entry_never_overwrites_what_was_found_after_it() -> None:
    parts = _parts(assessed(baseline_pain=3.0), assessed(assessed_on=YESTERDAY, baseline_pain=7.0))
    assert assessment.baseline_pain(parts) == 3.0
    assert assessment.assessed_on(parts) == TODAY


def test_a_correction_replaces_what_it_names_wholly_and_in_its_place() -> None:
    parts = _parts(assessed(baseline_pain=3.0), _only("baseline_pain", baseline_pain=5.0))
    parts = assessment.record(parts, "c1", assessed(baseline_pain=9.0, posture=None, supersedes="a0"), 0)
    assert len(parts) == 2
    assert assessment.missing(parts) == ("assessment.posture",), "what the corrected event held is gone"
    assert assessment.baseline_pain(parts) == 5.0, "what was recorded later still counts as later"


def test_a_correction_may_name_the_original_or_an_earlier_correction() -> None:
    parts = assessment.record(_parts(assessed()), "c1", assessed(baseline_pain=6.0, supersedes="a0"), 0)
    for named in ("a0", "c1"):
        assert assessment.knows(parts, named)
        again = assessment.record(parts, "c2", assessed(baseline_pain=8.0, supersedes=named), 0)
        assert (len(again), assessment.baseline_pain(again)) == (1, 8.0)
    assert not assessment.knows(parts, "c9")


def test_the_ids_that_a_part_is_known_by_are_bounded_and_the_newest_stay() -> None:
    parts = _parts(assessed())
    ids = ["a0", *(f"c{number}" for number in range(assessment.MAX_CORRECTIONS + 5))]
    for named, id_ in pairwise(ids):
        parts = assessment.record(parts, id_, assessed(supersedes=named), 0)
    (part,) = parts
    assert list(part.ids) == ids[-assessment.MAX_CORRECTIONS :]


@pytest.mark.parametrize(
    ("changes", "alerts"),
    [
        ({}, ()),
        ({"phq9_item9": 0}, ()),
        ({"phq9_item9": 1}, ("phq9_item9",)),
        ({"red_flags": ("saddle_anaesthesia",)}, ("red_flag",)),
        ({"phq9_item9": 3, "red_flags": ("chest_pain",)}, ("phq9_item9", "red_flag")),
    ],
)
def test_item_9_above_zero_and_any_red_flag_raise_an_alert(changes: dict[str, Any], alerts: tuple[str, ...]) -> None:
    assert assessment.alerts(_parts(assessed(**changes))) == alerts


def test_an_alert_stays_until_it_is_answered_anew() -> None:
    parts = _parts(assessed(phq9_item9=2, red_flags=("chest_pain",)))
    silent = assessment.record(parts, "b", assessed(), 1)
    assert assessment.alerts(silent) == ("phq9_item9",), "examined anew without a red flag, item 9 not asked"
    asked = assessment.record(silent, "c", assessed(phq9_item9=0), 1)
    assert assessment.alerts(asked) == ()


def test_a_red_flag_of_the_same_round_is_not_cleared_by_another_part() -> None:
    parts = _parts(_only("posture", red_flags=("chest_pain",)), _only("mobility"))
    assert assessment.alerts(parts) == ("red_flag",)


def test_nothing_of_the_findings_is_kept() -> None:
    flexion = JointMobility(joint="lumbar", movement="flexion", degrees=41.5, side="not_applicable")
    kept = _parts(assessed(mobility=(flexion,), history_flags=("diabetes",)))[0].model_dump_json()
    assert "41.5" not in kept
    assert "diabetes" not in kept


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=8))
@settings(derandomize=True, deadline=None)
def test_the_baseline_holds_each_demand_once_and_its_latest_measurement(tests: list[tuple[int, int]]) -> None:
    days = [(date(2026, 3, 1) + timedelta(days=day), float(kg)) for day, kg in tests]
    parts = _parts(*(assessed(assessed_on=day, functional_tests=(capacity(kg, day),)) for day, kg in days))
    (found,) = assessment.baseline(parts)
    last = max(day for day, _ in days)
    assert found.measured_on == last
    assert found.amount.amount == [kg for day, kg in days if day == last][-1]


@given(st.permutations(assessment.REQUIRED), st.integers(0, 6))
@settings(derandomize=True, deadline=None)
def test_one_more_part_never_makes_more_missing(order: list[str], count: int) -> None:
    parts = _parts(*(_only(name) for name in order[:count]))
    before = set(assessment.missing(parts))
    for name in order:
        assert set(assessment.missing(assessment.record(parts, "x", _only(name), 0))) <= before
