"""The check after each sample: a variant that did less, or more, is found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from bench.expected import Expected, differences, expected_of, wrong_rows
from bench.load import Load, load_of


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """A few cases in their fourth week."""
    return load_of(12, 1, tmp_path_factory.mktemp("load"))


@pytest.fixture(scope="module")
def expected(load: Load) -> Expected:
    return expected_of(load)


def test_the_same_seed_gives_the_same_bytes_made_again_or_kept(load: Load, tmp_path: Path) -> None:
    assert load_of(12, 1, tmp_path) == load
    assert len(list(tmp_path.iterdir())) == 1
    assert load_of(12, 1, tmp_path) == load


def test_a_week_is_mostly_sessions_and_ends_in_a_verdict(load: Load, expected: Expected) -> None:
    types = Counter(dict(record.headers)["ce_type"].decode().split(".", 2)[2] for record in load.records)
    assert types["clinic.session.recorded.v1"] > len(load.records) / 2
    assert types["clinic.day.closed.v1"] > 0
    assert any("week" in type_ for _, _, type_, _ in expected.outputs)


def test_a_part_is_whole_cases(load: Load) -> None:
    part = load.part(5)
    keys = {record.key for record in part.records}
    assert len(part.cases) == 5
    assert [record for record in load.records if record.key in keys] == part.records


def test_what_came_as_it_should_differs_in_nothing(expected: Expected) -> None:
    assert differences(expected.outputs, Counter(expected.outputs)) == []
    assert wrong_rows(expected, list(expected.taken), expected.states) == []


def test_a_lost_output_is_found(expected: Expected) -> None:
    found = Counter(expected.outputs)
    found.subtract([next(iter(found))])
    assert differences(expected.outputs, +found)[0].startswith("1 outputs are missing")


def test_a_doubled_output_is_found(expected: Expected) -> None:
    found = expected.outputs + Counter([next(iter(expected.outputs))])
    assert differences(expected.outputs, found)[0].startswith("1 outputs are too many")


def test_an_event_that_was_not_taken_is_found(expected: Expected) -> None:
    assert wrong_rows(expected, list(expected.taken)[1:], None) == ["1 events were not taken"]


def test_an_event_that_was_taken_twice_is_found(expected: Expected) -> None:
    taken = list(expected.taken)
    assert wrong_rows(expected, [*taken, taken[0]], None) == ["1 events were taken twice"]


def test_a_case_that_was_not_folded_is_found(expected: Expected) -> None:
    ref = next(iter(expected.states))
    assert wrong_rows(expected, list(expected.taken), {**expected.states, ref: {}}) == [
        "1 cases are not as they should be"
    ]


def test_a_stranger_among_the_events_is_found(expected: Expected) -> None:
    stranger = (UUID(int=1), "/clinics/north", "x")
    assert wrong_rows(expected, [*expected.taken, stranger], None)[0].startswith("1 events were taken that are nothing")
