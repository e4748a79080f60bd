"""The short run of the torture: 2,000 cases on real processes, PostgreSQL and Kafka, and every kind of fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture import plan, run
from torture.part import read

SEED = 1


@pytest.mark.stack
def test_two_thousand_cases_under_fire_lose_nothing_double_nothing_and_keep_their_order(tmp_path: Path) -> None:
    code = run.main(["--seed", str(SEED), "--results", str(tmp_path)])
    result = read(tmp_path / f"seed-{SEED}" / f"part-00-{plan.SHORT_CASES}.json")
    assert result is not None
    assert not result.violations
    assert not result.hanging
    assert code == 0
    assert result.deaths["killed"] + result.deaths["drilled"] >= 20
    assert result.cases == plan.SHORT_CASES
    injected = {fault["kind"] for fault in result.faults} | set(result.impossible)
    assert injected == {kind for kind, amount in plan.AMOUNTS.items() if amount.short}
