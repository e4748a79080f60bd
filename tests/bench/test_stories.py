"""Whole lives as a load: the same bytes each time, and told of another case the same comes of them."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from bench.program import Hop
from bench.stories import SERVICES, TABLES, Story, followed, retold, stories_of
from workhardening_contracts.clinic import ReadinessSigned
from workhardening_contracts.envelope import read_kafka

CASES = 12


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> list[Story]:
    return stories_of(CASES, 1, tmp_path_factory.mktemp("stories"))


def test_the_same_seed_gives_the_same_stories_made_again_or_kept(stories: list[Story], tmp_path: Path) -> None:
    assert stories_of(CASES, 1, tmp_path) == stories
    assert len(list(tmp_path.iterdir())) == 1
    assert stories_of(CASES, 1, tmp_path) == stories


def test_stories_go_from_the_referral_to_what_employers_are_told(stories: list[Story]) -> None:
    types = Counter(type_.split(".")[-2] for story in stories for _, type_, _ in story.outputs)
    assert min(types[name] for name in ("opened", "issued", "advanced", "assessed")) > 0
    assert sum(story.rows.get("deliveries", 0) for story in stories) > 0
    signed = [record for story in stories for step in story.steps for record in step.records]
    assert any(dict(record.headers)["ce_type"].decode() == ReadinessSigned.TYPE for record in signed)


@pytest.mark.parametrize("nth", [0, 1, 7])
def test_a_story_told_of_another_case_comes_to_the_same(stories: list[Story], nth: int) -> None:
    for story in stories:
        told, hops, offsets = retold(story, nth), {name: Hop(name) for name in SERVICES}, count()
        outputs: list[tuple[str, str, str]] = []
        for step in told.steps:
            envelopes = [read_kafka(record.key, record.headers, record.value) for record in step.records]
            answers = [entry for envelope in envelopes for entry in followed(hops, envelope, offsets)[1:]]
            assert len(answers) == step.heard
            outputs += [(topic, answer.type, str(answer.sequence or "")) for topic, answer in answers]
        assert tuple(outputs) == story.outputs
        rows = Counter({name: len(hop.taken) for name, hop in hops.items()})
        rows.update(TABLES[type(effect)] for effect in hops["notify"].effects if type(effect) in TABLES)
        assert rows == Counter(story.rows)
        assert all(set(hop.cases) <= {told.ref} for hop in hops.values())
        assert nth == 0 or told.ref != story.ref
