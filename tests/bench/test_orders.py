"""Lives that are held to their ending: the same in every order of the topics, told of another case, and told badly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bench.orders import assessments_of, ending_of, lives_of, same_in_any_order, tried
from bench.stories import stories_of
from bench.telling import Life
from workhardening_contracts.progress import CaseClosed, ReadinessAssessed

CASES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lives")


@pytest.fixture(scope="module")
def lives(folder: Path) -> list[Life]:
    lives, dropped = lives_of(CASES, 1, folder)
    assert dropped == 0
    return lives


def test_what_was_tried_is_kept_and_comes_back_the_same(lives: list[Life], folder: Path) -> None:
    files = sorted(folder.iterdir())
    assert lives_of(CASES, 1, folder) == (lives, 0)
    assert sorted(folder.iterdir()) == files


@pytest.mark.parametrize("nth", [0, 3])
def test_a_life_comes_to_the_same_in_an_order_that_was_not_tried_and_of_another_case(
    lives: list[Life], nth: int
) -> None:
    for life in lives:
        other = life.of_another(nth)
        ending = ending_of(other.story, other.signs, Random("not tried"))
        assert ending.outputs == Counter(life.story.outputs)
        assert ending.rows == same_in_any_order(life.story.rows)
        assert (ending.told, ending.unsaid) == (life.told, 0)


def test_somebody_signs_and_somebody_is_told(lives: list[Life]) -> None:
    assert any(life.signs for life in lives)
    assert any(life.told for life in lives)


def test_a_signature_that_names_what_the_story_names_is_refused_when_the_plan_came_late(lives: list[Life]) -> None:
    """The cause of endings that differ: the id of an assessment is derived from what let progress judge the week."""
    endings = [ending_of(life.story, {}, Random(f"{nth}")) for life in lives if life.signs for nth in range(4)]
    kinds = [{type_ for _, type_, _ in ending.outputs} for ending in endings]
    assert any("clinic.rejections.v1" in {topic for topic, _, _ in ending.outputs} for ending in endings)
    assert any(ReadinessAssessed.TYPE in kind and CaseClosed.TYPE not in kind for kind in kinds)


def test_a_life_that_does_not_come_to_what_its_story_says_is_left_out(folder: Path) -> None:
    story = stories_of(CASES, 1, folder)[0]
    assert tried(story, 1) is not None
    assert tried(replace(story, outputs=story.outputs[:-1]), 1) is None
    assert tried(replace(story, rows={**story.rows, "feed": 0}), 1) is None
    silent = replace(story.steps[0], heard=story.steps[0].heard + 1)  # an answer that never comes
    assert tried(replace(story, steps=(silent, *story.steps[1:])), 1) is None


def test_an_assessment_is_known_by_its_sequence(lives: list[Life]) -> None:
    story = next(life.story for life in lives if life.signs)
    sequences = [sequence for _, type_, sequence in story.outputs if type_ == ReadinessAssessed.TYPE]
    assert list(assessments_of(story).values()) == sequences
