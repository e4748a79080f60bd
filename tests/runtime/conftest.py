"""What the runtime's tests on the real parts share."""

from __future__ import annotations

import pytest

from tests.conftest import Database
from tests.runtime.toy import make_schema


@pytest.fixture
async def dsn(database: Database) -> str:
    """A toy schema of the test's own."""
    return await make_schema(database.admin, database.dsn("planning"))
