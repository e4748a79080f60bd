"""The hop on the real Kafka and PostgreSQL: the naive variant, the raw limit, the product, and one that cheats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bench import hop
from bench.load import load_of
from bench.sample import Failed
from deploy.local import stack as local

pytestmark = pytest.mark.stack

CASES = 30


@pytest.fixture(scope="module")
async def filled(infrastructure: local.Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[hop.Ground]:
    """A small load, in topics and a template of this module's own."""
    load = load_of(CASES, 1, tmp_path_factory.mktemp("load"))
    async with hop.ground(infrastructure, load, {20}) as ground:
        yield ground


@pytest.mark.parametrize("name", ["naive", "raw_limit", "product"])
async def test_a_variant_does_the_whole_hop(filled: hop.Ground, name: str) -> None:
    sample = await hop.sample(filled, replace(hop.VARIANTS[name], most=hop.VARIANTS[name].most and 20), 1)
    assert sample.events > 0
    assert sample.cpu_s.keys() == {"client", "postgres", "kafka"}
    assert sample.cpu_s["client"] > 0
    assert sample.rss_mb > 10


async def test_a_variant_that_does_less_fails_the_run(filled: hop.Ground) -> None:
    """The raw limit keeps neither inbox nor cases; said to be a variant that does, it is found out."""
    cheat = replace(hop.VARIANTS["raw_limit"], name="cheat", table="inbox", states=True)
    with pytest.raises(Failed, match="cheat did not do its work"):
        await hop.sample(filled, cheat, 1)
