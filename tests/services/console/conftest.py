"""The console's own database, for the tests that read and write it as the console does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from runtime.db import Pool, open_pool
from tests.conftest import Database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened_pool = await open_pool(database.dsn("console"), "console-test")
    yield opened_pool
    await opened_pool.close()
