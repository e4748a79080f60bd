"""What every test of notify's tables stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from runtime.db import Pool, open_pool
from tests.conftest import Database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections of the service's own role."""
    opened_pool = await open_pool(database.dsn("notify"), "notify-test")
    yield opened_pool
    await opened_pool.close()
