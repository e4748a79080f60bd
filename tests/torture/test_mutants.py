"""Each fault of torture/mutants is seen, by the rung and the invariant that its entry names."""

from __future__ import annotations

from torture.mutants import MUTANTS
from torture.simulation import run

SEEDS = range(60)


def caught_by_simulation(name: str) -> None:
    """Fails when the mutant survives: no seed violates the invariant that its entry names."""
    mutant = MUTANTS[name]
    assert mutant.rung == 1
    for seed in SEEDS:
        with mutant.applied():
            found = run(seed)
        if any(text.startswith(mutant.caught_by) for text in found):
            assert run(seed) == [], "the same schedule is clean without the mutant"
            return
    raise AssertionError(f"{name} survives")


def test_mutant_offsets_before_commit_is_caught() -> None:
    caught_by_simulation("offsets_before_commit")


def test_mutant_at_most_once_is_caught() -> None:
    caught_by_simulation("at_most_once")


def test_mutant_no_dedupe_in_batch_is_caught() -> None:
    caught_by_simulation("no_dedupe_in_batch")


def test_mutant_no_log_lookup_is_caught() -> None:
    caught_by_simulation("no_log_lookup")


def test_mutant_no_partition_lock_is_caught() -> None:
    caught_by_simulation("no_partition_lock")


def test_mutant_no_lock_in_retry_is_caught() -> None:
    caught_by_simulation("no_lock_in_retry")


def test_mutant_sequence_not_counted_is_caught() -> None:
    caught_by_simulation("sequence_not_counted")


def test_mutant_erasure_forgotten_is_caught() -> None:
    caught_by_simulation("erasure_forgotten")


def test_mutant_dead_letter_and_continue_is_caught() -> None:
    caught_by_simulation("dead_letter_and_continue")


def test_mutant_successors_overtake_is_caught() -> None:
    caught_by_simulation("successors_overtake")


def test_mutant_retry_in_the_wrong_order_is_caught() -> None:
    caught_by_simulation("retry_in_the_wrong_order")


def test_mutant_delete_before_publish_is_caught() -> None:
    caught_by_simulation("delete_before_publish")
