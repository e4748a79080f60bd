"""A stack for each file: what a measure leaves in the program's own topics, the next would take for its load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local import stack as local
from deploy.local.scratch import scratch_stack
from tests.conftest import ROOT, SECURED


@pytest.fixture(scope="module")
def infrastructure() -> Iterator[local.Stack]:
    """Kafka and PostgreSQL with the program's topics and tables, and no service."""
    with scratch_stack(ROOT, "tests", secured=SECURED, say=print) as stack:
        yield stack
