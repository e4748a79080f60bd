"""One running program for all documents that are tried on one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.place import Place, running_place


@pytest.fixture(scope="package")
def stack() -> Iterator[Place]:
    """A stack of this folder's own, on which no cohort was simulated."""
    with running_place() as place:
        yield place
