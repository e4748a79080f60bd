"""The plan of the torture: every fault in its amount, spread over the parts, and the same for the same seed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.drill import PLACES
from torture import plan
from torture.proxy import FAULTS


@settings(derandomize=True, deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 20))
def test_the_parts_of_a_gate_have_every_fault_in_its_full_amount(seed: int, parts: int) -> None:
    steps = [step for part in range(parts) for step in plan.full(seed, part, parts)]
    assert Counter(step.kind for step in steps) == {kind: amount.full for kind, amount in plan.AMOUNTS.items()}
    assert sum(plan.troubles(part, parts) for part in range(parts)) == plan.TROUBLES_FULL


@settings(derandomize=True, deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_each_kind_is_spread_evenly_over_the_parts(seed: int) -> None:
    for kind in plan.AMOUNTS:
        counts = [sum(step.kind == kind for step in plan.full(seed, part)) for part in range(plan.PARTS)]
        assert max(counts) - min(counts) <= 1


def test_every_named_place_is_killed_at_25_times_and_each_fault_of_the_network_put_20_times_on_both_links() -> None:
    steps = [step for part in range(plan.PARTS) for step in plan.full(7, part)]
    places = Counter(step.detail.partition(":")[0] for step in steps if step.kind == "kill")
    assert places == dict.fromkeys(PLACES, 25)
    networks = Counter((step.detail, step.target) for step in steps if step.kind == "network")
    assert networks == {(fault, link): 10 for fault in FAULTS for link in ("postgres", "kafka")}


def test_the_same_seed_plans_the_same_and_another_seed_something_else() -> None:
    assert plan.short(5) == plan.short(5)
    assert plan.full(5, 3) == plan.full(5, 3)
    assert plan.short(5) != plan.short(6)


def test_the_short_run_kills_at_least_twenty_times_and_at_every_place() -> None:
    steps = plan.short(1)
    places = {step.detail.partition(":")[0] for step in steps if step.kind == "kill"}
    kills = sum({"kill": 2, "postmaster": 1, "broker_kill": 1}.get(step.kind, 0) for step in steps)
    assert places == set(PLACES)
    assert kills >= 20


def test_a_place_is_only_named_where_a_service_passes_it() -> None:
    for step in plan.steps_of(3, "kill"):
        if step.detail.startswith("relay_"):
            assert step.target in plan.PUBLISHERS
        if step.detail.startswith(("disclosed", "answered")):
            assert step.target == "notify"
