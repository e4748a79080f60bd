"""Medians, intervals, and samples that are repeated when the machine was not quiet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import chain, harness, hop, latency
from bench.estimates import disturbed, estimate, quantile
from bench.report import GOALS, found, verdict
from bench.sample import Sample


def sample(variant: str, round_: int, cpu_us: float) -> Sample:
    """A sample of a thousand events."""
    return Sample(variant, round_, 1000, 1.0, {"client": cpu_us / 2000, "postgres": cpu_us / 2000}, 60.0)


def test_the_median_lies_inside_its_interval_and_the_interval_inside_what_was_seen() -> None:
    found = estimate([4.0, 1.0, 3.0, 2.0, 9.0])
    assert found.median == 3.0
    assert 1.0 <= found.low <= found.median <= found.high <= 9.0
    assert found.rounds == 5


def test_equal_rounds_leave_no_doubt() -> None:
    found = estimate([2.0] * 5)
    assert (found.low, found.median, found.high) == (2.0, 2.0, 2.0)


def test_nothing_measured_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        estimate([])


def test_the_99th_percentile_is_the_value_that_one_in_a_hundred_passes() -> None:
    assert quantile(0.99, [float(number) for number in range(1000)]) == 990.0


def test_loops_that_differ_by_more_than_a_third_disturb_whichever_was_slower() -> None:
    assert disturbed(1.0, 1.31)
    assert disturbed(1.31, 1.0)
    assert not disturbed(1.0, 1.29)


async def test_a_disturbed_sample_is_thrown_away_and_measured_again() -> None:
    loops: Iterator[float] = iter((1.0, 2.0, 1.0, 1.1))
    taken: list[int] = []

    async def measure(round_: int) -> Sample:
        taken.append(round_)
        return sample("product", round_, 100.0 + len(taken))

    kept, thrown = await harness.bracketed(measure, 3, loop=lambda: next(loops))
    assert taken == [3, 3]
    assert (kept.cpu_us, thrown) == (pytest.approx(102.0), 1)


async def test_a_machine_that_is_never_quiet_does_not_keep_a_run_for_ever() -> None:
    loops: Iterator[float] = iter((1.0, 2.0) * harness.ATTEMPTS)

    async def measure(round_: int) -> Sample:
        return sample("product", round_, 100.0)

    _, thrown = await harness.bracketed(measure, 1, loop=lambda: next(loops))
    assert thrown == harness.ATTEMPTS - 1


def test_what_fills_the_programs_topics_is_measured_behind_what_reads_them_from_their_beginning() -> None:
    """A hop after a latency or a chain, or a latency after a chain, would take what these sent for its own load."""
    order = [name for _, names in harness.orders(harness.NAMES, 2, 1) for name in names]
    last = {name: nth for nth, name in enumerate(order)}
    first = {name: nth for nth, name in reversed(list(enumerate(order)))}
    assert sorted(order) == sorted([*harness.NAMES, *harness.NAMES])
    assert max(last[name] for name in hop.VARIANTS) < min(first[name] for name in latency.NAMES)
    assert max(last[name] for name in latency.NAMES) < min(first[name] for name in chain.VARIANTS)


def test_ratios_are_taken_within_a_round() -> None:
    """The machine was half as fast in the second round: that is no difference between the two."""
    samples = [sample("naive", 1, 3000.0), sample("product", 1, 100.0)]
    samples += [sample("naive", 2, 6000.0), sample("product", 2, 200.0)]
    assert found(samples)["P2"].median == pytest.approx(30.0)
    assert (found(samples)["P2"].low, found(samples)["P2"].high) == (pytest.approx(30.0), pytest.approx(30.0))


def test_a_round_without_its_partner_counts_for_nothing() -> None:
    assert found([sample("naive", 1, 3000.0), sample("product", 2, 100.0)]).keys() == {"P13"}


@pytest.mark.parametrize(("median", "said"), [(34.0, "stretch met"), (26.0, "met"), (24.0, "MISSED")])
def test_a_goal_is_met_by_its_median(median: float, said: str) -> None:
    assert verdict(GOALS["P2"], estimate([median])) == said


def test_of_memory_less_is_better() -> None:
    assert verdict(GOALS["P13"], estimate([70.0])) == "met"
    assert verdict(GOALS["P13"], estimate([91.0])) == "MISSED"


def test_what_is_told_for_comparison_is_neither_met_nor_missed() -> None:
    samples = [sample("relay_faststream_outbox", 1, 1000.0), sample("relay_product", 1, 50.0)]
    told = found(samples)["relay"]
    assert told.median == pytest.approx(20.0)
    assert verdict(GOALS["relay"], told) == ""
