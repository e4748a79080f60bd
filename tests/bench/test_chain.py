"""The chain on the real Kafka and PostgreSQL: both variants do all of it, and leave no process behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench import chain
from bench.accounting import processes
from bench.orders import lives_of
from bench.sample import Failed
from bench.telling import Life
from deploy.local import stack as local

LIVES = 3


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> list[Life]:
    return lives_of(LIVES, 1, tmp_path_factory.mktemp("lives"))[0]


@pytest.fixture(scope="module")
async def prepared(infrastructure: local.Stack) -> local.Stack:
    await chain.prepare(infrastructure)
    return infrastructure


def test_each_life_is_measured_of_as_many_cases_and_lived_before_of_others(lives: list[Life]) -> None:
    earlier, cases = chain.cast(lives, 2)
    assert [life.story.outputs for life in cases] == [life.story.outputs for life in lives] * 2
    assert len(earlier) == 1
    assert len({life.ref for life in (*earlier, *cases)}) == 2 * LIVES + 1


def test_what_came_as_it_should_is_found_right(lives: list[Life]) -> None:
    assert chain.wrong(chain.expected_of(lives), chain.expected_of(lives)) == []


def test_each_thing_that_is_wrong_is_said(lives: list[Life]) -> None:
    expected = chain.expected_of(lives)
    lost = replace(expected, outputs=expected.outputs - Counter([next(iter(expected.outputs))]))
    more = replace(expected, rows=expected.rows + Counter([(lives[0].ref, "feed")]))
    none = replace(expected, told=frozenset[Any]())
    assert chain.wrong(expected, lost)[0].startswith("1 outputs are missing")
    assert chain.wrong(expected, more) == ["1 rows are too many, as in feed"]
    assert chain.wrong(more, expected) == ["1 rows are missing, as in feed"]
    assert chain.wrong(expected, none)[0].endswith("an employer was not told last what it must be told")


@pytest.mark.stack
@pytest.mark.parametrize("name", list(chain.VARIANTS))
async def test_a_variant_lives_every_case_to_its_end(prepared: local.Stack, lives: list[Life], name: str) -> None:
    sample = await chain.sample(prepared, lives, replace(chain.VARIANTS[name], times=1), 1)
    assert sample.events == sum(life.story.sent for life in lives)
    assert sample.cpu_s.keys() == {"client", "postgres", "kafka"}
    assert set(sample.more["cpu_us_by_service"]) == set(chain.SERVICES)


@pytest.mark.stack
async def test_a_chain_that_did_other_than_it_must_fails_the_run(prepared: local.Stack, lives: list[Life]) -> None:
    other = [replace(life, told=frozenset([("acme", "something else")])) for life in lives[:1]]
    with pytest.raises(Failed, match="chain_naive did not do its work: of 2 cases an employer"):
        await chain.sample(prepared, other, chain.VARIANTS["chain_naive"], 1)


@pytest.mark.stack
@pytest.mark.parametrize("end", [Failed("not this time"), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_however_a_sample_ends_so_do_its_services(
    prepared: local.Stack, lives: list[Life], end: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    async def ended(*given: Any) -> None:
        started.extend(group.child.pid for group in given[-1])
        assert processes().keys() >= set(started)
        raise end

    monkeypatch.setattr(chain, "live", ended)
    with pytest.raises(type(end)):
        await chain.sample(prepared, lives, chain.VARIANTS["chain_naive"], 1)
    assert len(started) == len(chain.SERVICES)
    assert not processes().keys() & set(started)
