"""Where a case's records lie, the same in each topic."""

from __future__ import annotations

from typing import Any

from aiokafka.partitioner import DefaultPartitioner

PARTITIONS = 12
"""As the program's own topics are declared."""

_PARTITION: Any = DefaultPartitioner()


def partition_of(key: bytes) -> int:
    """The partition of a key."""
    number: int = _PARTITION(key, list(range(PARTITIONS)), list(range(PARTITIONS)))
    return number
