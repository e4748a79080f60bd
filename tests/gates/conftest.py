"""What the gates are fed with: the lives of a few cases, made once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bench.stories import Story, stories_of
from tests.gates.feeding import reading
from workhardening_contracts.envelope import Envelope


@pytest.fixture(scope="session")
def stories(tmp_path_factory: pytest.TempPathFactory) -> list[Story]:
    """Sixteen cases, side by side."""
    return stories_of(16, 1, tmp_path_factory.mktemp("stories"))


@pytest.fixture(scope="session")
def read(stories: list[Story]) -> Mapping[str, list[tuple[str, Envelope]]]:
    """What each service reads of them."""
    return reading(stories)
