"""Faults put into the runtime on purpose. A rung that does not see them proves nothing."""

from torture.mutants import consumer, parking, relay
from torture.mutants.registry import MUTANTS, Mutant, by_name

__all__ = ["MUTANTS", "Mutant", "by_name", "consumer", "parking", "relay"]
