"""The hop on the real Kafka and PostgreSQL: the naive variant, the raw limit, the product, and one that cheats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bench import hop, latency
from bench.load import Load, load_of
from bench.sample import Failed
from bench.wire import make_topic
from deploy.local import stack as local
from workhardening_contracts.clinic import DayClosed

pytestmark = pytest.mark.stack

CASES = 30
SEED = 1


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    return load_of(CASES, SEED, tmp_path_factory.mktemp("load"))


@pytest.fixture(scope="module")
async def filled(infrastructure: local.Stack, load: Load) -> AsyncIterator[hop.Ground]:
    """A small load, in topics and a template of this module's own."""
    async with hop.ground(infrastructure, load, {20}) as ground:
        yield ground


@pytest.mark.parametrize("name", ["naive", "raw_limit", "product", "product_traced"])
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


async def test_each_closed_day_is_waited_for(filled: hop.Ground, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "FIRST", 0)
    await make_topic(filled.stack.kafka, latency.FLOOR_TOPIC)
    days = latency.split(load)[1]
    for name in latency.NAMES:
        sample = await latency.sample(filled.stack, load, name, 1, SEED)
        assert sample.more["samples"] == len(days)
        assert 0 < sample.more["p50_ms"] <= sample.more["p99_ms"]
        assert ("stages" in sample.more) == (name == "latency_traced")


async def test_too_few_days_to_count_from_are_refused(filled: hop.Ground, load: Load) -> None:
    with pytest.raises(Failed, match="give it more cases"):
        await latency.sample(filled.stack, load, "latency_floor", 1, SEED)


def test_of_each_case_all_is_sent_before_but_its_last_closed_day(load: Load) -> None:
    before, days = latency.split(load)
    assert {record.key for record in days} == {record.key for record in before}
    assert len({record.key for record in days}) == len(days)
    assert {dict(record.headers)["ce_type"] for record in days} == {DayClosed.TYPE.encode()}
    sent = {*before, *days}
    assert all(record in sent for record in load.records if record.key in {day.key for day in days})
